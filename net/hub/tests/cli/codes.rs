//! Codes are a contract: one number for one meaning, all of them documented.

use std::collections::BTreeSet;

use tidegate_hub::error::Code;

const README: &str = include_str!("../../README.md");

#[test]
fn codes_are_unique_rising_and_documented() {
    let numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
    assert!(numbers.is_sorted() && numbers.len() > 30, "{numbers:?}");
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
    for code in Code::ALL {
        let row = format!("| `{code}` | {} |", code.about().trim());
        assert!(README.contains(&row), "net/hub/README.md lacks the line\n{row}");
        assert!(!code.advice().is_empty());
    }
}

#[test]
fn no_documented_code_is_gone() {
    let known: BTreeSet<String> = Code::ALL.iter().map(ToString::to_string).collect();
    let documented = README
        .split("| `")
        .filter_map(|part| part.split('`').next())
        .filter(|word| word.starts_with("TG-"));
    let gone: Vec<&str> = documented.filter(|word| !known.contains(*word)).collect();
    assert_eq!(gone, Vec::<&str>::new());
}

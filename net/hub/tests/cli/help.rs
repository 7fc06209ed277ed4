//! Every verb explains itself.

use super::support::Place;

/// Every verb, with its parents.
const VERBS: &[&[&str]] = &[
    &[],
    &["key", "new"],
    &["key", "show"],
    &["format"],
    &["start"],
    &["ledger"],
    &["tower"],
    &["benchmark"],
    &["verify"],
    &["backup"],
    &["backup", "verify"],
    &["restore"],
    &["export"],
    &["inspect", "root"],
    &["inspect", "channel"],
    &["inspect", "proof"],
    &["inspect", "wal"],
    &["inspect", "table"],
    &["inspect", "checkpoint"],
    &["inspect", "forwards"],
    &["inspect", "peers"],
    &["inspect", "signatures"],
    &["channel", "open"],
    &["channel", "pay"],
    &["channel", "request"],
    &["channel", "fulfil"],
    &["channel", "release"],
    &["channel", "receive"],
    &["channel", "top-up"],
    &["channel", "close"],
    &["channel", "dispute"],
    &["channel", "claim"],
    &["channel", "guard"],
    &["channel", "show"],
    &["channel", "list"],
    &["channel", "export"],
    &["config", "check"],
    &["config", "show"],
    &["loadgen", "prepare"],
];

#[test]
fn every_verb_shows_an_example() {
    let place = Place::new();
    for verb in VERBS {
        let help = place.good(&[*verb, &["--help"]].concat());
        assert!(help.contains("Example"), "{verb:?} shows no example:\n{help}");
        assert!(help.contains("Usage"), "{verb:?}: {help}");
    }
}

/// Names under "Commands:" in a help text.
fn commands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    list.filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn no_verb_is_missing_from_this_test() {
    let place = Place::new();
    let mut found = Vec::new();
    let top = place.good(&["--help"]);
    for verb in commands(&top) {
        let help = place.good(&[verb, "--help"]);
        let below = commands(&help);
        assert!(
            VERBS.iter().any(|known| known.first() == Some(&verb)),
            "{verb} is not tested"
        );
        found.extend(below.iter().map(|sub| format!("{verb} {sub}")));
    }
    assert!(found.len() > 8, "the listing is broken: {found:?}");
    let own = found.iter().filter(|verb| !verb.starts_with("loadgen"));
    for verb in own {
        assert!(
            VERBS.iter().any(|known| known.join(" ") == *verb),
            "{verb} is not tested"
        );
    }
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    let place = Place::new();
    for words in [
        &["frobnicate"][..],
        &["format"],
        &["format", "--data"],
        &["start", "--data", "x"],
        &["verify", "--data", "x", "--no-such-flag"],
        &["benchmark", "--seconds", "0"],
        &["benchmark", "--rate", "fast"],
        &["inspect", "root"],
    ] {
        place.bad(2, "TG-0100", words);
    }
    assert_eq!(place.run(&[]).code, 2);
    assert_eq!(place.names(), Vec::<String>::new());
}

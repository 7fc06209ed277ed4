//! Rules on one Rust source file, beside those on `unsafe`: its length, its first words, and what it may not contain.

use crate::{Finding, lexer};

/// The most lines that a source file may have. Most have under 400.
pub const LINES_MAX: usize = 800;

/// Macros that mark unfinished or forgotten work.
const FORBIDDEN_MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Words that mark unfinished work in a comment. Written in halves, so that this file does not contain them.
const FORBIDDEN_WORDS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// How the documentation of an empty room began before it was built.
const PLACEHOLDER: &str = concat!("//! Place", "holder");

/// A file over [`LINES_MAX`] lines.
#[must_use]
pub fn check_length(path: &str, text: &str) -> Vec<Finding> {
    let count = text.lines().count();
    if count <= LINES_MAX {
        return Vec::new();
    }
    vec![Finding::new(
        path,
        LINES_MAX + 1,
        format!("{count} lines; at most {LINES_MAX}: split it by what it does"),
    )]
}

/// A file that does not open with module documentation, or only with a placeholder.
#[must_use]
pub fn check_module_docs(path: &str, text: &str) -> Vec<Finding> {
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) if line.starts_with(PLACEHOLDER) => {
            vec![Finding::new(
                path,
                1,
                "an empty room: build it, or remove it from the workspace",
            )]
        }
        Some(line) if line.starts_with("//! ") => Vec::new(),
        _ => vec![Finding::new(
            path,
            1,
            "opens without `//!`: say what the module is for and what it never does",
        )],
    }
}

/// Marks of unfinished work, in code or comments.
#[must_use]
pub fn check_unfinished(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in lexer::split(text).iter().enumerate() {
        for name in FORBIDDEN_MACROS {
            if lexer::words(&line.code, name).any(|at| line.code[at + name.len()..].trim_start().starts_with('!')) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("`{name}!`: finish it, or leave it out"),
                ));
            }
        }
        for word in FORBIDDEN_WORDS {
            if lexer::words(&line.comment, word).next().is_some() {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("`{word}`: do it, or write an issue"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(check_length("a.rs", &"//\n".repeat(LINES_MAX)), []);
        assert_eq!(check_length("a.rs", &"//\n".repeat(LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn a_file_without_docs_is_found() {
        assert_eq!(check_module_docs("a.rs", "//! What it is for.\nfn f() {}\n"), []);
        assert_eq!(
            check_module_docs("a.rs", "// A plain comment.\n//! Too late.\n").len(),
            1
        );
        assert_eq!(check_module_docs("a.rs", "use x;\n").len(), 1);
        assert_eq!(check_module_docs("a.rs", "").len(), 1);
        assert_eq!(
            check_module_docs("a.rs", concat!("//! Place", "holder while …")).len(),
            1
        );
    }

    #[test]
    fn unfinished_work_is_found() {
        for bad in [
            "fn f() { todo!() }",
            "unimplemented! {}",
            "dbg!(x);",
            concat!("// FIX", "ME later"),
        ] {
            assert_eq!(check_unfinished("a.rs", bad).len(), 1, "{bad}");
        }
        for good in [
            "fn todo() {}",
            "// not a todo!() call",
            "f(\"dbg!\")",
            "let unimplemented = !x;",
        ] {
            assert_eq!(check_unfinished("a.rs", good), [], "{good}");
        }
    }
}

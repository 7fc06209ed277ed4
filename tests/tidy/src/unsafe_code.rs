//! Rules on `unsafe`: where it may stand, and what must stand above it.

use crate::{
    Finding,
    lexer::{self, Line},
};

/// The crates that may contain `unsafe`, by folder.
pub const ROOMS: [&str; 4] = ["engine/crypto", "engine/batch", "storage/table", "net/reactor"];

/// The files under `tests/` that may: an allocator that counts, and a control call of the file system.
pub const TEST_FILES: [&str; 2] = ["counting_allocator.rs", "ioctl.rs"];

/// The file of the peers that may: its store is opened by a call that is declared so. No program of the project links it.
pub const PEER_FILE: &str = "bench-harness/peers/stores/src/lmdb.rs";

/// The word itself, in halves so that this file has none.
const UNSAFE: &str = concat!("un", "safe");
/// The lint that forbids it.
const LINT: &str = concat!("un", "safe_code");

/// Whether a file may contain `unsafe` at all.
#[must_use]
pub fn is_allowed_in(path: &str) -> bool {
    let within = |room: &str| path.strip_prefix(room).is_some_and(|rest| rest.starts_with('/'));
    let name = path.rsplit('/').next().unwrap_or(path);
    ROOMS.iter().any(|room| within(room))
        || (path.starts_with("tests/") && TEST_FILES.contains(&name))
        || path == PEER_FILE
}

/// Every `unsafe` outside the rooms that may have it, without its argument directly above, and every reopened lint
/// without a reason.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let lines = lexer::split(text);
    let raw: Vec<&str> = text.lines().collect();
    let allowed = is_allowed_in(path);
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let uses = lexer::words(&line.code, UNSAFE).next().is_some();
        let relaxes = lexer::words(&line.code, LINT).next().is_some() && is_attribute(&lines, index);
        if (uses || relaxes) && !allowed {
            let rooms = ROOMS.join(", ");
            findings.push(Finding::new(
                path,
                index + 1,
                format!("`{UNSAFE}` may stand only in {rooms}"),
            ));
        }
        if uses && !has_argument(&lines, index) {
            let what = format!("`{UNSAFE}` without `// SAFETY: …` (or `# Safety` in its documentation) directly above");
            findings.push(Finding::new(path, index + 1, what));
        }
        if relaxes && !has_reason(&lines, &raw, index) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("`{LINT}` relaxed without a reason beside it"),
            ));
        }
    }
    findings
}

/// Whether the line is part of an attribute: it, or a line closely above it, opens one.
fn is_attribute(lines: &[Line], index: usize) -> bool {
    let opens = |line: &Line| line.code.trim_start().starts_with("#[") || line.code.trim_start().starts_with("#![");
    let ends = |line: &Line| line.code.trim_end().ends_with([']', ';', '}']);
    opens(&lines[index])
        || lines[..index]
            .iter()
            .rev()
            .take_while(|line| !ends(line))
            .take(6)
            .any(opens)
}

/// Whether an attribute gives `reason = "…"`, or a comment stands on its line or the line above.
fn has_reason(lines: &[Line], raw: &[&str], index: usize) -> bool {
    let end = (index..lines.len())
        .find(|&n| lines[n].code.trim_end().ends_with(']'))
        .unwrap_or(index);
    let has_words =
        |n: usize| lines[n].comment.trim().len() > "// ".len() && !lines[n].comment.trim().starts_with("//!");
    (index..=end).any(|n| raw.get(n).is_some_and(|line| line.contains("reason = \"")) || has_words(n))
        || index
            .checked_sub(1)
            .is_some_and(|above| has_words(above) && lines[above].code.trim().is_empty())
}

/// Whether the argument stands directly above the statement or item that line `index` belongs to.
fn has_argument(lines: &[Line], index: usize) -> bool {
    let argues = |line: &Line| line.comment.contains("SAFETY:") || line.comment.contains("# Safety");
    if lines[index].comment.contains("SAFETY:") {
        return true;
    }
    // Upward through the comments, attributes and earlier lines of the same statement; no blank line between.
    for line in lines[..index].iter().rev() {
        let code = line.code.trim();
        if argues(line) && code.is_empty() {
            return true;
        }
        let passes = if code.is_empty() {
            !line.comment.trim().is_empty()
        } else {
            code.starts_with("#[") || !code.ends_with([';', '{', '}'])
        };
        if !passes {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room that may.
    const HERE: &str = "storage/table/src/map.rs";

    /// Examples spell the word `danger`, so that this file stays free of it.
    fn check_in(path: &str, example: &str) -> Vec<Finding> {
        check(path, &example.replace("danger", UNSAFE))
    }

    #[test]
    fn without_an_argument_it_is_found() {
        for bad in [
            "fn f() {\n    danger { g() }\n}",
            "danger impl Send for T {}",
            "/// Does it.\npub danger fn f() {}",
            "// SAFETY: too far away.\n\nlet x = danger { g() };",
            "// SAFETY: of another statement.\nlet a = 1;\nlet x = danger { g() };",
        ] {
            assert_eq!(check_in(HERE, bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn with_an_argument_it_passes() {
        for good in [
            "// SAFETY: g has no conditions.\nlet x = danger { g() };",
            "// SAFETY: it does,\n// as shown.\n#[inline]\ndanger impl Send for T {}",
            "/// Does it.\n///\n/// # Safety\n/// Never twice.\npub danger fn f() {}",
            "// SAFETY: fine.\nlet x: Long =\n    danger { g() };",
            "// danger in a comment\nf(\"danger\");",
        ] {
            assert_eq!(check_in(HERE, good), [], "{good}");
        }
    }

    #[test]
    fn elsewhere_it_is_found() {
        let good = "// SAFETY: g has no conditions.\nlet x = danger { g() };";
        for path in [
            "engine/channel/src/lib.rs",
            "tests/sim/src/lib.rs",
            "storage/tables/src/lib.rs",
            "loadgen/ioctl.rs",
            "bench-harness/peers/stores/src/redb.rs",
        ] {
            assert_eq!(check_in(path, good).len(), 1, "{path}");
        }
        assert_eq!(check_in("tests/crash/src/ioctl.rs", good), []);
        assert_eq!(
            check_in("net/wire/src/lib.rs", "#![allow(danger_code)] // Fast.").len(),
            1
        );
    }

    #[test]
    fn a_relaxed_lint_needs_its_reason() {
        assert_eq!(check_in(HERE, "#![allow(danger_code)]").len(), 1);
        assert_eq!(check_in(HERE, "#[allow(danger_code, reason = \"maps memory\")]"), []);
        assert_eq!(
            check_in(HERE, "#![allow(\n    danger_code,\n    reason = \"maps memory\"\n)]"),
            []
        );
        assert_eq!(check_in(HERE, "// Maps memory.\n#![allow(danger_code)]"), []);
    }
}

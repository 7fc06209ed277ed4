//! Checks on the project's own text: which room may use which, how long a file may be, what stands above an `unsafe`.
//!
//! Each rule is a pure function from text to [`Finding`]s and has a test of its own that shows it a small bad example and
//! sees it complain. `tests/project.rs` reads the real tree ([`tree`]) and puts every rule to it. The rules can be
//! tightened; there is no list of exceptions to add to.
//!
//! Nothing here compiles code, judges behaviour, or reaches the network.

pub mod edges;
pub mod lexer;
pub mod manifest;
pub mod markdown;
pub mod rooms;
pub mod source;
pub mod tree;
pub mod unsafe_code;

use std::fmt;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder, relative to the root of the project.
    pub path: String,
    /// The line, from 1; 0 when the breach has no line.
    pub line: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

impl Finding {
    /// A breach at a line (from 1; 0 for none) of a file.
    #[must_use]
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.what)
        } else {
            write!(f, "{}:{}: {}", self.path, self.line, self.what)
        }
    }
}

//! Just enough of Rust's lexical grammar to tell code from comments and literals.
//!
//! [`split`] returns, for each line, the code with comments and the contents of literals blanked out, and the comments
//! alone. It knows nested block comments, raw and byte strings, escapes, and the difference between a lifetime and a
//! character. It does not parse.

/// One line of a source file, taken apart. All three have the same columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Code; comments and the insides of literals are blanks.
    pub code: String,
    /// Comments with their slashes; everything else is blank.
    pub comment: String,
}

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text { hashes: Option<usize> },
}

/// The state of one pass over a file.
struct Scanner {
    chars: Vec<char>,
    at: usize,
    within: Within,
    lines: Vec<Line>,
}

/// Takes a source file apart, line by line.
#[must_use]
pub fn split(text: &str) -> Vec<Line> {
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        within: Within::Code,
        lines: vec![Line::default()],
    };
    while scanner.at < scanner.chars.len() {
        scanner.step();
    }
    scanner.lines
}

/// Whether a character may stand in an identifier.
#[must_use]
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The columns (in bytes) at which `word` stands in `code` as a whole word.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn step(&mut self) {
        if self.peek(0) == '\n' {
            self.lines.push(Line::default());
            self.at += 1;
            if self.within == Within::LineComment {
                self.within = Within::Code;
            }
            return;
        }
        match self.within {
            Within::Code => self.code(),
            Within::LineComment => self.take(1, false),
            Within::BlockComment { depth } => self.block_comment(depth),
            Within::Text { hashes } => self.text(hashes),
        }
    }

    /// Moves on by `count` characters of one line, into the code or into the comments.
    fn take(&mut self, count: usize, code: bool) {
        for _ in 0..count.min(self.chars.len() - self.at) {
            let c = self.chars[self.at];
            let blank = if c == '\t' { '\t' } else { ' ' };
            let line = self.lines.last_mut().expect("there is a line from the start");
            line.code.push(if code { c } else { blank });
            line.comment.push(if code { blank } else { c });
            self.at += 1;
        }
    }

    /// Moves on by one character that is in neither.
    fn blank(&mut self) {
        let line = self.lines.last_mut().expect("there is a line from the start");
        line.code.push(' ');
        line.comment.push(' ');
        self.at += 1;
    }

    fn code(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.within = Within::LineComment,
            ('/', '*') => {
                self.within = Within::BlockComment { depth: 1 };
                self.take(2, false);
            }
            ('"', _) => {
                self.within = Within::Text { hashes: None };
                self.take(1, true);
            }
            ('r', '"' | '#') if !self.in_word() => self.raw_text(),
            ('\'', _) => self.quote(),
            _ => self.take(1, true),
        }
    }

    /// Whether the character before is part of a word that this one continues (`br` and `cr` begin raw strings).
    fn in_word(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).map(|at| self.chars[at]);
        match before(1) {
            Some('b' | 'c') => before(2).is_some_and(is_word),
            other => other.is_some_and(is_word),
        }
    }

    fn raw_text(&mut self) {
        let hashes = (1..).take_while(|&n| self.peek(n) == '#').count();
        if self.peek(1 + hashes) == '"' {
            self.within = Within::Text { hashes: Some(hashes) };
            self.take(2 + hashes, true);
        } else {
            self.take(1, true);
        }
    }

    /// A character literal, or else a lifetime.
    fn quote(&mut self) {
        let length = match self.peek(1) {
            '\\' => (3..).find(|&n| matches!(self.peek(n), '\'' | '\n' | '\0')),
            _ if self.peek(2) == '\'' => Some(2),
            _ => None,
        };
        self.take(1, true);
        if let Some(length) = length {
            (1..length).for_each(|_| self.blank());
            self.take(1, true);
        }
    }

    fn block_comment(&mut self, depth: usize) {
        match (self.peek(0), self.peek(1)) {
            ('*', '/') => {
                self.take(2, false);
                self.within = if depth == 1 {
                    Within::Code
                } else {
                    Within::BlockComment { depth: depth - 1 }
                };
            }
            ('/', '*') => {
                self.take(2, false);
                self.within = Within::BlockComment { depth: depth + 1 };
            }
            _ => self.take(1, false),
        }
    }

    fn text(&mut self, hashes: Option<usize>) {
        let closes = self.peek(0) == '"' && (1..=hashes.unwrap_or(0)).all(|n| self.peek(n) == '#');
        if closes {
            self.take(1 + hashes.unwrap_or(0), true);
            self.within = Within::Code;
        } else {
            let escape = hashes.is_none() && self.peek(0) == '\\' && self.peek(1) != '\n';
            self.blank();
            if escape && self.at < self.chars.len() {
                self.blank();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of a one-line text, without trailing blanks.
    fn code(text: &str) -> String {
        split(text)[0].code.trim_end().to_owned()
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("a(); // unsafe {}"), "a();");
        assert_eq!(code("a /* x /* unsafe */ y */ b"), "a                        b");
        assert_eq!(split("a(); // why")[0].comment.trim(), "// why");
    }

    #[test]
    fn a_block_comment_spans_lines() {
        let lines = split("a /* one\nunsafe */ b");
        assert_eq!(lines[1].code.trim(), "b");
        assert_eq!(lines[1].comment.trim(), "unsafe */");
    }

    #[test]
    fn the_insides_of_literals_are_not_code() {
        assert_eq!(code(r#"f("unsafe \" //", 1)"#), r#"f("            ", 1)"#);
        assert_eq!(code(r##"f(r#"a " unsafe"#, 1)"##), r##"f(r#"          "#, 1)"##);
        assert_eq!(code(r#"f(br"\", x)"#), r#"f(br" ", x)"#);
        assert_eq!(code(r"f('\'', '/', b)"), "f('  ', ' ', b)");
        assert_eq!(code(r"f('\u{1f}', b)"), "f('      ', b)");
    }

    #[test]
    fn a_lifetime_is_code_and_a_raw_word_too() {
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(code("let r#type = 1; // x"), "let r#type = 1;");
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(
            words("unsafe_code unsafe unsafe{", "unsafe").collect::<Vec<_>>(),
            [12, 19]
        );
    }
}

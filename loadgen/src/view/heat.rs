//! A second's latencies as one line of a heat map.
//!
//! ```text
//! 100 µs      1 ms        10 ms       100 ms      1 s         10 s
//! |           |           |           |           |           |
//!          ░▒▓█▓▒░  ░                                             the darker, the more payments took so long
//! ```

use hdrhistogram::Histogram;

/// Cells for each factor of ten.
const CELLS_PER_DECADE: usize = 12;
/// From 100 µs on, the first cell with all below it; up to 10 s, the last with all above.
const DECADES: usize = 5;
const LOWEST_NS: f64 = 1e5;
/// Cells of a line.
pub(super) const CELLS: usize = CELLS_PER_DECADE * DECADES;

/// Parts of a second's payments, least first, and how a cell with at least so many of them looks: a character and a
/// colour of the 256.
const SHADES: [(f64, char, u8); 5] = [
    (0.0, '·', 240),
    (0.001, '░', 31),
    (0.01, '▒', 37),
    (0.05, '▓', 214),
    (0.15, '█', 196),
];

/// What stands over the lines: a mark at each factor of ten.
pub(super) fn scale() -> String {
    let marks = ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"];
    let mut text = String::new();
    for (index, mark) in marks.iter().enumerate() {
        let gap = (index * CELLS_PER_DECADE).saturating_sub(text.chars().count());
        text.push_str(&" ".repeat(gap));
        text.push_str(mark);
    }
    text
}

/// How many payments fell into each cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heat([u64; CELLS]);

impl Heat {
    pub(super) fn of(latencies: &Histogram<u64>) -> Self {
        let mut cells = [0; CELLS];
        for step in latencies.iter_recorded() {
            cells[cell(step.value_iterated_to())] += step.count_since_last_iteration();
        }
        Self(cells)
    }

    /// The line, with colours or without.
    pub(super) fn line(&self, colours: bool) -> String {
        let total = self.0.iter().sum::<u64>().max(1) as f64;
        let mut text = String::new();
        let mut last = None;
        for &count in &self.0 {
            let part = count as f64 / total;
            let shade = SHADES.iter().rev().find(|(least, ..)| count > 0 && part >= *least);
            let Some(&(_, character, colour)) = shade else {
                text.push(' ');
                continue;
            };
            if colours && last.replace(colour) != Some(colour) {
                text.push_str(&format!("\x1b[38;5;{colour}m"));
            }
            text.push(character);
        }
        if last.is_some() {
            text.push_str("\x1b[0m");
        }
        text
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the cells, and a float cast saturates"
)]
fn cell(nanos: u64) -> usize {
    let decades = (nanos.max(1) as f64 / LOWEST_NS).log10();
    ((decades * CELLS_PER_DECADE as f64).floor().max(0.0) as usize).min(CELLS - 1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::second;
    use super::*;

    #[test]
    fn latencies_fall_under_their_marks() {
        let at = |micros: u64| {
            let (_, histogram) = second(1, std::iter::repeat_n(micros, 10));
            let line = Heat::of(&histogram).line(false);
            line.chars().position(|c| c == '█').expect("a full cell")
        };
        let marks = scale();
        let mark = |text: &str| {
            let bytes = marks.find(&format!(" {text}")).expect("a mark") + 1;
            marks[..bytes].chars().count()
        };
        assert_eq!(at(20), 0, "all that is quicker");
        for (micros, text) in [
            (1_002, "1 ms"),
            (10_020, "10 ms"),
            (100_200, "100 ms"),
            (1_002_000, "1 s"),
        ] {
            assert_eq!(at(micros), mark(text), "{text}");
        }
        assert_eq!(at(50_000_000), CELLS - 1, "all that is slower");
    }

    #[test]
    fn the_darker_the_more() {
        let latencies = std::iter::repeat_n(1_010, 9_000)
            .chain(std::iter::repeat_n(3_000, 800))
            .chain(std::iter::repeat_n(30_000, 150))
            .chain(std::iter::repeat_n(300_000, 49))
            .chain([3_000_000]);
        let (_, histogram) = second(1, latencies);
        let line = Heat::of(&histogram).line(false);
        assert_eq!(line.split_whitespace().collect::<String>(), "█▓▒░·");
        assert_eq!(line.chars().count(), CELLS);
        assert!(Heat::of(&histogram).line(true).contains("\x1b[38;5;196m█"));
    }
}

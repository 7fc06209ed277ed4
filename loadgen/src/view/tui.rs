//! The live view: drawn in place, line over line, and left where it stands at the end, so that a run that is broken off
//! leaves the terminal as it found it.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use super::Moment;
use super::heat::{Heat, scale};
use crate::cli::Rate;
use crate::profile::Profile;
use crate::status::Status;

/// Seconds of the heat map, and of the rate's little columns.
const HEAT_ROWS: usize = 8;
const COLUMNS: usize = 60;
/// What a terminal that does not tell its width is taken to have.
const WIDTH: usize = 100;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Tui {
    title: String,
    began: Instant,
    rates: VecDeque<u64>,
    heat: VecDeque<(u32, Heat)>,
    now: Vec<String>,
    hub: Vec<String>,
    before: Option<(Instant, Status)>,
    colours: bool,
    /// Lines of the last drawing.
    drawn: usize,
}

impl Tui {
    pub(super) fn new(profile: &Profile) -> Self {
        let population = &profile.population;
        Self {
            title: format!(
                "{}   {} channels   {} connections",
                profile.name, population.channels, population.connections
            ),
            began: Instant::now(),
            rates: VecDeque::new(),
            heat: VecDeque::new(),
            now: Vec::new(),
            hub: Vec::new(),
            before: None,
            colours: std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal(),
            drawn: 0,
        }
    }

    pub(super) fn second(&mut self, moment: &Moment<'_>) {
        push(&mut self.rates, moment.second.delivered, COLUMNS);
        let heat = (moment.second.second, Heat::of(moment.latency));
        push(&mut self.heat, heat, HEAT_ROWS);
        self.now = self.now_lines(moment);
    }

    pub(super) fn hub(&mut self, status: Option<Status>) {
        self.hub = match status {
            Some(status) => {
                let lines = hub_lines(&status, self.before.as_ref());
                self.before = Some((Instant::now(), status));
                lines
            }
            None => vec!["hub        does not say: give --admin".to_owned()],
        };
    }

    fn now_lines(&self, moment: &Moment<'_>) -> Vec<String> {
        let second = moment.second;
        let at = |quantile| millis(moment.latency.value_at_quantile(quantile));
        let asked = match moment.rate {
            Rate::PerSecond(rate) => format!("of {rate:.0}/s asked for"),
            Rate::Max => "as fast as answers come".to_owned(),
        };
        let warm_up = if second.warm_up { "   (warm-up)" } else { "" };
        let lost = [
            ("refused", moment.refused),
            ("failed", moment.failed),
            ("errors", moment.errors),
        ];
        let lost = lost.map(|(what, count)| {
            let text = format!("{what} {count}");
            if count > 0 { self.coloured(196, &text) } else { text }
        });
        vec![
            format!("rate       {:>9}/s  {asked}{warm_up}", second.delivered),
            format!("           {}", columns(&self.rates)),
            format!(
                "latency    p50 {}   p99 {}   p99.9 {}   max {}",
                at(0.5),
                at(0.99),
                at(0.999),
                millis(moment.latency.max())
            ),
            format!("           {} in flight   {}", second.in_flight, lost.join("   ")),
        ]
    }

    fn coloured(&self, colour: u8, text: &str) -> String {
        if self.colours {
            format!("\x1b[38;5;{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn lines(&self) -> Vec<String> {
        let seconds = self.began.elapsed().as_secs();
        let mut lines = vec![format!("loadgen    {}   {seconds} s", self.title)];
        if self.now.is_empty() {
            lines.push("           connecting".to_owned());
            return lines;
        }
        lines.extend(self.now.iter().cloned());
        lines.push(format!("           {}", scale()));
        for (second, heat) in &self.heat {
            lines.push(format!("{second:>6} s   {}", heat.line(self.colours)));
        }
        lines.extend(self.hub.iter().cloned());
        lines
    }

    /// Draws over the last drawing.
    pub(super) fn draw(&mut self) {
        let width = terminal_width();
        let lines = self.lines();
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in &lines {
            text.push_str("\r\x1b[2K");
            text.push_str(&cut(line, width));
            text.push('\n');
        }
        text.push_str("\x1b[J");
        self.drawn = lines.len();
        // Nobody reads it: then nobody misses it.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

fn terminal_width() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => WIDTH,
    }
}

/// `line` with at most `width` characters to be seen: one that wrapped would be drawn over wrongly.
fn cut(line: &str, width: usize) -> String {
    let mut text = String::new();
    let (mut seen, mut escape) = (0, false);
    for character in line.chars() {
        if character == '\x1b' {
            escape = true;
        }
        if escape {
            escape = character != 'm';
            text.push(character);
        } else if seen < width {
            seen += 1;
            text.push(character);
        }
    }
    text
}

fn push<T>(row: &mut VecDeque<T>, value: T, most: usize) {
    if row.len() == most {
        row.pop_front();
    }
    row.push_back(value);
}

/// A little column for each value, the highest full.
fn columns(values: &VecDeque<u64>) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = values.iter().max().copied().unwrap_or_default().max(1);
    let column = |&value: &u64| {
        let height = usize::try_from(value * 8 / highest).expect("at most 8");
        HEIGHTS[height.saturating_sub(1)]
    };
    values.iter().map(column).collect()
}

fn millis(nanos: u64) -> String {
    format!("{:.2} ms", nanos as f64 / 1e6)
}

/// What the hub does: its stages per batch, and what they came to since the last look.
fn hub_lines(status: &Status, before: Option<&(Instant, Status)>) -> Vec<String> {
    let stage = |name: &str, [p50, p99]: [u64; 2]| format!("{name} {:.2}/{:.2}", p50 as f64 / 1e3, p99 as f64 / 1e3);
    let mut lines = vec![format!(
        "hub        {}   {}   {}   ms per batch, p50/p99",
        stage("verify", status.verify_us),
        stage("execute", status.execute_us),
        stage("write+sync", status.sync_us)
    )];
    if let Some((at, earlier)) = before {
        let seconds = at.elapsed().as_secs_f64().max(1e-3);
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let batches = per_second(status.batches, earlier.batches);
        lines.push(format!(
            "           {batches:.0} batches/s of about {:.0}   {:.1} MB/s of log   {:.2} cores   {} MB resident",
            per_second(status.inputs, earlier.inputs) / batches.max(1e-3),
            per_second(status.log_bytes, earlier.log_bytes) / 1e6,
            (status.cpu_s - earlier.cpu_s) / seconds,
            status.rss_bytes / 1_000_000,
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::tests::second;
    use super::*;

    fn tui() -> Tui {
        let mut tui = Tui::new(&Profile::load("quick").expect("built in"));
        tui.colours = false;
        tui
    }

    #[test]
    fn everything_has_its_line() {
        let mut tui = tui();
        assert_eq!(tui.lines().len(), 2, "nothing is known while it connects");
        for number in 1..=12 {
            let (figures, latency) = second(number, [2_000, 2_000, 2_000, 40_000]);
            tui.second(&Moment {
                second: &figures,
                rate: Rate::PerSecond(4.0),
                latency: &latency,
                failed: 0,
                refused: 3,
                errors: 0,
            });
        }
        let status = |batches| Status {
            batches,
            inputs: batches * 100,
            verify_us: [5_200, 7_000],
            ..Status::default()
        };
        tui.hub(Some(status(10)));
        tui.hub(Some(status(30)));
        let text = tui.lines().join("\n");
        for part in [
            "quick   256 channels   8 connections",
            "4/s  of 4/s asked for",
            "p50 2.00 ms",
            "p99 40.",
            "refused 3   failed 0   errors 0",
            "10 ms",
            "    12 s ",
            "verify 5.20/7.00",
            "of about 100",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(
            !text.contains("     4 s "),
            "the heat map keeps its last seconds only\n{text}"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        assert_eq!(cut("abcdef", 3), "abc");
        assert_eq!(cut("\x1b[38;5;1mab\x1b[0mcd", 3), "\x1b[38;5;1mab\x1b[0mc");
        assert_eq!(cut("·▒█", 2), "·▒");
    }

    #[test]
    fn the_highest_column_is_full() {
        assert_eq!(columns(&VecDeque::from([0, 1, 4, 8])), "▁▁▄█");
        assert_eq!(columns(&VecDeque::new()), "");
    }
}

//! How a run goes, on standard error: a live view for who asked for it and looks, a line a second for everyone else.

mod heat;
mod tui;

use std::io::{IsTerminal as _, Write as _};

use hdrhistogram::Histogram;

use crate::cli::Rate;
use crate::profile::Profile;
use crate::result::SecondFigures;
use crate::status::Status;

use tui::Tui;

/// What there is to show of a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) second: &'a SecondFigures,
    pub(crate) rate: Rate,
    pub(crate) latency: &'a Histogram<u64>,
    /// Since the run began.
    pub(crate) failed: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
}

/// See the [module](self).
pub(crate) enum View {
    /// Line behind line: for logs and pipes.
    Lines,
    /// One line, written over: a terminal.
    Line { shown: bool },
    /// All of it, drawn anew.
    Live(Box<Tui>),
}

impl View {
    /// A view of a run of `profile`; `live` if it is asked for.
    pub(crate) fn new(profile: &Profile, live: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|kind| kind == "dumb");
        match (terminal, live && !dumb) {
            (false, _) => Self::Lines,
            (true, false) => Self::Line { shown: false },
            (true, true) => Self::Live(Box::new(Tui::new(profile))),
        }
    }

    /// True if it wants [`View::frame`] and [`View::hub`].
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    /// Shows a second.
    pub(crate) fn second(&mut self, moment: &Moment<'_>) {
        match self {
            Self::Lines => eprintln!("{}", line(moment)),
            Self::Line { shown } => {
                *shown = true;
                // Nobody reads it: then nobody misses it.
                let _ = write!(std::io::stderr(), "\r\x1b[K{}", line(moment));
            }
            Self::Live(tui) => {
                tui.second(moment);
                tui.draw();
            }
        }
    }

    /// Time has passed.
    pub(crate) fn frame(&mut self) {
        if let Self::Live(tui) = self {
            tui.draw();
        }
    }

    /// What the hub says of itself now; `None` if it says nothing.
    pub(crate) fn hub(&mut self, status: Option<Status>) {
        if let Self::Live(tui) = self {
            tui.hub(status);
        }
    }

    /// Leaves what is shown, for what comes below it.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Line { shown: true } => eprintln!(),
            Self::Live(tui) => tui.draw(),
            Self::Lines | Self::Line { .. } => {}
        }
    }
}

/// A second as one line.
fn line(moment: &Moment<'_>) -> String {
    let SecondFigures {
        second,
        warm_up,
        delivered,
        p50_us,
        p99_us,
        in_flight,
        ..
    } = moment.second;
    let asked = match moment.rate {
        Rate::PerSecond(rate) => format!(" of {rate:.0}"),
        Rate::Max => String::new(),
    };
    let note = if *warm_up { "  (warm-up)" } else { "" };
    let (p50, p99) = (p50_us / 1e3, p99_us / 1e3);
    format!(
        "{second:>4} s  {delivered:>8}{asked} payments/s  p50 {p50:>8.2} ms  p99 {p99:>8.2} ms  {in_flight:>6} in flight{note}"
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A second in which `latencies` came back, in µs.
    pub(crate) fn second(second: u32, latencies: impl IntoIterator<Item = u64>) -> (SecondFigures, Histogram<u64>) {
        let mut histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("in range");
        for micros in latencies {
            histogram.saturating_record(micros * 1_000);
        }
        let figures = SecondFigures {
            second,
            warm_up: second == 1,
            delivered: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5) as f64 / 1e3,
            p99_us: histogram.value_at_quantile(0.99) as f64 / 1e3,
            p999_us: histogram.value_at_quantile(0.999) as f64 / 1e3,
            max_us: histogram.max() as f64 / 1e3,
            in_flight: 12,
        };
        (figures, histogram)
    }

    #[test]
    fn a_line_tells_rate_latency_and_warm_up() {
        let (figures, latency) = second(1, [1_500, 1_500, 9_000]);
        let mut moment = Moment {
            second: &figures,
            rate: Rate::PerSecond(5.0),
            latency: &latency,
            failed: 0,
            refused: 0,
            errors: 0,
        };
        let text = line(&moment);
        for part in [
            "3 of 5 payments/s",
            "p50     1.50 ms",
            "p99     9.0",
            "12 in flight",
            "(warm-up)",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        moment.rate = Rate::Max;
        assert!(line(&moment).contains("3 payments/s"));
    }
}

//! How far something long has come: a bar on a terminal, a line now and then elsewhere. On standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A bar from nothing to all.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    unit: &'static str,
    total: u64,
    done: u64,
    terminal: bool,
    began: Instant,
    shown: Instant,
}

const BAR: usize = 30;

impl Progress {
    /// Begins, without showing anything.
    #[must_use]
    pub(crate) fn new(what: &'static str, unit: &'static str, total: u64) -> Self {
        let now = Instant::now();
        Self {
            what,
            unit,
            total,
            done: 0,
            terminal: std::io::stderr().is_terminal(),
            began: now,
            shown: now,
        }
    }

    /// Notes `count` more. Shows it at most ten times a second on a terminal, every five seconds elsewhere.
    pub(crate) fn add(&mut self, count: u64) {
        self.reach(self.done + count);
    }

    /// Notes that `done` are done in all; shown as by [`Progress::add`].
    pub(crate) fn reach(&mut self, done: u64) {
        self.done = done;
        let pause = if self.terminal {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(5)
        };
        if self.shown.elapsed() >= pause {
            self.shown = Instant::now();
            self.show();
        }
    }

    fn show(&self) {
        let line = self.line();
        // Nobody reads it: then nobody misses it.
        let _ = if self.terminal {
            let parts = usize::try_from(self.done * BAR as u64 / self.total.max(1))
                .unwrap_or(BAR)
                .min(BAR);
            write!(std::io::stderr(), "\r[{:<BAR$}] {line}", "#".repeat(parts))
        } else {
            writeln!(std::io::stderr(), "{line}")
        };
    }

    fn line(&self) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let Self {
            what,
            unit,
            total,
            done,
            ..
        } = self;
        format!("{what}: {done} of {total} {unit}, {seconds:.1} s")
    }

    /// Shows the end, of what took long enough to be shown before.
    pub(crate) fn finish(self) {
        if self.shown == self.began {
            return;
        }
        self.show();
        if self.terminal {
            let _ = writeln!(std::io::stderr());
        }
    }
}

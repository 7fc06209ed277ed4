//! What a verb prints: lines for people or one JSON value, and its progress.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::check::Step;
use crate::error::Error;

/// `--json [FILE]`, the same for every verb.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct JsonFlag {
    /// Print one JSON value instead of lines for people; with FILE, write it there as well as the lines
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
}

impl JsonFlag {
    /// True if standard output is to hold JSON alone.
    pub(super) const fn only_json(&self) -> bool {
        matches!(self.json, Some(None))
    }

    /// The file that the JSON value goes to, if one was given.
    pub(super) fn file(&self) -> Option<&Path> {
        self.json.as_ref()?.as_deref()
    }

    /// Prints `value`, or what `lines` makes for people.
    pub(super) fn emit(&self, value: &impl Serialize, lines: impl FnOnce() -> String) -> Result<(), Error> {
        let json = || serde_json::to_string(value).expect("results are plain values with text keys");
        if self.only_json() {
            return print(&(json() + "\n"));
        }
        if let Some(path) = self.file() {
            write_file(path, (json() + "\n").as_bytes())?;
        }
        print(&lines())
    }
}

/// Writes to standard output. A reader that has gone away, as `head` does, is no error.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let written = io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush());
    match written {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(Error::Io {
            action: "write",
            path: "standard output".into(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Writes a file of the user's choice, replacing one that is there, and makes the folder that it is to lie in.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, bytes))
        .map_err(|source| Error::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
}

/// Reads a file of the user's choice.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Reads the first `len` bytes of a file, or all if they are fewer.
pub(super) fn read_front(path: &Path, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(len as u64).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Says how far something is, on standard error, once it has taken two seconds.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    begin: Instant,
    next: Duration,
    on_terminal: bool,
    shown: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            begin: Instant::now(),
            next: Duration::from_secs(2),
            on_terminal: io::stderr().is_terminal(),
            shown: false,
        }
    }

    /// Notes that `done` of `unit` are done.
    pub(super) fn at(&mut self, done: u64, unit: &str) {
        self.say(|| format!("{done} {unit}, "));
    }

    /// Notes that time passes.
    fn tick(&mut self) {
        self.say(String::new);
    }

    fn say(&mut self, how_far: impl FnOnce() -> String) {
        let elapsed = self.begin.elapsed();
        if elapsed < self.next {
            return;
        }
        let gap = if self.on_terminal { 200 } else { 5_000 };
        self.next = elapsed + Duration::from_millis(gap);
        self.shown = true;
        let (start, end) = if self.on_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let _ = write!(
            io::stderr(),
            "{start}{}: {}{} s{end}",
            self.what,
            how_far(),
            elapsed.as_secs()
        );
    }
}

/// How far the steps of a check are: a bar on a terminal, a line every few seconds elsewhere. Shows nothing of what is done
/// within two seconds.
#[derive(Debug)]
pub(super) struct Bar {
    current: Option<(&'static str, Progress)>,
}

impl Bar {
    pub(super) const fn new() -> Self {
        Self { current: None }
    }

    /// Notes how far a step is; a new one takes the place of the last.
    pub(super) fn at(&mut self, step: Step) {
        let Step {
            what,
            done,
            total,
            unit,
        } = step;
        if self.current.as_ref().is_none_or(|(current, _)| *current != what) {
            self.current = Some((what, Progress::new(what)));
        }
        let Some((_, progress)) = &mut self.current else { return };
        let on_terminal = progress.on_terminal;
        progress.say(|| match total {
            Some(total) if total > 0 => share(done, total, unit, on_terminal),
            _ => format!("{} {unit}, ", grouped(done.into())),
        });
    }
}

/// `[████      ] 40 % of 1 000 pages, `
fn share(done: u64, total: u64, unit: &str, with_bar: bool) -> String {
    const WIDTH: u64 = 24;
    let done = done.min(total);
    let scaled = |width: u64| u64::try_from(u128::from(done) * u128::from(width) / u128::from(total)).unwrap_or(width);
    let bar = if with_bar {
        (0..WIDTH)
            .map(|at| if at < scaled(WIDTH) { '█' } else { '░' })
            .collect::<String>()
            + " "
    } else {
        String::new()
    };
    format!("{bar}{} % of {} {unit}, ", scaled(100), grouped(total.into()))
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown && self.on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Says every few seconds that something still goes on, for steps that cannot say how far they are.
#[derive(Debug)]
pub(super) struct Ticker {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn new(what: &'static str) -> Self {
        let (done, ended) = channel();
        let tick = move || {
            let mut progress = Progress::new(what);
            while ended.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
                progress.tick();
            }
        };
        // Without a thread the work goes on all the same, only silently.
        let thread = thread::Builder::new().name("progress".into()).spawn(tick).ok();
        Self {
            done: Some(done),
            thread,
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A table for people: each column as wide as its widest cell, texts to the left, numbers to the right.
#[derive(Debug)]
pub(super) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    pub(super) fn new(heads: &[&str]) -> Self {
        Self {
            rows: vec![heads.iter().map(ToString::to_string).collect()],
        }
    }

    pub(super) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    pub(super) fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let cells = |column: usize| self.rows.iter().map(move |row| row[column].as_str());
        let widths: Vec<usize> = (0..columns)
            .map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        // Below its head a column of numbers begins with a digit or a dash everywhere.
        let is_number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let numbers: Vec<bool> = (0..columns)
            .map(|column| cells(column).skip(1).all(is_number))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&numbers) {
                let pad = " ".repeat(width - cell.chars().count());
                line += &if *right {
                    format!("{pad}{cell}  ")
                } else {
                    format!("{cell}{pad}  ")
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// `1234567` as `1 234 567`.
pub(super) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Columns, grouped, share};

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut columns = Columns::new(&["name", "n"]);
        columns.row(&["a".into(), "1".into()]);
        columns.row(&["longer".into(), "1 000".into()]);
        columns.row(&["b".into(), "-".into()]);
        assert_eq!(
            columns.text(),
            "name        n\na           1\nlonger  1 000\nb           -\n"
        );
    }

    #[test]
    fn a_share_is_a_bar_and_a_number() {
        assert_eq!(share(500, 1_000, "pages", false), "50 % of 1 000 pages, ");
        assert!(share(1, 2, "pages", true).starts_with("████████████░░░░░░░░░░░░ 50 %"));
        assert!(share(u64::MAX, u64::MAX, "B", true).contains(" 100 % of "));
    }

    #[test]
    fn digits_stand_in_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1 000");
        assert_eq!(grouped(12_345_678), "12 345 678");
    }
}

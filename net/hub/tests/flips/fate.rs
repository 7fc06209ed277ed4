//! What became of a flip.

use std::fmt;
use std::path::Path;

use tidegate_hub::check::Verdict;

use super::world::World;

/// What a check said of a flip.
#[derive(Debug)]
pub(crate) enum Fate {
    /// A problem that names the file.
    Reported,
    /// The same answer, and a note.
    Noted,
    /// The same answer, from bytes that no answer depends on.
    Unaffected,
    /// The last record of a log is gone: no log can tell its damage from a torn write. That is said, unless the flip made the
    /// record's header one that a recycled segment may hold from earlier.
    Torn,
    /// An operator's edit: the configuration is text for people, without a sum.
    Edit,
    /// A wrong answer that says nothing.
    Silent(String),
}

/// How often each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) reported: usize,
    pub(crate) noted: usize,
    pub(crate) unaffected: usize,
    pub(crate) torn: usize,
    pub(crate) edits: usize,
    pub(crate) pages: usize,
    pub(crate) opened: usize,
}

impl Tally {
    pub(crate) fn note(&mut self, fate: &Fate) {
        let count = match fate {
            Fate::Reported => &mut self.reported,
            Fate::Noted => &mut self.noted,
            Fate::Unaffected => &mut self.unaffected,
            Fate::Torn => &mut self.torn,
            Fate::Edit => &mut self.edits,
            Fate::Silent(what) => panic!("{what}"),
        };
        *count += 1;
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self {
            reported: self.reported + other.reported,
            noted: self.noted + other.noted,
            unaffected: self.unaffected + other.unaffected,
            torn: self.torn + other.torn,
            edits: self.edits + other.edits,
            pages: self.pages + other.pages,
            opened: self.opened + other.opened,
        }
    }

    /// Flips in all.
    pub(crate) const fn all(&self) -> usize {
        self.reported + self.noted + self.unaffected + self.torn + self.edits + self.pages
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes flipped: {} in pages of images, each page named; of the others {} reported with the file's name, {} \
             noted, {} in bytes that nothing depends on, {} in a last record (told as torn), {} in the configuration; {} also \
             opened; 0 silent, 0 panics",
            self.all(),
            self.pages,
            self.reported,
            self.noted,
            self.unaffected,
            self.torn,
            self.edits,
            self.opened
        )
    }
}

/// Whether a file holds the pages of an image.
pub(crate) fn is_pages(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pages")
}

/// All that a verdict answers, without what it tells of the way to it.
pub(crate) fn answers(verdict: &Verdict) -> Verdict {
    Verdict {
        notes: Vec::new(),
        replayed_batches: 0,
        ..verdict.clone()
    }
}

/// Judges what was found with byte `at` of `path` flipped.
pub(crate) fn judge(world: &World, clean: &Verdict, found: &Verdict, path: &Path, at: usize) -> Fate {
    let name = path.display().to_string();
    if !found.ok {
        // Where a record lost its header, the log can only say behind which one it must have been: maybe a segment before.
        let is_log = |file: &str| file.ends_with(".seg") && Path::new(file).parent() == path.parent();
        let names = |file: &Option<String>| {
            file.as_ref()
                .is_some_and(|file| *file == name || (name.ends_with(".seg") && is_log(file)))
        };
        let named = found
            .problems
            .iter()
            .any(|problem| problem.what.contains(&name) || names(&problem.file));
        return if named {
            Fate::Reported
        } else {
            Fate::Silent(format!("the file is not named: {:?}", found.problems))
        };
    }
    if path.ends_with("config.toml") {
        return Fate::Edit;
    }
    let same = answers(found) == answers(clean);
    if same && found.notes != clean.notes {
        return Fate::Noted;
    }
    if same && !world.is_live(path, at) {
        return Fate::Unaffected;
    }
    let torn_now = (found.torn_tail, found.ledger_torn_tail) != (clean.torn_tail, clean.ledger_torn_tail);
    let one_less = found.batches + 1 == clean.batches || found.ledger_height + 1 == clean.ledger_height;
    if (torn_now && world.is_last_record(path, at)) || (one_less && world.is_last_header(path, at)) {
        return Fate::Torn;
    }
    // Behind the last record a page begins to look like a record, and is not: nothing else changes.
    let but_torn = Verdict {
        torn_tail: clean.torn_tail,
        ledger_torn_tail: clean.ledger_torn_tail,
        ..answers(found)
    };
    if torn_now && but_torn == answers(clean) && !world.is_live(path, at) {
        return Fate::Noted;
    }
    Fate::Silent(format!("another answer without a word: {found:?} instead of {clean:?}"))
}

//! Two small data directories of a real hub: one stopped, one as a kill leaves it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_client::Payment;
use tidegate_client::key_file::random_seed;
use tidegate_disk::{Disk, FaultyDisk, OpenMode};
use tidegate_hub::check::{self, Verdict};
use tidegate_hub::state::HubState;
use tidegate_settle::{Node, NodeOptions};
use tidegate_table::{PAGE_BYTES, SlotInfo, superblocks};
use tidegate_wal::HEADER_BYTES;

use super::disk::{Files, Flip, FlippedDisk};
use super::fate::is_pages;
use super::rig::{Hub, Shape, copy_dir, open, sat, stop};

const DATA: &str = "/hub";

/// The bytes of a directory.
pub(crate) struct World {
    name: &'static str,
    files: Arc<Files>,
    /// The same, to be opened for writing.
    disk: FaultyDisk,
    live: BTreeMap<PathBuf, Vec<Range<usize>>>,
    newest_pages: usize,
}

impl World {
    /// A hub that was told to stop.
    pub(crate) fn stopped() -> Self {
        Self::new("stopped", false)
    }

    /// A hub that died while it was idle.
    pub(crate) fn killed() -> Self {
        Self::new("killed", true)
    }

    fn new(name: &'static str, killed: bool) -> Self {
        let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
        let shape = Shape {
            segment_bytes: 64 << 10,
            block_bytes_max: 16 << 10,
            // Blocks come for transactions only.
            block_interval_ms: 3_600_000,
            ..Shape::default()
        };
        let hub = Hub::format_as(&[&alice, &bob], shape);
        let mut place = TempDir::new().expect("a temporary directory");
        // Two lives: both images are written, and the log has records of both.
        for life in 0..2 {
            let serving = hub.start();
            let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
            let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
            for amount in 1..=3 {
                let payment = Payment {
                    payee: b.key(),
                    payee_channel: to,
                    amount: sat(amount),
                    fee: None,
                    payment_id: None,
                    hash: None,
                };
                a.pay(&from, &[payment]).expect("paid");
                while b.poll(Duration::from_millis(1)).expect("news").is_empty() {}
                a.settle(&from).expect("the hub answers");
            }
            drop((a, b));
            if life == 1 && killed {
                place = TempDir::new().expect("a temporary directory");
                copy_dir(hub.dir.path(), place.path());
            }
            stop(serving);
        }
        let root = if killed { place.path() } else { hub.dir.path() };
        Self::of(name, read_all(root, Path::new(DATA)))
    }

    fn of(name: &'static str, files: Files) -> Self {
        let disk = FaultyDisk::new();
        for (path, bytes) in &files {
            disk.create_dir_all(path.parent().expect("files lie in folders"))
                .expect("room");
            let file = disk.open(path, OpenMode::CreateNew).expect("new");
            file.write_at(0, bytes).expect("room");
        }
        let files = Arc::new(files);
        let read = FlippedDisk::new(&files, &[]);
        let slots = superblocks(&read, &Path::new(DATA).join("state")).expect("readable");
        let newest = slots
            .iter()
            .filter_map(SlotInfo::whole)
            .max_by_key(|found| found.sequence);
        let newest = newest.expect("a checkpoint");
        assert_eq!(
            slots.iter().filter_map(SlotInfo::whole).count(),
            2,
            "both images are there"
        );
        let newest_image = ["image-a-", "image-b-"][newest.image];
        let live = files
            .iter()
            .map(|(path, bytes)| (path.clone(), live_ranges(path, bytes, newest_image)));
        Self {
            name,
            live: live.collect(),
            disk,
            newest_pages: newest.pages(),
            files,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) const fn newest_pages(&self) -> usize {
        self.newest_pages
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        Path::new(DATA).join("state")
    }

    pub(crate) fn disk(&self, flips: &[Flip]) -> Arc<dyn Disk> {
        Arc::new(FlippedDisk::new(&self.files, flips))
    }

    /// What a check finds; an error if it panics.
    pub(crate) fn verdict(&self, flips: &[Flip]) -> Result<Verdict, String> {
        let disk = self.disk(flips);
        let look = || check::data_dir(&disk, Path::new(DATA), &mut |_| {});
        catch_unwind(AssertUnwindSafe(look)).map_err(|_| "see above".to_owned())
    }

    /// Whether an answer may depend on a byte: it lies in a record, a superblock, a sum or a small file.
    pub(crate) fn is_live(&self, path: &Path, at: usize) -> bool {
        self.live[path].iter().any(|live| live.contains(&at))
    }

    /// Whether a byte lies in the last record of a log.
    pub(crate) fn is_last_record(&self, path: &Path, at: usize) -> bool {
        self.last_record(path).is_some_and(|start| at >= start)
    }

    /// Whether a byte lies in the header of the last record of a log.
    pub(crate) fn is_last_header(&self, path: &Path, at: usize) -> bool {
        self.last_record(path)
            .is_some_and(|start| (start..start + HEADER_BYTES).contains(&at))
    }

    /// Where the last record of a log begins, if it is in this file.
    fn last_record(&self, path: &Path) -> Option<usize> {
        let folder = path.parent().expect("a folder");
        let with_records = self.files.iter().rev().find(|(file, bytes)| {
            file.parent() == Some(folder) && file.extension().is_some_and(|e| e == "seg") && bytes.starts_with(b"TGL1")
        });
        let (last, bytes) = with_records?;
        let page = bytes.chunks(PAGE_BYTES).rposition(|page| page.starts_with(b"TGL1"))?;
        (last == path).then_some(page * PAGE_BYTES)
    }

    /// Opens the directory for writing with one byte flipped, as a start would: to the state of the clean one, or not at
    /// all.
    pub(crate) fn open(&self, clean: &Verdict, path: &Path, at: usize, mask: u8) -> Result<(), String> {
        let flipped = self.disk.restart();
        flipped.flip(path, at as u64, mask).expect("a byte of the file");
        let disk: Arc<dyn Disk> = Arc::new(flipped);
        let data = Path::new(DATA);
        let opened = catch_unwind(AssertUnwindSafe(|| HubState::open(&disk, data, &mut |_| {})));
        let last = self.is_last_record(path, at);
        match opened.map_err(|_| "the state's opening panics")? {
            Ok(state) if Some(state.engine.state_root().to_string()) != clean.state_root && !last => {
                return Err("the state opens to another".to_owned());
            }
            Ok(_) | Err(_) => {}
        }
        let ledger = catch_unwind(AssertUnwindSafe(|| {
            Node::open(&disk, &data.join("ledger"), None, NodeOptions::default())
        }));
        match ledger.map_err(|_| "the ledger's opening panics")? {
            Ok(node) if Some(node.tip().hash.to_string()) != clean.ledger_tip && !last => {
                Err("the ledger opens to another".to_owned())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// The ranges of a file's bytes that an answer may depend on.
fn live_ranges(path: &Path, bytes: &[u8], newest_image: &str) -> Vec<Range<usize>> {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let all = 0..bytes.len();
    if name.ends_with(".seg") {
        // A record begins at a page and takes whole pages; behind the last one there are zeros.
        let pages = (0..).step_by(PAGE_BYTES).zip(bytes.chunks(PAGE_BYTES));
        let used = pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0));
        used.map(|(start, page)| start..start + page.len()).collect()
    } else if name == "superblock" {
        let half = bytes.len() / 2;
        let slots = [0, half].map(|start| {
            let end = bytes[start..start + half].iter().rposition(|byte| *byte != 0);
            start..end.map_or(start, |end| start + end + 1)
        });
        slots.to_vec()
    } else if name == "LOCK"
        || name.ends_with(".tmp")
        || (name.starts_with("image-") && (!name.starts_with(newest_image) || is_pages(path)))
    {
        Vec::new()
    } else {
        vec![all]
    }
}

/// All files below a folder, as if it stood at `as_dir`.
fn read_all(dir: &Path, as_dir: &Path) -> Files {
    let mut files = Files::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = as_dir.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            files.extend(read_all(&entry.path(), &name));
        } else {
            files.insert(name, std::fs::read(entry.path()).expect("readable"));
        }
    }
    files
}

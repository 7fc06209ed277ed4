//! Checkpoints beside writes: an image is the state at the moment when it was begun, whatever is written meanwhile.

use std::{path::Path, sync::Arc};

use proptest::prelude::*;
use tidegate_disk::{Disk, FaultyDisk};
use tidegate_table::{CheckpointError, CheckpointStore, Lsn, Region, RegionSpec, Step};

const DIR: &str = "/data";
/// Slots within a page, of several pages, and across pages.
const SPECS: [RegionSpec; 3] = [spec("small", 64), spec("chunks", 4096), spec("odd", 1088)];

const fn spec(name: &'static str, slot_bytes: usize) -> RegionSpec {
    RegionSpec {
        name,
        slot_bytes,
        slots_max: 4096,
    }
}

/// The slow model: all bytes of all regions.
type Copies = Vec<Vec<u8>>;

fn copies(regions: &[Region]) -> Copies {
    let bytes = |region: &Region| (0..region.len()).flat_map(|slot| region.slot(slot).to_vec()).collect();
    regions.iter().map(bytes).collect()
}

fn regions() -> Vec<Region> {
    SPECS
        .iter()
        .map(|spec| Region::new(*spec).expect("address space"))
        .collect()
}

fn store(disk: &FaultyDisk) -> CheckpointStore {
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).expect("folder");
    CheckpointStore::create(Arc::new(disk.clone()), dir, &SPECS).expect("room")
}

/// What a new process loads from the disk: number and bytes.
fn loaded(disk: &FaultyDisk) -> (Lsn, Copies) {
    let shared: Arc<dyn Disk> = Arc::new(disk.restart());
    let (_, regions, loaded) = CheckpointStore::open(shared, Path::new(DIR), &SPECS).expect("whole");
    (loaded.map_or(Lsn::ZERO, |loaded| loaded.lsn), copies(&regions))
}

#[derive(Clone, Debug)]
enum Action {
    /// Region, slot, first byte, how many, value; all cut to what there is.
    Write(usize, usize, usize, usize, u8),
    Grow(usize, usize),
    Begin,
    Steps(usize),
    GiveUp,
    RunOutOfSpace,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        12 => (0..3_usize, any::<usize>(), any::<usize>(), 1..600_usize, any::<u8>())
            .prop_map(|(region, slot, from, bytes, value)| Action::Write(region, slot, from, bytes, value)),
        1 => (0..3_usize, 1..40_usize).prop_map(|(region, more)| Action::Grow(region, more)),
        2 => Just(Action::Begin),
        6 => (1..4_usize).prop_map(Action::Steps),
        1 => Just(Action::GiveUp),
        1 => Just(Action::RunOutOfSpace),
    ];
    prop::collection::vec(action, 1..200)
}

/// The regions, their store, and what the newest image must be.
struct Run {
    disk: FaultyDisk,
    store: CheckpointStore,
    regions: Vec<Region>,
    lsn: Lsn,
    /// The checkpoint under way: its number, and the state when it was begun.
    pinned: Option<(Lsn, Copies)>,
    newest: (Lsn, Copies),
    finished: usize,
}

impl Run {
    fn new() -> Self {
        let disk = FaultyDisk::new();
        let mut regions = regions();
        for region in &mut regions {
            region.grow(30).expect("room");
        }
        Self {
            store: store(&disk),
            disk,
            regions,
            lsn: Lsn::ZERO,
            pinned: None,
            newest: (Lsn::ZERO, vec![Vec::new(); SPECS.len()]),
            finished: 0,
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Write(region, slot, from, bytes, value) => self.write(region, slot, from, bytes, value),
            Action::Grow(region, more) => {
                let len = self.regions[region].len() + more;
                self.regions[region].grow(len).expect("room");
            }
            Action::Begin => self.begin(),
            Action::Steps(count) => (0..count).for_each(|_| self.step()),
            Action::GiveUp => self.end(),
            Action::RunOutOfSpace => {
                self.disk.limit_space(Some(0));
                self.step();
                self.disk.limit_space(None);
            }
        }
    }

    fn write(&mut self, region: usize, slot: usize, from: usize, bytes: usize, value: u8) {
        let region = &mut self.regions[region];
        let (slot, from) = (slot % region.len(), from % region.spec().slot_bytes);
        let end = region.spec().slot_bytes.min(from + bytes);
        let before = region.slot(slot)[from];
        // Some write the whole slot's way, some a part of it; never the value that is there.
        let value = if value == before { !value } else { value };
        if value.is_multiple_of(2) {
            region.slot_mut(slot)[from..end].fill(value);
        } else {
            region.part_mut(slot, from..end).fill(value);
        }
    }

    fn begin(&mut self) {
        if self.pinned.is_some() {
            return;
        }
        self.lsn = self.lsn.next();
        let mut all: Vec<&mut Region> = self.regions.iter_mut().collect();
        self.store.begin(&mut all, self.lsn, b"").expect("good");
        self.pinned = Some((self.lsn, copies(&self.regions)));
    }

    fn step(&mut self) {
        if self.pinned.is_none() {
            return;
        }
        match self.store.step(self.lsn) {
            Ok(Step::Wrote(_)) => return,
            Ok(Step::Done(_)) => {
                self.newest = self.pinned.take().expect("it was begun");
                self.finished += 1;
            }
            Err(CheckpointError::NoSpace(_)) => {}
            other => panic!("{other:?}"),
        }
        self.end();
        self.check();
    }

    fn end(&mut self) {
        let mut all: Vec<&mut Region> = self.regions.iter_mut().collect();
        drop(self.store.end(&mut all));
        self.pinned = None;
    }

    fn check(&self) {
        assert!(loaded(&self.disk) == self.newest, "the image of {}", self.newest.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_image_is_the_state_at_its_pin(actions in actions()) {
        let mut run = Run::new();
        for action in &actions {
            run.act(action);
        }
        // Whatever came before, the next one is whole.
        run.end();
        run.begin();
        while run.pinned.is_some() {
            run.step();
        }
        prop_assert!(run.finished > 0);
        run.check();
    }
}

#[test]
fn the_superblock_waits_for_the_log() {
    let mut run = Run::new();
    run.begin();
    let before = loop {
        let sites = run.disk.sites();
        if run.store.step(Lsn::ZERO) == Ok(Step::AwaitsLog) {
            break sites;
        }
    };
    for _ in 0..3 {
        assert_eq!(run.store.step(Lsn::ZERO), Ok(Step::AwaitsLog));
    }
    assert_eq!(run.disk.sites(), before, "nothing is written meanwhile");
    assert_eq!(loaded(&run.disk).0, Lsn::ZERO);
    assert!(matches!(run.store.step(Lsn::FIRST), Ok(Step::Done(_))));
    assert_eq!(loaded(&run.disk).0, Lsn::FIRST);
}

#[test]
fn only_what_is_written_before_it_is_taken_is_saved() {
    let mut run = Run::new();
    run.regions[1].grow(400).expect("room");
    run.begin();
    // Block 0 of page 0 twice, and one byte on each side of the border of two blocks.
    run.regions[1].part_mut(0, 0..8)[0] = 1;
    run.regions[1].part_mut(0, 8..16)[0] = 1;
    run.regions[1].part_mut(3, 1023..1025).fill(1);
    let Ok(Step::Wrote(progress)) = run.store.step(Lsn::FIRST) else {
        panic!("there is more")
    };
    assert_eq!(progress.saved_bytes, 3 * 512);
    while !matches!(run.store.step(Lsn::FIRST), Ok(Step::Done(_))) {
        // Region 0 is written already; a slot that has grown since is of no page of the pin.
        run.regions[0].slot_mut(7).fill(9);
        run.regions[2].grow(2000).expect("room");
        run.regions[2].slot_mut(1999).fill(9);
    }
    run.newest = run.pinned.take().expect("begun");
    run.check();
}

/// One thread writes as fast as it can, another takes checkpoints; every image is the state at its begin.
#[test]
fn threads_do_not_disturb_each_other() {
    const SLOTS: usize = 2_000;
    let spec = spec("chunks", 4096);
    let disk = FaultyDisk::new();
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).expect("folder");
    let mut store = CheckpointStore::create(Arc::new(disk.clone()), dir, &[spec]).expect("room");
    let mut region = Region::new(spec).expect("address space");
    region.grow(SLOTS).expect("room");
    let mut saved = 0;
    for round in 1..=12_u64 {
        // At the begin every word of the region is the number of the round.
        (0..SLOTS).for_each(|slot| bytemuck::cast_slice_mut(region.slot_mut(slot)).fill(round));
        store.begin(&mut [&mut region], Lsn::new(round), b"").expect("good");
        let writer = std::thread::spawn(move || {
            let mut place = round;
            for _ in 0..60_000 {
                place = place.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                let (slot, from) = ((place >> 32) as usize % SLOTS, (place >> 20) as usize % 4000);
                region.part_mut(slot, from..from + 96).fill(0xff);
            }
            region
        });
        let progress = loop {
            if let Step::Done(progress) = store.step(Lsn::new(round)).expect("room") {
                break progress;
            }
        };
        region = writer.join().expect("the writer ends");
        saved += progress.saved_bytes;
        drop(store.end(&mut [&mut region]));
        let shared: Arc<dyn Disk> = Arc::new(disk.restart());
        let (_, image, _) = CheckpointStore::open(shared, dir, &[spec]).expect("whole");
        for slot in 0..SLOTS {
            let words: &[u64] = bytemuck::cast_slice(image[0].slot(slot));
            assert!(words.iter().all(|word| *word == round), "round {round}, slot {slot}");
        }
    }
    assert!(saved > 0, "the threads met");
}

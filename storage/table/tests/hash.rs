//! The hash table against the standard one, and the region under it.

use std::collections::HashMap;

use proptest::prelude::*;
use tidegate_table::{HashTable, HashTableError, Region, RegionError, RegionSpec};

type Key = [u8; 36];
type Value = [u64; 5];
type Table = HashTable<Key, Value>;

fn table(entries_max: usize) -> Table {
    Table::create(
        Region::new(Table::spec("utxo", entries_max)).expect("address space"),
        0x5eed,
    )
    .expect("a new region")
}

fn key(n: u16) -> Key {
    let mut key = [0; 36];
    key[..2].copy_from_slice(&n.to_le_bytes());
    key
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, u64),
    Remove(u16),
    Change(u16, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = 0..300_u16;
    let step = prop_oneof![
        4 => (few.clone(), any::<u64>()).prop_map(|(k, v)| Step::Insert(k, v)),
        3 => few.clone().prop_map(Step::Remove),
        1 => (few, any::<u64>()).prop_map(|(k, v)| Step::Change(k, v)),
    ];
    prop::collection::vec(step, 0..1500)
}

/// Keys enough for dozens of chunks, so that most are split again and again.
fn many_steps() -> impl Strategy<Value = Vec<Step>> {
    let many = 0..6_000_u16;
    let step = prop_oneof![
        6 => (many.clone(), any::<u64>()).prop_map(|(k, v)| Step::Insert(k, v)),
        1 => many.prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 4_000..8_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn grows_as_the_standard_map_and_is_opened_as_it_was(steps in many_steps()) {
        let mut table = table(6_000);
        let mut model: HashMap<Key, Value> = HashMap::new();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(k, v) => {
                    prop_assert_eq!(table.insert(key(k), [v; 5]).expect("room"), model.insert(key(k), [v; 5]));
                }
                Step::Remove(k) | Step::Change(k, _) => prop_assert_eq!(table.remove(&key(k)), model.remove(&key(k))),
            }
            if at % 1_000 == 0 {
                table = Table::open(copy(table.region())).expect("a table");
            }
        }
        prop_assert_eq!(table.len(), model.len());
        let all: HashMap<Key, Value> = table.iter().map(|(k, v)| (*k, *v)).collect();
        prop_assert_eq!(all, model);
    }
}

/// A region as a checkpoint gives it back.
fn copy(region: &Region) -> Region {
    let mut copy = Region::new(*region.spec()).expect("address space");
    copy.grow(region.len()).expect("room");
    for slot in 0..region.len() {
        copy.slot_mut(slot).copy_from_slice(region.slot(slot));
    }
    copy
}

/// Slots of a chunk, as the drawing in the crate has it.
const CHUNK: usize = 256;

#[test]
fn no_insertion_changes_more_than_two_chunks() {
    let mut table = table(60_000);
    let _ = table.region_mut().take_dirty();
    let pages_max = 2 * (CHUNK * Table::SLOT_BYTES).div_ceil(tidegate_table::PAGE_BYTES) + 1;
    let (mut most, mut before, mut splits) = (0, table.region().len(), 0);
    for n in 0..60_000 {
        table.insert(key(n), [n.into(); 5]).expect("room");
        let (pages, slots) = (table.region_mut().take_dirty().count(), table.region().len());
        splits += usize::from(slots > before);
        assert!(slots - before <= CHUNK, "one chunk more at a time");
        (most, before) = (most.max(pages), slots);
    }
    assert!(
        most <= pages_max,
        "{most} pages changed by one insertion, {pages_max} at most"
    );
    assert!(
        splits > 200 && most > pages_max / 2,
        "the table has grown: {splits} splits, {most} pages"
    );
}

#[test]
fn heads_that_do_not_fit_together_are_no_table() {
    let mut table = table(6_000);
    for n in 0..6_000 {
        table.insert(key(n), [n.into(); 5]).expect("room");
    }
    assert!(Table::open(copy(table.region())).is_ok());
    type Bend = fn(&mut Region);
    let bends: [Bend; 4] = [
        |region| region.slot_mut(CHUNK)[0] ^= 1,
        |region| region.slot_mut(CHUNK)[8] ^= 1,
        |region| region.slot_mut(CHUNK)[16] += 1,
        |region| region.slot_mut(0)[40] ^= 1,
    ];
    for (number, bend) in bends.iter().enumerate() {
        let mut bent = copy(table.region());
        bend(&mut bent);
        assert!(Table::open(bent).is_err(), "bend {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_as_the_standard_map(steps in steps()) {
        let mut table = table(300);
        let mut model: HashMap<Key, Value> = HashMap::new();
        for step in steps {
            match step {
                Step::Insert(k, v) => {
                    prop_assert_eq!(table.insert(key(k), [v; 5]).expect("room"), model.insert(key(k), [v; 5]));
                }
                Step::Remove(k) => prop_assert_eq!(table.remove(&key(k)), model.remove(&key(k))),
                Step::Change(k, v) => {
                    let (mine, theirs) = (table.get_mut(&key(k)), model.get_mut(&key(k)));
                    prop_assert_eq!(mine.is_some(), theirs.is_some());
                    if let (Some(mine), Some(theirs)) = (mine, theirs) {
                        mine[2] = v;
                        theirs[2] = v;
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for k in 0..300 {
            prop_assert_eq!(table.get(&key(k)), model.get(&key(k)));
        }
        let all: HashMap<Key, Value> = table.iter().map(|(k, v)| (*k, *v)).collect();
        prop_assert_eq!(all, model);
    }
}

#[test]
fn removing_everything_leaves_zeros() {
    let mut table = table(1000);
    for n in 0..1000 {
        table.insert(key(n), [n.into(); 5]).expect("room");
    }
    for n in (0..1000).rev() {
        assert_eq!(table.remove(&key(n)), Some([n.into(); 5]));
    }
    assert!(table.is_empty());
    let places = (0..table.region().len()).filter(|slot| slot % CHUNK != 0);
    for slot in places {
        assert!(table.region().slot(slot).iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_full_region_refuses_and_keeps_what_it_has() {
    let mut table = table(60);
    let refused = (0..2000)
        .find(|n| table.insert(key(*n), [0; 5]).is_err())
        .expect("the region is small");
    assert!(refused >= 60, "as many as asked for: {refused}");
    assert!(matches!(
        table.insert(key(refused), [0; 5]),
        Err(RegionError::Full { .. })
    ));
    assert_eq!(table.len(), usize::from(refused));
    assert!((0..refused).all(|n| table.get(&key(n)).is_some()));
    assert_eq!(
        table.insert(key(0), [1; 5]),
        Ok(Some([0; 5])),
        "a known key needs no room"
    );
}

#[test]
fn only_a_table_of_its_own_shape_is_opened() {
    let spec = RegionSpec {
        name: "x",
        slot_bytes: 128,
        slots_max: 1000,
    };
    let mut region = Region::new(spec).expect("address space");
    region.grow(65).expect("room");
    assert!(matches!(Table::open(region), Err(HashTableError::NotATable { .. })));
}

#[test]
fn growing_never_moves_and_marks_what_is_new() {
    let spec = RegionSpec {
        name: "r",
        slot_bytes: 192,
        slots_max: 1 << 22,
    };
    let mut region = Region::new(spec).expect("address space");
    region.grow(30).expect("room");
    assert_eq!(region.take_dirty().count(), 2, "30 × 192 B lie in two pages");
    region.slot_mut(29)[191] = 9;
    let first = region.slot(0).as_ptr();
    region.grow(spec.slots_max).expect("room");
    assert_eq!((region.slot(0).as_ptr(), region.slot(29)[191]), (first, 9));
    assert_eq!(first.align_offset(64), 0);
    assert_eq!(region.dirty().count(), region.pages() - 1, "all but the first page");
    assert!(matches!(region.grow(spec.slots_max + 1), Err(RegionError::Full { .. })));
    region.grow(5).expect("never shrinks");
    assert_eq!(region.len(), spec.slots_max);
}

#[test]
fn a_slot_across_pages_makes_both_dirty() {
    let mut region = Region::new(RegionSpec {
        name: "r",
        slot_bytes: 192,
        slots_max: 100,
    })
    .expect("address space");
    region.grow(100).expect("room");
    let _ = region.take_dirty();
    // Slot 21 is bytes 4032 to 4224.
    region.slot_mut(21)[0] = 1;
    assert!(region.dirty().contains(0) && region.dirty().contains(1) && region.dirty().count() == 2);
    region.slot_mut(99)[0] = 1;
    assert_eq!(region.dirty().runs(10).collect::<Vec<_>>(), [0..2, 4..5]);
    // Of slot 42, bytes 8064 to 8256, a part in its second page.
    region.part_mut(42, 150..160)[0] = 1;
    assert_eq!(region.dirty().runs(10).collect::<Vec<_>>(), [0..3, 4..5]);
}

#[test]
fn runs_join_neighbours_up_to_their_limit() {
    let mut set = tidegate_table::PageSet::new();
    set.insert_range(60..70);
    set.insert(200);
    assert_eq!(set.runs(256).collect::<Vec<_>>(), [60..70, 200..201]);
    assert_eq!(set.runs(4).collect::<Vec<_>>(), [60..64, 64..68, 68..70, 200..201]);
    set.clear();
    assert_eq!(set.runs(4).count(), 0);
}

#[test]
fn bad_specs_are_refused() {
    let bad = |name, slot_bytes, slots_max| {
        Region::new(RegionSpec {
            name,
            slot_bytes,
            slots_max,
        })
        .expect_err("bad")
    };
    assert!(matches!(bad("", 64, 1), RegionError::BadName { .. }));
    assert!(matches!(bad("a/b", 64, 1), RegionError::BadName { .. }));
    assert!(matches!(bad("a", 65, 1), RegionError::BadSize { .. }));
    assert!(matches!(bad("a", 0, 1), RegionError::BadSize { .. }));
    assert!(matches!(bad("a", 64, usize::MAX), RegionError::BadSize { .. }));
}

#[test]
fn memory_is_there_before_it_is_needed_and_no_byte_changes() {
    let spec = RegionSpec {
        name: "r",
        slot_bytes: 64,
        slots_max: 1 << 20,
    };
    let mut region = Region::new(spec).expect("address space");
    region.grow(100).expect("room");
    region.slot_mut(99)[63] = 7;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux tells");
        let line = status.lines().find_map(|line| line.strip_prefix("Anonymous:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        kib.expect("a number") << 10
    };
    let before = resident();
    assert_eq!(region.pre_touch(32 << 20), 32 << 20);
    assert!(
        resident() >= before + (30 << 20),
        "{} bytes, {before} before",
        resident()
    );
    assert_eq!(
        region.pre_touch(1 << 30),
        (64 << 20) - 8_192,
        "no more than there can be"
    );
    region.grow(1 << 20).expect("room");
    assert_eq!(region.slot(99)[63], 7);
    assert!((100..1 << 20).all(|slot| region.slot(slot).iter().all(|byte| *byte == 0)));
}

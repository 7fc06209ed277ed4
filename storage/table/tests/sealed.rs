//! Sealed snapshots: whole or refused, and an interrupted writing goes on to the same bytes.

use std::{path::Path, sync::Arc};

use tidegate_disk::{Disk, DiskError, Fault, FaultKind, FaultyDisk, OpenMode};
use tidegate_table::{SealedError, SealedFault, SealedItem, SealedReader, SealedWriter, unfinished};

const PATH: &str = "/out/snapshot";

/// Parts, each with its units.
type Parts = Vec<(String, Vec<Vec<u8>>)>;

/// One unit takes three blocks.
fn content() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let long = (0..(2 << 20) + 77_u32).map(|n| (n % 251) as u8).collect();
    vec![
        ("about", vec![b"who and when".to_vec()]),
        ("empty", vec![]),
        ("units", vec![vec![1; 100], vec![], long, vec![9; 5000]]),
    ]
}

fn small() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![("a", vec![b"one".to_vec(), b"two".to_vec()]), ("b", vec![vec![7; 40]])]
}

/// Writes what is not yet there, however often it takes.
fn write(disk: &Arc<dyn Disk>, content: &[(&str, Vec<Vec<u8>>)]) -> Result<(), SealedError> {
    let path = Path::new(PATH);
    let mut there: Vec<usize> = Vec::new();
    let resumed = SealedWriter::resume(disk, path, &mut |item| match item {
        SealedItem::Part(_) => there.push(0),
        SealedItem::Unit(_) => *there.last_mut().expect("a unit has a part") += 1,
        SealedItem::End => {}
    })?;
    let mut writer = match resumed {
        Some(writer) => writer,
        None => SealedWriter::create(disk, path)?,
    };
    for (at, (name, units)) in content.iter().enumerate() {
        if there.get(at).is_none() {
            writer.begin_part(name)?;
        }
        for unit in units.iter().skip(there.get(at).copied().unwrap_or(0)) {
            writer.unit(unit)?;
        }
    }
    let sealed = writer.seal()?;
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).expect("test files are small")];
    file.read_at(0, &mut bytes)?;
    assert_eq!(sealed.bytes, bytes.len() as u64);
    assert_eq!(sealed.hash, *blake3::hash(&bytes).as_bytes());
    Ok(())
}

fn read(disk: &dyn Disk) -> Result<Parts, SealedError> {
    let mut reader = SealedReader::open(disk, Path::new(PATH))?;
    let mut parts = Parts::new();
    loop {
        match reader.next_item()? {
            SealedItem::Part(name) => parts.push((name.to_owned(), Vec::new())),
            SealedItem::Unit(unit) => parts.last_mut().expect("a part").1.push(unit.to_vec()),
            SealedItem::End => {
                assert!(reader.hash().is_some_and(|hash| hash != [0; 32]));
                assert_eq!(reader.progress().0, reader.progress().1);
                return Ok(parts);
            }
        }
    }
}

fn same(parts: &[(String, Vec<Vec<u8>>)], content: &[(&str, Vec<Vec<u8>>)]) -> bool {
    parts.len() == content.len() && parts.iter().zip(content).all(|(a, b)| a.0 == b.0 && a.1 == b.1)
}

fn new_disk() -> FaultyDisk {
    let disk = FaultyDisk::new();
    disk.create_dir_all(Path::new("/out")).expect("a folder");
    disk
}

fn shared(disk: &FaultyDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

#[test]
fn what_was_written_is_read_and_never_overwritten() {
    let disk = new_disk();
    write(&shared(&disk), &content()).expect("room");
    assert!(same(&read(&disk).expect("whole"), &content()));
    assert!(!disk.exists(&unfinished(Path::new(PATH))).expect("a look"));
    let again = write(&shared(&disk), &content());
    assert!(matches!(again, Err(SealedError::Exists { .. })), "{again:?}");
    let again = SealedWriter::create(&shared(&disk), Path::new(PATH)).map(drop);
    assert!(matches!(again, Err(SealedError::Exists { .. })), "{again:?}");
}

#[test]
fn every_flipped_bit_is_refused_where_it_is() {
    let disk = new_disk();
    write(&shared(&disk), &small()).expect("room");
    let bytes = disk.bytes(Path::new(PATH)).expect("the file");
    for at in 0..bytes.len() as u64 {
        for bit in 0..8 {
            disk.flip(Path::new(PATH), at, 1 << bit).expect("in the file");
            match read(&disk) {
                Err(SealedError::Damaged { offset, .. }) => assert!(offset <= at, "byte {at} named as {offset}"),
                other => panic!("byte {at}, bit {bit}: {other:?}"),
            }
            disk.flip(Path::new(PATH), at, 1 << bit).expect("in the file");
        }
    }
    assert!(same(&read(&disk).expect("as before"), &small()));
}

#[test]
fn a_cut_or_lengthened_file_is_refused() {
    let disk = new_disk();
    write(&shared(&disk), &small()).expect("room");
    let bytes = disk.bytes(Path::new(PATH)).expect("the file");
    let file = disk.open(Path::new(PATH), OpenMode::Write).expect("the file");
    for length in (0..bytes.len()).rev() {
        file.set_len(length as u64).expect("shorter");
        let refused = read(&disk);
        assert!(
            matches!(refused, Err(SealedError::Damaged { .. })),
            "{length}: {refused:?}"
        );
    }
    file.write_at(0, &bytes).expect("as before");
    file.write_at(bytes.len() as u64, &[0]).expect("room");
    let refused = read(&disk);
    let Err(SealedError::Damaged { offset, fault, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((offset, fault), (bytes.len() as u64, SealedFault::Trailing));
}

/// Whole blocks of another snapshot, put where they fit: only the hash of the whole can tell.
#[test]
fn a_block_of_another_snapshot_is_refused() {
    let disk = new_disk();
    write(&shared(&disk), &small()).expect("room");
    let first = disk.bytes(Path::new(PATH)).expect("the file");
    let mut other = small();
    other[0].1[1] = b"six".to_vec();
    let second = new_disk();
    write(&shared(&second), &other).expect("room");
    let second = second.bytes(Path::new(PATH)).expect("the file");
    // Head 64, part block 33, first unit 35: the second unit's block.
    let block = 132..167;
    assert_eq!(first[..block.start], second[..block.start]);
    assert_ne!(first[block.clone()], second[block.clone()]);
    let file = disk.open(Path::new(PATH), OpenMode::Write).expect("the file");
    file.write_at(block.start as u64, &second[block]).expect("room");
    let refused = read(&disk);
    assert!(
        matches!(
            refused,
            Err(SealedError::Damaged {
                fault: SealedFault::Hash,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_writing_cut_off_anywhere_goes_on_to_the_same_bytes() {
    let whole = new_disk();
    write(&shared(&whole), &small()).expect("room");
    let bytes = whole.bytes(Path::new(PATH)).expect("the file");
    for length in 0..=bytes.len() {
        let disk = new_disk();
        let part = unfinished(Path::new(PATH));
        let file = disk.open(&part, OpenMode::CreateNew).expect("new");
        file.write_at(0, &bytes[..length]).expect("room");
        // What a torn write leaves.
        file.write_at(length as u64, &[0xA5; 21]).expect("room");
        write(&shared(&disk), &small()).expect("it goes on");
        assert_eq!(disk.bytes(Path::new(PATH)).expect("the file"), bytes, "cut at {length}");
    }
}

/// Kills, errors and losses of power at every call that changes something: what has the name is whole, what has not goes on.
#[test]
fn whatever_has_the_name_is_whole() {
    let (mut kills, mut whole_before) = (0, 0);
    for kind in [FaultKind::Kill, FaultKind::Eio, FaultKind::NoSpace] {
        for site in 1.. {
            let disk = new_disk();
            disk.arm(Fault { site, kind, seed: site });
            let done = write(&shared(&disk), &content());
            if !disk.has_failed() {
                done.expect("nothing failed");
                break;
            }
            kills += 1;
            for left in [disk.restart(), disk.crash(site * 4), disk.crash(site * 4 + 2)] {
                match read(&left) {
                    Ok(parts) => {
                        assert!(same(&parts, &content()));
                        whole_before += 1;
                    }
                    Err(SealedError::Disk(DiskError::NotFound { .. })) => {
                        write(&shared(&left), &content()).expect("it goes on");
                        assert!(same(&read(&left).expect("whole"), &content()), "{kind:?} at {site}");
                    }
                    Err(other) => panic!("{kind:?} at {site}: {other}"),
                }
            }
        }
    }
    assert!(kills > 30 && whole_before > 0, "{kills} kills, {whole_before} whole");
}

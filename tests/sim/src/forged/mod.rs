//! R13: nothing without authentication. Every message that brings something signed, or that only its owner may bring, with bits of
//! it flipped, against the code that decodes, verifies and decides: 0 are accepted.
//!
//! ```text
//! house ── engine, chain, tower, wallets, with payments under way ── doors: one for each kind of message, its honest bytes
//!                                                                      │ bits flipped, other keys, expired
//!                                                                      └▶ Entry: unreadable, a stranger's, not signed, refused
//! ```
//!
//! The unflipped message is accepted in the end: it was refused for what was flipped, and for nothing else. What the hub's sequencer
//! does between decoding and engine (who carries the channel, whose key, which bytes) is done here in the same order over the
//! same functions; the hub itself is asked in `tests/hostile/tests/keys.rs`.

mod doors;
mod house;

use core::fmt;
use std::collections::BTreeMap;

use crate::old_states::Dice;

pub use doors::{DOORS, Door};
pub use house::House;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// It does not decode.
    Unreadable,
    /// The session does not carry the channel that it names.
    Stranger,
    /// A signature does not hold.
    Unsigned,
    /// It was understood, and changes nothing.
    Refused,
    /// It was taken.
    Accepted,
}

/// Counts of attempts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    by_door: BTreeMap<&'static str, Counts>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    entries: BTreeMap<Entry, u64>,
    /// Bits that were flipped, of those that there are.
    hit: Vec<bool>,
}

impl Tally {
    /// How many there were.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.by_door.values().flat_map(|counts| counts.entries.values()).sum()
    }

    /// How many were taken.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        let counts = self.by_door.values();
        counts.filter_map(|counts| counts.entries.get(&Entry::Accepted)).sum()
    }

    /// Of all bits of all messages so many percent were flipped at least once.
    #[must_use]
    pub fn covered(&self) -> usize {
        let bits = self.by_door.values().flat_map(|counts| &counts.hit);
        let hit = bits.clone().filter(|hit| **hit).count();
        hit * 100 / bits.count().max(1)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (attempts, covered, accepted) = (self.attempts(), self.covered(), self.accepted());
        writeln!(
            f,
            "{attempts} forged messages, {covered} % of all bits flipped; {accepted} accepted"
        )?;
        for (name, counts) in &self.by_door {
            let (bits, entries) = (counts.hit.len(), &counts.entries);
            writeln!(f, "  {name}, {bits} bits: {entries:?}")?;
        }
        Ok(())
    }
}

/// Makes `attempts` of them from a seed, in turns at each door.
///
/// # Panics
/// If an honest message is not accepted in the end, or if what was refused has changed something.
#[must_use]
pub fn run(seed: u64, attempts: u64) -> Tally {
    let (mut house, mut dice, mut tally) = (House::new(), Dice::new(seed), Tally::default());
    let all: Vec<(&Door, Vec<u8>)> = DOORS.iter().map(|door| (door, (door.honest)(&mut house))).collect();
    let forged: Vec<Vec<Vec<u8>>> = DOORS.iter().map(|door| (door.forged)(&mut house)).collect();
    let before = house.state();
    for (door, forged) in DOORS.iter().zip(&forged) {
        for bytes in forged {
            tally.note(door, house.open(door, bytes), &[], 0);
        }
    }
    for number in 0..attempts {
        let (door, honest) = &all[usize::try_from(number).expect("a count") % all.len()];
        let round = usize::try_from(number).expect("a count") / all.len();
        let bits = flips(&mut dice, round, honest.len() * 8);
        let mut bytes = honest.clone();
        bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
        let entry = house.open(door, &bytes);
        tally.note(door, entry, &bits, honest.len() * 8);
    }
    assert_eq!(before, house.state(), "what is refused changes nothing");
    for (door, honest) in &all {
        assert_eq!(
            house.open(door, honest),
            Entry::Accepted,
            "{}: the honest message",
            door.name
        );
    }
    tally
}

/// Neighbours are flipped at times far apart, so that few attempts hit every field.
const STRIDE: usize = 7_919;

/// Every bit once, alone; then up to three anywhere.
fn flips(dice: &mut Dice, round: usize, bits: usize) -> Vec<usize> {
    if round < bits {
        return vec![round * STRIDE % bits];
    }
    let mut chosen: Vec<usize> = (0..=dice.below(3)).map(|_| dice.below(bits)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

impl Tally {
    fn note(&mut self, door: &Door, entry: Entry, bits: &[usize], of: usize) {
        let counts = self.by_door.entry(door.name).or_default();
        *counts.entries.entry(entry).or_default() += 1;
        counts.hit.resize(counts.hit.len().max(of), false);
        bits.iter().for_each(|bit| counts.hit[*bit] = true);
        assert_ne!(
            entry,
            Entry::Accepted,
            "{}: accepted with bits {bits:?} flipped",
            door.name
        );
    }
}

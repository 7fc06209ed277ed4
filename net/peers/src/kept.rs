//! What is kept of other hubs over a restart: where they are, and what they have done wrong.
//!
//! ```text
//! version 2   "TGPEERS2" 8 | key 32 | minute u32 | places u32 | notes u32 | places × place 81 | notes × note 44 | digest 32
//! version 1   "TGPEERS1" 8 | key 32 |              places u32 |             places × place 81             |     digest 32
//!
//! note        identity 32 | thousandths of points u32 | banned until, a minute, 0 for never u32 | bans u32
//! ```
//!
//! Points are those of the minute in the head; whoever reads them lets them decay since then, so that a restart neither forgives an
//! offence nor keeps it longer. Version 1 had no notes; it is read, and written anew as version 2.

use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{Digest, Fixed as _, KeyBytes};

use crate::score::{KeptNote, NOTED_MAX, Scores};
use crate::table::{ENTRY, PLACES_MAX, Table};
use crate::{Minute, Moment};

const MAGIC: &[u8; 8] = b"TGPEERS2";
const MAGIC_1: &[u8; 8] = b"TGPEERS1";
/// What every version begins with; the version's digit follows.
const FAMILY: &[u8; 7] = b"TGPEERS";
const NOTE: usize = KeyBytes::LEN + 4 + 4 + 4;

/// What was kept of other hubs.
#[derive(Debug)]
pub struct Kept {
    /// Where they are.
    pub table: Table,
    /// What they have done wrong.
    pub scores: Scores,
}

/// Why bytes are not what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// Not the bytes of any version, or not all of them.
    #[error("it is no table of peers, or not a whole one")]
    Shape,
    /// The digest at the end is not that of the bytes.
    #[error("it is damaged: its digest is not that of its content")]
    Digest,
    /// A version that this program does not know.
    #[error("a later version of the program has written it")]
    Later,
}

impl Kept {
    /// Nobody is known yet. The key must be drawn at random, once.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            table: Table::new(key),
            scores: Scores::default(),
        }
    }

    /// What is to be kept, as bytes of the newest version.
    ///
    /// # Panics
    /// Never: both counts are bounded far below 2³².
    #[must_use]
    pub fn encode(&self, (now, minute): (Moment, Minute)) -> Vec<u8> {
        let (table, notes) = (&self.table, self.scores.kept(now, minute));
        let count = |count: usize| u32::try_from(count).expect("bounded").to_le_bytes();
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(table.key());
        out.extend_from_slice(&minute.get().to_le_bytes());
        out.extend_from_slice(&count(table.len()));
        out.extend_from_slice(&count(notes.len()));
        table.append_to(&mut out);
        for note in &notes {
            out.extend_from_slice(note.peer.as_bytes());
            let until = note.banned_until.map_or(0, Minute::get);
            for number in [note.points, until, note.bans] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        Self::sealed(&out)
    }

    /// Content with its digest behind it, as [`Kept::decode`] wants it: for tests of that.
    #[must_use]
    pub fn sealed(content: &[u8]) -> Vec<u8> {
        [content, hash(Domain::PeerTable, content).as_bytes()].concat()
    }

    /// Reads what was kept, at the beginning of a run, whose [`Moment`]s count from 0.
    ///
    /// # Errors
    /// [`KeptError`].
    pub fn decode(bytes: &[u8], minute: Minute) -> Result<Self, KeptError> {
        let (content, digest) = bytes.split_last_chunk::<32>().ok_or(KeptError::Shape)?;
        let (magic, rest) = content.split_first_chunk::<8>().ok_or(KeptError::Shape)?;
        if magic.starts_with(FAMILY) && magic > MAGIC {
            return Err(KeptError::Later);
        }
        if magic != MAGIC && magic != MAGIC_1 {
            return Err(KeptError::Shape);
        }
        if hash(Domain::PeerTable, content) != Digest::from_bytes(*digest) {
            return Err(KeptError::Digest);
        }
        read(rest, magic == MAGIC, minute).ok_or(KeptError::Shape)
    }
}

/// Reads what stands between the magic and the digest.
fn read(bytes: &[u8], has_notes: bool, minute: Minute) -> Option<Kept> {
    let (key, rest) = bytes.split_first_chunk::<32>()?;
    let (then, rest) = if has_notes { number(rest)? } else { (minute.get(), rest) };
    let (places, rest) = number(rest)?;
    let (notes, rest) = if has_notes { number(rest)? } else { (0, rest) };
    let (places, notes) = (usize::try_from(places).ok()?, usize::try_from(notes).ok()?);
    if places > PLACES_MAX || notes > NOTED_MAX || rest.len() != places * ENTRY + notes * NOTE {
        return None;
    }
    let (places, notes) = rest.split_at(places * ENTRY);
    let mut kept = Kept::new(*key);
    for entry in places.as_chunks::<ENTRY>().0 {
        kept.table.take_kept(entry).then_some(())?;
    }
    let minutes = minute.since(Minute::new(then));
    for note in notes.as_chunks::<NOTE>().0 {
        kept.scores.take_kept(&read_note(note)?, minutes);
    }
    Some(kept)
}

fn read_note(bytes: &[u8; NOTE]) -> Option<KeptNote> {
    let (peer, rest) = bytes.split_first_chunk::<{ KeyBytes::LEN }>()?;
    let (points, rest) = number(rest)?;
    let (until, rest) = number(rest)?;
    let (bans, _) = number(rest)?;
    Some(KeptNote {
        peer: KeyBytes::from_bytes(*peer),
        points,
        banned_until: (until > 0).then(|| Minute::new(until)),
        bans,
    })
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::place::Place;
    use crate::score::Offence;

    const THEN: Minute = Minute::new(30_000_000);
    const NOW: Moment = Moment::new(7_000_000);

    fn peer(number: u8) -> KeyBytes {
        KeyBytes::from_bytes([number; 32])
    }

    fn later(minutes: u32) -> Minute {
        Minute::new(THEN.get() + minutes)
    }

    fn table() -> Table {
        let mut table = Table::new([5; 32]);
        for number in 0..30 {
            let place = Place::new(peer(number), IpAddr::from([20, number, 1, 1]), 7411);
            table.add(place, THEN, IpAddr::from([40, number, 1, 1]), THEN);
            table.attempt(&place, THEN);
            if number % 3 == 0 {
                table.answered(&place, THEN);
            }
        }
        table
    }

    /// Hub 1 is banned for the second time, hub 2 has 50 points, hub 3 was never noted.
    fn scores() -> Scores {
        let mut scores = Scores::default();
        assert!(scores.note(peer(1), Offence::Malformed, NOW, THEN.before(3 * 24 * 60)));
        assert!(scores.note(peer(1), Offence::Malformed, NOW, THEN));
        assert!(!scores.note(peer(2), Offence::OutOfOrder, NOW, THEN));
        scores
    }

    fn kept() -> Vec<u8> {
        let (table, scores) = (table(), scores());
        Kept { table, scores }.encode((NOW, THEN))
    }

    #[test]
    fn bans_and_points_go_on_over_a_restart() {
        let read = |minutes| Kept::decode(&kept(), later(minutes)).unwrap().scores;
        let points = |minutes| read(minutes).points(&peer(2), Moment::new(0));
        assert_eq!((points(0), points(10), points(20), points(1_000)), (50, 25, 12, 0));
        let ten = read(0).points(&peer(2), Moment::new(600_000));
        assert_eq!(ten, 25, "the run's own clock goes on from there");
        let two_days = 2 * 24 * 60;
        for (minutes, banned) in [(0, true), (two_days - 1, true), (two_days, false)] {
            assert_eq!(
                read(minutes).is_banned(&peer(1), later(minutes)),
                banned,
                "after {minutes} min"
            );
        }
        assert_eq!(read(0).banned(THEN).collect::<Vec<_>>(), [(peer(1), later(two_days))]);
        let mut third = read(two_days);
        assert!(third.note(peer(1), Offence::Malformed, Moment::new(0), later(two_days)));
        assert!(
            third.is_banned(&peer(1), later(two_days + 4 * 24 * 60 - 1)),
            "the third ban is four times the first"
        );
        assert!(!read(0).is_banned(&peer(3), THEN));
    }

    #[test]
    fn what_is_forgotten_is_not_kept() {
        let mut forgotten = Scores::default();
        assert!(!forgotten.note(peer(2), Offence::Silence, NOW, THEN));
        let notes = |millis| forgotten.kept(NOW.after(millis), THEN).len();
        assert_eq!((notes(0), notes(3_600_000)), (1, 0));
        let banned = |minutes| {
            scores()
                .kept(NOW.after(u64::from(minutes) * 60_000), later(minutes))
                .len()
        };
        assert_eq!((banned(32 * 24 * 60), banned(33 * 24 * 60)), (1, 0));
    }

    #[test]
    fn what_is_kept_reads_back_and_no_changed_byte_does() {
        let bytes = kept();
        let again = Kept::decode(&bytes, THEN).unwrap();
        assert_eq!(again.encode((Moment::new(0), THEN)), bytes);
        assert_eq!((again.table.len(), again.table.tried()), (30, 10));
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            assert!(Kept::decode(&bent, THEN).is_err(), "byte {at}");
            assert!(Kept::decode(&bytes[..at], THEN).is_err());
        }
    }

    #[test]
    fn version_1_is_read_and_a_later_one_is_said_to_be_that() {
        let table = table();
        let mut old = [&MAGIC_1[..], table.key(), &30_u32.to_le_bytes()].concat();
        table.append_to(&mut old);
        let mut read = Kept::decode(&Kept::sealed(&old), THEN).unwrap();
        assert_eq!((read.table.len(), read.table.tried()), (30, 10));
        assert_eq!(read.scores.banned(THEN).count(), 0);
        read.scores = scores();
        assert_eq!(read.encode((NOW, THEN)), kept(), "it is written as version 2");
        let later = |digit| {
            let mut bytes = kept();
            bytes[7] = digit;
            Kept::decode(&bytes, THEN).unwrap_err()
        };
        assert_eq!((later(b'3'), later(b'0')), (KeptError::Later, KeptError::Shape));
    }
}

//! Hostile peers by the hundred, each from a network of its own, in a process of theirs.
//!
//! | kind | what it does |
//! |---|---|
//! | never reads | asks 4 MiB of pings, or of `Sync`, takes no answer, and comes again when it is closed |
//! | greedy | well made states with wrong signatures, 64 in a breath, two breaths under way at any time |
//! | silent | half of them greet and say nothing more; half of them do not even begin a handshake, and come again when closed |
//! | storm | whole handshakes, one behind the other; shows the cookie that it is asked for |
//!
//! ```text
//! attack  ── a plan, one line a peer ──▶  crowd (another process)
//!         ◀── what it got done ─────────
//! ```
//!
//! The hub's machine is theirs too: so that the hub is not robbed by its attackers' arithmetic, which they would do elsewhere, they
//! run when nobody else wants the processor (`SCHED_IDLE`). What they got done is counted, so that nobody takes a sleeping attack
//! for a hub that stands it. And they are a process of their own: one that runs when nobody else does may be put to sleep while it
//! holds a lock of its process, for memory above all, and honest clients of the same process then wait for it: a quarter of a second, once
//! in a hundred payments, when the hub had nothing to do with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tidegate_types::{ClientCounter, HubCounter, SignatureBytes};
use tidegate_wire::messages::{Body as _, Ping, Sync};

use crate::target::Target;

/// Kinds of hostile peers; each has a quarter of them.
const KINDS: usize = 4;
/// The first peer's network, 127.32.0.
const NETWORK: u16 = 0x2000;

/// What the peers got done.
#[derive(Debug, Default)]
pub struct Tally {
    /// Wrong signatures that were answered.
    pub answered: AtomicU64,
    /// Bytes of questions whose answers nobody read.
    pub unread_bytes: AtomicU64,
    /// Peers that did not read and were closed for it.
    pub cut: AtomicU64,
    /// Handshakes of storms that came through.
    pub handshakes: AtomicU64,
    /// Handshakes of storms that were sent away or closed.
    pub sent_away: AtomicU64,
    /// Silent strangers that were closed.
    pub strangers_closed: AtomicU64,
}

impl Tally {
    const fn all(&self) -> [&AtomicU64; 6] {
        [
            &self.answered,
            &self.unread_bytes,
            &self.cut,
            &self.handshakes,
            &self.sent_away,
            &self.strangers_closed,
        ]
    }

    /// All counts on one line.
    pub(crate) fn to_line(&self) -> String {
        self.all()
            .map(|count| count.load(Ordering::Relaxed).to_string())
            .join(" ")
    }

    fn take_line(&self, line: &str) {
        for (count, word) in self.all().iter().zip(line.split(' ')) {
            count.store(word.parse().expect("a count"), Ordering::Relaxed);
        }
    }
}

/// What one peer of a crowd does. A client's seed and what it says over and over stand in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    NeverReads([u8; 32], Vec<u8>),
    Greedy([u8; 32], Vec<u8>),
    Storm,
    Silent,
    Strange,
}

impl Part {
    fn to_line(&self) -> String {
        match self {
            Self::NeverReads(seed, question) => format!("never-reads {} {}", hex::encode(seed), hex::encode(question)),
            Self::Greedy(seed, message) => format!("greedy {} {}", hex::encode(seed), hex::encode(message)),
            Self::Storm => "storm".to_owned(),
            Self::Silent => "silent".to_owned(),
            Self::Strange => "strange".to_owned(),
        }
    }
}

/// A line of a plan that says nothing a peer can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no part of a crowd")]
pub(crate) struct UnknownPart(String);

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(line: &str) -> Result<Self, UnknownPart> {
        let unknown = || UnknownPart(line.to_owned());
        let mut words = line.split(' ');
        let kind = words.next().ok_or_else(unknown)?;
        let mut said = || {
            let seed = hex::decode(words.next()?).ok()?.try_into().ok()?;
            Some((seed, hex::decode(words.next()?).ok()?))
        };
        match kind {
            "never-reads" => said().map(|(seed, bytes)| Self::NeverReads(seed, bytes)),
            "greedy" => said().map(|(seed, bytes)| Self::Greedy(seed, bytes)),
            "storm" => Some(Self::Storm),
            "silent" => Some(Self::Silent),
            "strange" => Some(Self::Strange),
            _ => None,
        }
        .ok_or_else(unknown)
    }
}

/// An attack under way. It must be [ended](Attack::end).
#[derive(Debug)]
pub struct Attack {
    crowd: Child,
    tally: Arc<Tally>,
    reader: JoinHandle<()>,
}

/// How many clients of a target an attack of so many peers is: those who must have a channel.
#[must_use]
pub const fn clients_of(peers: usize) -> usize {
    peers / KINDS * 2
}

impl Attack {
    /// Begins an attack by `peers` peers, a quarter of each kind, in a process of `program`, the crowd of this package. Those with
    /// channels are the target's clients from `first` on.
    ///
    /// # Panics
    /// If the target has too few clients, or the crowd does not start.
    #[must_use]
    pub fn begin(program: &Path, target: &Target, first: usize, peers: usize) -> Self {
        let mut crowd = Command::new(program)
            .args([target.hub.address.to_string(), target.site.ledger.to_string()])
            .arg(NETWORK.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the crowd starts");
        let plan = crowd.stdin.as_mut().expect("piped");
        for part in plan_of(target, first, peers) {
            writeln!(plan, "{}", part.to_line()).expect("the crowd reads its plan");
        }
        writeln!(plan).expect("the crowd reads its plan");
        let tally = Arc::new(Tally::default());
        let (told, lines) = (Arc::clone(&tally), crowd.stdout.take().expect("piped"));
        let reader = thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                told.take_line(&line);
            }
        });
        Self { crowd, tally, reader }
    }

    /// What was done so far, or a fifth of a second ago.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Ends it.
    ///
    /// # Panics
    /// If a hostile peer panicked: it has seen what no hub may send.
    pub fn end(mut self) {
        drop(self.crowd.stdin.take());
        let status = self.crowd.wait().expect("it was started here");
        self.reader.join().expect("counts are numbers");
        assert!(status.success(), "the hub keeps to the protocol: {status}");
    }
}

fn plan_of(target: &Target, first: usize, peers: usize) -> Vec<Part> {
    let each = peers / KINDS;
    let parts = (0..each).flat_map(|number| {
        let quiet = if number.is_multiple_of(2) {
            Part::Silent
        } else {
            Part::Strange
        };
        [
            never_reads(target, first + number),
            greedy(target, first + each + number),
            Part::Storm,
            quiet,
        ]
    });
    parts.collect()
}

fn never_reads(target: &Target, client: usize) -> Part {
    let mut question = Vec::new();
    if client.is_multiple_of(2) {
        let ping = Ping {
            answer: false,
            token: [1; 8],
        };
        ping.append(1, &mut question).expect("short");
    } else {
        let sync = Sync {
            channel: target.site.channels[client],
            state: ClientCounter::ZERO,
            leaf: HubCounter::ZERO,
        };
        sync.append(1, &mut question).expect("short");
    }
    Part::NeverReads(*target.site.seeds[client], question)
}

fn greedy(target: &Target, client: usize) -> Part {
    let mut bad = target.first_state(client);
    let mut bytes = *bad.signature.as_bytes();
    bytes[3] ^= 1;
    bad.signature = SignatureBytes::from_bytes(bytes);
    let mut message = Vec::new();
    bad.message().append(1, &mut message).expect("short");
    Part::Greedy(*target.site.seeds[client], message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_it_was_written() {
        let parts = [
            Part::NeverReads([7; 32], vec![1, 2]),
            Part::Greedy([8; 32], vec![]),
            Part::Storm,
            Part::Silent,
            Part::Strange,
        ];
        for part in parts {
            assert_eq!(part.to_line().parse(), Ok(part));
        }
        for line in ["", "calm", "greedy", "greedy 07 01", "never-reads zz 01"] {
            assert!(line.parse::<Part>().is_err(), "{line}");
        }
    }

    #[test]
    fn counts_go_over_a_line() {
        let (from, to) = (Tally::default(), Tally::default());
        for (count, value) in from.all().iter().zip(1..) {
            count.store(value, Ordering::Relaxed);
        }
        to.take_line(&from.to_line());
        assert_eq!(to.to_line(), "1 2 3 4 5 6");
    }
}

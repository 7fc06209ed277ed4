//! First inputs of what reads messages: one of each as `net/wire` has frozen it, and some that bear real leaves.

use tidegate_channel::{InChange, InChangeKind, LeafPrivate};
use tidegate_test_conformance::cast::Cast;
use tidegate_types::{ChannelId, Fixed, LockSlot, OutPoint, Txid};
use tidegate_wire::messages::{Answer, Body, ChannelStatus, FreshReceipt, Receipt, ReceiptEntry, SyncAnswer, SyncLeaf};

/// A name and the hex of a message in each line.
const FROZEN: &str = include_str!("../../../net/wire/tests/golden.txt");

/// All of them, as they travel.
pub(crate) fn built() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = FROZEN.lines().map(frozen).collect();
    let cast = Cast::new();
    let parts = Parts::new(&cast);
    all.extend([parts.receipt(), parts.sync_answer()]);
    all
}

fn frozen(line: &str) -> Vec<u8> {
    let (_, hex) = line.split_once(' ').expect("a name and the bytes");
    let digits = hex.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(|pair| byte(pair).expect("two digits")).collect()
}

/// A leaf with one of everything, in bytes.
struct Parts {
    header: [u8; 248],
    private: [u8; 216],
    final_private: [u8; 216],
    public: [u8; 96],
    credits: [[u8; 80]; 1],
    outcomes: [[u8; 96]; 2],
    in_changes: [[u8; 104]; 4],
    terms: [u8; 96],
}

fn bytes<T: Fixed, const N: usize>(value: &T) -> [u8; N] {
    let mut all = Vec::new();
    value.append_to(&mut all);
    all.try_into().expect("as wide as its type")
}

impl Parts {
    fn new(cast: &Cast) -> Self {
        let leaf = &cast.leaves[1];
        let kinds = [
            InChangeKind::Offered,
            InChangeKind::Fulfilled,
            InChangeKind::Released,
            InChangeKind::Expired,
        ];
        let in_changes = kinds.map(|kind| InChange {
            kind,
            slot: LockSlot::new(3).expect("below 64"),
            lock: cast.in_lock,
        });
        Self {
            header: bytes(&cast.header),
            private: bytes(&leaf.private),
            final_private: bytes(&LeafPrivate {
                terms: cast.last.digest(),
                ..leaf.private
            }),
            public: bytes(&leaf.public),
            credits: [bytes(&cast.credit)],
            outcomes: [bytes(&cast.outcomes[0]), bytes(&cast.outcomes[1])],
            in_changes: in_changes.map(|change| bytes(&change)),
            terms: bytes(&cast.last),
        }
    }

    fn entry(&self) -> ReceiptEntry<'_> {
        ReceiptEntry {
            index: 0,
            private: &self.private,
            public: &self.public,
            path: &[],
            shared: false,
            credits: &self.credits,
            outcomes: &self.outcomes,
            answers: (&[] as &[Answer]).into(),
            in_changes: &self.in_changes,
            final_terms: None,
        }
    }

    fn last_entry(&self) -> ReceiptEntry<'_> {
        ReceiptEntry {
            private: &self.final_private,
            final_terms: Some(&self.terms),
            ..self.entry()
        }
    }

    fn receipt(&self) -> Vec<u8> {
        let entries = [self.entry(), self.last_entry()];
        append(&Receipt {
            header: &self.header,
            entries: (&entries[..]).into(),
        })
    }

    fn sync_answer(&self) -> Vec<u8> {
        let held = SyncLeaf {
            private: &self.private,
            public: &self.public,
            credits: Some(&self.credits),
            outcomes: Some(&self.outcomes),
            in_changes: &self.in_changes,
            final_terms: None,
        };
        let forgotten = SyncLeaf { outcomes: None, ..held };
        let leaves = [held, forgotten];
        append(&SyncAnswer {
            channel: ChannelId::ZERO,
            status: ChannelStatus::Active,
            funding: OutPoint {
                txid: Txid::ZERO,
                vout: 0,
            },
            terms: &[],
            state: None,
            operations: &[],
            locks: (&[][..]).into(),
            leaves: (&leaves[..]).into(),
            answers: (&[][..]).into(),
            fresh: Some(FreshReceipt {
                header: &self.header,
                entry: self.entry(),
            }),
            in_locks: &self.in_changes,
        })
    }
}

fn append<'a>(body: &impl Body<'a>) -> Vec<u8> {
    let mut message = Vec::new();
    body.append(7, &mut message).expect("a short message");
    message
}

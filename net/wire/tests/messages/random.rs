//! Random contents read back, and random bytes never panic.

use proptest::prelude::*;
use tidegate_types::{ChannelId, ClientCounter, Digest, HubCounter, LockId, OutPoint, PaymentId, SignatureBytes, Txid};
use tidegate_wire::frame::Header;
use tidegate_wire::messages::*;
use tidegate_wire::{Kind, ToClient, ToHub, ToPeer};

use crate::samples::{Way, again, all};

#[derive(Debug)]
struct Leaf {
    index: u32,
    private: [u8; 216],
    public: [u8; 96],
    path: Vec<Digest>,
    shared: bool,
    credits: Vec<[u8; 80]>,
    outcomes: Vec<[u8; 96]>,
    answers: Vec<Answer>,
    in_changes: Vec<[u8; 104]>,
    terms: Option<[u8; 96]>,
}

impl Leaf {
    fn entry(&self) -> ReceiptEntry<'_> {
        ReceiptEntry {
            index: self.index,
            private: &self.private,
            public: &self.public,
            path: &self.path,
            shared: self.shared,
            credits: &self.credits,
            outcomes: &self.outcomes,
            answers: self.answers[..].into(),
            in_changes: &self.in_changes,
            final_terms: self.terms.as_ref(),
        }
    }

    fn sync(&self) -> SyncLeaf<'_> {
        SyncLeaf {
            private: &self.private,
            public: &self.public,
            credits: (self.index & 1 == 0).then_some(&self.credits),
            outcomes: (self.index & 2 == 0).then_some(&self.outcomes),
            in_changes: &self.in_changes,
            final_terms: self.terms.as_ref(),
        }
    }
}

fn bytes<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    proptest::collection::vec(any::<u8>(), N).prop_map(|v| v.try_into().expect("the vector is N long"))
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let answer = (any::<u64>(), any::<u64>()).prop_map(|(request, counter)| Answer {
        request,
        counter: ClientCounter::new(counter),
    });
    (
        any::<u32>(),
        bytes(),
        bytes(),
        (
            proptest::collection::vec(bytes().prop_map(Digest::from_bytes), 0..33),
            any::<bool>(),
        ),
        proptest::collection::vec(bytes(), 0..5),
        proptest::collection::vec(bytes(), 0..5),
        proptest::collection::vec(answer, 0..5),
        proptest::collection::vec(bytes(), 0..5),
        proptest::option::of(bytes()),
    )
        .prop_map(
            |(index, private, public, (path, shared), credits, outcomes, answers, in_changes, terms)| Leaf {
                index,
                private,
                public,
                path,
                shared,
                credits,
                outcomes,
                answers,
                in_changes,
                terms,
            },
        )
}

fn leaves() -> impl Strategy<Value = Vec<Leaf>> {
    proptest::collection::vec(leaf(), 0..6)
}

fn body_of<'a>(message: &impl Body<'a>) -> Vec<u8> {
    let mut out = Vec::new();
    message.put(&mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn receipts_read_back(header in bytes::<248>(), leaves in leaves()) {
        let entries: Vec<_> = leaves.iter().map(Leaf::entry).collect();
        let receipt = Receipt { header: &header, entries: entries[..].into() };
        let body = body_of(&receipt);
        let read = Receipt::decode(&body).unwrap();
        prop_assert_eq!(read, receipt);
        prop_assert_eq!(read.entries.len(), leaves.len());
    }

    #[test]
    fn sync_answers_read_back(
        leaves in leaves(),
        held in proptest::option::of((bytes::<160>(), bytes::<64>())),
        header in bytes::<248>(),
        lock in (any::<u64>(), bytes::<136>(), 0..64_usize),
        stored in (bytes::<16>(), bytes::<32>(), any::<u64>(), bytes::<2>(), 0..40_usize),
        operations in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let signature = held.map(|(_, signature)| SignatureBytes::from_bytes(signature));
        let sync: Vec<_> = leaves.iter().map(Leaf::sync).collect();
        let locks = vec![HeldLock { added: ClientCounter::new(lock.0), add: lock.1 }; lock.2];
        let stored = vec![StoredAnswer {
            payment_id: PaymentId::from_bytes(stored.0),
            lock: LockId::from_bytes(stored.1),
            counter: ClientCounter::new(stored.2),
            outcome: stored.3,
        }; stored.4];
        let answer = SyncAnswer {
            channel: ChannelId::from_bytes([7; 32]),
            status: ChannelStatus::Active,
            funding: OutPoint { txid: Txid::from_bytes([8; 32]), vout: 1 },
            terms: &operations,
            state: held.as_ref().zip(signature.as_ref()).map(|((state, _), signature)| HeldState { state, signature }),
            operations: &operations,
            locks: locks[..].into(),
            leaves: sync[..].into(),
            answers: stored[..].into(),
            fresh: leaves.first().map(|leaf| FreshReceipt { header: &header, entry: leaf.entry() }),
            in_locks: leaves.first().map_or(&[], |leaf| &leaf.in_changes),
        };
        let body = body_of(&answer);
        prop_assert_eq!(SyncAnswer::decode(&body).unwrap(), answer);
    }

    #[test]
    fn states_and_syncs_read_back(state in bytes::<160>(), signature in bytes::<64>(), c in any::<u64>(), h in any::<u64>(),
        operations in proptest::collection::vec(any::<u8>(), 0..2817)) {
        let signature = SignatureBytes::from_bytes(signature);
        let pay = Pay { state: &state, signature: &signature, operations: &operations };
        let body = body_of(&pay);
        prop_assert_eq!(Pay::decode(&body).unwrap(), pay);
        let sync = Sync { channel: ChannelId::from_bytes(*state.first_chunk().unwrap()),
            state: ClientCounter::new(c), leaf: HubCounter::new(h) };
        prop_assert_eq!(<Sync as Body<'_>>::decode(&body_of(&sync)).unwrap(), sync);
    }

    /// What is accepted, is what its own writer writes.
    #[test]
    fn random_bytes_are_refused_or_canonical(kind in 1..28_u16, body in proptest::collection::vec(
        prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..600)) {
        let header = Header { len: 0, kind, version: 1, request: 3 };
        for way in Way::ALL {
            if let Ok(bytes) = again(way, &header, &body) {
                prop_assert_eq!(&bytes[16..], &body[..]);
            }
        }
    }

    /// Samples with some bytes changed reach deeper than random bytes do.
    #[test]
    fn damaged_samples_are_refused_or_canonical(which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let samples = all();
        let sample = which.get(&samples);
        let (header, mut body) = sample.parts();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(bytes) = again(sample.way, &header, &body) {
            prop_assert_eq!(&bytes[16..], &body[..]);
        }
    }
}

#[test]
fn every_supported_kind_has_a_sample() {
    for kind in Kind::ALL {
        let header = Header {
            len: 0,
            kind: kind.code(),
            version: 1,
            request: 0,
        };
        let taken = |error: tidegate_wire::WireError| error != tidegate_wire::WireError::Unsupported(*kind);
        for (way, supported) in [
            (Way::ToHub, ToHub::decode(&header, &[]).map_or_else(taken, |_| true)),
            (
                Way::ToClient,
                ToClient::decode(&header, &[]).map_or_else(taken, |_| true),
            ),
            (Way::OnLink, ToPeer::decode(&header, &[]).map_or_else(taken, |_| true)),
        ] {
            let sampled = all().iter().any(|s| s.way == way && s.parts().0.kind == kind.code());
            assert_eq!(sampled, supported, "{kind} {way:?}");
        }
    }
}

//! Receipts and other answers, written into output buffers.

use tidegate_batch::{Executed, LeafOut};
use tidegate_channel::{Operation, SignedHeader, encode_operations};
use tidegate_crypto::merkle::{path_len, shared_path_len};
use tidegate_reactor::ConnId;
use tidegate_types::Fixed;
use tidegate_wire::Items;
use tidegate_wire::lengths::{
    ADD_LEN, CREDIT_LEN, FINAL_TERMS_LEN, IN_CHANGE_LEN, LEAF_PRIVATE_LEN, LEAF_PUBLIC_LEN, OUTCOME_LEN,
    SIGNED_HEADER_LEN, STATE_LEN,
};
use tidegate_wire::messages::{
    Answer, Body, ChannelStatus, EntryShape, FreshReceipt, HeldLock, HeldState, ReceiptEntry, ReceiptWriter,
    SyncAnswer, SyncLeaf,
};

use super::work::{Job, SyncReply};

// The wire carries the engine's objects as they are encoded there.
const _: () = {
    use tidegate_channel::{ClientState, Credit, FinalTerms, InChange, LeafPrivate, LeafPublic, Outcome};
    assert!(STATE_LEN == ClientState::LEN && SIGNED_HEADER_LEN == SignedHeader::LEN);
    assert!(LEAF_PRIVATE_LEN == LeafPrivate::LEN && LEAF_PUBLIC_LEN == LeafPublic::LEN);
    assert!(IN_CHANGE_LEN == InChange::LEN);
    assert!(CREDIT_LEN == Credit::LEN && OUTCOME_LEN == Outcome::LEN && FINAL_TERMS_LEN == FinalTerms::LEN);
};

/// Writes the receipts of a job, one buffer per connection, and hands each to `send`.
pub(crate) fn write_all(job: &mut Job, header: &SignedHeader, mut send: impl FnMut(ConnId, Vec<u8>)) {
    let mut encoded = [0; SIGNED_HEADER_LEN];
    header.encode_into(&mut encoded);
    let Job {
        routes,
        executed,
        requests,
        sharing,
        ..
    } = job;
    routes.sort_unstable();
    for group in routes.chunk_by(|a, b| a.0 == b.0) {
        let mut out = Vec::with_capacity(group.len() * 1024);
        let mut writer = ReceiptWriter::new(&mut out, &encoded);
        let shared = sharing.contains(&group[0].0);
        for &(_, index) in group {
            write_leaf(&mut writer, executed, (index, shared), requests);
        }
        send(group[0].0, out);
    }
}

fn shape(leaf: &LeafOut, index: u32, path: usize) -> EntryShape {
    EntryShape {
        index,
        path,
        shared: false,
        credits: leaf.credits.len(),
        outcomes: leaf.outcomes.len(),
        answers: leaf.answers.len(),
        in_changes: leaf.in_changes.len(),
        final_terms: leaf.terms.is_some(),
    }
}

/// Writes a leaf. Where paths may be shared, what the leaf before it in the message has proved is left out: the leaves of a
/// connection come in the order of their indices.
fn write_leaf(writer: &mut ReceiptWriter<'_>, executed: &Executed, (index, shared): (u32, bool), requests: &[u64]) {
    let leaf = &executed.leaves()[index as usize];
    let count = executed.header.leaf_count;
    let mut shape = shape(leaf, index, path_len(index, count));
    let before = writer.before(&shape).filter(|_| shared);
    if before.is_some() {
        (shape.path, shape.shared) = (shared_path_len(before, index, count), true);
    }
    writer.push_with(&shape, |out| write_content(out, executed, (before, index), requests));
}

fn write_content(out: &mut Vec<u8>, executed: &Executed, (before, index): (Option<u32>, u32), requests: &[u64]) {
    let leaf = &executed.leaves()[index as usize];
    leaf.private.append_to(out);
    leaf.public.append_to(out);
    executed.tree.write_shared_path(before, index, out);
    leaf.credits.iter().for_each(|credit| credit.append_to(out));
    leaf.outcomes.iter().for_each(|outcome| outcome.append_to(out));
    for answer in &leaf.answers {
        let request = requests[answer.input as usize];
        Answer {
            request,
            counter: answer.counter,
        }
        .append_to(out);
    }
    leaf.in_changes.iter().for_each(|change| change.append_to(out));
    if let Some(terms) = &leaf.terms {
        terms.append_to(out);
    }
}

fn array<const N: usize>(value: &impl Fixed) -> [u8; N] {
    let mut bytes = [0; N];
    value.encode_into(&mut bytes);
    bytes
}

/// The answer to a `Sync`, with its fresh receipt.
pub(crate) fn sync_answer(
    reply: &SyncReply,
    executed: &Executed,
    header: Option<&SignedHeader>,
    requests: &[u64],
) -> Vec<u8> {
    let view = &reply.view;
    let state: [u8; STATE_LEN] = array(&view.state);
    let locks: Vec<HeldLock> = view.locks.iter().map(held_lock).collect();
    let parts: Vec<LeafParts> = reply.leaves.iter().map(LeafParts::of).collect();
    let final_terms: Option<[u8; FINAL_TERMS_LEN]> = reply.final_terms.as_ref().map(array);
    let leaves: Vec<SyncLeaf<'_>> = parts.iter().map(|part| part.view(final_terms.as_ref())).collect();
    let in_locks: Vec<[u8; IN_CHANGE_LEN]> = view.in_locks.iter().map(|open| array(&open.offered())).collect();
    let fresh = reply
        .fresh
        .zip(header)
        .map(|(index, header)| Fresh::of(executed, index, header, requests));
    let answer = SyncAnswer {
        channel: view.id,
        status: match view.status {
            "ACTIVE" => ChannelStatus::Active,
            "CLOSING" => ChannelStatus::Closing,
            "DISPUTED" => ChannelStatus::Disputed,
            _ => ChannelStatus::Closed,
        },
        funding: view.funding,
        terms: &view.terms.to_vec(),
        state: (view.state.counter.get() > 0).then_some(HeldState {
            state: &state,
            signature: &view.signature,
        }),
        operations: &[],
        locks: Items::from(locks.as_slice()),
        leaves: Items::from(leaves.as_slice()),
        answers: Items::from(reply.answers.as_slice()),
        fresh: fresh.as_ref().map(Fresh::view),
        in_locks: &in_locks,
    };
    let mut out = Vec::new();
    if answer.append(reply.origin.request, &mut out).is_err() {
        // More credits wait than one message holds. A client may always take the newest leaf alone.
        out.clear();
        let newest_alone = SyncAnswer {
            leaves: Items::default(),
            ..answer
        };
        newest_alone
            .append(reply.origin.request, &mut out)
            .expect("without old leaves it is short");
    }
    out
}

fn held_lock(lock: &tidegate_batch::LockView) -> HeldLock {
    let mut encoded = Vec::with_capacity(ADD_LEN);
    encode_operations(
        &[Operation::Add {
            slot: lock.slot,
            lock: lock.lock,
        }],
        &mut encoded,
    );
    HeldLock {
        added: lock.counter,
        add: encoded.try_into().expect("an add has one width"),
    }
}

/// A stored leaf in the form of the wire.
struct LeafParts {
    private: [u8; LEAF_PRIVATE_LEN],
    public: [u8; LEAF_PUBLIC_LEN],
    credits: Vec<[u8; CREDIT_LEN]>,
    in_changes: Vec<[u8; IN_CHANGE_LEN]>,
    is_final: bool,
}

impl LeafParts {
    fn of(leaf: &tidegate_batch::StoredLeaf) -> Self {
        Self {
            private: array(&leaf.private),
            public: array(&leaf.public),
            credits: leaf.credits.iter().map(array).collect(),
            in_changes: leaf.in_changes.iter().map(array).collect(),
            is_final: leaf.private.kind == tidegate_channel::LeafKind::Final,
        }
    }

    fn view<'a>(&'a self, terms: Option<&'a [u8; FINAL_TERMS_LEN]>) -> SyncLeaf<'a> {
        SyncLeaf {
            private: &self.private,
            public: &self.public,
            credits: Some(&self.credits),
            outcomes: None,
            in_changes: &self.in_changes,
            final_terms: terms.filter(|_| self.is_final),
        }
    }
}

/// A fresh receipt in the form of the wire.
struct Fresh {
    header: [u8; SIGNED_HEADER_LEN],
    index: u32,
    private: [u8; LEAF_PRIVATE_LEN],
    public: [u8; LEAF_PUBLIC_LEN],
    path: Vec<tidegate_types::Digest>,
    credits: Vec<[u8; CREDIT_LEN]>,
    outcomes: Vec<[u8; OUTCOME_LEN]>,
    answers: Vec<Answer>,
    in_changes: Vec<[u8; IN_CHANGE_LEN]>,
    terms: Option<[u8; FINAL_TERMS_LEN]>,
}

impl Fresh {
    fn of(executed: &Executed, index: u32, header: &SignedHeader, requests: &[u64]) -> Self {
        let leaf = &executed.leaves()[index as usize];
        let answer = |a: &tidegate_batch::Answer| Answer {
            request: requests[a.input as usize],
            counter: a.counter,
        };
        Self {
            header: array(header),
            index,
            private: array(&leaf.private),
            public: array(&leaf.public),
            path: executed.tree.path(index).collect(),
            credits: leaf.credits.iter().map(array).collect(),
            outcomes: leaf.outcomes.iter().map(array).collect(),
            answers: leaf.answers.iter().map(answer).collect(),
            in_changes: leaf.in_changes.iter().map(array).collect(),
            terms: leaf.terms.as_ref().map(array),
        }
    }

    fn view(&self) -> FreshReceipt<'_> {
        FreshReceipt {
            header: &self.header,
            entry: ReceiptEntry {
                index: self.index,
                private: &self.private,
                public: &self.public,
                path: &self.path,
                shared: false,
                credits: &self.credits,
                outcomes: &self.outcomes,
                answers: Items::from(self.answers.as_slice()),
                in_changes: &self.in_changes,
                final_terms: self.terms.as_ref(),
            },
        }
    }
}

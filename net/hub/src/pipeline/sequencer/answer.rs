//! What a batch has to tell, and whom: routes of its leaves, refusals, and the questions asked beside it.

use tidegate_batch::{Input, PaymentProof};
use tidegate_channel::{OpKind, OpOutcome, RefuseReason};
use tidegate_reactor::ConnId;
use tidegate_types::{ChannelId, ClientCounter, Fixed, HubCounter, LockId, PaymentId};
use tidegate_wire::ErrorCode;
use tidegate_wire::lengths::{ACK_LEN, LEAF_PUBLIC_LEN, MAX_STORED_ANSWERS};
use tidegate_wire::messages::{AckProof, Body, DisputeNotice, Fulfill, Link, Proof, StoredAnswer};

use super::Sequencer;
use super::gather::{Gathered, Question, Source};
use crate::pipeline::front::error_message;
use crate::pipeline::stats::add;
use crate::pipeline::work::{Job, Origin, Read, SyncReply, Waiting};

/// Stands for "nobody asked" among request ids.
const NOBODY: u64 = 0;

impl Sequencer {
    pub(super) fn answer(&mut self, gathered: &mut Gathered, job: &mut Job) {
        let Gathered {
            inputs,
            sources,
            questions,
            ..
        } = gathered;
        if !inputs.is_empty() {
            self.sessions.extend(&self.engine, &self.verifier);
            self.route_leaves(job);
            self.refusals(inputs, sources, job);
            job.delivered = delivered(job);
            job.requests.extend(
                sources
                    .iter()
                    .map(|source| source.map_or(NOBODY, |source| source.origin.request)),
            );
            let acks = inputs.iter().filter(|input| matches!(input, Input::Ack(_))).count();
            add(&self.stats.acks, acks as u64);
        }
        for question in questions.drain(..) {
            match question {
                Question::Sync { origin, slot, leaf } => {
                    let reply = self.sync_reply(origin, slot, leaf, job);
                    job.syncs.extend(reply);
                }
                Question::Prove(channel, asker) => {
                    let slot = self.engine.channel(&channel);
                    let entry = slot.and_then(|slot| Some((slot, Box::new(self.engine.entry(slot)?))));
                    job.reads.push(Read::Entry(asker, entry));
                }
                Question::View(channel, asker) => {
                    let view = self.engine.channel(&channel).and_then(|slot| self.engine.view(slot));
                    job.reads.push(Read::View(asker, Box::new(view)));
                }
                Question::Shown(channel, asker) => {
                    let shown = self.engine.channel(&channel).and_then(|slot| self.engine.shown(slot));
                    job.reads.push(Read::Shown(asker, Box::new(shown)));
                }
                Question::Proofs(channel, asker) => {
                    let slot = self.engine.channel(&channel);
                    let proofs = slot.map(|slot| self.engine.payment_proofs(slot));
                    job.reads.push(Read::Proofs(asker, proofs.unwrap_or_default()));
                }
                Question::Waiting(asker) => {
                    let waiting = Waiting {
                        height: self.engine.opened().height,
                        locks: self.engine.forwards(),
                    };
                    job.reads.push(Read::Waiting(asker, waiting));
                }
                Question::Proof {
                    origin,
                    slot,
                    channel,
                    lock,
                } => {
                    job.replies.push((origin.conn, self.proof(origin, slot, channel, lock)));
                }
            }
        }
    }

    /// What tells whoever carries a channel that its close has begun on the ledger.
    pub(super) fn dispute_notice(&self, notice: &DisputeNotice) -> Option<(ConnId, Vec<u8>)> {
        let conn = self.sessions.route(self.engine.channel(&notice.channel)?)?;
        let mut bytes = Vec::new();
        notice.append(NOBODY, &mut bytes).expect("a notice is short");
        Some((conn, bytes))
    }

    fn route_leaves(&mut self, job: &mut Job) {
        job.sharing = self.sessions.sharing();
        for (index, leaf) in job.executed.leaves().iter().enumerate() {
            if leaf.terms.is_some() {
                self.ending.insert(leaf.channel);
            }
            if let Some(conn) = self.sessions.route(leaf.channel) {
                job.routes
                    .push((conn, u32::try_from(index).expect("fewer leaves than channels")));
            }
        }
    }

    fn refusals(&mut self, inputs: &[Input], sources: &[Option<Source>], job: &mut Job) {
        let refusals = std::mem::take(&mut job.executed.refusals);
        for refusal in &refusals {
            let at = refusal.input as usize;
            let Some(Source { origin, slot, quiet }) = sources[at] else {
                continue;
            };
            let reason = refusal.reason.unwrap_or(RefuseReason::Duplicate);
            if reason == RefuseReason::AckUnproven {
                self.leaving.insert(slot);
                self.stats
                    .payee_leaves
                    .store(true, std::sync::atomic::Ordering::Relaxed);
            }
            match &inputs[at] {
                Input::Pay(pay) => self.refuse_state(origin, slot, pay.state.counter, reason, job),
                Input::Ack(_) if reason == RefuseReason::StaleCounter => {}
                // A channel that can have no fresh leaf still answers a `Sync`.
                Input::Refresh(_) if quiet => {}
                Input::Ack(_) => self.refuse(origin, ErrorCode::AckRefused, reason, job),
                Input::Fulfil(_) | Input::Release(_) if reason == RefuseReason::UnknownLock => {
                    self.refuse(origin, ErrorCode::NotFound, reason, job);
                }
                Input::Splice(_) => self.refuse(origin, splice_code(reason), reason, job),
                Input::Close(_) if reason == RefuseReason::AckUnproven => {
                    self.refuse(origin, ErrorCode::Unproven, reason, job);
                }
                Input::Close(_) | Input::Refresh(_) | Input::Fulfil(_) | Input::Release(_) => {
                    self.refuse(origin, ErrorCode::Refused, reason, job);
                }
                Input::Block(_) | Input::Policy(_) | Input::Freeze(_) | Input::Forward(_) => {}
            }
        }
        job.executed.refusals = refusals;
    }

    fn refuse(&self, origin: Origin, code: ErrorCode, reason: RefuseReason, job: &mut Job) {
        add(&self.stats.refused, 1);
        job.replies
            .push((origin.conn, error_message(origin, code, &reason.to_string())));
    }

    fn sync_reply(&self, origin: Origin, slot: u32, leaf: HubCounter, job: &Job) -> Option<SyncReply> {
        let view = self.engine.view(slot)?;
        let fresh = job
            .executed
            .leaves()
            .iter()
            .position(|out| out.channel == slot)
            .filter(|_| !job.record.is_empty());
        let fresh = fresh.and_then(|index| u32::try_from(index).ok());
        let mut leaves = self.engine.leaves_above(slot, leaf);
        if fresh.is_some() {
            leaves.retain(|stored| stored.private.counter < view.leaf.counter);
        }
        let closed = self.engine.answers(slot).into_iter();
        let closed = closed.map(|(payment_id, outcome, counter)| stored(payment_id, LockId::ZERO, outcome, counter));
        let open = view
            .locks
            .iter()
            .map(|open| stored(open.lock.payment_id, open.id, open.outcome, open.counter));
        let mut answers: Vec<StoredAnswer> = closed.chain(open).collect();
        // Within the cap of the message the newest count; the open locks are last.
        answers.drain(..answers.len().saturating_sub(MAX_STORED_ANSWERS));
        Some(SyncReply {
            origin,
            leaves,
            answers,
            final_terms: self.engine.final_terms(slot),
            fresh,
            view,
        })
    }

    fn proof(&self, origin: Origin, slot: u32, channel: ChannelId, lock: LockId) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A hash lock's proof is its preimage.
        if let Some(preimage) = self.engine.preimage(slot, &lock) {
            let shown = Fulfill {
                channel,
                lock,
                preimage,
            };
            shown.append(origin.request, &mut bytes).expect("a preimage is short");
            return bytes;
        }
        let proof = self.engine.payment_proof(slot, &lock);
        let parts = proof.as_ref().map(ProofParts::of);
        let answer = AckProof {
            channel,
            lock,
            proof: proof.as_ref().zip(parts.as_ref()).map(|(p, parts)| parts.view(p)),
        };
        answer.append(origin.request, &mut bytes).expect("a proof is short");
        bytes
    }
}

/// Why a channel does not move into a successor now.
const fn splice_code(reason: RefuseReason) -> ErrorCode {
    match reason {
        RefuseReason::LocksOpen | RefuseReason::CreditsWaiting | RefuseReason::Busy => ErrorCode::Unsettled,
        RefuseReason::OtherShares | RefuseReason::InsufficientBalance => ErrorCode::OtherShares,
        RefuseReason::AckUnproven => ErrorCode::Unproven,
        RefuseReason::Closing => ErrorCode::Closing,
        _ => ErrorCode::Refused,
    }
}

/// The payments that the batch delivered.
fn delivered(job: &Job) -> u64 {
    let outcomes = job.executed.leaves().iter().flat_map(|leaf| &leaf.outcomes);
    outcomes
        .filter(|o| o.kind == OpKind::Add && o.outcome == OpOutcome::Delivered)
        .count() as u64
}

/// What is remembered of a payment. The lock of a closed one is gone and has no name any more.
fn stored(payment_id: PaymentId, lock: LockId, outcome: OpOutcome, counter: ClientCounter) -> StoredAnswer {
    let mut encoded = [0; OpOutcome::LEN];
    outcome.encode_into(&mut encoded);
    StoredAnswer {
        payment_id,
        lock,
        counter,
        outcome: encoded,
    }
}

/// A proof in the form of the wire.
struct ProofParts {
    ack: [u8; ACK_LEN],
    links: Vec<Link>,
}

impl ProofParts {
    fn of(proof: &PaymentProof) -> Self {
        let mut ack = [0; ACK_LEN];
        proof.ack.encode_into(&mut ack);
        let link = |link: &tidegate_batch::ProofLink| {
            let mut public = [0; LEAF_PUBLIC_LEN];
            link.public.encode_into(&mut public);
            Link {
                public,
                private: link.private,
            }
        };
        Self {
            ack,
            links: proof.links.iter().map(link).collect(),
        }
    }

    fn view<'a>(&'a self, proof: &'a PaymentProof) -> Proof<'a> {
        Proof {
            payee: proof.payee,
            ack: &self.ack,
            signature: &proof.signature,
            salt: &proof.salt,
            index: proof.index,
            count: proof.count,
            path: &proof.path,
            links: &self.links,
        }
    }
}

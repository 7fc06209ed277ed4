//! The hub's own part in disputes (rules 24 to 26): it looks at every close of one of its channels, shows its newest evidence if
//! something older was shown, and has the close settled.
//!
//! ```text
//! final block with a StartClose ─▶ sequencer: the channel is frozen (BlockInput::closing), whoever carries it is told
//! Work::Shown ────────────────────▶ sequencer: what the engine can show, once that is durable
//! shown older, height < deadline ─▶ ledger: Evidence, its fee charged to the hub's side
//! a lock that was given up ───────▶ ledger: LockEvidence, up to the end of the grace
//! a lock that an ack has met ─────▶ its proof is kept, and the ack goes to the ledger
//! height > deadline + δ + 1 ──────▶ ledger: Settle, if whoever makes the blocks has not
//! ```
//!
//! Nothing here is durable but the proofs of what payers owe by acks ([`super::proofs`]), and nothing else needs to be: closes stand
//! on the ledger, and what the hub can show of a frozen channel stands in its state and does not change. After a restart every close is found again. What has been shown already, by this
//! run or the one before it, is seen on the ledger, so no evidence is brought twice.

use std::collections::BTreeMap;

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use tidegate_batch::{PaymentProof, Shown};
use tidegate_channel::Ack;
use tidegate_ledger::{CloseState, LockCondition, Transaction};
use tidegate_types::{Age, ChannelId, Digest, Height, LockId, OutPoint, Txid};
use tidegate_wire::messages::DisputeNotice;

use super::LedgerThread;
use super::link::{Purpose, Verdict};
use super::proofs::Proof;
use crate::pipeline::work::{Proofs, Work};
use crate::watch::Guard;

const SETTLE: &str = "the settling";
/// What has not come into one of so many blocks is brought again.
const AGAIN_AFTER: Age = Age::new(2);
/// Closes whose proofs are asked for at once: 256 locks at most.
const ASKED_AT_ONCE: usize = 4;

/// The closes of this hub's channels.
#[derive(Debug, Default)]
pub(crate) struct Disputes {
    watched: BTreeMap<ChannelId, Evidence>,
    /// The block after which the closes were last looked at.
    looked: Option<Digest>,
    /// Channels of which proofs were asked for.
    asked_proofs: BTreeMap<ChannelId, Receiver<Proofs>>,
    /// Whose were asked for last.
    last_asked: Option<ChannelId>,
    /// When that is done next: payees may acknowledge while a payer's channel closes.
    again_at: Height,
    /// The hub's own transactions of the last blocks, and when each was brought.
    brought: BTreeMap<Txid, Height>,
}

/// What the hub can show of a channel.
#[derive(Debug)]
enum Evidence {
    /// The sequencer was asked.
    Asked(Receiver<Option<Shown>>),
    /// This.
    Held(Box<Guard>),
    /// Nothing: the channel is not in the state, or what is there is no evidence.
    None,
}

/// A close that stands in a final block.
#[derive(Clone, Copy, Debug)]
struct Close {
    funding: OutPoint,
    state: CloseState,
}

impl LedgerThread {
    /// Looks at the closes, if anything has changed; false if the sequencer has ended.
    pub(super) fn defend(&mut self) -> bool {
        let came = self.take_evidence();
        let tip = self.node.tip().hash;
        if self.disputes.looked == Some(tip) && !came {
            return true;
        }
        self.disputes.looked = Some(tip);
        let closes = self.closes();
        let standing = |channel: &ChannelId| closes.iter().any(|close| close.state.channel == *channel);
        self.disputes.watched.retain(|channel, _| standing(channel));
        if !closes.iter().all(|close| self.watch(close)) {
            return false;
        }
        closes.iter().for_each(|close| self.act(close));
        if !self.ask_for_proofs(&closes) {
            return false;
        }
        self.reveal_proofs(&closes);
        self.take_locks();
        true
    }

    /// Asks for the proofs of locks that have none yet, of a few closes every few blocks, in turns: to find and to keep those of
    /// very many at once would hold up payments, and this thread. False if the sequencer has ended.
    fn ask_for_proofs(&mut self, closes: &[Close]) -> bool {
        let tip = self.node.tip().height;
        if tip < self.disputes.again_at {
            return true;
        }
        let every = Age::new((self.margin.get() / 3).max(1));
        self.disputes.again_at = tip.plus(every).unwrap_or(Height::MAX);
        let lacks = |close: &&Close| {
            let mut locks = self.acknowledged(&close.funding);
            locks.any(|(lock, payee, _)| !self.stands(payee, self.proofs.get(&lock)))
        };
        let mut waiting: Vec<ChannelId> = closes.iter().filter(lacks).map(|close| close.state.channel).collect();
        waiting.sort_unstable();
        let first = waiting.partition_point(|channel| Some(*channel) <= self.disputes.last_asked);
        waiting.rotate_left(first);
        let asked = &self.disputes.asked_proofs;
        waiting.retain(|channel| !asked.contains_key(channel));
        for channel in waiting.into_iter().take(ASKED_AT_ONCE) {
            let (sender, proofs) = bounded(1);
            self.disputes.asked_proofs.insert(channel, proofs);
            self.disputes.last_asked = Some(channel);
            if self.groups.send(vec![Work::Proofs(channel, sender)]).is_err() {
                return false;
            }
        }
        true
    }

    /// The locks of a client in a close that their payees' acks meet: each with its payee and its expiry.
    fn acknowledged(&self, funding: &OutPoint) -> impl Iterator<Item = (LockId, ChannelId, Height)> + use<> {
        let locks = self.node.locks_in_close(funding).into_iter();
        locks.filter_map(|open| match open.condition {
            LockCondition::Ack { lock, payee } => Some((lock, payee, open.expiry)),
            LockCondition::Hash(_) => None,
        })
    }

    /// Puts the acks on the ledger by which locks are owed, in these closes and after them: without their records no proof claims
    /// anything.
    fn reveal_proofs(&mut self, closes: &[Close]) {
        let hub = self.hub.public().bytes();
        let in_closes = closes.iter().flat_map(|close| self.acknowledged(&close.funding));
        let outputs = self.node.locks_of(&hub).filter(|(_, _, terms)| terms.claim == hub);
        let outputs = outputs.filter_map(|(_, _, terms)| match terms.condition {
            LockCondition::Ack { lock, payee } => Some((lock, payee, terms.expiry)),
            LockCondition::Hash(_) => None,
        });
        let locks: Vec<_> = in_closes.chain(outputs).collect();
        for (lock, payee, expiry) in locks {
            if let Some(proof) = self.proofs.get(&lock) {
                let (leaf, signature) = (proof.leaf, proof.signature);
                self.reveal_word(Ack { channel: payee, leaf }, signature, expiry);
            }
        }
    }

    /// Whether a proof is by an ack that the ledger has: only such a one claims anything.
    fn stands(&self, payee: ChannelId, proof: Option<&Proof>) -> bool {
        proof.is_some_and(|proof| self.node.acked(payee, proof.leaf).is_some())
    }

    /// Keeps by what a payer owes.
    fn keep_proofs(&mut self, proofs: &[(LockId, PaymentProof)]) {
        for (lock, proof) in proofs {
            let (payee, new) = (proof.ack.channel, Proof::of(proof));
            let held = self.proofs.get(lock);
            if held.is_some() && (self.stands(payee, held) || !self.stands(payee, Some(&new))) {
                continue;
            }
            if let Err(error) = self.proofs.keep(*lock, new) {
                tracing::error!(%lock, %error, "the proof of what a payer owes cannot be kept; it is tried again");
            }
        }
    }

    fn closes(&self) -> Vec<Close> {
        let (hub, last) = (self.hub.public().bytes(), self.node.tip().final_height);
        let own = self.node.closes().filter(|(_, terms, _)| terms.hub == hub);
        own.filter(|(_, _, state)| state.started <= last)
            .map(|(funding, _, state)| Close { funding, state })
            .collect()
    }

    /// Asks for evidence against a close that is new; the block that began it is with the sequencer before the question.
    fn watch(&mut self, close: &Close) -> bool {
        let state = &close.state;
        if self.disputes.watched.contains_key(&state.channel) {
            return true;
        }
        tracing::warn!(channel = %state.channel, opener = ?state.opener, deadline = %state.deadline, "a close has begun");
        let notice = DisputeNotice {
            channel: state.channel,
            started: state.started,
            deadline: state.deadline,
            state: state.client.counter,
            leaf: state.hub.counter,
        };
        let (sender, shown) = bounded(1);
        self.disputes.watched.insert(state.channel, Evidence::Asked(shown));
        let questions = vec![Work::Dispute(notice), Work::Shown(state.channel, sender)];
        self.groups.send(questions).is_ok()
    }

    /// Takes the evidence that was asked for; true if some came.
    fn take_evidence(&mut self) -> bool {
        let (ledger, mut came) = (self.node.ledger(), false);
        let mut proofs = Vec::new();
        self.disputes.asked_proofs.retain(|_, found| match found.try_recv() {
            Ok(found) => {
                proofs.extend(found);
                false
            }
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Disconnected) => false,
        });
        for (channel, evidence) in &mut self.disputes.watched {
            let Evidence::Asked(shown) = evidence else { continue };
            let found = match shown.try_recv() {
                Ok(found) => found,
                Err(TryRecvError::Empty) => continue,
                // The sequencer ends, and so will this thread.
                Err(TryRecvError::Disconnected) => None,
            };
            came = true;
            let Some(found) = found else {
                *evidence = Evidence::None;
                continue;
            };
            *evidence = match Guard::of(found, &ledger, &self.hub) {
                Ok(guard) => Evidence::Held(Box::new(guard)),
                Err(error) => {
                    tracing::error!(%channel, %error, "what the hub holds of a closing channel is no evidence");
                    Evidence::None
                }
            };
        }
        came |= !proofs.is_empty();
        self.keep_proofs(&proofs);
        came
    }

    fn act(&mut self, close: &Close) {
        let Some(Evidence::Held(guard)) = self.disputes.watched.get(&close.state.channel) else {
            return;
        };
        let (tip, state) = (self.node.tip().height, &close.state);
        let locks = || self.node.locks_in_close(&close.funding);
        let due = guard.due(state, locks, tip, (&self.node.ledger(), &self.hub));
        self.bring_due(&close.funding, state, due);
    }

    /// Brings what is due against a close, and its settling, if whoever makes the blocks has not.
    pub(super) fn bring_due(
        &mut self,
        funding: &OutPoint,
        state: &CloseState,
        mut due: Vec<(&'static str, Transaction)>,
    ) {
        if is_left(self.node.tip().height, state) {
            due.extend(self.node.settlement(funding).map(|settling| (SETTLE, settling)));
        }
        for (what, transaction) in due {
            self.bring_own(what, &state.channel, &transaction);
        }
    }

    /// Brings a transaction of the hub's own, unless it waits already. What waits here may have been lost by a ledger that is a
    /// process of its own, with a branch of blocks or at its end: there it is brought again every few blocks.
    pub(super) fn bring_own(&mut self, what: &'static str, channel: &ChannelId, transaction: &Transaction) {
        let (txid, tip) = (transaction.txid(), self.node.tip().height);
        let last = self.disputes.brought.get(&txid);
        let is_recent = last
            .and_then(|last| last.plus(AGAIN_AFTER))
            .is_some_and(|again| tip < again);
        if self.node.is_waiting(&txid) && (self.bring.is_none() || is_recent) {
            return;
        }
        let oldest = tip.minus(AGAIN_AFTER).unwrap_or(Height::ZERO);
        self.disputes.brought.retain(|_, height| *height >= oldest);
        self.disputes.brought.insert(txid, tip);
        self.bring(transaction.encode(), Purpose::Own(what, *channel));
    }
}

/// Whoever makes the blocks settles a close in the first one that may hold it; this is for one who does not.
fn is_left(tip: Height, state: &CloseState) -> bool {
    state.grace_end.next().is_some_and(|first| tip > first)
}

/// Tells the operator what became of a transaction of the hub's own.
pub(super) fn tell(what: &str, channel: &ChannelId, verdict: &Verdict) {
    match verdict {
        Verdict::Taken(txid) => tracing::warn!(%channel, %txid, "the ledger has taken {what}"),
        Verdict::Refused(error) => tracing::warn!(%channel, %error, "the ledger has not taken {what}"),
        Verdict::Away => tracing::warn!(%channel, "the ledger is away; {what} is brought again"),
    }
}

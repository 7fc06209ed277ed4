//! What the hub does on the ledger unasked, in time: it reveals what payers owe by and have not settled (rule 13), and starts the
//! close of a channel whose client has not completed the cooperative one (rule 23).
//!
//! ```text
//! every few final blocks ─▶ sequencer: Work::Duties      what is owed and near its expiry, which ends wait
//! an end that waits ──────▶ sequencer: Freeze, then Shown; durable ─▶ ledger: StartClose, with the newest evidence
//! a proof that is owed ───▶ ledger: RevealPreimage, RevealAck, paid by the hub's coins
//! ```
//!
//! As in `disputes` nothing here is durable: all of it follows from the state and the ledger, and is asked anew.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use tidegate_batch::{OwedAck, OwedPreimage, Shown};
use tidegate_channel::Ack;
use tidegate_channel::evidence::{Acknowledged, Opener, SignedStart, StartClose};
use tidegate_ledger::{Action, Output, Payer, Transaction, TransactionBody, Witness};
use tidegate_types::{Age, Amount, ChannelId, Height, OutPoint, SignatureBytes};

use super::LedgerThread;
use crate::pipeline::work::{Ask, Duties, Work};
use crate::watch::package;

const START: &str = "the start of a close";
const REVEAL: &str = "a preimage that a payer owes by";
const REVEAL_ACK: &str = "an ack that a payer owes by";
/// A reveal that has not come into one of so many blocks is brought again.
const AGAIN_AFTER: Age = Age::new(2);

/// What is asked for, and what is under way.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// The final height at which was asked last.
    asked_at: Height,
    asked: Option<Receiver<Duties>>,
    /// Channels that are frozen for a close that the hub starts.
    starting: BTreeMap<ChannelId, Receiver<Option<Shown>>>,
    /// What was revealed, and when: by the hash of the preimage or the digest of the leaf.
    revealed: BTreeMap<[u8; 32], Height>,
}

impl LedgerThread {
    /// Asks what is to be done, and does what came of it; false if the sequencer has ended.
    pub(super) fn do_duties(&mut self) -> bool {
        self.start_closes();
        let answer = self.running.asked.as_ref().map(Receiver::try_recv);
        match answer {
            Some(Ok(duties)) => {
                self.running.asked = None;
                self.take_duties(&duties)
            }
            Some(Err(TryRecvError::Empty)) => true,
            Some(Err(TryRecvError::Disconnected)) | None => self.ask_duties(),
        }
    }

    /// Every block would be as good; but an answer takes a look at all locks.
    fn ask_duties(&mut self) -> bool {
        let every = Age::new((self.margin.get() / 3).max(1));
        let due = self.running.asked_at.plus(every).unwrap_or(Height::MAX);
        if self.told < due && !self.stats.payee_leaves.swap(false, Ordering::Relaxed) {
            return true;
        }
        let (sender, asked) = bounded(1);
        // What expires a margin after the next question is this one's.
        let last = self.told.plus(self.margin).and_then(|last| last.plus(every));
        let ask = Ask {
            expires_by: last.unwrap_or(Height::MAX),
            final_by: self.told.minus(self.policy.close_patience),
        };
        self.running.asked_at = self.told;
        self.running.asked = Some(asked);
        self.groups.send(vec![Work::Duties(ask, sender)]).is_ok()
    }

    fn take_duties(&mut self, duties: &Duties) -> bool {
        for owed in &duties.preimages {
            self.reveal_preimage(owed);
        }
        for owed in &duties.acks {
            self.reveal_ack(owed);
        }
        let oldest = self.told.minus(self.margin).unwrap_or(Height::ZERO);
        self.running.revealed.retain(|_, height| *height >= oldest);
        duties.ends.iter().all(|channel| self.freeze(*channel))
    }

    pub(super) fn reveal_preimage(&mut self, owed: &OwedPreimage) {
        if self.node.revealed(&owed.hash).is_some() || self.was_revealed(owed.hash) {
            return;
        }
        tracing::warn!(payer = %owed.payer, expiry = %owed.expiry, "a payer has not settled what it owes by a preimage");
        let action = Action::RevealPreimage {
            preimage: owed.preimage,
            place: None,
            payer: Payer::Coins,
        };
        self.bring_by_coins(REVEAL, owed.payer, &action);
    }

    fn reveal_ack(&mut self, owed: &OwedAck) {
        let (channel, leaf) = (owed.word.channel(), owed.word.leaf());
        let is_gone = self.node.channel_output(&channel).is_none();
        if is_gone || self.node.acked(channel, leaf).is_some() || self.was_revealed(*leaf.digest.as_bytes()) {
            return;
        }
        tracing::warn!(payee = %channel, expiry = %owed.expiry, "a payer has not settled what it owes by an ack");
        let action = Action::RevealAck {
            funding: owed.funding,
            word: Box::new(owed.word),
            payer: Payer::Coins,
        };
        self.bring_by_coins(REVEAL_ACK, channel, &action);
    }

    /// Reveals an ack by which a lock in a close is owed, unless it stands there, or would come too late.
    pub(super) fn reveal_word(&mut self, ack: Ack, signature: SignatureBytes, expiry: Height) {
        let leaf = ack.leaf;
        let Some((funding, _)) = self.node.channel_output(&ack.channel) else {
            return;
        };
        let stands = self.node.acked(ack.channel, leaf).is_some();
        // What was said by a state the search for what is owed brings.
        if signature == SignatureBytes::ZERO
            || stands
            || self.node.tip().height >= expiry
            || self.was_revealed(*leaf.digest.as_bytes())
        {
            return;
        }
        let action = Action::RevealAck {
            funding,
            word: Box::new(Acknowledged::ByAck(ack, signature)),
            payer: Payer::Coins,
        };
        self.bring_by_coins(REVEAL_ACK, ack.channel, &action);
    }

    /// True if it was brought a moment ago; else it is noted as brought now.
    fn was_revealed(&mut self, name: [u8; 32]) -> bool {
        let now = self.node.tip().height;
        let before = self
            .running
            .revealed
            .get(&name)
            .and_then(|height| height.plus(AGAIN_AFTER));
        if before.is_some_and(|until| now < until) {
            return true;
        }
        self.running.revealed.insert(name, now);
        false
    }

    fn bring_by_coins(&mut self, what: &'static str, channel: ChannelId, action: &Action) {
        match self.paid_by_coins(action) {
            Some(transaction) => self.bring_own(what, &channel, &transaction),
            None => tracing::error!(%channel, "the hub has no coins on the ledger to bring {what}"),
        }
    }

    /// A transaction with this action, its least fee paid by the hub's coins.
    pub(super) fn paid_by_coins(&self, action: &Action) -> Option<Transaction> {
        let mut fee = Amount::ZERO;
        // More coins make it wider, so that it costs more.
        for _ in 0..4 {
            let coins = self.coins(fee)?;
            let sum = Amount::sum(coins.iter().map(|(_, amount)| *amount)).ok()?;
            let transaction = self.signed(&coins, sum.sub(fee).ok()?, action);
            let least = self.node.params().fee_min(transaction.cost());
            if least <= fee {
                return Some(transaction);
            }
            fee = least;
        }
        None
    }

    fn signed(&self, coins: &[(OutPoint, Amount)], change: Amount, action: &Action) -> Transaction {
        let hub = self.hub.public().bytes();
        let outputs = (!change.is_zero()).then(|| Output::to_key(change, hub));
        let inputs: Vec<OutPoint> = coins.iter().map(|(outpoint, _)| *outpoint).collect();
        let body = TransactionBody::of_action(inputs, outputs.into_iter().collect(), action.clone());
        let signature: SignatureBytes = body.sign(&self.node.ledger(), &self.hub);
        let witnesses = coins.iter().map(|_| Witness::Key(signature)).collect();
        Transaction { body, witnesses }
    }

    /// Freezes a channel whose close the hub starts, unless somebody has started it, and asks what it can show.
    fn freeze(&mut self, channel: ChannelId) -> bool {
        let begun = self.node.close_of(&channel).is_some() || self.node.channel_output(&channel).is_none();
        if begun || self.running.starting.contains_key(&channel) {
            return true;
        }
        tracing::warn!(%channel, "the client has not completed the close in time; the hub starts it on the ledger");
        let (sender, shown) = bounded(1);
        self.running.starting.insert(channel, shown);
        let work = vec![Work::Freeze(channel), Work::Shown(channel, sender)];
        self.groups.send(work).is_ok()
    }

    /// Starts the closes of channels that are frozen durably (rule 24).
    fn start_closes(&mut self) {
        let mut ready = Vec::new();
        self.running.starting.retain(|_, shown| match shown.try_recv() {
            Ok(found) => {
                ready.extend(found.filter(|shown| shown.is_frozen));
                false
            }
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Disconnected) => false,
        });
        for shown in ready {
            let (channel, batch) = (shown.channel, shown.batch);
            let package = match package(shown, &self.node.ledger(), &self.hub) {
                Ok(package) => package,
                Err(error) => {
                    tracing::error!(%channel, %error, "what the hub holds of a channel is no evidence");
                    continue;
                }
            };
            let (client, hub) = package.counters();
            let has_evidence = package.pair != tidegate_channel::evidence::Pair::default();
            let start = StartClose {
                channel,
                opener: Opener::Hub,
                has_evidence,
                batch,
                client,
                hub,
            };
            let action = Action::StartClose {
                start: SignedStart {
                    start,
                    signature: start.sign(&self.node.ledger(), &self.hub),
                },
                pair: has_evidence.then(|| Box::new(package.pair)),
            };
            let transaction = Transaction {
                body: TransactionBody::of_action(vec![package.funding], Vec::new(), action),
                witnesses: vec![Witness::Action],
            };
            self.bring_own(START, &channel, &transaction);
        }
    }
}

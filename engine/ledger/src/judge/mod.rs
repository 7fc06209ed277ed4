//! What an action does, judged against the ledger's entries: channels that close, reveals, stakes.
//!
//! Each judgement is a pure function of the transaction and the entries. It gives [`Effects`]: the entries that are put or
//! taken beside the inputs and outputs, and the events. Nothing is changed here.

mod close;
mod lock;
mod reveal;
mod settle;
mod stake;

use tidegate_channel::ChannelTerms;
use tidegate_channel::evidence::{FaultError, LockEvidenceError, Mandate, MandateSubject, PairError, Side};
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_crypto::verify::Verdict;
use tidegate_types::{Amount, AmountError, ChannelId, Height, KeyBytes, OutPoint};

pub(crate) use close::slots_of;
pub use lock::LockError;
pub(crate) use settle::CloseView;
pub use settle::SettleError;

use crate::chain::Trust;
use crate::check::Checker;
use crate::close::registered;
use crate::{Action, CloseState, Condition, Event, Output, Payer, Record, Transaction, Utxo, UtxoStore};

/// Why an action is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The first input is not what the action concerns.
    #[error("the first input is not the output that the action concerns")]
    OtherInput,
    /// The channel of the action is not the one of the input.
    #[error("the action names another channel than its first input funds")]
    OtherChannel,
    /// The channel's close has begun already.
    #[error("the channel's close has begun already")]
    AlreadyClosing,
    /// The channel's close has not begun.
    #[error("the channel's close has not begun")]
    NotClosing,
    /// The opener did not sign the start.
    #[error("the start of the close is not signed by its opener")]
    StartSignature,
    /// The channel has no emergency key.
    #[error("the channel has no emergency key")]
    NoEmergencyKey,
    /// Anyone may start the close only from the channel's expiry on.
    #[error("only from height {0} on may anyone start the close")]
    NotExpired(Height),
    /// The counters of the start are not those of its evidence, or the hub's batch is before that of its leaf.
    #[error("the start does not name the counters and batch of its evidence")]
    OtherCounters,
    /// The pair is no evidence.
    #[error("the pair is no evidence: {0}")]
    Pair(#[from] PairError),
    /// The evidence names no newer half than was shown.
    #[error("neither half is newer than what was shown")]
    NotNewer,
    /// The time for this is over.
    #[error("the last height for this was {0}")]
    TooLate(Height),
    /// The time for this has not come.
    #[error("only above height {0}")]
    TooEarly(Height),
    /// No such lock is open in the close.
    #[error("no such lock is open in this close")]
    NoSuchLock,
    /// The evidence does not refund the lock.
    #[error("the lock is not refunded: {0}")]
    Lock(#[from] LockEvidenceError),
    /// The outputs are not those that the action pays.
    #[error("the outputs are not those that the action pays")]
    OtherOutputs,
    /// The side did not sign for the fee.
    #[error("the side that is to pay the fee did not sign for it")]
    Mandate,
    /// What the side is due does not cover the fee.
    #[error("what is due to the side does not cover the fee of {0}")]
    CannotPay(Amount),
    /// The transaction has coins although a side pays, or none although coins are to.
    #[error("the fee comes either out of the channel or from coins")]
    WrongPayer,
    /// It stands on the ledger already.
    #[error("it stands on the ledger already, since height {0}")]
    Known(Height),
    /// The client did not sign the ack.
    #[error("the ack is not signed by the channel's client")]
    AckSignature,
    /// The hub has no stake.
    #[error("the hub has no stake")]
    NoStake,
    /// The stake does not back its hub any more.
    #[error("the stake is being unbonded or was slashed")]
    NotBonded,
    /// The stake was not slashed.
    #[error("the stake was not slashed")]
    NotSlashed,
    /// The hub did not sign.
    #[error("the hub did not sign the end of its stake")]
    UnbondSignature,
    /// The report was not committed to, or its commitment is not final.
    #[error("the report has no commitment that is final")]
    NotCommitted,
    /// The fault does not hold.
    #[error("the fault does not hold: {0}")]
    Fault(#[from] FaultError),
    /// The hub took nothing out of this channel.
    #[error("no channel of this name has ended that this hub was paid from")]
    NoVictim,
    /// A key in the channel's terms does not decode.
    #[error("a key is damaged: {0}")]
    Key(#[from] KeyError),
    /// A sum is out of range.
    #[error("a sum is out of range: {0}")]
    Sum(#[from] AmountError),
    /// A close cannot be settled.
    #[error(transparent)]
    Settle(#[from] SettleError),
}

/// What an action does beside its inputs and outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Whether the action speaks for the first input.
    pub(crate) speaks: bool,
    /// Whether the outputs are exempt from dust, with keys that were checked before.
    pub(crate) exempt: bool,
    /// From which height reveals count for locks among the outputs, if not from this block on.
    pub(crate) born: Option<Height>,
    /// Records that are taken, by outpoint.
    pub(crate) takes: Vec<OutPoint>,
    /// Entries that are put, each with its height if it keeps one.
    pub(crate) puts: Vec<(OutPoint, Output, Option<Height>)>,
    /// What happened.
    pub(crate) events: Vec<Event>,
}

impl Effects {
    /// What stays in entries that change in place.
    pub(crate) fn retained(&self) -> Result<Amount, AmountError> {
        Amount::sum(self.puts.iter().map(|(_, output, _)| output.amount))
    }

    pub(crate) fn put(&mut self, record: Record) {
        let (outpoint, output) = record.entry();
        self.puts.push((outpoint, output, None));
    }

    /// As [`Effects::put`], for a record that stands there already.
    fn replace(&mut self, record: Record) {
        self.takes.push(record.outpoint());
        self.put(record);
    }

    fn keep(&mut self, outpoint: OutPoint, condition: Condition, amount: Amount, height: Height) {
        self.puts.push((outpoint, Output { amount, condition }, Some(height)));
    }
}

/// The channel that an action concerns, as it stands in the first input.
#[derive(Clone, Copy)]
struct Subject<'a> {
    outpoint: OutPoint,
    utxo: &'a Utxo,
    id: ChannelId,
    terms: &'a ChannelTerms,
}

/// One transaction with an action, and what it spends.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) tx: &'a Transaction,
    pub(crate) utxos: &'a [Utxo],
    /// The least fee.
    pub(crate) least: Amount,
}

impl Case<'_> {
    /// True if the first input is the only one, and nothing but it can pay the fee.
    fn is_alone(&self) -> bool {
        self.tx.body.inputs.len() == 1
    }
}

impl<S: UtxoStore> Checker<'_, S> {
    /// What the action of a transaction does.
    pub(crate) fn judge(&self, case: Case<'_>, action: &Action) -> Result<Effects, ActionError> {
        match action {
            Action::StartClose { start, pair } => self.start_close(case, start, pair.as_deref()),
            Action::Evidence { channel, payer, pair } => self.evidence(case, channel, payer, pair),
            Action::LockEvidence { place, payer, evidence } => self.lock_evidence(case, place, payer, evidence),
            Action::Settle { channel } => self.settle(case, channel),
            Action::RevealPreimage { preimage, place, payer } => {
                self.reveal_preimage(case, preimage, place.as_ref(), payer)
            }
            Action::RevealAck { funding, word, payer } => self.reveal_ack(case, funding, word, payer),
            Action::Unbond { hub, signature } => self.unbond(case, hub, signature),
            Action::Commit { digest } => self.commit(digest),
            Action::ReportFault { hub, reward, fault } => self.report_fault(case, hub, reward, fault),
            Action::Forfeit { channel, fault } => self.forfeit(case, channel, fault),
            Action::ClaimStake { channel, hub, fault } => self.claim_stake(case, channel, hub, fault),
            Action::Distribute { hub } => self.distribute(case, hub),
        }
    }

    /// The channel in the first input.
    fn subject<'a>(case: Case<'a>, channel: &ChannelId) -> Result<Subject<'a>, ActionError> {
        let (outpoint, utxo) = (case.tx.body.inputs[0], &case.utxos[0]);
        let (id, terms) = utxo.channel(&outpoint).ok_or(ActionError::OtherInput)?;
        if id != *channel {
            return Err(ActionError::OtherChannel);
        }
        Ok(Subject {
            outpoint,
            utxo,
            id,
            terms,
        })
    }

    /// The channel in the first input, whose close has begun, and how far it is.
    fn closing<'a>(&self, case: Case<'a>, channel: &ChannelId) -> Result<(Subject<'a>, CloseState), ActionError> {
        let subject = Self::subject(case, channel)?;
        if !subject.utxo.is_closing() {
            return Err(ActionError::NotClosing);
        }
        Ok((subject, self.entries().close_state(channel)))
    }

    /// What is drawn out of a channel that is closing: nothing if coins pay, else exactly the least fee, charged to the side
    /// whose mandate this is.
    fn draw(
        &self,
        case: Case<'_>,
        subject: &Subject<'_>,
        state: &mut CloseState,
        payer: &Payer,
        subject_of: MandateSubject,
    ) -> Result<Amount, ActionError> {
        let (side, signature) = match payer {
            Payer::Coins if case.is_alone() => return Err(ActionError::WrongPayer),
            Payer::Coins => return Ok(Amount::ZERO),
            Payer::Side(side, signature) => (*side, signature),
        };
        if !case.is_alone() || !case.tx.body.outputs.is_empty() {
            return Err(ActionError::WrongPayer);
        }
        let mandate = Mandate {
            channel: subject.id,
            side,
            subject: subject_of,
        };
        let key = match side {
            Side::Client => subject.terms.client,
            Side::Hub => subject.terms.hub,
        };
        if self.trust == Trust::Nothing
            && mandate.verify(self.ledger, &self.registered(key)?, signature) == Verdict::Invalid
        {
            return Err(ActionError::Mandate);
        }
        let drawn = match side {
            Side::Client => &mut state.drawn_client,
            Side::Hub => &mut state.drawn_hub,
        };
        *drawn = drawn.add(case.least)?;
        let due = settle::due(subject.terms, state, side);
        let drawn = match side {
            Side::Client => state.drawn_client,
            Side::Hub => state.drawn_hub,
        };
        if i128::from(drawn.to_sat()) > due {
            return Err(ActionError::CannotPay(case.least));
        }
        Ok(case.least)
    }

    fn registered(&self, key: KeyBytes) -> Result<PublicKey, ActionError> {
        Ok(registered(key)?)
    }
}

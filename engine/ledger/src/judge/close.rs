//! The close of a channel: its start, and what is shown until its deadline (rules 24, 25 and 27).

use tidegate_channel::Condition as Terms;
use tidegate_channel::evidence::{
    LockEvidence, MandateSubject, OpenedIn, OpenedOut, Opener, Pair, PairFacts, Side, SignedStart,
};
use tidegate_crypto::verify::Verdict;
use tidegate_types::{Amount, ChannelId, Height, LockSlot, SignatureBytes};

use super::{ActionError, Case, Effects, Subject};
use crate::chain::Trust;
use crate::check::Checker;
use crate::record::lock_outpoint;
use crate::{
    ClientBest, CloseState, Condition, Event, HubBest, LedgerParams, LockCondition, LockPlace, OpenLock, Payer, Record,
    UtxoStore,
};

impl<S: UtxoStore> Checker<'_, S> {
    pub(super) fn start_close(
        &self,
        case: Case<'_>,
        signed: &SignedStart,
        pair: Option<&Pair>,
    ) -> Result<Effects, ActionError> {
        let start = &signed.start;
        let subject = Self::subject(case, &start.channel)?;
        if subject.utxo.is_closing() {
            return Err(ActionError::AlreadyClosing);
        }
        self.check_opener(&subject, signed)?;
        let mut state = self.fresh_state(&subject, signed)?;
        let mut effects = Effects {
            speaks: true,
            ..Effects::default()
        };
        if let Some(pair) = pair {
            let facts = self.check_pair(&subject, pair)?;
            let leaf_batch = pair.hub.as_ref().and_then(|half| half.leaf.batch());
            let batch_fell = start.opener == Opener::Hub && leaf_batch.is_some_and(|number| number > start.batch);
            if (facts.client, facts.hub) != (start.client, start.hub) || batch_fell {
                return Err(ActionError::OtherCounters);
            }
            self.take_pair(&subject, &mut state, pair, &facts, &mut effects);
        }
        let draw = match case.is_alone() {
            true => charge_start(&mut state, case.least)?,
            false => Amount::ZERO,
        };
        let rest = subject
            .utxo
            .output
            .amount
            .sub(draw)
            .map_err(|_| ActionError::CannotPay(draw))?;
        let condition = Condition::Closing(*subject.terms);
        effects.keep(subject.outpoint, condition, rest, subject.utxo.height);
        effects.put(Record::CloseState(state));
        effects.events.push(Event::CloseStarted {
            channel: subject.id,
            outpoint: subject.outpoint,
            opener: start.opener,
            batch: start.batch,
            client: state.client.counter,
            hub: state.hub.counter,
            deadline: state.deadline,
        });
        Ok(effects)
    }

    fn check_opener(&self, subject: &Subject<'_>, signed: &SignedStart) -> Result<(), ActionError> {
        let terms = subject.terms;
        let key = match signed.start.opener {
            Opener::Client => terms.client,
            Opener::Hub => terms.hub,
            Opener::Emergency if terms.emergency.is_zero() => return Err(ActionError::NoEmergencyKey),
            Opener::Emergency => terms.emergency,
            Opener::Anyone if self.height < terms.expiry => return Err(ActionError::NotExpired(terms.expiry)),
            Opener::Anyone if signed.signature != SignatureBytes::ZERO => return Err(ActionError::StartSignature),
            Opener::Anyone => return Ok(()),
        };
        if self.trust == Trust::OwnRecords {
            return Ok(());
        }
        match signed
            .start
            .verify(self.ledger, &self.registered(key)?, &signed.signature)
        {
            Verdict::Valid => Ok(()),
            Verdict::Invalid => Err(ActionError::StartSignature),
        }
    }

    fn fresh_state(&self, subject: &Subject<'_>, signed: &SignedStart) -> Result<CloseState, ActionError> {
        let end = |from: Height, blocks| from.plus(blocks).ok_or(ActionError::TooLate(Height::MAX));
        let deadline = end(self.height, subject.terms.dispute_window)?;
        Ok(CloseState {
            channel: subject.id,
            opener: signed.start.opener,
            corrected: false,
            started: self.height,
            deadline,
            grace_end: end(deadline, subject.terms.evidence_grace)?,
            batch: signed.start.batch,
            bond: self.params.fee_min(LedgerParams::BOND_COST),
            client: ClientBest::default(),
            hub: HubBest::default(),
            drawn_client: Amount::ZERO,
            drawn_hub: Amount::ZERO,
            ack_by: Height::ZERO,
        })
    }

    fn check_pair(&self, subject: &Subject<'_>, pair: &Pair) -> Result<PairFacts, ActionError> {
        let facts = pair.check_content(&subject.id, subject.terms)?;
        if self.trust == Trust::Nothing {
            let (client, hub) = (
                self.registered(subject.terms.client)?,
                self.registered(subject.terms.hub)?,
            );
            pair.check_signatures(self.ledger, &subject.id, &client, &hub)?;
        }
        Ok(facts)
    }

    pub(super) fn evidence(
        &self,
        case: Case<'_>,
        channel: &ChannelId,
        payer: &Payer,
        pair: &Pair,
    ) -> Result<Effects, ActionError> {
        let (subject, mut state) = self.closing(case, channel)?;
        if self.height > state.deadline {
            return Err(ActionError::TooLate(state.deadline));
        }
        let (client, hub) = pair.counters();
        if client <= state.client.counter && hub <= state.hub.counter {
            return Err(ActionError::NotNewer);
        }
        let facts = self.check_pair(&subject, pair)?;
        let mut effects = Effects {
            speaks: true,
            ..Effects::default()
        };
        self.take_pair(&subject, &mut state, pair, &facts, &mut effects);
        state.corrected = true;
        let draw = self.draw(case, &subject, &mut state, payer, MandateSubject::Pair(client, hub))?;
        keep_closing(&subject, &state, draw, &mut effects)?;
        effects.events.push(Event::EvidenceTaken {
            channel: subject.id,
            client: state.client.counter,
            hub: state.hub.counter,
        });
        Ok(effects)
    }

    /// Takes over each half that is newer than the best so far, with its locks.
    fn take_pair(
        &self,
        subject: &Subject<'_>,
        state: &mut CloseState,
        pair: &Pair,
        facts: &PairFacts,
        effects: &mut Effects,
    ) {
        if let Some(half) = pair.client.as_ref().filter(|_| facts.client > state.client.counter) {
            let locks = half.locks.iter().map(|open| out_lock(&subject.id, open));
            let slots = self.replace_locks(&subject.id, Side::Client, state.client.slots, locks, effects);
            state.client = ClientBest {
                counter: facts.client,
                debit: facts.sums.debit,
                locks: facts.sums.out_locks,
                slots,
            };
        }
        if let Some(half) = pair.hub.as_ref().filter(|_| facts.hub > state.hub.counter) {
            let locks = half.locks.iter().map(|open| in_lock(&subject.id, open));
            let slots = self.replace_locks(&subject.id, Side::Hub, state.hub.slots, locks, effects);
            state.hub = HubBest {
                counter: facts.hub,
                firm: facts.sums.firm_credit,
                unfirm: facts.sums.unfirm_credit,
                locks: facts.sums.in_locks,
                slots,
            };
            state.ack_by = facts.ack_by;
        }
    }

    /// Puts the locks of a newer half in the place of those shown before. What was given up stays given up.
    fn replace_locks(
        &self,
        channel: &ChannelId,
        side: Side,
        old: u64,
        new: impl Iterator<Item = OpenLock>,
        effects: &mut Effects,
    ) -> u64 {
        let known: Vec<OpenLock> = slots_of(old)
            .filter_map(|slot| self.entries().open_lock(channel, side, slot))
            .collect();
        effects
            .takes
            .extend(known.iter().map(|lock| lock_outpoint(channel, side, lock.slot)));
        let mut slots = 0;
        for lock in new {
            let refunded = known.iter().any(|before| before.lock == lock.lock && before.refunded);
            slots |= 1 << lock.slot.index();
            effects.put(Record::OpenLock(OpenLock { refunded, ..lock }));
        }
        slots
    }

    pub(super) fn lock_evidence(
        &self,
        case: Case<'_>,
        place: &LockPlace,
        payer: &Payer,
        evidence: &LockEvidence,
    ) -> Result<Effects, ActionError> {
        let (subject, mut state) = self.closing(case, &place.channel)?;
        if self.height > state.grace_end {
            return Err(ActionError::TooLate(state.grace_end));
        }
        let lock = self.entries().open_lock(&subject.id, place.side, place.slot);
        let lock = lock.filter(|lock| !lock.refunded).ok_or(ActionError::NoSuchLock)?;
        evidence.check_content(&subject.id, place.side, &lock.lock)?;
        if self.trust == Trust::Nothing {
            let (client, hub) = (
                self.registered(subject.terms.client)?,
                self.registered(subject.terms.hub)?,
            );
            evidence.check_signatures(self.ledger, &subject.id, &lock.lock, &client, &hub)?;
        }
        let mut effects = Effects {
            speaks: true,
            ..Effects::default()
        };
        effects.replace(Record::OpenLock(OpenLock { refunded: true, ..lock }));
        let draw = self.draw(case, &subject, &mut state, payer, MandateSubject::Lock(lock.lock))?;
        keep_closing(&subject, &state, draw, &mut effects)?;
        effects.events.push(Event::LockRefunded {
            channel: subject.id,
            side: place.side,
            lock: lock.lock,
        });
        Ok(effects)
    }
}

/// Puts a closing channel back with what is left of it, and its state.
pub(super) fn keep_closing(
    subject: &Subject<'_>,
    state: &CloseState,
    draw: Amount,
    effects: &mut Effects,
) -> Result<(), ActionError> {
    let rest = subject
        .utxo
        .output
        .amount
        .sub(draw)
        .map_err(|_| ActionError::CannotPay(draw))?;
    let condition = Condition::Closing(*subject.terms);
    effects.keep(subject.outpoint, condition, rest, subject.utxo.height);
    effects.replace(Record::CloseState(*state));
    Ok(())
}

/// Charges what the start or the settling of a close costs to its opener, or to both sides if anyone may start it.
pub(super) fn charge_start(state: &mut CloseState, fee: Amount) -> Result<Amount, ActionError> {
    match state.opener.side() {
        Some(Side::Client) => state.drawn_client = state.drawn_client.add(fee)?,
        Some(Side::Hub) => state.drawn_hub = state.drawn_hub.add(fee)?,
        None => {
            let half = Amount::from_sat(fee.to_sat() / 2).expect("less than an amount");
            state.drawn_client = state.drawn_client.add(half)?;
            state.drawn_hub = state.drawn_hub.add(fee.sub(half)?)?;
        }
    }
    Ok(fee)
}

/// The slots whose bits are set.
pub(crate) fn slots_of(bits: u64) -> impl Iterator<Item = LockSlot> {
    (0..64_u8)
        .filter(move |slot| bits >> slot & 1 == 1)
        .filter_map(LockSlot::new)
}

fn out_lock(channel: &ChannelId, open: &OpenedOut) -> OpenLock {
    let lock = open.id(channel);
    let payee = open.lock.payee_channel;
    OpenLock {
        channel: *channel,
        side: Side::Client,
        slot: open.slot,
        refunded: false,
        expiry: open.lock.expiry,
        amount: open.lock.total().expect("the pair was checked: its totals have a sum"),
        lock,
        condition: match open.lock.condition {
            Terms::Ack => LockCondition::Ack { lock, payee },
            Terms::Hash(hash) => LockCondition::Hash(hash),
        },
    }
}

fn in_lock(channel: &ChannelId, open: &OpenedIn) -> OpenLock {
    OpenLock {
        channel: *channel,
        side: Side::Hub,
        slot: open.slot,
        refunded: false,
        expiry: open.lock.expiry,
        amount: open.lock.amount,
        lock: open.lock.lock,
        condition: LockCondition::Hash(open.lock.hash),
    }
}

//! Stakes: how one ends, how it is slashed, and whom it pays then (rule 27).
//!
//! ```text
//! Bonded ── Unbond ──▶ Unbonding ── (release height) payout key ──▶ spent
//!    └────────┬────────────┘
//!         ReportFault
//!             ▼
//!          Slashed ── ClaimStake, up to `until` ──▶ victims ── Distribute, above ──▶ reward, the rest burns
//! ```

use tidegate_channel::evidence::Fault;
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{Amount, ChannelId, Digest, KeyBytes, OutPoint, SignatureBytes};

use super::{ActionError, Case, Effects};
use crate::chain::Trust;
use crate::check::Checker;
use crate::record::{close_outpoint, commitment_outpoint, ended_outpoint, stake_outpoint};
use crate::{Action, Condition, Event, LedgerParams, Output, Record, StakeState, StakeTerms, Utxo, UtxoStore};

impl<S: UtxoStore> Checker<'_, S> {
    /// The hub's stake, which is the first input.
    fn stake(&self, case: Case<'_>, hub: &KeyBytes) -> Result<(OutPoint, StakeTerms, Utxo), ActionError> {
        let (outpoint, terms, utxo) = self.entries().stake_of(hub).ok_or(ActionError::NoStake)?;
        if case.tx.body.inputs[0] == outpoint {
            Ok((outpoint, terms, utxo))
        } else {
            Err(ActionError::OtherInput)
        }
    }

    /// What is left of a stake after the fee, if nothing else pays it.
    fn after_fee(case: Case<'_>, utxo: &Utxo) -> Result<Amount, ActionError> {
        let fee = if case.is_alone() { case.least } else { Amount::ZERO };
        utxo.output.amount.sub(fee).map_err(|_| ActionError::CannotPay(fee))
    }

    fn check_fault(&self, fault: &Fault, hub: KeyBytes) -> Result<tidegate_channel::evidence::FaultKind, ActionError> {
        let kind = fault.check_content()?;
        if self.trust == Trust::Nothing {
            fault.check_signatures(self.ledger, &self.registered(hub)?)?;
        }
        Ok(kind)
    }

    pub(super) fn unbond(
        &self,
        case: Case<'_>,
        hub: &KeyBytes,
        signature: &SignatureBytes,
    ) -> Result<Effects, ActionError> {
        let (outpoint, terms, utxo) = self.stake(case, hub)?;
        if terms.state != StakeState::Bonded {
            return Err(ActionError::NotBonded);
        }
        let message = Action::unbond_message(&outpoint, self.ledger);
        if self.trust == Trust::Nothing
            && verify(&self.registered(*hub)?, message.as_slice(), signature) == Verdict::Invalid
        {
            return Err(ActionError::UnbondSignature);
        }
        let release = self.height.plus(terms.unbonding);
        let release = release.ok_or(ActionError::TooLate(tidegate_types::Height::MAX))?;
        let condition = Condition::Stake(StakeTerms {
            state: StakeState::Unbonding(release),
            ..terms
        });
        let mut effects = Effects {
            speaks: true,
            ..Effects::default()
        };
        effects.keep(outpoint, condition, Self::after_fee(case, &utxo)?, utxo.height);
        effects.events.push(Event::StakeUnbonding { hub: *hub, release });
        Ok(effects)
    }

    pub(super) fn commit(&self, digest: &Digest) -> Result<Effects, ActionError> {
        if let Some(known) = self.store.get(&commitment_outpoint(digest)) {
            return Err(ActionError::Known(known.height));
        }
        let mut effects = Effects::default();
        effects.put(Record::Commitment(*digest));
        Ok(effects)
    }

    pub(super) fn report_fault(
        &self,
        case: Case<'_>,
        hub: &KeyBytes,
        reward: &KeyBytes,
        fault: &Fault,
    ) -> Result<Effects, ActionError> {
        let (outpoint, terms, utxo) = self.stake(case, hub)?;
        if matches!(terms.state, StakeState::Slashed { .. }) {
            return Err(ActionError::NotBonded);
        }
        let mut effects = Effects {
            speaks: true,
            ..Effects::default()
        };
        if !reward.is_zero() {
            let commitment = commitment_outpoint(&fault.commitment(reward));
            let committed = self.store.get(&commitment).ok_or(ActionError::NotCommitted)?;
            // Final before this block: whoever copies a report has committed too late.
            let known = committed.height.plus(self.params.finality_depth);
            if known.is_none_or(|known| known >= self.height) {
                return Err(ActionError::NotCommitted);
            }
            self.check_reward(reward)?;
            effects.takes.push(commitment);
        }
        let kind = self.check_fault(fault, *hub)?;
        let until = self.height.plus(self.params.dispute_window_min);
        let condition = Condition::Stake(StakeTerms {
            state: StakeState::Slashed {
                until: until.unwrap_or(tidegate_types::Height::MAX),
                reward: *reward,
            },
            ..terms
        });
        effects.keep(outpoint, condition, Self::after_fee(case, &utxo)?, utxo.height);
        effects.events.push(Event::HubFault {
            hub: *hub,
            kind,
            channel: fault.channel(),
        });
        Ok(effects)
    }

    /// Rule 3, for a key that enters here.
    fn check_reward(&self, reward: &KeyBytes) -> Result<(), ActionError> {
        if self.trust == Trust::Nothing {
            tidegate_crypto::keys::PublicKey::register(*reward)?;
        }
        Ok(())
    }

    pub(super) fn forfeit(&self, case: Case<'_>, channel: &ChannelId, fault: &Fault) -> Result<Effects, ActionError> {
        let subject = Self::subject(case, channel)?;
        if fault.channel() != Some(subject.id) {
            return Err(ActionError::OtherChannel);
        }
        if !case.is_alone() {
            return Err(ActionError::WrongPayer);
        }
        let kind = self.check_fault(fault, subject.terms.hub)?;
        let rest = Self::after_fee(case, subject.utxo)?;
        if case.tx.body.outputs != [Output::to_key(rest, subject.terms.client_payout)] {
            return Err(ActionError::OtherOutputs);
        }
        let mut effects = Effects {
            speaks: true,
            exempt: true,
            ..Effects::default()
        };
        if subject.utxo.is_closing() {
            let view = self
                .entries()
                .close_view(subject.outpoint)
                .ok_or(ActionError::NotClosing)?;
            effects.takes = view.records();
            debug_assert_eq!(effects.takes[0], close_outpoint(&subject.id));
        }
        effects.events.push(Event::Forfeited {
            channel: subject.id,
            txid: case.tx.txid(),
            kind,
            client_payout: rest,
        });
        Ok(effects)
    }

    pub(super) fn claim_stake(
        &self,
        case: Case<'_>,
        channel: &ChannelId,
        hub: &KeyBytes,
        fault: &Fault,
    ) -> Result<Effects, ActionError> {
        let (outpoint, terms, utxo) = self.stake(case, hub)?;
        let StakeState::Slashed { until, .. } = terms.state else {
            return Err(ActionError::NotSlashed);
        };
        if self.height > until {
            return Err(ActionError::TooLate(until));
        }
        let ended = self.entries().ended(channel).filter(|ended| ended.hub == *hub);
        let ended = ended.ok_or(ActionError::NoVictim)?;
        if fault.channel() != Some(*channel) {
            return Err(ActionError::OtherChannel);
        }
        self.check_fault(fault, *hub)?;
        let left = Self::after_fee(case, &utxo)?;
        let paid = ended.hub_paid.min(left);
        if !case.is_alone() || case.tx.body.outputs != [Output::to_key(paid, ended.client_payout)] {
            return Err(ActionError::OtherOutputs);
        }
        let mut effects = Effects {
            speaks: true,
            exempt: true,
            takes: vec![ended_outpoint(channel)],
            ..Effects::default()
        };
        match left.sub(paid)? {
            Amount::ZERO => effects.takes.push(stake_outpoint(hub)),
            rest => effects.keep(outpoint, Condition::Stake(terms), rest, utxo.height),
        }
        effects.events.push(Event::VictimPaid {
            hub: *hub,
            channel: *channel,
            amount: paid,
        });
        Ok(effects)
    }

    pub(super) fn distribute(&self, case: Case<'_>, hub: &KeyBytes) -> Result<Effects, ActionError> {
        let (_, terms, utxo) = self.stake(case, hub)?;
        let StakeState::Slashed { until, reward } = terms.state else {
            return Err(ActionError::NotSlashed);
        };
        if self.height <= until {
            return Err(ActionError::TooEarly(until));
        }
        let share =
            Amount::from_sat(terms.bonded.to_sat() / LedgerParams::REWARD_DIVISOR).expect("less than an amount");
        let share = share.min(Self::after_fee(case, &utxo)?);
        let pays = !reward.is_zero() && !share.is_zero();
        let expected = pays.then(|| Output::to_key(share, reward));
        // Without coins beside it all the rest burns, being the fee.
        if !case.is_alone() || case.tx.body.outputs.as_slice() != expected.as_slice() {
            return Err(ActionError::OtherOutputs);
        }
        Ok(Effects {
            speaks: true,
            exempt: true,
            takes: vec![stake_outpoint(hub)],
            events: vec![Event::StakeBurned {
                hub: *hub,
                reward: if pays { share } else { Amount::ZERO },
            }],
            ..Effects::default()
        })
    }
}

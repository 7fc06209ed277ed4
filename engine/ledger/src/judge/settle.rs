//! What a close pays in the end (rules 25 to 27).
//!
//! ```text
//! client = d0 + K − D − Σ out-locks + refunded out-locks (+ U if its ack stood on the ledger in time) − what it drew
//! hub    = V − d0 − K − U + D − Σ in-locks + refunded in-locks (+ U if not) − what it drew
//! then   a corrected opener makes good what the close cost the other side, up to the bond and to what it has itself
//! ```
//!
//! Both sides and the open locks add up to the channel's output, whatever was shown. A side whose own signatures contradict
//! each other may come out below zero: then the other side, and after it the locks, make up for it, so that nothing freezes.

use tidegate_channel::ChannelTerms;
use tidegate_channel::evidence::Side;
use tidegate_types::{Amount, ChannelId, Height, OutPoint};

use super::close::charge_start;
use super::{ActionError, Case, Effects, Subject};
use crate::check::Checker;
use crate::record::{close_outpoint, lock_outpoint};
use crate::{
    Action, CloseState, Condition, EndedRecord, Event, OpenLock, Output, Record, StakeTerms, Transaction,
    TransactionBody, UtxoStore, Witness,
};

/// What a close pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// To the client's payout key.
    pub(crate) client: Amount,
    /// To the hub's payout key.
    pub(crate) hub: Amount,
    /// The open locks, each with what it holds.
    pub(crate) locks: Vec<(OpenLock, Amount)>,
    /// Burned by the settling transaction.
    pub(crate) fee: Amount,
}

/// Why a close cannot be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// No channel is closing at the outpoint.
    #[error("no channel is closing there")]
    NotClosing,
    /// The channel does not hold the fee.
    #[error("the channel does not hold the fee of {0}")]
    Fee(Amount),
}

/// All that the ledger holds of one close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CloseView {
    pub(crate) outpoint: OutPoint,
    pub(crate) channel: ChannelId,
    pub(crate) terms: ChannelTerms,
    /// What is left of the channel's output.
    pub(crate) amount: Amount,
    pub(crate) born: Height,
    pub(crate) state: CloseState,
    pub(crate) locks: Vec<OpenLock>,
    /// Whether U counts.
    pub(crate) acked: bool,
}

/// What a side is due by the best halves, locks apart; below zero if its signatures contradict each other.
pub(super) fn due(terms: &ChannelTerms, state: &CloseState, side: Side) -> i128 {
    let sat = |amount: Amount| i128::from(amount.to_sat());
    let (client, hub) = (&state.client, &state.hub);
    match side {
        Side::Client => sat(terms.opening_share) + sat(hub.firm) - sat(client.debit) - sat(client.locks),
        Side::Hub => {
            sat(terms.capacity) - sat(terms.opening_share) - sat(hub.firm) - sat(hub.unfirm) + sat(client.debit)
                - sat(hub.locks)
        }
    }
}

impl CloseView {
    /// What each side and each lock gets, the settling transaction's `fee` being charged as its start was.
    pub(crate) fn settlement(&self, fee: Amount) -> Result<Settlement, ActionError> {
        let mut state = self.state;
        self.amount.sub(fee).map_err(|_| SettleError::Fee(fee))?;
        charge_start(&mut state, fee)?;
        let sat = |amount: Amount| i128::from(amount.to_sat());
        let refunded = |side| {
            let gone = self.locks.iter().filter(move |lock| lock.refunded && lock.side == side);
            gone.map(|lock| sat(lock.amount)).sum::<i128>()
        };
        let unfirm = sat(state.hub.unfirm);
        let (to_client, to_hub) = if self.acked { (unfirm, 0) } else { (0, unfirm) };
        let mut client =
            due(&self.terms, &state, Side::Client) + refunded(Side::Client) + to_client - sat(state.drawn_client);
        let mut hub = due(&self.terms, &state, Side::Hub) + refunded(Side::Hub) + to_hub - sat(state.drawn_hub);
        make_good(&state, &mut client, &mut hub);
        (client, hub) = (client + hub.min(0), hub.max(0));
        (hub, client) = (hub + client.min(0), client.max(0));
        let mut missing = -hub.min(0);
        hub = hub.max(0);
        let open = self.locks.iter().filter(|lock| !lock.refunded);
        let locks = open.map(|lock| {
            let taken = missing.min(sat(lock.amount));
            missing -= taken;
            (*lock, amount(sat(lock.amount) - taken))
        });
        let locks: Vec<_> = locks.collect();
        assert_eq!(missing, 0, "the parts add up to what the channel holds");
        Ok(Settlement {
            client: amount(client),
            hub: amount(hub),
            locks,
            fee,
        })
    }

    /// The outputs of a settlement: the client's, the hub's, then each open lock; none of zero.
    pub(crate) fn outputs(&self, settlement: &Settlement) -> Vec<Output> {
        let (client, hub) = (self.terms.client_payout, self.terms.hub_payout);
        let sides = [
            Output::to_key(settlement.client, client),
            Output::to_key(settlement.hub, hub),
        ];
        let locks = settlement.locks.iter().map(|(lock, amount)| Output {
            amount: *amount,
            condition: Condition::Lock(lock.terms(client, hub)),
        });
        sides
            .into_iter()
            .chain(locks)
            .filter(|output| !output.amount.is_zero())
            .collect()
    }

    /// The records that go with the close.
    pub(crate) fn records(&self) -> Vec<OutPoint> {
        let locks = self
            .locks
            .iter()
            .map(|lock| lock_outpoint(&self.channel, lock.side, lock.slot));
        core::iter::once(close_outpoint(&self.channel)).chain(locks).collect()
    }

    /// The transaction that settles the close. Its fee depends on its width, its width on which outputs are zero, and
    /// that on the fee: a few rounds find the one that fits.
    pub(crate) fn transaction(&self, fee_min: impl Fn(u64) -> Amount) -> Result<Transaction, ActionError> {
        let mut fee = Amount::ZERO;
        loop {
            let settlement = self.settlement(fee)?;
            let action = Action::Settle { channel: self.channel };
            let transaction = Transaction {
                body: TransactionBody::of_action(vec![self.outpoint], self.outputs(&settlement), action),
                witnesses: vec![Witness::Action],
            };
            let least = fee_min(transaction.cost());
            if least <= fee {
                return Ok(transaction);
            }
            fee = least;
        }
    }
}

/// A corrected opener makes good what the close cost the other side.
fn make_good(state: &CloseState, client: &mut i128, hub: &mut i128) {
    if !state.corrected {
        return;
    }
    let (from, to, cost) = match state.opener.side() {
        Some(Side::Client) => (client, hub, state.drawn_hub),
        Some(Side::Hub) => (hub, client, state.drawn_client),
        None => return,
    };
    let paid = i128::from(cost.min(state.bond).to_sat()).min(*from).max(0);
    *from -= paid;
    *to += paid;
}

fn amount(sat: i128) -> Amount {
    let sat = u64::try_from(sat).ok().and_then(Amount::from_sat);
    sat.expect("a part of a channel is between zero and its capacity")
}

impl<S: UtxoStore> Checker<'_, S> {
    pub(super) fn settle(&self, case: Case<'_>, channel: &ChannelId) -> Result<Effects, ActionError> {
        let (subject, state) = self.closing(case, channel)?;
        if self.height <= state.grace_end {
            return Err(ActionError::TooEarly(state.grace_end));
        }
        if !case.is_alone() {
            return Err(ActionError::WrongPayer);
        }
        let view = self
            .entries()
            .close_view(subject.outpoint)
            .ok_or(ActionError::NotClosing)?;
        // The fee is the least for the outputs that the transaction has. Where a smaller fee would have left one output
        // more, the builder may have found one of a wider transaction: that pays more, to nobody's gain.
        let paid = Amount::sum(case.tx.body.outputs.iter().map(|output| output.amount))?;
        let fee = view.amount.sub(paid).map_err(|_| ActionError::OtherOutputs)?;
        let settlement = view.settlement(fee)?;
        if view.outputs(&settlement) != case.tx.body.outputs || fee > self.fee_of_widest(&view)? {
            return Err(ActionError::OtherOutputs);
        }
        let mut effects = Effects {
            speaks: true,
            exempt: true,
            born: Some(view.born),
            takes: view.records(),
            ..Effects::default()
        };
        self.end(&subject, settlement.hub, &mut effects);
        effects.events.push(Event::ChannelSettled {
            channel: subject.id,
            txid: case.tx.txid(),
            client_payout: settlement.client,
            hub_payout: settlement.hub,
            locks: u8::try_from(settlement.locks.len()).expect("at most 128 locks"),
            fee,
        });
        Ok(effects)
    }

    /// The most that settling this close may burn: the least fee with both sides' outputs.
    fn fee_of_widest(&self, view: &CloseView) -> Result<Amount, ActionError> {
        let widest = Settlement {
            client: Amount::MAX,
            hub: Amount::MAX,
            locks: view
                .locks
                .iter()
                .filter(|lock| !lock.refunded)
                .map(|lock| (*lock, lock.amount))
                .collect(),
            fee: Amount::ZERO,
        };
        let action = Action::Settle { channel: view.channel };
        let transaction = Transaction {
            body: TransactionBody::of_action(vec![view.outpoint], view.outputs(&widest), action),
            witnesses: vec![Witness::Action],
        };
        Ok(self.params.fee_min(transaction.cost()))
    }

    /// Remembers what a hub with a stake took out of a channel that ends here.
    pub(super) fn end(&self, subject: &Subject<'_>, hub_paid: Amount, effects: &mut Effects) {
        if let Some(record) = self.ended(&subject.id, subject.terms, hub_paid) {
            effects.put(record);
        }
    }

    /// The record of a channel's end, if its hub has a stake and took something.
    pub(crate) fn ended(&self, channel: &ChannelId, terms: &ChannelTerms, hub_paid: Amount) -> Option<Record> {
        let StakeTerms { unbonding, .. } = self.entries().stake_of(&terms.hub)?.1;
        let until = self.height.plus(unbonding).unwrap_or(Height::MAX);
        (!hub_paid.is_zero()).then_some(Record::Ended(EndedRecord {
            channel: *channel,
            hub: terms.hub,
            client_payout: terms.client_payout,
            hub_paid,
            until,
        }))
    }
}

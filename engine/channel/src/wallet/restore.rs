//! A wallet that begins in the middle: from what the hub still holds, or from the last state that the hub has accepted.

use tidegate_types::{Age, Amount, ChannelId, ClientCounter, HubCounter, LockSlot};

use super::hub_half::ack_by;
use super::{ClientHalf, HubHalf, LockStatus, OpenLock, SettleOn, Unfirm, Wallet};
use crate::{ChannelTerms, ClientState, InChange, LeafPrivate, LeafRef};

/// What the hub holds of a channel. The caller has checked that the state is signed by the client, and that the leaf is the
/// hub's.
#[derive(Clone, Debug)]
pub struct Held {
    /// The newest state that the hub has accepted.
    pub state: ClientState,
    /// The contents of its open locks, by slot.
    pub locks: Vec<OpenLock>,
    /// The newest leaf.
    pub leaf: LeafPrivate,
    /// Its name.
    pub reference: LeafRef,
    /// Credits of the leaves before and of this one, the oldest first; those that are firm by now may be among them.
    pub credits: Vec<Unfirm>,
    /// The locks that wait for the client's preimages as of the newest leaf, each as offered.
    pub in_locks: Vec<InChange>,
}

/// Why a wallet cannot be taken up from what the hub holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// State and leaf belong to different channels, or the leaf acknowledges another state.
    #[error("the newest leaf does not acknowledge the state that came with it")]
    OtherState,
    /// The locks are not those of the state.
    #[error("the locks that came are not those of the state")]
    Locks,
    /// The credits do not make up what the leaf says is not firm yet.
    #[error("the credits that came are not those of the leaf")]
    Credits,
    /// The in-locks are not those of the leaf.
    #[error("the in-locks that came are not those of the leaf")]
    InLocks,
}

/// What a state owes, to go back to if the hub never accepts what follows it.
#[derive(Clone, Debug)]
pub struct Base {
    client: ClientHalf,
    status: [Option<LockStatus>; LockSlot::COUNT],
}

impl Base {
    /// The locks that the state leaves open, by slot.
    #[must_use]
    pub fn locks(&self) -> &[OpenLock] {
        self.client.locks()
    }
}

impl Wallet {
    /// The wallet of a client that has lost its own records and accepts the newest leaf alone (section 8 of the rules). What
    /// it had acknowledged before is in that leaf: totals never fall.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(
        channel: ChannelId,
        terms: ChannelTerms,
        margin: Age,
        settle_on: SettleOn,
        held: Held,
    ) -> Result<Self, RestoreError> {
        let fits = held.state.channel == channel && held.leaf.channel == channel;
        if !fits || held.leaf.ack != held.state.reference() || held.reference.counter != held.leaf.counter {
            return Err(RestoreError::OtherState);
        }
        let client = ClientHalf::holding(held.state, held.locks).ok_or(RestoreError::Locks)?;
        let unfirm = waiting(&held.leaf, margin, held.credits).ok_or(RestoreError::Credits)?;
        // Whatever was acknowledged before: the next ack names the newest leaf, and so all before it.
        let acked = HubCounter::new(held.leaf.counter.get().saturating_sub(1));
        let mut wallet = Self::new(channel, terms, margin, settle_on);
        for open in client.locks() {
            wallet.status[open.slot.index()] = Some(LockStatus::Sent);
        }
        wallet.client = client;
        let digest = held.reference.digest;
        let hub = HubHalf::resume(held.leaf, digest, unfirm, &held.in_locks, acked, margin);
        wallet.hub = hub.ok_or(RestoreError::InLocks)?;
        wallet.closing = held.leaf.kind == crate::LeafKind::Final;
        wallet.ack_owed = held.leaf.counter > HubCounter::ZERO;
        Ok(wallet)
    }

    /// What the newest state owes. To be kept until a leaf acknowledges the next one.
    #[must_use]
    pub fn base(&self) -> Base {
        Base {
            client: self.client.clone(),
            status: self.status,
        }
    }

    /// Gives up every state above `base`, which the hub has refused: the next one follows from `base` under a counter above
    /// them all (rule 10). They stay signed, and count until the hub has accepted that next one.
    pub fn supersede(&mut self, base: &Base) {
        let given_up = self.client.state().counter;
        let before = core::mem::replace(&mut self.client, base.client.clone());
        self.client.skip_to(given_up);
        let known = core::mem::replace(&mut self.status, base.status);
        for open in self.client.locks() {
            // Of a lock that is open in both, the newer word counts.
            let slot = open.slot.index();
            let same = before.lock(open.slot).is_some_and(|other| other.id == open.id);
            if let Some(status) = known[slot].filter(|_| same) {
                self.status[slot] = Some(status);
            }
        }
    }
}

impl ClientHalf {
    /// The half of a state with these open locks, by slot; `None` if they are not the state's.
    fn holding(state: ClientState, locks: Vec<OpenLock>) -> Option<Self> {
        let in_order = locks.windows(2).all(|pair| pair[0].slot < pair[1].slot);
        let named = locks
            .iter()
            .all(|open| open.id == open.lock.id(&state.channel, open.added, open.slot));
        let totals = locks
            .iter()
            .map(|open| open.lock.total())
            .collect::<Result<Vec<_>, _>>()
            .ok()?;
        let sum = Amount::sum(totals).ok()?;
        let half = Self::with_locks(state, locks);
        (in_order && named && sum == state.locks_sum && half.root() == state.locks_root).then_some(half)
    }

    /// Raises the counter without a state of that number.
    fn skip_to(&mut self, counter: ClientCounter) {
        let above = self.state().counter.max(counter);
        self.set_counter(above);
    }
}

/// The credits that make up what is not firm in `leaf`: the newest ones, as far as they are not void.
fn waiting(leaf: &LeafPrivate, margin: Age, mut credits: Vec<Unfirm>) -> Option<Vec<Unfirm>> {
    credits.retain(|credit| credit.expiry >= leaf.height);
    let mut sum = Amount::ZERO;
    let mut first = credits.len();
    while sum < leaf.unfirm_credit {
        first = first.checked_sub(1)?;
        sum = sum.add(credits[first].amount).ok()?;
    }
    let waiting = credits.split_off(first);
    let ack_by = ack_by(waiting.iter().map(|credit| credit.expiry), margin);
    (sum == leaf.unfirm_credit && ack_by == leaf.ack_by).then_some(waiting)
}

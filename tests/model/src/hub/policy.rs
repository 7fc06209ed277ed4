//! What an honest hub takes in, what it signs, and what it puts on the ledger in time.

use super::{Hub, Kind, MOST, Op, PROMISE, Payee, Payment, World};
use crate::judge::{AMOUNT, FEE, Leaf, State, lock_sum};
use crate::short::Set;
use crate::was::Was;

impl Hub {
    /// Takes a state in, or refuses it and nothing has changed.
    pub(super) fn pay(&self, world: &mut World, channel: u8, op: Op, ack: u8) -> bool {
        let c = &world.channels[usize::from(channel)];
        if !self.is_open(world, channel) || c.states.len() == self.bounds.states {
            return false;
        }
        let late_close = c.closing.is_some();
        let mut state = State { ack, ..c.states.last() };
        let good = match op {
            Op::Plain => true,
            Op::Add(kind) => return self.add(world, channel, kind, state),
            Op::Settle(lock) => self.settle(world, lock, &mut state),
            Op::Drop(lock) => self
                .may_drop(world, channel, lock, ack)
                .then(|| remove(&mut state, lock))
                .is_some(),
            Op::Release(payment) => self.release(world, payment),
        };
        if !good {
            return false;
        }
        self.accept(world, channel, state);
        world.fault |= late_close;
        self.leaf(world, channel);
        true
    }

    fn accept(&self, world: &mut World, channel: u8, state: State) {
        world.channels[usize::from(channel)].states.push(state);
        self.acknowledge(world, channel, state.ack, !self.rules.was(Was::StatesProveNothing));
    }

    fn add(&self, world: &mut World, channel: u8, kind: Kind, mut state: State) -> bool {
        let c = &world.channels[usize::from(channel)];
        let leaf = c.leaves.at(state.ack);
        let unfirm = if self.rules.was(Was::UnfirmIsSpendable) {
            leaf.unfirm.count() * AMOUNT
        } else {
            0
        };
        let owed = state.debit + (state.locks.count() + 1) * lock_sum(self.rules);
        if self.share(channel) + leaf.firm + unfirm < owed {
            return false;
        }
        let other = 1 - channel;
        let number = world.payments.len();
        let taken = |slot| state.locks.iter().any(|lock| world.payments.at(lock + 1).slot == slot);
        let mut payment = Payment {
            payer: channel,
            kind,
            expiry: world.height + self.bounds.life(),
            slot: (0..8).find(|&slot| !taken(slot)).expect("eight slots, fewer payments"),
            ..Payment::default()
        };
        let late_close = c.closing.is_some();
        state.locks = state.locks | Set::of(number);
        self.accept(world, channel, state);
        let offered = self.is_open(world, other) && self.room(world, other) >= AMOUNT;
        if offered {
            payment.leaf = world.channels[usize::from(other)].leaves.len() + 1;
            let at_once = kind == Kind::Ack && self.rules.was(Was::CreditsNeedNoAck);
            payment.payee = if at_once { Payee::Firm } else { Payee::Waiting };
        } else {
            payment.failed = true;
        }
        if self.bounds.equal_hash && kind == Kind::Hash {
            // A preimage that the ledger knows meets a new lock on its hash at once.
            let known = world
                .payments
                .as_slice()
                .iter()
                .filter(|p| p.kind == Kind::Hash && p.record != 0);
            payment.record = known.map(|p| p.record).min().unwrap_or(0);
        }
        world.payments.push(payment);
        world.fault |= late_close;
        self.leaf(world, channel);
        if offered {
            self.leaf(world, other);
        }
        true
    }

    fn settle(&self, world: &World, lock: u8, state: &mut State) -> bool {
        let p = world.payments.at(lock + 1);
        let delivered = p.payee == Payee::Firm || (p.kind == Kind::Ack && p.payee == Payee::Waiting);
        remove(state, lock);
        state.debit += AMOUNT + FEE;
        let leaf = world.channels[usize::from(p.payer)].leaves.at(state.ack);
        let owed = state.debit + state.locks.count() * lock_sum(self.rules);
        delivered && self.share(p.payer) + leaf.firm >= owed
    }

    /// Rule 11: against a leaf that failed it, or after expiry, if neither the hub nor the ledger holds its proof.
    fn may_drop(&self, world: &World, channel: u8, lock: u8, ack: u8) -> bool {
        let p = world.payments.at(lock + 1);
        let seen = world.channels[usize::from(channel)].leaves.at(ack).height;
        let past = seen > p.expiry || (self.rules.was(Was::DropBeforeExpiry) && seen + 1 == p.expiry);
        let proved = p.payee == Payee::Firm && self.can_prove(world, &p);
        let recorded = self.met_at(world, lock).is_some_and(|at| at <= world.height);
        p.failed || (past && !proved && !recorded)
    }

    /// Whether the hub holds what meets the payer's lock.
    pub(super) fn can_prove(&self, world: &World, p: &Payment) -> bool {
        let proof = world.channels[usize::from(1 - p.payer)].proof;
        p.kind == Kind::Hash || proof >= p.leaf
    }

    /// A payee's release: the in-lock goes, and the payer's lock fails.
    fn release(&self, world: &mut World, payment: u8) -> bool {
        let height = world.height;
        let p = world.payments.edit(payment);
        if p.kind != Kind::Hash || p.payee != Payee::Waiting {
            return false;
        }
        p.payee = Payee::Released;
        p.released_at = height;
        self.fail(world, payment);
        true
    }

    /// A release by a message of its own, on a channel whose close has begun.
    pub(super) fn release_late(&self, world: &mut World, payment: u8) -> bool {
        let payee = 1 - world.payments.at(payment + 1).payer;
        world.is_closing(payee) && self.release(world, payment)
    }

    /// Tells the payer that its payment failed, if its channel still takes leaves.
    pub(super) fn fail(&self, world: &mut World, payment: u8) {
        let payer = world.payments.at(payment + 1).payer;
        if self.is_open(world, payer) {
            world.payments.edit(payment).failed = true;
            self.leaf(world, payer);
        }
    }

    pub(super) fn fail_early(&self, world: &mut World, payment: u8) -> bool {
        let p = world.payments.at(payment + 1);
        let near = world.height + self.bounds.margin >= p.expiry && world.height <= p.expiry;
        if p.kind != Kind::Hash || p.payee != Payee::Waiting || !near || p.failed {
            return false;
        }
        self.fail(world, payment);
        true
    }

    /// Takes an acknowledgement by a message (rule 12): in time, or not at all.
    pub(super) fn take_ack(&self, world: &mut World, channel: u8, leaf: u8) -> bool {
        let c = &world.channels[usize::from(channel)];
        if !self.is_open(world, channel) || (leaf > c.acked && !self.in_time(world, channel, leaf, world.height)) {
            return false;
        }
        if self.acknowledge(world, channel, leaf, true) {
            self.leaf(world, channel);
        }
        true
    }

    fn in_time(&self, world: &World, channel: u8, leaf: u8, height: u8) -> bool {
        let ack_by = world.channels[usize::from(channel)].leaves.at(leaf).ack_by;
        ack_by == 0
            || height
                <= ack_by
                    + if self.rules.was(Was::AckTakenUntilExpiry) {
                        2 * self.bounds.margin
                    } else {
                        0
                    }
    }

    /// Everything up to `leaf` is acknowledged: what waits there becomes firm. True if something did, so that a leaf is due.
    fn acknowledge(&self, world: &mut World, channel: u8, leaf: u8, is_proof: bool) -> bool {
        let height = world.height;
        let closing = world.is_closing(channel);
        let c = &mut world.channels[usize::from(channel)];
        if is_proof {
            c.proof = c.proof.max(leaf);
        }
        if !closing {
            c.named = c.named.max(leaf);
        }
        if leaf <= c.acked || !self.in_time(world, channel, leaf, height) {
            return false;
        }
        world.channels[usize::from(channel)].acked = leaf;
        Self::firm(world, channel, leaf)
    }

    fn firm(world: &mut World, channel: u8, leaf: u8) -> bool {
        let mut changed = false;
        for place in 0..world.payments.len() {
            let p = world.payments.edit(place);
            if p.payer != channel && p.kind == Kind::Ack && p.payee == Payee::Waiting && p.leaf <= leaf {
                p.payee = Payee::Firm;
                changed = true;
            }
        }
        changed
    }

    /// Takes a preimage from a payee (rule 13): not later than the expiry less the margin.
    pub(super) fn take_preimage(&self, world: &mut World, payment: u8) -> bool {
        let p = world.payments.at(payment + 1);
        let payee = 1 - p.payer;
        let soon = world.height + self.bounds.margin <= p.expiry;
        if p.payee != Payee::Waiting || !soon || !self.is_open(world, payee) {
            return false;
        }
        world.payments.edit(payment).payee = Payee::Firm;
        self.leaf(world, payee);
        true
    }

    /// Puts on the ledger what it holds against a payer that has not settled by the expiry less the margin.
    pub(super) fn reveal_what_is_owed(&self, world: &mut World) {
        let at = world.height + self.bounds.margin;
        for place in 0..world.payments.len() {
            let p = world.payments.at(place + 1);
            let open = world.channels[usize::from(p.payer)].states.last().locks.has(place);
            let due = p.payee == Payee::Firm && open && self.can_prove(world, &p) && at == p.expiry;
            if !due {
                continue;
            }
            if p.kind == Kind::Hash {
                self.record_preimage(world, place, at);
            } else {
                let channel = &mut world.channels[usize::from(1 - p.payer)];
                let record = &mut channel.records[usize::from(channel.proof) - 1];
                if *record == 0 || *record > at {
                    *record = at;
                }
            }
        }
    }

    /// What the newest block shows is as good as sent to the hub.
    pub(super) fn read_records(&self, world: &mut World) {
        for channel in 0..2 {
            for leaf in 1..=u8::try_from(MOST).expect("few") {
                let c = &world.channels[usize::from(channel)];
                if leaf <= c.leaves.len() && c.records[usize::from(leaf) - 1] == world.height {
                    let due = self.acknowledge(world, channel, leaf, true);
                    if due && self.is_open(world, channel) {
                        self.leaf(world, channel);
                    }
                }
            }
        }
        for place in 0..world.payments.len() {
            let p = world.payments.at(place + 1);
            if p.kind == Kind::Hash && (1..=world.height.min(p.expiry)).contains(&p.record) && p.payee == Payee::Waiting
            {
                world.payments.edit(place).payee = Payee::Firm;
                let payee = 1 - p.payer;
                if self.is_open(world, payee) {
                    self.leaf(world, payee);
                }
            }
        }
    }

    /// Void credits and expired in-locks leave, above their expiry and without a proof (rules 3 and 13).
    pub(super) fn void(&self, world: &mut World, channel: u8) -> bool {
        let gone = self.voidable(world, channel);
        if gone.is_empty() || !self.is_open(world, channel) {
            return false;
        }
        for payment in gone.iter() {
            world.payments.edit(payment).payee = Payee::Void;
        }
        self.leaf(world, channel);
        true
    }

    /// What may leave the channel's leaf for good.
    pub(super) fn voidable(&self, world: &World, channel: u8) -> Set {
        Set::those(world.payments.len(), |payment| {
            let p = world.payments.at(payment + 1);
            let past =
                world.height > p.expiry || (self.rules.was(Was::DropBeforeExpiry) && world.height + 1 == p.expiry);
            let stays = p.kind == Kind::Ack && self.rules.was(Was::VoidCreditStays);
            let recorded = p.kind == Kind::Hash && self.met_at(world, payment).is_some();
            p.payer != channel && p.payee == Payee::Waiting && past && !stays && !recorded
        })
    }

    /// A cooperative close (rule 23): nothing open, then one leaf that freezes the channel.
    pub(super) fn finish(&self, world: &mut World, channel: u8) -> bool {
        let c = &world.channels[usize::from(channel)];
        let leaf = self.next_leaf(world, channel);
        let open = !c.states.last().locks.is_empty() || !leaf.locks.is_empty() || !leaf.unfirm.is_empty();
        if open || c.last.is_some() || !self.is_open(world, channel) {
            return false;
        }
        self.leaf(world, channel);
        let c = &mut world.channels[usize::from(channel)];
        c.last = Some((c.states.len(), c.leaves.len()));
        true
    }

    /// Whether the hub still signs leaves of this channel, as far as the model's bounds let it.
    pub(super) fn is_open(&self, world: &World, channel: u8) -> bool {
        let c = &world.channels[usize::from(channel)];
        let frozen = (c.last.is_some() && !self.rules.was(Was::FinalLeafDoesNotFreeze))
            || (c.closing.is_some() && !self.rules.was(Was::CloseNamesNoBatch));
        !frozen && !world.is_closing(channel) && c.leaves.len() < self.bounds.leaves
    }

    fn room(&self, world: &World, channel: u8) -> u8 {
        let c = &world.channels[usize::from(channel)];
        let leaf = self.next_leaf(world, channel);
        let promised = leaf.firm + (leaf.unfirm.count() + leaf.locks.count()) * AMOUNT;
        (PROMISE + c.states.last().debit).saturating_sub(promised)
    }

    /// The channel's next leaf, as its payments stand.
    fn next_leaf(&self, world: &World, channel: u8) -> Leaf {
        let those = |payee: Payee, kind: Kind| {
            Set::those(world.payments.len(), |payment| {
                let p = world.payments.at(payment + 1);
                p.payer != channel && p.payee == payee && p.kind == kind
            })
        };
        let unfirm = those(Payee::Waiting, Kind::Ack);
        let firm = those(Payee::Firm, Kind::Ack).count() + those(Payee::Firm, Kind::Hash).count();
        let first = unfirm.iter().map(|payment| world.payments.at(payment + 1).expiry).min();
        Leaf {
            firm: firm * AMOUNT,
            unfirm,
            locks: those(Payee::Waiting, Kind::Hash),
            ack: world.channels[usize::from(channel)].states.len(),
            ack_by: first.map_or(0, |expiry| expiry - 2 * self.bounds.margin),
            height: world.height,
        }
    }

    fn leaf(&self, world: &mut World, channel: u8) {
        let leaf = self.next_leaf(world, channel);
        world.channels[usize::from(channel)].leaves.push(leaf);
    }
}

fn remove(state: &mut State, lock: u8) {
    state.locks = state.locks & !Set::of(lock);
}

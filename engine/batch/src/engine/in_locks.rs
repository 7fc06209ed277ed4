//! The page of a payee's in-locks: offering one, finding one, taking one off (rules 9, 13, 14).

use tidegate_channel::{FailReason, InChange, InChangeKind, InLock, Lock};
use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Height, LockId, LockSlot, PaymentId};

use super::Engine;
use super::pay::JudgedLock;
use crate::record::in_lock::{BY_PAYEE, BY_PAYER, InLockRecord, InPageRecord, MET, WAITS};
use crate::slots::{Link, Slots};
use crate::store::amount;

/// The first bytes of a lock's id, by which most others are told apart.
pub(super) fn print_of_id(id: &[u8; 32]) -> u32 {
    u32::from_le_bytes(*id.first_chunk().expect("an id has 32 bytes"))
}

fn empty_page() -> InPageRecord {
    InPageRecord {
        tree: LockTree::empty(),
        expiry_min: u32::MAX,
        ..bytemuck::Zeroable::zeroed()
    }
}

impl InLockRecord {
    pub(crate) fn content(&self) -> InLock {
        InLock {
            lock: LockId::from_bytes(self.id),
            payment_id: PaymentId::from_bytes(self.payment_id),
            amount: amount(self.amount),
            expiry: Height::new(self.expiry),
            hash: self.hash,
        }
    }

    pub(crate) fn payee_slot(&self) -> LockSlot {
        LockSlot::new(self.payee_slot).expect("a page has 64 slots")
    }

    pub(crate) fn payer_slot(&self) -> LockSlot {
        LockSlot::new(self.payer_slot).expect("a page has 64 slots")
    }
}

impl<S: Slots> Engine<S> {
    /// True if the payee has a slot for another lock, and this payer its share of them (rule 9).
    pub(super) fn check_in_slots(&self, payer: u32, payee: u32) -> Result<(), FailReason> {
        let policy = &self.policy;
        let Some(page) = self.in_page(payee) else {
            return Ok(());
        };
        if page.open.count_ones() >= u32::from(policy.max_in_locks) {
            return Err(FailReason::PayeeLocksFull);
        }
        let own = page.payers.iter().filter(|&&held| held == payer + 1).count();
        if own >= usize::from(policy.max_in_locks_per_payer) {
            Err(FailReason::PayerLimit)
        } else {
            Ok(())
        }
    }

    /// Offers a hash lock to its payee, which has a slot and room for it. Returns the in-lock's link.
    pub(super) fn offer(&mut self, payer: (u32, LockSlot, Link), payee: u32, lock: &Lock, judged: &JudgedLock) -> Link {
        let in_lock = InLock::of(lock, judged.id).expect("only hash locks are offered");
        let page = self.in_page_mut(payee);
        let at = LockSlot::new(u8::try_from(page.open.trailing_ones()).expect("at most 64"));
        let at = at.expect("a slot is free");
        let (payer, payer_slot, payer_lock) = payer;
        let slot = |slot: LockSlot| u8::try_from(slot.index()).expect("a page has 64 slots");
        let record = InLockRecord {
            id: *judged.id.as_bytes(),
            payment_id: *lock.payment_id.as_bytes(),
            hash: in_lock.hash,
            preimage: [0; 32],
            // Filled in when the batch is sealed, many at a time.
            digest: [0; 32],
            amount: lock.amount.to_sat(),
            batch: self.store.meta().batch + 1,
            payer,
            payee,
            payer_lock,
            expiry: lock.expiry.get(),
            held: BY_PAYEE | BY_PAYER,
            payee_slot: slot(at),
            payer_slot: slot(payer_slot),
            fate: WAITS,
            next: 0,
        };
        let mut allocation = self.store.meta().in_locks;
        let link = self.store.in_locks.take(&mut allocation, record);
        let meta = self.store.meta_mut();
        meta.in_locks = allocation;
        meta.in_open += 1;
        let page = self.in_page_mut(payee);
        page.open |= 1 << at.index();
        page.locks[at.index()] = link;
        page.prints[at.index()] = print_of_id(&record.id);
        page.payers[at.index()] = payer + 1;
        page.expiry_min = page.expiry_min.min(record.expiry);
        self.record_mut(payee).in_locks += record.amount;
        let touch = self.touched(payee);
        touch.leaf = true;
        touch.in_changes.push(InChange {
            kind: InChangeKind::Offered,
            slot: at,
            lock: in_lock,
        });
        link
    }

    /// Takes an open in-lock off its payee's page; the leaf that says so is the caller's to make.
    pub(super) fn withdraw(&mut self, link: Link, kind: InChangeKind) -> InChange {
        let record = *self.store.in_locks.at(link);
        let at = record.payee_slot();
        let page_link = self.record(record.payee).in_page;
        let page = self.store.in_pages.at_mut(page_link);
        page.open &= !(1 << at.index());
        (page.locks[at.index()], page.prints[at.index()], page.payers[at.index()]) = (0, 0, 0);
        self.record_mut(record.payee).in_locks -= record.amount;
        self.store.meta_mut().in_open -= 1;
        self.let_go(link, BY_PAYEE);
        InChange {
            kind,
            slot: at,
            lock: record.content(),
        }
    }

    /// One of the two holders needs the in-lock no more; without any its record is free.
    pub(super) fn let_go(&mut self, link: Link, holder: u8) {
        let record = self.store.in_locks.at_mut(link);
        record.held &= !holder;
        if record.held == 0 {
            if record.is_elsewhere() {
                self.forwards.ended(link);
            }
            let mut allocation = self.store.meta().in_locks;
            self.store.in_locks.give(&mut allocation, link);
            self.store.meta_mut().in_locks = allocation;
        }
    }

    /// The open in-lock of this name, if it was offered by an earlier batch. One that is past its expiry is none, though it may
    /// lie there until its channel is touched.
    pub(super) fn find_in_lock(&self, payee: u32, id: &LockId) -> Option<Link> {
        let page = self.in_page(payee)?;
        let print = print_of_id(id.as_bytes());
        let mut alike = page
            .prints
            .iter()
            .enumerate()
            .fold(0_u64, |bits, (at, &p)| bits | (u64::from(p == print) << at));
        alike &= page.open;
        while alike != 0 {
            let link = page.locks[alike.trailing_zeros() as usize];
            let record = self.store.in_locks.at(link);
            if record.id == *id.as_bytes() {
                let meta = self.store.meta();
                let lives = record.expiry >= meta.height || record.fate == MET;
                return (record.batch <= meta.batch && lives).then_some(link);
            }
            alike &= alike - 1;
        }
        None
    }

    /// The in-lock that is most likely of this name; zero for none. A guess, for what is asked for ahead.
    pub(super) fn in_lock_alike(&self, payee: u32, id: &LockId) -> Link {
        let print = print_of_id(id.as_bytes());
        let found = self
            .in_page(payee)
            .and_then(|page| Some(page.locks[page.prints.iter().position(|&p| p == print)?]));
        found.unwrap_or(0)
    }

    /// The page of a channel's in-locks, if it has any.
    pub(crate) fn in_page(&self, slot: u32) -> Option<&InPageRecord> {
        match self.live(slot).map_or(0, |live| live.in_page) {
            0 => None,
            link => Some(self.store.in_pages.at(link)),
        }
    }

    fn in_page_mut(&mut self, slot: u32) -> &mut InPageRecord {
        let mut link = self.record(slot).in_page;
        if link == 0 {
            let mut allocation = self.store.meta().in_pages;
            link = self.store.in_pages.take(&mut allocation, empty_page());
            self.store.meta_mut().in_pages = allocation;
            self.record_mut(slot).in_page = link;
        }
        self.store.in_pages.at_mut(link)
    }

    /// A channel without in-locks has no page.
    pub(super) fn free_empty_in_page(&mut self, slot: u32) {
        let link = self.record(slot).in_page;
        if link != 0 && self.store.in_pages.at(link).open == 0 {
            let mut allocation = self.store.meta().in_pages;
            self.store.in_pages.give(&mut allocation, link);
            self.store.meta_mut().in_pages = allocation;
            self.record_mut(slot).in_page = 0;
        }
    }
}

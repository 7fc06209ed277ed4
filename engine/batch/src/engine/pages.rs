//! The open locks of a payer by slot: a page of its first eight slots, and a wide one behind it once another slot is used.
//!
//! A client that takes the lowest free slot, as ours do, comes to the ninth only with eight payments open at a time. So a page is
//! three lines of memory instead of nineteen, and of the lock tree two groups and the root are kept instead of 21 nodes.

use tidegate_channel::Operation;
use tidegate_crypto::merkle::{FirstLockTree, FirstLocks, LockTree};
use tidegate_types::{Digest, LockSlot};

use super::Engine;
use super::plan::{Plan, PlannedTree};
use crate::record::{PageRecord, WidePageRecord};
use crate::slots::{Link, Slots};

const FIRST: usize = FirstLocks::SLOTS;

/// True of a slot that a page has no place for.
pub(super) const fn is_wide(slot: LockSlot) -> bool {
    slot.index() >= FIRST
}

/// The slots that operations on out-locks name.
pub(super) fn slots_of(operations: &[Operation]) -> impl Iterator<Item = LockSlot> {
    operations.iter().filter_map(|operation| match operation {
        Operation::Add { slot, .. } | Operation::Settle { slot } | Operation::Drop { slot } => Some(*slot),
        Operation::Release { .. } => None,
    })
}

/// A slot in a mask of all 64.
pub(super) const fn bit(slot: LockSlot) -> u64 {
    1 << slot.index()
}

fn empty_page() -> PageRecord {
    PageRecord {
        tree: FirstLocks::empty(),
        ..bytemuck::Zeroable::zeroed()
    }
}

/// The open locks of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenLocks<'a> {
    page: Option<&'a PageRecord>,
    wide: Option<&'a WidePageRecord>,
}

impl OpenLocks<'_> {
    /// The link to the lock in a slot; zero for none.
    #[inline]
    pub(crate) fn link(&self, slot: usize) -> Link {
        if slot < FIRST {
            self.page.map_or(0, |page| page.locks[slot])
        } else {
            self.wide.map_or(0, |wide| wide.locks[slot])
        }
    }

    /// The slots of all locks.
    pub(crate) fn slots(&self) -> impl Iterator<Item = LockSlot> + use<> {
        let open = self.bits();
        (0..64_u8)
            .filter_map(LockSlot::new)
            .filter(move |slot| open & bit(*slot) != 0)
    }

    /// One bit per open lock.
    pub(crate) fn bits(&self) -> u64 {
        self.page.map_or(0, |page| page.open)
    }

    /// One bit for each lock whose payment id begins with `print`.
    #[inline]
    pub(crate) fn alike(&self, print: u32) -> u64 {
        let Some(page) = self.page else { return 0 };
        // All are compared before any is looked at: the processor does that in one go.
        let mut alike = alike(&page.prints, print);
        if let Some(wide) = self.wide {
            alike |= self::alike(&wide.prints, print) >> FIRST << FIRST;
        }
        alike & page.open
    }
}

fn alike<const N: usize>(prints: &[u32; N], print: u32) -> u64 {
    let bits = prints.iter().enumerate();
    bits.fold(0, |bits, (at, &p)| bits | (u64::from(p == print) << at))
}

impl<S: Slots> Engine<S> {
    /// The open locks of a channel.
    #[inline]
    pub(crate) fn open_locks(&self, slot: u32) -> OpenLocks<'_> {
        let page = match self.live(slot).map_or(0, |live| live.page) {
            0 => None,
            link => Some(self.store.pages.at(link)),
        };
        let wide = page
            .filter(|page| page.wide != 0)
            .map(|page| self.store.wide_pages.at(page.wide));
        OpenLocks { page, wide }
    }

    /// The digest that stands in the lock tree for what a slot links to.
    pub(super) fn open_lock_digest(&self, link: Link) -> Digest {
        match link {
            0 => Digest::ZERO,
            link => Digest::from_bytes(self.store.locks.at(link).id),
        }
    }

    /// The digests in all slots of a channel.
    pub(super) fn slot_digests(&self, slot: u32) -> [Digest; LockSlot::COUNT] {
        let open = self.open_locks(slot);
        core::array::from_fn(|at| self.open_lock_digest(open.link(at)))
    }

    /// The root over the open locks of a channel.
    pub(crate) fn locks_root(&self, slot: u32) -> Digest {
        match self.open_locks(slot).page {
            None => LockTree::empty_root(),
            Some(page) => page.tree.root,
        }
    }

    /// The lock tree of a channel as the batch before left it; `None` if it has locks beyond the first slots.
    pub(super) fn first_lock_tree(&self, slot: u32) -> Option<FirstLockTree> {
        match self.open_locks(slot) {
            OpenLocks { wide: Some(_), .. } => None,
            OpenLocks { page: Some(page), .. } => Some(FirstLockTree::resume(&page.tree)),
            _ => Some(FirstLockTree::empty()),
        }
    }

    /// As [`Engine::first_lock_tree`], of any channel.
    pub(super) fn lock_tree(&self, slot: u32) -> LockTree {
        match self.open_locks(slot) {
            OpenLocks { wide: Some(wide), .. } => wide.tree,
            OpenLocks { page: Some(_), .. } => LockTree::over(&self.slot_digests(slot)),
            _ => LockTree::empty(),
        }
    }

    /// Puts a lock into a free slot of a channel, which gets a page if it has none. Its tree is not touched.
    pub(super) fn put_lock(&mut self, slot: u32, at: LockSlot, lock: Link, print: u32) {
        if self.record(slot).page == 0 {
            let mut allocation = self.store.meta().pages;
            let link = self.store.pages.take(&mut allocation, empty_page());
            self.store.meta_mut().pages = allocation;
            self.record_mut(slot).page = link;
        }
        let link = self.record(slot).page;
        self.store.pages.at_mut(link).open |= bit(at);
        if is_wide(at) {
            let wide = self.wide_page_mut(link);
            (wide.locks[at.index()], wide.prints[at.index()]) = (lock, print);
        } else {
            let page = self.store.pages.at_mut(link);
            (page.locks[at.index()], page.prints[at.index()]) = (lock, print);
        }
    }

    /// Takes a lock out of its slot. Neither its record nor the tree is touched.
    pub(super) fn take_lock(&mut self, slot: u32, at: LockSlot) -> Link {
        let link = self.record(slot).page;
        let page = self.store.pages.at_mut(link);
        page.open &= !bit(at);
        let (lock, print) = if is_wide(at) {
            let wide = self.store.wide_pages.at_mut(page.wide);
            (&mut wide.locks[at.index()], &mut wide.prints[at.index()])
        } else {
            (&mut page.locks[at.index()], &mut page.prints[at.index()])
        };
        *print = 0;
        core::mem::take(lock)
    }

    fn wide_page_mut(&mut self, page: Link) -> &mut WidePageRecord {
        let mut link = self.store.pages.at(page).wide;
        if link == 0 {
            let mut allocation = self.store.meta().wide_pages;
            let empty = WidePageRecord {
                tree: LockTree::empty(),
                ..bytemuck::Zeroable::zeroed()
            };
            link = self.store.wide_pages.take(&mut allocation, empty);
            self.store.meta_mut().wide_pages = allocation;
            self.store.pages.at_mut(page).wide = link;
        }
        self.store.wide_pages.at_mut(link)
    }

    /// A channel without open locks has no page.
    pub(super) fn free_empty_page(&mut self, slot: u32) {
        let link = self.record(slot).page;
        if link == 0 || self.store.pages.at(link).open != 0 {
            return;
        }
        let wide = self.store.pages.at(link).wide;
        let meta = *self.store.meta();
        let (mut pages, mut wide_pages) = (meta.pages, meta.wide_pages);
        self.store.pages.give(&mut pages, link);
        if wide != 0 {
            self.store.wide_pages.give(&mut wide_pages, wide);
        }
        let meta = self.store.meta_mut();
        (meta.pages, meta.wide_pages) = (pages, wide_pages);
        self.record_mut(slot).page = 0;
    }

    /// Writes the trees that were planned, where all that they stand on came true.
    pub(super) fn keep_trees(&mut self, plan: &Plan) {
        for (slot, tree) in plan.trees() {
            let link = self.record(slot).page;
            if link == 0 {
                continue;
            }
            match tree {
                PlannedTree::First(tree) => self.store.pages.at_mut(link).tree = tree.kept(),
                PlannedTree::Whole(tree) => self.keep_whole(link, tree),
            }
        }
    }

    /// Hashes the tree of a channel's open locks afresh.
    pub(super) fn rehash_page(&mut self, slot: u32) {
        let link = self.record(slot).page;
        if link != 0 {
            let tree = LockTree::over(&self.slot_digests(slot));
            self.keep_whole(link, &tree);
        }
    }

    fn keep_whole(&mut self, page: Link, tree: &LockTree) {
        let page = self.store.pages.at_mut(page);
        page.tree = FirstLocks::of(tree);
        if page.wide != 0 {
            self.store.wide_pages.at_mut(page.wide).tree = *tree;
        }
    }
}

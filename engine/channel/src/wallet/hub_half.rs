//! What the hub owes, leaf by leaf, and what a client refuses to believe.

use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Age, Amount, Digest, Height, HubCounter, LockId};

use super::in_locks::{InLocks, InMark, OpenInLock};
use crate::{
    Credit, InChange, LeafKind, LeafPrivate, LeafPublic, LeafRef, Outcome, credited_root, failed_root, leaf_digest,
    opening_leaf, outcomes_root,
};

/// A leaf with everything its roots stand for, as a receipt brings it.
#[derive(Clone, Copy, Debug)]
pub struct LeafView<'a> {
    /// The private part.
    pub private: &'a LeafPrivate,
    /// The public part.
    pub public: &'a LeafPublic,
    /// The credits under the credited root, in order.
    pub credits: &'a [Credit],
    /// The outcomes under the outcomes root, in order; `None` for a leaf that comes by `Sync`, where the hub no longer
    /// holds them: then the roots stand for themselves, and the stored answers tell what became of each payment.
    pub outcomes: Option<&'a [Outcome]>,
    /// What the leaf does to the in-locks, in order: with it, the in-locks of the leaf before become those of this one.
    pub in_changes: &'a [InChange],
}

impl LeafView<'_> {
    /// The leaf's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        leaf_digest(&self.private.digest(), &self.public.digest())
    }
}

/// A credit that is not firm yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfirm {
    /// The leaf that credited it.
    pub leaf: HubCounter,
    /// Above this height it is void.
    pub expiry: Height,
    /// How much.
    pub amount: Amount,
}

/// The newest leaf that the client has checked, and the credits in it that are not firm.
#[derive(Clone, Debug)]
pub struct HubHalf {
    leaf: LeafPrivate,
    digest: Digest,
    /// Oldest first.
    unfirm: Vec<Unfirm>,
    /// What waits for the client's preimages; `None` for nothing.
    in_locks: Option<Box<InLocks>>,
    /// The newest leaf that the client has acknowledged.
    acked: HubCounter,
    margin: Age,
}

/// Why a leaf is not what the hub may sign after the last one. Each is either damage on the way or a fault of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafFault {
    /// It belongs to another channel.
    #[error("the leaf belongs to another channel")]
    OtherChannel,
    /// Its counter is not the next.
    #[error("leaf {found} came where leaf {expected} was due")]
    OutOfOrder {
        /// The counter that was due.
        expected: HubCounter,
        /// The counter that came.
        found: HubCounter,
    },
    /// It does not name the digest of the leaf before.
    #[error("the leaf does not follow from the one before")]
    BrokenChain,
    /// A root is not that of the list that came with it.
    #[error("the {list} do not match their root")]
    WrongRoot {
        /// Which list.
        list: &'static str,
    },
    /// Firm credit fell, or rose by other than acknowledged credits.
    #[error("firm credit changed by other than acknowledged credits")]
    WrongFirmCredit,
    /// Unfirm credit is not the sum of the credits that wait.
    #[error("unfirm credit is not the sum of the credits that wait")]
    WrongUnfirmCredit,
    /// `ack_by` is not the lowest of those credits.
    #[error("ack_by is not that of the oldest unfirm credit")]
    WrongAckBy,
    /// The in-locks are not those of the leaf before after the changes, or their sum or root is another.
    #[error("the in-locks are not what the leaf's changes lead to")]
    WrongInLocks,
    /// An in-lock is gone that the client has neither released nor been paid for, and that has not expired (rule 13).
    #[error("the leaf drops lock {lock} without a release, and before its expiry or after its reveal")]
    InLockDropped {
        /// Which.
        lock: LockId,
    },
    /// The leaf says that a hash lock was met, by something that does not meet it.
    #[error("the leaf shows a preimage of lock {lock} that does not meet its hash")]
    WrongPreimage {
        /// Which.
        lock: LockId,
    },
    /// The acknowledged client state fell.
    #[error("the acknowledged state fell")]
    AckFell,
    /// The leaf's height fell, or is not its header's.
    #[error("the leaf's height fell")]
    HeightFell,
    /// A leaf follows the final one.
    #[error("a leaf follows the final one")]
    AfterFinal,
    /// Something that no leaf may hold: final terms without an end, or locks at the end.
    #[error("the leaf contradicts itself")]
    Malformed,
}

impl HubHalf {
    /// The half that follows from the funding output alone. `margin` is the hub's announced margin in blocks.
    #[must_use]
    pub fn new(channel: tidegate_types::ChannelId, margin: Age) -> Self {
        let (leaf, public) = opening_leaf(channel);
        let digest = leaf_digest(&leaf.digest(), &public.digest());
        Self {
            leaf,
            digest,
            unfirm: Vec::new(),
            in_locks: None,
            acked: HubCounter::ZERO,
            margin,
        }
    }

    /// Takes up a half again in the middle. `in_locks` are those of the leaf, each as offered; `None` if they are not.
    #[must_use]
    pub fn resume(
        leaf: LeafPrivate,
        digest: Digest,
        unfirm: Vec<Unfirm>,
        in_locks: &[InChange],
        acked: HubCounter,
        margin: Age,
    ) -> Option<Self> {
        let mut open = Box::new(InLocks::empty());
        let credited = open.follow(in_locks, &leaf).ok()?;
        credited.is_zero().then_some(Self {
            leaf,
            digest,
            unfirm,
            in_locks: (!open.open().is_empty()).then_some(open),
            acked,
            margin,
        })
    }

    /// The newest leaf's private part.
    #[must_use]
    pub const fn leaf(&self) -> &LeafPrivate {
        &self.leaf
    }

    /// The newest leaf by counter and digest.
    #[must_use]
    pub const fn reference(&self) -> LeafRef {
        LeafRef {
            counter: self.leaf.counter,
            digest: self.digest,
        }
    }

    /// The credits that are not firm, oldest first.
    #[must_use]
    pub fn unfirm(&self) -> &[Unfirm] {
        &self.unfirm
    }

    /// The locks that wait for the client's preimages, by slot.
    #[must_use]
    pub fn in_locks(&self) -> &[OpenInLock] {
        self.in_locks.as_ref().map_or(&[], |locks| locks.open())
    }

    /// Notes what the client has done about an in-lock, if it is open.
    pub fn mark_in_lock(&mut self, lock: &LockId, mark: InMark) {
        if let Some(open) = self.in_locks.as_mut().and_then(|locks| locks.find_mut(lock)) {
            open.mark = mark;
        }
    }

    /// Blocks by which everybody must act before a deadline, as the hub announced them.
    #[must_use]
    pub const fn margin(&self) -> Age {
        self.margin
    }

    /// The newest leaf that was acknowledged.
    #[must_use]
    pub const fn acked(&self) -> HubCounter {
        self.acked
    }

    /// How many leaves wait for an ack.
    #[must_use]
    pub const fn unacked_count(&self) -> u64 {
        self.leaf.counter.get() - self.acked.get()
    }

    /// Notes that the newest leaf has been acknowledged.
    pub const fn mark_acked(&mut self) {
        self.acked = self.leaf.counter;
    }

    /// True if the client may sign an ack of the newest leaf at `height` (rule 12): with credits waiting only until a
    /// margin before `ack_by`.
    #[must_use]
    pub fn may_ack(&self, height: Height) -> bool {
        self.leaf.unfirm_credit.is_zero() || self.leaf.ack_by.minus(self.margin).is_some_and(|last| height <= last)
    }

    /// Checks that `view` may follow the newest leaf, and makes it the newest. On an error nothing changes.
    ///
    /// The caller has checked the header's signature, that its height is the leaf's, and the path.
    ///
    /// # Errors
    /// [`LeafFault`], the first that applies.
    pub fn accept(&mut self, view: LeafView<'_>) -> Result<(), LeafFault> {
        self.check_order(view)?;
        check_lists(view)?;
        let (in_locks, fulfilled) = self.check_in_locks(view)?;
        let unfirm = self.check_credits(view, fulfilled)?;
        check_shape(view.private)?;
        self.unfirm = unfirm;
        if let Some(in_locks) = in_locks {
            self.in_locks = (!in_locks.open().is_empty()).then_some(in_locks);
        }
        self.leaf = *view.private;
        self.digest = view.digest();
        Ok(())
    }

    fn check_order(&self, view: LeafView<'_>) -> Result<(), LeafFault> {
        let (old, new) = (&self.leaf, view.private);
        if new.channel != old.channel {
            return Err(LeafFault::OtherChannel);
        }
        if old.kind == LeafKind::Final {
            return Err(LeafFault::AfterFinal);
        }
        let expected = old.counter.next().ok_or(LeafFault::AfterFinal)?;
        if new.counter != expected {
            return Err(LeafFault::OutOfOrder {
                expected,
                found: new.counter,
            });
        }
        if view.public.previous != self.digest {
            return Err(LeafFault::BrokenChain);
        }
        if new.ack.counter < old.ack.counter || (new.ack.counter == old.ack.counter && new.ack.digest != old.ack.digest)
        {
            return Err(LeafFault::AckFell);
        }
        if new.height < old.height {
            Err(LeafFault::HeightFell)
        } else {
            Ok(())
        }
    }

    /// The in-locks after the new leaf, if it changes any, and what those fulfilled add to K.
    fn check_in_locks(&self, view: LeafView<'_>) -> Result<(Option<Box<InLocks>>, Amount), LeafFault> {
        let (old, new) = (&self.leaf, view.private);
        if view.in_changes.is_empty() {
            // Before the first leaf of all nothing has checked the root yet.
            let same = new.in_locks_sum == old.in_locks_sum && new.in_locks_root == old.in_locks_root;
            let none = self.in_locks.is_some() || new.in_locks_root == LockTree::empty_root();
            return if same && none {
                Ok((None, Amount::ZERO))
            } else {
                Err(LeafFault::WrongInLocks)
            };
        }
        let mut next = self.in_locks.clone().unwrap_or_else(|| Box::new(InLocks::empty()));
        let fulfilled = next.follow(view.in_changes, new)?;
        Ok((Some(next), fulfilled))
    }

    /// The credits that wait after the new leaf: those firmed leave from the front, those past their expiry are void.
    fn check_credits(&self, view: LeafView<'_>, fulfilled: Amount) -> Result<Vec<Unfirm>, LeafFault> {
        let new = view.private;
        let mut firmed = new
            .firm_credit
            .sub(self.leaf.firm_credit)
            .and_then(|grown| grown.sub(fulfilled))
            .map_err(|_| LeafFault::WrongFirmCredit)?;
        let mut rest = self.unfirm.as_slice();
        while let Some((first, tail)) = rest.split_first().filter(|_| !firmed.is_zero()) {
            if first.leaf > self.acked {
                return Err(LeafFault::WrongFirmCredit);
            }
            firmed = firmed.sub(first.amount).map_err(|_| LeafFault::WrongFirmCredit)?;
            rest = tail;
        }
        if !firmed.is_zero() {
            return Err(LeafFault::WrongFirmCredit);
        }
        let credited = view.credits.iter().map(|c| Unfirm {
            leaf: new.counter,
            expiry: c.expiry,
            amount: c.amount,
        });
        let waiting: Vec<Unfirm> = rest
            .iter()
            .filter(|u| u.expiry >= new.height)
            .copied()
            .chain(credited)
            .collect();
        let sum = Amount::sum(waiting.iter().map(|u| u.amount)).map_err(|_| LeafFault::WrongUnfirmCredit)?;
        if sum != new.unfirm_credit {
            return Err(LeafFault::WrongUnfirmCredit);
        }
        if ack_by(waiting.iter().map(|u| u.expiry), self.margin) != new.ack_by {
            return Err(LeafFault::WrongAckBy);
        }
        Ok(waiting)
    }
}

/// The lowest `expiry − 2·margin` over credits that wait; zero for none.
pub(crate) fn ack_by(expiries: impl Iterator<Item = Height>, margin: Age) -> Height {
    let twice = Age::new(margin.get().saturating_mul(2));
    expiries
        .min()
        .map_or(Height::ZERO, |lowest| lowest.minus(twice).unwrap_or(Height::ZERO))
}

fn check_lists(view: LeafView<'_>) -> Result<(), LeafFault> {
    let wrong = |list| Err(LeafFault::WrongRoot { list });
    if credited_root(view.credits) != view.public.credited_root {
        return wrong("credits");
    }
    let Some(outcomes) = view.outcomes else { return Ok(()) };
    if outcomes_root(outcomes) != view.private.outcomes_root {
        return wrong("outcomes");
    }
    if failed_root(outcomes) != view.public.failed_root {
        return wrong("failures");
    }
    Ok(())
}

fn check_shape(leaf: &LeafPrivate) -> Result<(), LeafFault> {
    let good = match leaf.kind {
        LeafKind::Update => leaf.terms.is_zero(),
        LeafKind::Final => !leaf.terms.is_zero() && leaf.unfirm_credit.is_zero() && leaf.in_locks_sum.is_zero(),
    };
    if good { Ok(()) } else { Err(LeafFault::Malformed) }
}

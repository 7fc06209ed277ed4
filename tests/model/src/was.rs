//! What earlier drafts of the rules said, one weakened rule at a time.
//!
//! A model that cannot fail proves nothing. So each trace of attack that a draft did not survive stands here as the fault
//! that it used, and the models must find a counterexample as soon as that fault is put back. The faults after them are
//! those that the models found in the rules as they are written, mended in `engine/README.md`.

/// One weakened rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Was {
    /// Trace 1: a half counts though only its signer vouches for it, so a client erases its debt with a state of its own.
    ForgedHalvesCount,
    /// Trace 2: the highest counters win even if they do not fit; a half whose counterpart is missing counts as the first.
    UnpairedHalvesAreVoid,
    /// Trace 3: a lock that expires before the deadline is refunded, met or not.
    ExpiredLocksRefunded,
    /// Trace 4: the hub fails a payer's lock near its expiry though the payee has not released it.
    FailsWithoutRelease,
    /// Trace 5: a credit is the payee's without its acknowledgement.
    CreditsNeedNoAck,
    /// Trace 6: a cooperative close does not freeze the channel.
    FinalLeafDoesNotFreeze,
    /// Trace 7: what a crash made the hub forget it signs again, with another time.
    SignsBeforeDurable,
    /// Trace 7: a close does not name its batch, and the hub goes on while it waits in the mempool.
    CloseNamesNoBatch,
    /// Trace 8: a failure or a release does not count against an older half in which the lock still stands.
    NoLockEvidence,
    /// Trace 9: a lock is named by its payment, so one proof meets every lock of that payment.
    LocksNamedByPayment,
    /// Trace 9: a failure names a slot, so that an old one cancels the slot's next lock.
    FailuresNameSlots,
    /// Trace 10: the bond comes from outside the channel.
    BondFromOutside,
    /// Trace 10: the dust limit binds the outputs of `Settle`.
    DustBindsSettle,
    /// Trace 10: a half counts though its locks were not shown.
    HiddenLocksCount,
    /// Trace 11: closing with an old state costs the bond whatever the other side lost by it.
    AgeIsAFault,
    /// Trace 12: the stake is free before the last channel that it stands for.
    StakeLeavesEarly,
    /// Trace 13: an acknowledgement proves its own leaf alone.
    AckProvesOneLeaf,
    /// Trace 13: a payee acknowledges a leaf whose header it has not checked.
    AcksUncheckedLeaf,
    /// Trace 14: a refused state counts as never signed.
    RefusedIsForgotten,
    /// Trace 15: one payer may take all of a payee's slots.
    NoShareOfSlots,
    /// Trace 15: a lock may expire as late as its payer likes.
    NoUpperExpiry,
    /// Trace 16: a lock sets aside its amount without its fee.
    FeeOutsideLock,
    /// Trace 17: a header does not name the one before.
    HeadersUnchained,
    /// Trace 17: the reward for a fault goes to whoever's report is in the block.
    RewardToCopier,
    /// Trace 17: the reward is the whole stake, so that the hub reports itself.
    RewardIsTheStake,
    /// Trace 18: the hub holds more unrevealed hashes than the ledger can take in time.
    MoreHashesThanSpace,
    /// Trace 18: blocks keep no space for reveals.
    NoReservedSpace,
    /// Trace 20: who writes the blocks is a party, and leaves out what it does not like.
    LedgerIsAParty,
    /// Trace 21: a reveal at the expiry itself is too late.
    RevealBelowExpiry,
    /// Trace 21: the hub takes an ack until the expiry itself, so that it may be left with one that it cannot show in time.
    AckTakenUntilExpiry,
    /// Trace 21: a lock may be dropped while one more block may still hold its proof.
    DropBeforeExpiry,
    /// Trace 22: credits that are not firm can be spent.
    UnfirmIsSpendable,
    /// Trace 23: a payee acknowledges up to `ack_by` itself, without the margin.
    AcksWithoutMargin,
    /// Trace 24: U is a total: a void credit stays in it.
    VoidCreditStays,
    /// Trace 25: the ledger forgets a reveal at the lock's expiry.
    RecordsPruned,
    /// Trace 26: a signer restored from a copy signs on.
    RestoredCopySigns,
    /// Found here: a client gives a preimage away while it has not acknowledged a leaf with the in-lock.
    FulfilsUnackedLock,
    /// Found here: a payee takes a credit as firm by a leaf that it cannot acknowledge.
    TrustsUnackedFirmness,
    /// Found here: a payee lets a credit go that it has acknowledged in time, because its lock has expired.
    LetsAcknowledgedCreditGo,
    /// Found here: a client believes leaves that come while the channel is closing.
    BelievesLeavesWhileClosing,
    /// Found here: the hub takes a release while the payee's channel is closing.
    TakesReleasesWhileClosing,
    /// Found here: a state's acknowledgement makes credits firm, but cannot be shown against the payer.
    StatesProveNothing,
}

impl Was {
    /// All of them, in the order of the traces.
    pub const ALL: [Self; 42] = [
        Self::ForgedHalvesCount,
        Self::UnpairedHalvesAreVoid,
        Self::ExpiredLocksRefunded,
        Self::FailsWithoutRelease,
        Self::CreditsNeedNoAck,
        Self::FinalLeafDoesNotFreeze,
        Self::SignsBeforeDurable,
        Self::CloseNamesNoBatch,
        Self::NoLockEvidence,
        Self::LocksNamedByPayment,
        Self::FailuresNameSlots,
        Self::BondFromOutside,
        Self::DustBindsSettle,
        Self::HiddenLocksCount,
        Self::AgeIsAFault,
        Self::StakeLeavesEarly,
        Self::AckProvesOneLeaf,
        Self::AcksUncheckedLeaf,
        Self::RefusedIsForgotten,
        Self::NoShareOfSlots,
        Self::NoUpperExpiry,
        Self::FeeOutsideLock,
        Self::HeadersUnchained,
        Self::RewardToCopier,
        Self::RewardIsTheStake,
        Self::MoreHashesThanSpace,
        Self::NoReservedSpace,
        Self::LedgerIsAParty,
        Self::RevealBelowExpiry,
        Self::AckTakenUntilExpiry,
        Self::DropBeforeExpiry,
        Self::UnfirmIsSpendable,
        Self::AcksWithoutMargin,
        Self::VoidCreditStays,
        Self::RecordsPruned,
        Self::RestoredCopySigns,
        Self::FulfilsUnackedLock,
        Self::TrustsUnackedFirmness,
        Self::LetsAcknowledgedCreditGo,
        Self::BelievesLeavesWhileClosing,
        Self::TakesReleasesWhileClosing,
        Self::StatesProveNothing,
    ];

    /// The number of the trace that used it; `None` for what was found here.
    #[must_use]
    pub const fn trace(self) -> Option<u8> {
        match self {
            Self::ForgedHalvesCount => Some(1),
            Self::UnpairedHalvesAreVoid => Some(2),
            Self::ExpiredLocksRefunded => Some(3),
            Self::FailsWithoutRelease => Some(4),
            Self::CreditsNeedNoAck => Some(5),
            Self::FinalLeafDoesNotFreeze => Some(6),
            Self::SignsBeforeDurable | Self::CloseNamesNoBatch => Some(7),
            Self::NoLockEvidence => Some(8),
            Self::LocksNamedByPayment | Self::FailuresNameSlots => Some(9),
            Self::BondFromOutside | Self::DustBindsSettle | Self::HiddenLocksCount => Some(10),
            Self::AgeIsAFault => Some(11),
            Self::StakeLeavesEarly => Some(12),
            Self::AckProvesOneLeaf | Self::AcksUncheckedLeaf => Some(13),
            Self::RefusedIsForgotten => Some(14),
            Self::NoShareOfSlots | Self::NoUpperExpiry => Some(15),
            Self::FeeOutsideLock => Some(16),
            Self::HeadersUnchained | Self::RewardToCopier | Self::RewardIsTheStake => Some(17),
            Self::MoreHashesThanSpace | Self::NoReservedSpace => Some(18),
            Self::LedgerIsAParty => Some(20),
            Self::RevealBelowExpiry | Self::AckTakenUntilExpiry | Self::DropBeforeExpiry => Some(21),
            Self::UnfirmIsSpendable => Some(22),
            Self::AcksWithoutMargin => Some(23),
            Self::VoidCreditStays => Some(24),
            Self::RecordsPruned => Some(25),
            Self::RestoredCopySigns => Some(26),
            Self::FulfilsUnackedLock
            | Self::TrustsUnackedFirmness
            | Self::LetsAcknowledgedCreditGo
            | Self::BelievesLeavesWhileClosing
            | Self::TakesReleasesWhileClosing
            | Self::StatesProveNothing => None,
        }
    }
}

/// The rules, whole or with one of them weakened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules(Option<Was>);

impl Rules {
    /// As they stand.
    pub const WHOLE: Self = Self(None);

    /// With one fault put back.
    #[must_use]
    pub const fn with(fault: Was) -> Self {
        Self(Some(fault))
    }

    /// Whether this fault is put back.
    #[must_use]
    pub fn was(self, fault: Was) -> bool {
        self.0 == Some(fault)
    }
}

//! Which model at which bounds holds which rule, and the two sets of bounds: a short one for every test run, a long one
//! for `scripts/model`.

use stateright::Model;

use crate::client::{self, Client};
use crate::faults::Faults;
use crate::hub::{self, Hub};
use crate::run::{Report, run};
use crate::session::Session;
use crate::settle::Settle;
use crate::signer::Signer;
use crate::space::Space;
use crate::stake::Stake;
use crate::was::{Rules, Was};

/// A model with its bounds.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// An honest hub between two clients.
    Hub(hub::Bounds),
    /// An honest client.
    Client(client::Bounds),
    /// A hub's signer: batches, crashes.
    Signer(u8, u8),
    /// An equivocating hub: leaves.
    Faults(u8),
    /// A payment over a bad network: states, losses, crashes.
    Session(u8, u8, u8),
    /// A stake: the last height.
    Stake(u8),
    /// Slots and block space: the last height, the margin.
    Space(u8, u8),
    /// A close: the capacity.
    Settle(u8),
}

impl Subject {
    /// Explores it under these rules.
    #[must_use]
    pub fn run(&self, rules: Rules) -> Report {
        match *self {
            Self::Hub(bounds) if bounds.shares[0] == bounds.shares[1] => {
                run(Hub { bounds, rules }.checker().symmetry_fn(hub::World::representative))
            }
            Self::Hub(bounds) => run(Hub { bounds, rules }.checker()),
            Self::Client(bounds) => run(Client { bounds, rules }.checker()),
            Self::Signer(batches, crashes) => run(Signer {
                batches,
                crashes,
                rules,
            }
            .checker()),
            Self::Faults(counters) => run(Faults { counters, rules }.checker().symmetry_fn(Faults::representative)),
            Self::Session(states, lost, crashes) => run(Session {
                states,
                lost,
                crashes,
                rules,
            }
            .checker()),
            Self::Stake(end) => run(Stake {
                end,
                evidence: 2,
                rules,
            }
            .checker()),
            Self::Space(end, margin) => run(Space { end, margin, rules }.checker()),
            Self::Settle(capacity) => run(Settle { capacity, rules }.checker()),
        }
    }
}

/// The hub's bounds: payments, states, leaves, the height at which open channels are closed, and the kinds of locks.
const fn hub(payments: u8, states: u8, leaves: u8, close_at: u8, kinds: [bool; 2]) -> hub::Bounds {
    hub::Bounds {
        margin: 1,
        payments,
        states,
        leaves,
        begin_until: 0,
        close_at,
        window: 2,
        grace: 1,
        shares: [6; 2],
        equal_hash: false,
        kinds,
        hub_closes: false,
    }
}

/// The client's bounds: its payments, those to it, states, leaves, the height at which it closes.
const fn client(outs: u8, ins: u8, states: u8, leaves: u8, close_at: u8, kinds: [bool; 2]) -> client::Bounds {
    client::Bounds {
        margin: 1,
        outs,
        ins,
        states,
        leaves,
        begin_until: 0,
        close_at,
        window: 2,
        grace: 1,
        kinds,
    }
}

const ACK: [bool; 2] = [true, false];
const HASH: [bool; 2] = [false, true];
const BOTH: [bool; 2] = [true, true];

/// Where this fault must show.
#[must_use]
pub const fn home(fault: Was) -> Subject {
    match fault {
        Was::ForgedHalvesCount
        | Was::UnpairedHalvesAreVoid
        | Was::ExpiredLocksRefunded
        | Was::NoLockEvidence
        | Was::AgeIsAFault
        | Was::RevealBelowExpiry
        | Was::RecordsPruned
        | Was::FulfilsUnackedLock
        | Was::BelievesLeavesWhileClosing => Subject::Client(client(1, 1, 2, 2, 3, HASH)),
        Was::LocksNamedByPayment => Subject::Client(client(2, 0, 2, 1, 3, ACK)),
        Was::AcksUncheckedLeaf | Was::AcksWithoutMargin => Subject::Client(client(0, 1, 1, 2, 3, ACK)),
        Was::TrustsUnackedFirmness => Subject::Client(client(0, 2, 1, 3, 3, ACK)),
        Was::LetsAcknowledgedCreditGo => Subject::Client(client(0, 1, 1, 2, 6, ACK)),
        Was::TakesReleasesWhileClosing => {
            let mut bounds = hub(1, 2, 3, 6, HASH);
            bounds.window = 1;
            Subject::Hub(bounds)
        }
        Was::CreditsNeedNoAck | Was::AckTakenUntilExpiry | Was::VoidCreditStays | Was::StatesProveNothing => {
            Subject::Hub(hub(1, 2, 3, 6, ACK))
        }
        Was::FeeOutsideLock | Was::FailsWithoutRelease => Subject::Hub(hub(1, 2, 3, 6, HASH)),
        Was::DropBeforeExpiry => Subject::Hub(hub(1, 3, 3, 6, HASH)),
        Was::FailuresNameSlots => Subject::Hub(hub(2, 3, 4, 1, HASH)),
        Was::AckProvesOneLeaf => Subject::Hub(hub(2, 2, 3, 3, ACK)),
        Was::UnfirmIsSpendable => {
            let mut bounds = hub(2, 2, 3, 3, ACK);
            bounds.shares = [5, 1];
            Subject::Hub(bounds)
        }
        Was::FinalLeafDoesNotFreeze | Was::CloseNamesNoBatch => {
            let mut bounds = hub(1, 2, 3, 3, ACK);
            bounds.hub_closes = true;
            Subject::Hub(bounds)
        }
        Was::SignsBeforeDurable | Was::RestoredCopySigns => Subject::Signer(3, 2),
        Was::HeadersUnchained => Subject::Faults(3),
        Was::RefusedIsForgotten => Subject::Session(3, 2, 1),
        Was::StakeLeavesEarly | Was::RewardToCopier | Was::RewardIsTheStake => Subject::Stake(8),
        Was::NoShareOfSlots
        | Was::NoUpperExpiry
        | Was::MoreHashesThanSpace
        | Was::NoReservedSpace
        | Was::LedgerIsAParty => Subject::Space(5, 2),
        Was::BondFromOutside | Was::DustBindsSettle | Was::HiddenLocksCount => Subject::Settle(8),
    }
}

/// What every test run explores to its end under the rules as they stand.
#[must_use]
pub fn short() -> Vec<(&'static str, Subject)> {
    let mut closes = hub(1, 2, 3, 2, BOTH);
    closes.hub_closes = true;
    let mut equal = hub(2, 2, 2, 3, HASH);
    equal.equal_hash = true;
    vec![
        ("hub, Ack", Subject::Hub(hub(1, 2, 3, 6, ACK))),
        ("hub, Hash", Subject::Hub(hub(1, 2, 3, 6, HASH))),
        ("hub, closes of its own", Subject::Hub(closes)),
        ("hub, two locks of one hash", Subject::Hub(equal)),
        ("client, Hash", Subject::Client(client(1, 1, 2, 2, 3, HASH))),
        ("client, Ack", Subject::Client(client(1, 1, 2, 2, 3, ACK))),
        ("client, credits alone", Subject::Client(client(0, 2, 1, 3, 3, ACK))),
        ("client, after expiry", Subject::Client(client(0, 1, 1, 2, 6, ACK))),
        ("signer", Subject::Signer(3, 2)),
        ("faults", Subject::Faults(3)),
        ("session", Subject::Session(3, 2, 1)),
        ("stake", Subject::Stake(8)),
        ("space", Subject::Space(5, 2)),
        ("settle", Subject::Settle(8)),
    ]
}

/// What `scripts/model` explores: two payments at a time, that is four locks by `Hash`, and counters up to four.
#[must_use]
pub fn long() -> Vec<(&'static str, Subject)> {
    let mut closes = hub(1, 3, 4, 3, BOTH);
    closes.hub_closes = true;
    let mut equal = hub(2, 3, 4, 3, HASH);
    equal.equal_hash = true;
    let mut uneven = hub(2, 2, 3, 3, ACK);
    uneven.shares = [5, 1];
    let mut slow = hub(1, 2, 3, 9, BOTH);
    slow.margin = 2;
    let mut later = hub(2, 2, 3, 3, BOTH);
    later.begin_until = 1;
    let mut slow_client = client(1, 1, 2, 2, 9, BOTH);
    slow_client.margin = 2;
    vec![
        ("hub, one payment", Subject::Hub(hub(1, 4, 4, 6, BOTH))),
        ("hub, two by Hash", Subject::Hub(hub(2, 4, 4, 3, HASH))),
        ("hub, two by Hash, after expiry", Subject::Hub(hub(2, 3, 4, 6, HASH))),
        ("hub, two by Ack", Subject::Hub(hub(2, 3, 4, 3, ACK))),
        ("hub, two by Ack, after expiry", Subject::Hub(hub(2, 2, 4, 6, ACK))),
        ("hub, one of each", Subject::Hub(hub(2, 2, 3, 3, BOTH))),
        ("hub, one after the other", Subject::Hub(later)),
        ("hub, two locks of one hash", Subject::Hub(equal)),
        ("hub, credit spent again", Subject::Hub(uneven)),
        ("hub, closes of its own", Subject::Hub(closes)),
        ("hub, margin of two", Subject::Hub(slow)),
        (
            "client, one each way by Hash",
            Subject::Client(client(1, 1, 3, 3, 6, HASH)),
        ),
        (
            "client, one each way by Ack",
            Subject::Client(client(1, 1, 3, 3, 6, ACK)),
        ),
        ("client, two of its own", Subject::Client(client(2, 0, 4, 3, 6, ACK))),
        ("client, two to it", Subject::Client(client(0, 2, 2, 4, 6, BOTH))),
        ("client, margin of two", Subject::Client(slow_client)),
        ("signer", Subject::Signer(4, 3)),
        ("faults", Subject::Faults(4)),
        ("session", Subject::Session(4, 2, 1)),
        ("stake", Subject::Stake(12)),
        ("space", Subject::Space(8, 3)),
        ("settle", Subject::Settle(20)),
    ]
}

//! What the hub's own watchtower brings to the ledger against a close of one of its channels (rules 24 to 26). A function of what
//! it is told: the thread that asks and brings is in [`crate::pipeline`], and the simulator runs the same decisions without it.
//!
//! Nothing here does I/O, and nothing reads a clock.

use tidegate_batch::{Shown, ShownRelease};
use tidegate_channel::evidence::{
    ClientEvidence, HubEvidence, LeafProof, LockEvidence, Mandate, MandateSubject, Pair, ProvenLeaf, Side, StateNaming,
    StateNote,
};
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{Action, CloseState, LockPlace, OpenLock, Payer, Transaction, TransactionBody, Witness};
use tidegate_tower::{Package, PackageError};
use tidegate_types::{ClientCounter, Height, HubCounter, LedgerId, OutPoint, SignatureBytes};

const SHOW: &str = "newer evidence";
const RELEASE: &str = "the release of a lock";

/// What the hub can show of a channel that is frozen for a close.
#[derive(Clone, Debug)]
pub struct Guard {
    package: Package,
    /// What the client has given up in leaves that it has not acknowledged.
    releases: Vec<ShownRelease>,
}

impl Guard {
    /// The hub's evidence, with its own signatures.
    ///
    /// # Errors
    /// [`PackageError`] if it would not stand on the ledger.
    pub fn of(mut shown: Shown, ledger: &LedgerId, hub: &SecretKey) -> Result<Self, PackageError> {
        let releases = core::mem::take(&mut shown.releases);
        let package = package(shown, ledger, hub)?;
        Ok(Self { package, releases })
    }

    /// The counters of both halves.
    #[must_use]
    pub fn counters(&self) -> (ClientCounter, HubCounter) {
        self.package.counters()
    }

    /// What is to be brought while the ledger's newest block is at `tip`, each with its name for the operator. `locks` gives the
    /// open locks of the close; it is asked only if something was given up.
    pub fn due(
        &self,
        close: &CloseState,
        locks: impl FnOnce() -> Vec<OpenLock>,
        tip: Height,
        (ledger, hub): (&LedgerId, &SecretKey),
    ) -> Vec<(&'static str, Transaction)> {
        let mut due = Vec::new();
        if tip < close.deadline && self.is_newer(close) {
            due.push((SHOW, self.package.transaction()));
        }
        if tip < close.grace_end && !self.releases.is_empty() {
            let shown = locks().into_iter().filter(|lock| lock.side == Side::Hub);
            let given_up = shown.filter_map(|lock| {
                let release = self.releases.iter().find(|release| release.lock == lock.lock)?;
                Some(lock_evidence(self.package.funding, &lock, release, (ledger, hub)))
            });
            due.extend(given_up.map(|evidence| (RELEASE, evidence)));
        }
        due
    }

    /// What the client owes by the hub's evidence is newer than what was shown. A newer leaf alone would only show what the hub
    /// owes; that is its client's to show.
    fn is_newer(&self, close: &CloseState) -> bool {
        self.counters().0 > close.client.counter
    }
}

/// Evidence against a lock that was shown although its payee has given it up.
fn lock_evidence(
    funding: OutPoint,
    lock: &OpenLock,
    release: &ShownRelease,
    (ledger, hub): (&LedgerId, &SecretKey),
) -> Transaction {
    let mandate = Mandate {
        channel: lock.channel,
        side: Side::Hub,
        subject: MandateSubject::Lock(lock.lock),
    };
    let action = Action::LockEvidence {
        place: LockPlace {
            channel: lock.channel,
            side: lock.side,
            slot: lock.slot,
        },
        payer: Payer::Side(Side::Hub, mandate.sign(ledger, hub)),
        evidence: Box::new(LockEvidence::Released(release.signature)),
    };
    Transaction {
        body: TransactionBody::of_action(vec![funding], Vec::new(), action),
        witnesses: vec![Witness::Action],
    }
}

/// The hub's evidence with its own signatures: under the notes that name both halves, and under the mandate to pay for it.
///
/// # Errors
/// [`PackageError`] if it would not stand on the ledger.
pub fn package(shown: Shown, ledger: &LedgerId, hub: &SecretKey) -> Result<Package, PackageError> {
    let channel = shown.channel;
    let client = shown.state.map(|(signed, locks)| {
        let note = StateNote {
            channel,
            state: signed.state.reference(),
        };
        Box::new(ClientEvidence {
            signed,
            named: StateNaming::ByNote(note.sign(ledger, hub)),
            locks,
        })
    });
    let leaf = shown.leaf.map(|half| {
        let mut leaf = ProvenLeaf {
            proof: LeafProof::Note(SignatureBytes::ZERO),
            private: half.private,
            public: half.public,
        };
        leaf.proof = LeafProof::Note(leaf.note().sign(ledger, hub));
        Box::new(HubEvidence {
            leaf,
            named: half.named,
            locks: half.locks,
        })
    });
    let pair = Pair { client, hub: leaf };
    let (c, h) = pair.counters();
    let mandate = Mandate {
        channel,
        side: Side::Hub,
        subject: MandateSubject::Pair(c, h),
    };
    let package = Package {
        channel,
        funding: shown.funding,
        terms: shown.terms,
        side: Side::Hub,
        pair,
        mandate: mandate.sign(ledger, hub),
        // The hub itself reveals what is owed, by its coins.
        reveals: Vec::new(),
    };
    package.check(ledger)?;
    Ok(package)
}

//! Packages that hold, each way in which one does not, and what a tower does about a close.

use std::path::Path;
use std::sync::Arc;

use tidegate_channel::evidence::{
    ClientEvidence, HubEvidence, LeafNaming, LeafProof, Mandate, MandateSubject, OpenedIn, Opener, Pair, ProvenLeaf,
    Side, SignedStart, SignedState, StartClose, StateNaming,
};
use tidegate_channel::{Ack, ChannelTerms, InLock, StateRef, opening_leaf, opening_state};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::merkle::LockTree;
use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk};
use tidegate_ledger::{BlockHeader, Transaction, TransactionBody, Witness};
use tidegate_types::{
    Age, Amount, BatchNumber, Digest, LockId, LockSlot, OutPoint, PaymentId, SignatureBytes, Txid, UnixMillis,
};

use super::*;
use crate::store::{Cursor, Store};

struct Parties {
    hub: SecretKey,
    client: SecretKey,
    ledger: LedgerId,
}

fn parties() -> Parties {
    Parties {
        hub: SecretKey::from_seed([1; 32]),
        client: SecretKey::from_seed([2; 32]),
        ledger: LedgerId::from_bytes([3; 32]),
    }
}

fn funding(n: u32) -> OutPoint {
    OutPoint {
        txid: Txid::from_bytes([7; 32]),
        vout: n,
    }
}

fn terms(p: &Parties) -> ChannelTerms {
    let sat = |n| Amount::from_sat(n).expect("in range");
    let (client, hub) = (p.client.public().bytes(), p.hub.public().bytes());
    ChannelTerms {
        client,
        hub,
        client_payout: client,
        hub_payout: hub,
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(10_000),
        opening_share: sat(6_000),
        client_reserve: sat(100),
        hub_reserve: sat(100),
        dispute_window: Age::new(10),
        evidence_grace: Age::new(2),
        expiry: Height::new(9_000),
        nonce: 0,
    }
}

/// State `c` and the leaf `h` that acknowledges it, which the client acknowledges; of the channel funded by output `n`.
fn package(p: &Parties, n: u32, c: u64, h: u64) -> Package {
    let (terms, funding) = (terms(p), funding(n));
    let channel = terms.channel_id(&funding);
    let mut state = opening_state(channel);
    state.counter = ClientCounter::new(c);
    let (mut private, mut public) = opening_leaf(channel);
    private.counter = HubCounter::new(h);
    private.ack = StateRef {
        counter: state.counter,
        digest: state.digest(),
    };
    public.previous = Digest::from_bytes([9; 32]);
    let mut leaf = ProvenLeaf {
        proof: LeafProof::Note(SignatureBytes::ZERO),
        private,
        public,
    };
    leaf.proof = LeafProof::Note(leaf.note().sign(&p.ledger, &p.hub));
    let ack = Ack {
        channel,
        leaf: leaf.reference(),
    };
    let signed = SignedState {
        state,
        signature: state.sign(&p.ledger, &p.client),
    };
    let pair = Pair {
        client: Some(Box::new(ClientEvidence {
            signed,
            named: StateNaming::ByLeaf,
            locks: Vec::new(),
        })),
        hub: Some(Box::new(HubEvidence {
            leaf,
            named: LeafNaming::ByAck(ack.sign(&p.ledger, &p.client)),
            locks: Vec::new(),
        })),
    };
    let mut package = Package {
        channel,
        funding,
        terms,
        side: Side::Client,
        pair,
        mandate: SignatureBytes::ZERO,
        reveals: Vec::new(),
    };
    package.mandate = package.subject().sign(&p.ledger, &p.client);
    package
}

fn start(package: &Package, c: u64, h: u64) -> Transaction {
    let start = StartClose {
        channel: package.channel,
        opener: Opener::Client,
        has_evidence: true,
        batch: BatchNumber::ZERO,
        client: ClientCounter::new(c),
        hub: HubCounter::new(h),
    };
    let start = SignedStart {
        start,
        signature: SignatureBytes::ZERO,
    };
    let action = Action::StartClose { start, pair: None };
    Transaction {
        body: TransactionBody::of_action(vec![package.funding], Vec::new(), action),
        witnesses: vec![Witness::Action],
    }
}

fn block(height: u32, transactions: Vec<Transaction>) -> Block {
    let header = BlockHeader {
        height: Height::new(height),
        count: u32::try_from(transactions.len()).expect("few"),
        time: UnixMillis::ZERO,
        previous: Digest::ZERO,
        transactions: Digest::ZERO,
        utxos: Digest::ZERO,
    };
    Block {
        header,
        signature: SignatureBytes::ZERO,
        transactions,
    }
}

/// Brings a package as its owner.
fn take(tower: &mut Tower, package: &Package) -> Result<bool, TakeError> {
    let is_new = tower.consider(&package.owner(), package)?;
    if is_new {
        tower.keep(package.clone());
    }
    Ok(is_new)
}

#[test]
fn the_newest_pair_is_kept_and_answers_a_stale_close_until_the_deadline() {
    let p = parties();
    let mut tower = Tower::new(p.ledger, Limits::default());
    assert_eq!(take(&mut tower, &package(&p, 0, 2, 2)), Ok(true));
    assert_eq!(
        take(&mut tower, &package(&p, 0, 1, 3)),
        Err(TakeError::Older),
        "one half would fall"
    );
    let newest = package(&p, 0, 3, 5);
    assert_eq!(
        (take(&mut tower, &newest), take(&mut tower, &newest)),
        (Ok(true), Ok(false))
    );
    assert_eq!((tower.len(), tower.oldest_close()), (1, None));
    let happened = tower.on_block(&block(100, vec![start(&newest, 2, 5)]));
    assert!(matches!(happened[..], [(_, Happened::Started(close))] if close.deadline == Height::new(110)));
    assert_eq!(tower.oldest_close(), Some(Height::new(100)));
    let expected = vec![(newest.channel, newest.transaction())];
    assert_eq!(
        (tower.answers(Height::new(100)), tower.answers(Height::new(109))),
        (expected.clone(), expected)
    );
    assert_eq!(tower.answers(Height::new(110)), [], "it would stand above the deadline");
    assert_eq!(tower.on_block(&block(101, vec![newest.transaction()])), []);
    assert_eq!(tower.answers(Height::new(101)), [], "it was answered");
    // A package that comes while the close runs is shown too.
    let newer = package(&p, 0, 4, 5);
    assert_eq!(take(&mut tower, &newer), Ok(true));
    assert_eq!(tower.answers(Height::new(102)), [(newer.channel, newer.transaction())]);
    let settle = Transaction {
        body: TransactionBody::of_action(
            vec![newer.funding],
            Vec::new(),
            Action::Settle { channel: newer.channel },
        ),
        witnesses: vec![Witness::Action],
    };
    assert_eq!(
        tower.on_block(&block(113, vec![settle])),
        [(newer.channel, Happened::Ended)]
    );
    assert!(tower.is_empty());
}

#[test]
fn a_close_that_shows_the_newest_is_not_answered() {
    let p = parties();
    let mut tower = Tower::new(p.ledger, Limits::default());
    let kept = package(&p, 0, 3, 5);
    assert_eq!(take(&mut tower, &kept), Ok(true));
    for (c, h) in [(3, 5), (4, 6)] {
        tower.on_block(&block(100, vec![start(&kept, c, h)]));
        assert_eq!(tower.answers(Height::new(100)), [], "({c}, {h})");
    }
    for (c, h) in [(2, 6), (4, 4)] {
        tower.on_block(&block(100, vec![start(&kept, c, h)]));
        assert_eq!(tower.answers(Height::new(100)).len(), 1, "({c}, {h})");
    }
    // A close by both sides spends the output without an action.
    let body = TransactionBody::plain(vec![kept.funding], Vec::new());
    let spent = Transaction {
        body,
        witnesses: vec![Witness::Key(SignatureBytes::ZERO)],
    };
    assert_eq!(
        tower.on_block(&block(101, vec![spent])),
        [(kept.channel, Happened::Ended)]
    );
}

/// What is changed.
type Bend = fn(&mut Package);

#[test]
fn what_would_not_stand_displaces_nothing() {
    let p = parties();
    let bends: [Bend; 6] = [
        |q| q.funding.vout += 1,
        |q| q.terms.capacity = Amount::MAX,
        |q| q.mandate = SignatureBytes::ZERO,
        |q| q.pair.client = None,
        |q| {
            if let Some(half) = &mut q.pair.client {
                half.signed.state.debit = Amount::from_sat(1).expect("in range");
            }
        },
        |q| {
            if let Some(half) = &mut q.pair.hub {
                half.named = LeafNaming::ByAck(SignatureBytes::ZERO);
            }
        },
    ];
    for (n, bend) in bends.into_iter().enumerate() {
        let mut tower = Tower::new(p.ledger, Limits::default());
        let mut bent = package(&p, 0, 1, 1);
        bend(&mut bent);
        assert!(
            matches!(take(&mut tower, &bent), Err(TakeError::Package(_))),
            "bend {n}"
        );
    }
    let mut tower = Tower::new(p.ledger, Limits::default());
    let mut other_pair = package(&p, 0, 2, 2);
    other_pair.mandate = package(&p, 0, 1, 1).mandate;
    assert_eq!(
        take(&mut tower, &other_pair),
        Err(TakeError::Package(PackageError::Mandate))
    );
    let good = package(&p, 0, 1, 1);
    assert_eq!(tower.consider(&p.hub.public().bytes(), &good), Err(TakeError::NotYours));
    let subject = MandateSubject::Pair(ClientCounter::new(1), HubCounter::new(1));
    assert_eq!(good.subject().subject, subject);
}

#[test]
fn what_one_owner_and_all_may_have_is_bounded() {
    let p = parties();
    let limits = Limits {
        channels_per_owner: 2,
        channels: 3,
    };
    let mut tower = Tower::new(p.ledger, limits);
    assert_eq!(
        (
            take(&mut tower, &package(&p, 0, 1, 1)),
            take(&mut tower, &package(&p, 1, 1, 1))
        ),
        (Ok(true), Ok(true))
    );
    let third = package(&p, 2, 1, 1);
    assert_eq!(take(&mut tower, &third), Err(TakeError::OwnerLimit(2)));
    assert_eq!(
        take(&mut tower, &package(&p, 1, 2, 2)),
        Ok(true),
        "what is there may be replaced"
    );
    tower.forget(&package(&p, 0, 1, 1).channel);
    assert_eq!(take(&mut tower, &third), Ok(true));
    let mut full = Tower::new(p.ledger, Limits { channels: 0, ..limits });
    assert_eq!(take(&mut full, &third), Err(TakeError::Full));
}

fn open(disk: &FaultyDisk) -> (Store, Vec<Package>) {
    let mut packages = Vec::new();
    let handle: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::open(handle, Path::new("/tower"), |package| packages.push(package)).expect("the folder opens");
    (store, packages)
}

/// The power is lost at every call of the disk: what was answered for is there, or something newer.
#[test]
fn a_package_that_was_kept_survives_a_loss_at_every_site() {
    let p = parties();
    let life = |disk: &FaultyDisk| {
        let mut told = 0;
        let handle: Arc<dyn Disk> = Arc::new(disk.clone());
        let Ok(store) = Store::open(handle, Path::new("/tower"), drop) else {
            return told;
        };
        for n in 1..=3 {
            if store.put(&package(&p, 0, n, n)).is_err() {
                return told;
            }
            told = n;
        }
        let cursor = Cursor {
            validator: p.hub.public().bytes(),
            height: Height::new(9),
            hash: Digest::from_bytes([4; 32]),
        };
        let noted = store.set_cursor(&cursor);
        assert!(noted.is_err() || store.cursor().is_ok_and(|found| found == Some(cursor)));
        told
    };
    let sites = {
        let disk = FaultyDisk::new();
        assert_eq!(life(&disk), 3);
        disk.sites()
    };
    for site in 1..=sites {
        let disk = FaultyDisk::new();
        disk.arm(Fault {
            site,
            kind: FaultKind::Kill,
            seed: site,
        });
        let told = life(&disk);
        for after in [disk.restart(), disk.crash(site), disk.crash(site + 1)] {
            let (_store, packages) = open(&after);
            let newest = packages.first().map_or(0, |package| package.counters().0.get());
            assert!(packages.len() <= 1 && newest >= told, "site {site}: {newest} of {told}");
        }
    }
}

#[test]
fn a_damaged_file_is_noticed() {
    let p = parties();
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk);
    store.put(&package(&p, 0, 1, 1)).expect("room");
    drop(store);
    let name = disk.list(Path::new("/tower")).expect("a folder");
    let name = name
        .iter()
        .find(|name| name.ends_with(".package"))
        .expect("the package");
    let path = Path::new("/tower").join(name);
    for offset in 0..disk.bytes(&path).expect("the file is there").len() as u64 {
        disk.flip(&path, offset, 0x20).expect("the byte is there");
        let handle: Arc<dyn Disk> = Arc::new(disk.clone());
        assert!(Store::open(handle, Path::new("/tower"), drop).is_err(), "byte {offset}");
        disk.flip(&path, offset, 0x20).expect("the byte is there");
    }
    assert_eq!(open(&disk).1.len(), 1);
}

const PREIMAGE: [u8; 32] = [0x51; 32];

fn slot(n: u8) -> LockSlot {
    LockSlot::new(n).expect("a page has 64 slots")
}

/// As [`package`], with a credit that waits up to height 105 and a lock that waits up to 120, and what reveals both.
fn package_with_reveals(p: &Parties, c: u64, h: u64) -> Package {
    let mut package = package(p, 0, c, h);
    let lock = InLock {
        lock: LockId::from_bytes([6; 32]),
        payment_id: PaymentId::from_bytes([6; 16]),
        amount: Amount::from_sat(70).expect("in range"),
        expiry: Height::new(120),
        hash: payment_hash(&PREIMAGE),
    };
    let half = package.pair.hub.as_mut().expect("a leaf");
    half.locks = vec![OpenedIn { slot: slot(3), lock }];
    let mut digests = [Digest::ZERO; 64];
    digests[3] = lock.digest();
    let leaf = &mut half.leaf;
    (leaf.private.in_locks_root, leaf.private.in_locks_sum) = (LockTree::root_of(&digests), lock.amount);
    leaf.private.unfirm_credit = Amount::from_sat(50).expect("in range");
    leaf.private.ack_by = Height::new(105);
    leaf.proof = LeafProof::Note(leaf.note().sign(&p.ledger, &p.hub));
    let ack = Ack {
        channel: package.channel,
        leaf: leaf.reference(),
    };
    half.named = LeafNaming::ByAck(ack.sign(&p.ledger, &p.client));
    let signed = |subject| {
        let (channel, side) = (package.channel, Side::Client);
        Mandate { channel, side, subject }.sign(&p.ledger, &p.client)
    };
    package.reveals = vec![
        Reveal::Ack(signed(MandateSubject::Ack(HubCounter::new(h)))),
        Reveal::Preimage {
            slot: slot(3),
            preimage: PREIMAGE,
            mandate: signed(MandateSubject::Lock(lock.lock)),
        },
    ];
    package
}

fn is_ack(transaction: &Transaction) -> bool {
    matches!(transaction.body.action.as_deref(), Some(Action::RevealAck { .. }))
}

fn is_preimage(transaction: &Transaction) -> bool {
    matches!(transaction.body.action.as_deref(), Some(Action::RevealPreimage { .. }))
}

/// Neither before its leaf stands there, nor once it stands itself, nor when it counts no more.
#[test]
fn what_a_leaf_needs_is_revealed_once_the_leaf_stands() {
    let p = parties();
    let mut tower = Tower::new(p.ledger, Limits::default());
    let kept = package_with_reveals(&p, 3, 5);
    assert_eq!(kept.check(&p.ledger), Ok(()));
    assert_eq!(take(&mut tower, &kept), Ok(true));
    let due = |tower: &Tower, height| {
        let answers = tower.answers(Height::new(height));
        let count = |what: fn(&Transaction) -> bool| answers.iter().filter(|(_, t)| what(t)).count();
        (answers.len(), count(is_ack), count(is_preimage))
    };
    assert_eq!(due(&tower, 99), (0, 0, 0), "no close stands");
    tower.on_block(&block(100, vec![start(&kept, 2, 4)]));
    assert_eq!(due(&tower, 100), (1, 0, 0), "the leaf is shown first");
    tower.on_block(&block(101, vec![kept.transaction()]));
    assert_eq!(due(&tower, 101), (2, 1, 1));
    assert_eq!(
        (due(&tower, 104), due(&tower, 105)),
        ((2, 1, 1), (1, 0, 1)),
        "U counts up to 105"
    );
    assert_eq!(
        (due(&tower, 119), due(&tower, 120)),
        ((1, 0, 1), (0, 0, 0)),
        "the lock up to 120"
    );
    let reveals: Vec<_> = tower
        .answers(Height::new(101))
        .into_iter()
        .map(|(_, reveal)| reveal)
        .collect();
    tower.on_block(&block(102, reveals[..1].to_vec()));
    assert_eq!(due(&tower, 102), (1, 0, 1), "the ack stands");
    // Anyone may have revealed the preimage, for a channel of its own.
    let elsewhere = Action::RevealPreimage {
        preimage: PREIMAGE,
        place: None,
        payer: tidegate_ledger::Payer::Coins,
    };
    let elsewhere = Transaction {
        body: TransactionBody::of_action(vec![funding(9)], Vec::new(), elsewhere),
        witnesses: vec![Witness::Key(SignatureBytes::ZERO)],
    };
    tower.on_block(&block(103, vec![elsewhere]));
    assert_eq!(due(&tower, 103), (0, 0, 0));
}

/// A leaf that is not this package's may hold no lock for the preimage: it is kept.
#[test]
fn nothing_is_revealed_beside_another_leaf() {
    let p = parties();
    let mut tower = Tower::new(p.ledger, Limits::default());
    let kept = package_with_reveals(&p, 3, 5);
    assert_eq!(take(&mut tower, &kept), Ok(true));
    tower.on_block(&block(100, vec![start(&kept, 4, 6)]));
    assert_eq!(tower.answers(Height::new(100)), []);
}

#[test]
fn a_reveal_that_does_not_belong_to_the_leaf_is_refused() {
    let p = parties();
    let bends: [Bend; 5] = [
        |q| q.reveals[0] = Reveal::Ack(SignatureBytes::ZERO),
        |q| {
            if let Reveal::Preimage { slot: at, .. } = &mut q.reveals[1] {
                *at = slot(4);
            }
        },
        |q| {
            if let Reveal::Preimage { preimage, .. } = &mut q.reveals[1] {
                *preimage = [1; 32];
            }
        },
        |q| {
            if let Reveal::Preimage { mandate, .. } = &mut q.reveals[1] {
                *mandate = SignatureBytes::ZERO;
            }
        },
        |q| q.reveals.swap(0, 1),
    ];
    for (n, bend) in bends.into_iter().enumerate() {
        let mut bent = package_with_reveals(&p, 1, 1);
        bend(&mut bent);
        let verdict = bent.check(&p.ledger);
        match n {
            4 => assert_eq!(verdict, Ok(()), "their order is nobody's business"),
            0 => assert_eq!(verdict, Err(PackageError::Reveal(0))),
            _ => assert_eq!(verdict, Err(PackageError::Reveal(1)), "bend {n}"),
        }
    }
    let (whole, parts) = {
        let whole = package_with_reveals(&p, 1, 1);
        let parts = whole.parts();
        (whole, parts)
    };
    assert_eq!(Package::decode(&whole.message(&parts)), Ok(whole.clone()));
}

/// A preimage is given once: a newer package without it does not take it away as long as the lock waits.
#[test]
fn a_preimage_is_kept_over_newer_packages() {
    let p = parties();
    let mut tower = Tower::new(p.ledger, Limits::default());
    let first = package_with_reveals(&p, 1, 1);
    assert_eq!(take(&mut tower, &first), Ok(true));
    let mut newer = package_with_reveals(&p, 2, 2);
    newer.reveals.clear();
    tower.complete(&mut newer);
    assert_eq!(
        (newer.reveals.as_slice(), newer.check(&p.ledger)),
        (&first.reveals[1..], Ok(()))
    );
    let mut without = package(&p, 0, 3, 3);
    tower.complete(&mut without);
    assert_eq!(without.reveals, [], "the lock is gone");
}

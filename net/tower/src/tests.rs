//! Packages that hold, each way in which one does not, and what a tower does about a close.

use std::path::Path;
use std::sync::Arc;

use tidegate_channel::evidence::{
    ClientEvidence, HubEvidence, LeafNaming, LeafProof, MandateSubject, Opener, Pair, ProvenLeaf, Side, SignedStart,
    SignedState, StartClose, StateNaming,
};
use tidegate_channel::{Ack, ChannelTerms, StateRef, opening_leaf, opening_state};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, Fault, FaultKind, FaultyDisk};
use tidegate_ledger::{BlockHeader, Transaction, TransactionBody, Witness};
use tidegate_types::{Age, Amount, BatchNumber, Digest, OutPoint, SignatureBytes, Txid, UnixMillis};

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

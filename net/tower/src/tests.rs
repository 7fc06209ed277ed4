//! Packages that hold, and each way in which one does not.

use tidegate_channel::{Ack, BatchHeader, LeafRef, StateRef, leaf_digest, opening_leaf, opening_state};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::merkle;
use tidegate_types::{Amount, BatchNumber, Digest, Height, UnixMillis};

use super::*;

struct Parties {
    hub: SecretKey,
    client: SecretKey,
    ledger: LedgerId,
    channel: ChannelId,
}

fn parties() -> Parties {
    Parties {
        hub: SecretKey::from_seed([1; 32]),
        client: SecretKey::from_seed([2; 32]),
        ledger: LedgerId::from_bytes([3; 32]),
        channel: ChannelId::from_bytes([4; 32]),
    }
}

/// State `c` and the leaf `h` that acknowledges it, which the client then acknowledges.
fn package(p: &Parties, c: u64, h: u64) -> Package {
    let mut state = opening_state(p.channel);
    state.counter = ClientCounter::new(c);
    let (mut private, mut public) = opening_leaf(p.channel);
    private.counter = HubCounter::new(h);
    private.ack = StateRef {
        counter: state.counter,
        digest: state.digest(),
    };
    public.previous = Digest::from_bytes([9; 32]);
    let digest = leaf_digest(&private.digest(), &public.digest());
    let header = BatchHeader {
        hub: p.hub.public().bytes(),
        number: BatchNumber::new(h),
        previous: Digest::ZERO,
        leaf_count: 1,
        height: Height::ZERO,
        leaves_root: merkle::root(merkle::RECEIPTS, &[digest]),
        outcomes: Digest::ZERO,
        block: Digest::ZERO,
        time: UnixMillis::ZERO,
    };
    let ack = Ack {
        channel: p.channel,
        leaf: LeafRef {
            counter: private.counter,
            digest,
        },
    };
    Package {
        signature: state.sign(&p.ledger, &p.client),
        state,
        leaf: Proof {
            header: header.sign(&p.ledger, &p.hub),
            index: 0,
            path: Vec::new(),
            private,
            public,
        },
        ack: Some(NamedAck {
            ack,
            signature: ack.sign(&p.ledger, &p.client),
        }),
    }
}

#[test]
fn the_newest_pair_is_kept_and_answers_an_older_close() {
    let p = parties();
    let mut tower = Tower::new(p.ledger, p.hub.public());
    let client = p.client.public();
    assert_eq!(tower.take(&client, package(&p, 2, 2)), Ok(Taken::Kept));
    assert_eq!(
        tower.take(&client, package(&p, 1, 3)),
        Ok(Taken::Older),
        "one half would fall"
    );
    assert_eq!(tower.take(&client, package(&p, 3, 5)), Ok(Taken::Kept));
    assert_eq!(tower.len(), 1, "one package per channel");
    let shown = |c, h| (ClientCounter::new(c), HubCounter::new(h));
    assert!(tower.answer(&p.channel, shown(2, 5)).is_some());
    assert!(tower.answer(&p.channel, shown(3, 4)).is_some());
    assert!(tower.answer(&p.channel, shown(3, 5)).is_none());
    assert!(tower.answer(&ChannelId::ZERO, shown(0, 0)).is_none());
}

/// What is changed, and what the change is called.
type Bend = (fn(&mut Package), PackageError);

#[test]
fn what_would_not_stand_displaces_nothing() {
    let p = parties();
    let client = p.client.public();
    let bends: [Bend; 6] = [
        (|q| q.state.debit = Amount::MAX, PackageError::StateSignature),
        (
            |q| q.leaf.private.firm_credit = Amount::MAX,
            PackageError::Leaf(tidegate_channel::HeaderError::BadPath),
        ),
        (
            |q| q.leaf.header.header.number = BatchNumber::ZERO,
            PackageError::Leaf(tidegate_channel::HeaderError::BadSignature),
        ),
        (|q| q.ack = None, PackageError::NotNamed),
        (|q| q.leaf.private.channel = ChannelId::ZERO, PackageError::OtherChannel),
        (
            |q| {
                if let Some(named) = &mut q.ack {
                    named.ack.leaf.digest = Digest::ZERO;
                }
            },
            PackageError::Ack,
        ),
    ];
    for (bend, error) in bends {
        let mut tower = Tower::new(p.ledger, p.hub.public());
        let mut bent = package(&p, 1, 1);
        bend(&mut bent);
        assert_eq!(tower.take(&client, bent), Err(error));
        assert!(tower.is_empty());
    }
}

//! A next hub that publishes an old state of the channel between it and the hub before: that hub answers by itself, whether the next
//! one still speaks to it or not, and whatever is restarted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_channel::evidence::{Opener, Pair, SignedStart, StartClose};
use tidegate_client::{Channels, ClientChannel, FileStore, HeaderCache, MemoryStore, Signer};
use tidegate_disk::RealDisk;
use tidegate_ledger::{Action, CloseState, Transaction, TransactionBody, Witness};
use tidegate_types::{BatchNumber, ChannelId, ClientCounter, Fixed as _, HubCounter};
use tidegate_wire::messages::{LedgerQuery, LedgerResult, OutputStatus};

use super::payment::{End, Payee, Trial};
use super::world::{Hub, World};

/// The channel of the first hub with the second.
const HOP: usize = 1;

/// The wallet of a hub with the next one, below a data directory.
pub(crate) fn journals(dir: &Path, (hub, next): (&Hub, &Hub)) -> PathBuf {
    let own = hub.keys.public().to_string();
    dir.join("routes").join(next.keys.public().to_string()).join(own)
}

/// What the first hub's journal says at the moment: the channel, and the best pair that could be shown.
fn held(world: &World) -> (ClientChannel, Pair) {
    let (hub, next) = (&world.hubs[0], &world.hubs[1]);
    let signer = Signer {
        ledger: world.payer.ledger(),
        key: hub.keys.identity(),
    };
    let store: MemoryStore = FileStore::look(&RealDisk, &journals(&hub.dir, (hub, next))).expect("a wallet");
    let headers = Arc::new(HeaderCache::new(signer.ledger, next.keys.identity().public()));
    let mut channels = Channels::open(signer, headers, store).expect("its own journal");
    let (channel, height) = (world.channels[HOP], world.height(0));
    let height = tidegate_types::Height::new(u32::try_from(height).expect("a low height"));
    channels.ack(&channel, height).expect("a journal in memory");
    let own = channels.get(&channel).expect("the route's channel").clone();
    let pair = own.pair(channels.signer()).expect("acknowledged");
    (own, pair)
}

/// The next hub starts the close with a pair.
fn start_by_next(world: &World, own: &ClientChannel, pair: Pair) -> Transaction {
    let (client, hub) = pair.counters();
    let leaf = pair.hub.as_ref().and_then(|half| half.leaf.batch());
    let start = StartClose {
        channel: own.id(),
        opener: Opener::Hub,
        has_evidence: true,
        batch: leaf.unwrap_or(BatchNumber::ZERO),
        client,
        hub,
    };
    let signature = start.sign(&world.payer.ledger(), &world.hubs[1].keys.identity());
    let action = Action::StartClose {
        start: SignedStart { start, signature },
        pair: Some(Box::new(pair)),
    };
    Transaction {
        body: TransactionBody::of_action(vec![own.opened().funding], Vec::new(), action),
        witnesses: vec![Witness::Action],
    }
}

/// A's question about the close, over its own hub or over the last one.
fn close_of(world: &mut World, channel: ChannelId) -> Option<CloseState> {
    let found = world.payee.with(|client, _| {
        client.query(LedgerQuery::Close(channel), |answer| match answer.result {
            LedgerResult::Close([]) => Ok(None),
            LedgerResult::Close(record) => Ok(Some(CloseState::decode(record).expect("a close"))),
            _ => panic!("another answer"),
        })
    });
    found.expect("the last hub answers")
}

/// How the output of a channel stands.
fn is_settled(world: &mut World, channel: ChannelId) -> bool {
    let found = world.payee.with(|client, _| {
        client.query(LedgerQuery::Channel(channel), |answer| match &answer.result {
            LedgerResult::Channel(found) => Ok(found.map(|found| found.status)),
            _ => panic!("another answer"),
        })
    });
    found
        .expect("the last hub answers")
        .is_none_or(|status| status == OutputStatus::Spent)
}

fn counters(close: &CloseState) -> (ClientCounter, HubCounter) {
    (close.client.counter, close.hub.counter)
}

/// The second hub signs the start of a close with what stood before two more payments, of which one came back. It is killed, so that
/// nothing is heard of it; the first one is killed too, and finds the close when it starts.
#[test]
fn a_hub_answers_an_old_state_of_a_next_hub_by_itself() {
    let mut world = World::new();
    assert_eq!(Trial::new(&world, 1, Payee::Fulfils).run(&mut world), End::PaidThrough);
    let (own, old) = held(&world);
    for (number, payee, end) in [
        (2, Payee::Fulfils, End::PaidThrough),
        (3, Payee::Releases, End::RefundedThrough),
    ] {
        assert_eq!(Trial::new(&world, number, payee).run(&mut world), end);
    }
    let (newest, best) = held(&world);
    let best = best.counters();
    assert!(old.counters().0 < best.0 && old.counters().1 < best.1, "{best:?}");
    assert!(newest.wallet().client().locks().is_empty(), "every lock has ended");
    let start = start_by_next(&world, &own, old);
    world.hubs[0].kill();
    world.hubs[1].kill();
    world
        .payee
        .with(|client, _| client.submit(&start))
        .expect("the ledger takes it");
    World::wait("the close stands", || close_of(&mut world, own.id()).is_some());
    world.hubs[0].start();
    World::wait("the first hub has answered", || {
        close_of(&mut world, own.id()).is_some_and(|close| close.corrected && counters(&close) == best)
    });
    // Whatever it signed there now would only be shown against it: a payment comes back to A.
    world.hubs[1].start();
    let (more, paid) = (Trial::new(&world, 4, Payee::Fulfils), debit(&world));
    World::wait("the payment comes back", || {
        more.step_payer(&mut world).is_ok_and(|ended| ended)
    });
    assert_eq!(debit(&world), paid, "A has paid nothing");
    assert_eq!(
        world.hubs[0].metric("tidegate_forwards_sent_total"),
        Some(0),
        "since its start"
    );
    world.hubs[0].kill();
    world.hubs[0].start();
    World::wait("the ledger pays both sides", || is_settled(&mut world, own.id()));
}

/// What A has paid for good.
fn debit(world: &World) -> u64 {
    let channel = world.channel(0).expect("the first hub answers");
    channel["debit_sat"].as_u64().expect("a number")
}

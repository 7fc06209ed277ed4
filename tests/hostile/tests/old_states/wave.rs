//! Closes that stand at the same time: what is signed before, who starts what when, and what is killed meanwhile.

use std::ops::Range;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use tidegate_channel::evidence::{Opener, Pair, SignedStart, StartClose};
use tidegate_client::{Client, ClientChannel, Connection, LedgerConnection, MemoryStore, Payment, Signer, WalletStore};
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{Action, Transaction, TransactionBody, Witness};
use tidegate_tower::Package;
use tidegate_types::{Amount, BatchNumber, ChannelId, ClientCounter, HubCounter};
use tidegate_wire::ToClient;

use super::judge::{Counts, judge};
use super::world::{DEPTH, GRACE, WINDOW, World};

/// Of each payment.
pub(crate) const PAID: u64 = 20_000;
/// Payments of a channel, at most.
const PAYMENTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the ledger falls back once all are started.
const FALLS: usize = 4;
/// Of the blocks after the first start, in so many the others are started.
const SPREAD: u32 = 40;

/// Who alone can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Guard {
    Hub,
    Tower,
}

/// One close.
pub(crate) struct Close {
    pub(crate) channel: ChannelId,
    pub(crate) guard: Guard,
    /// Newer states than the one that is shown.
    pub(crate) age: usize,
    /// The best that the guard can show.
    pub(crate) best: (ClientCounter, HubCounter),
    /// What the honest side is owed at least, but for the locks that the close leaves.
    pub(crate) due: u64,
    start: Transaction,
    /// Blocks after the first start.
    after: u32,
}

pub(crate) struct Wave {
    closes: Vec<Close>,
    random: ChaCha8Rng,
    guard: Guard,
    counts: Counts,
}

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("small")
}

fn payment(payee: &Client<MemoryStore>, channel: ChannelId) -> Payment {
    Payment {
        payee: payee.key(),
        payee_channel: channel,
        amount: sat(PAID),
        fee: None,
        payment_id: None,
        hash: None,
    }
}

fn own(client: &Client<MemoryStore>, channel: &ChannelId) -> ClientChannel {
    client.channels().get(channel).expect("taken up").clone()
}

/// The pair that a channel as it was can show, its newest leaf acknowledged.
fn pair_of(then: &ClientChannel, signer: &Signer, client: &Client<MemoryStore>) -> Pair {
    let (mut then, mut store) = (then.clone(), MemoryStore::default());
    store.create(then.opened()).expect("an empty store");
    then.ack(signer, &mut store, client.height())
        .expect("a journal in memory");
    then.pair(signer).expect("a pair")
}

impl Wave {
    /// The channels are used, every state that could be shown is kept, and one of each is chosen.
    pub(crate) fn prepare(world: &mut World, guard: Guard, channels: Range<usize>, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut till = world.client(world.till());
        let closes = channels.map(|number| prepare_one(world, &mut till, (guard, number), &mut random));
        let mut closes: Vec<Close> = closes.collect();
        closes.sort_by_key(|close| close.after);
        Self {
            closes,
            random,
            guard,
            counts: Counts::default(),
        }
    }

    /// Starts them, kills and restarts, and judges when all are settled.
    pub(crate) fn run(mut self, world: &mut World) -> Counts {
        match self.guard {
            Guard::Hub => world.kill_tower(),
            // The hub that cheats does not answer itself.
            Guard::Tower => world.kill_hub(),
        }
        let mut ledger = world.ledger();
        let began = tip(&mut ledger);
        let all_started = self.start_all(world, ledger, began);
        self.wait_until(world, all_started + WINDOW + GRACE + DEPTH + 4);
        let hub = world.keys.public();
        world.look(|node| judge(node, hub, &self.closes, &mut self.counts));
        world.kill_tower();
        world.start_tower();
        world.kill_hub();
        world.start_hub();
        self.counts
    }

    /// Brings every start at its height; the height after the last. Meanwhile, and while the closes stand, the guard is killed,
    /// and the ledger loses its newest blocks.
    fn start_all(&mut self, world: &mut World, mut ledger: LedgerConnection, began: u32) -> u32 {
        let starts: Vec<(u32, Vec<u8>)> = self
            .closes
            .iter()
            .map(|close| (close.after, close.start.encode()))
            .collect();
        let half = starts.len() / 2;
        for (place, (after, start)) in starts.iter().enumerate() {
            wait(&mut ledger, began + after);
            ledger.submit(start).expect("it is a close");
            if place == half {
                drop(ledger);
                self.fall_back(world);
                self.restart_guard(world);
                ledger = world.ledger();
            }
        }
        let started = tip(&mut ledger);
        drop(ledger);
        let is_restarted = self.random.random_bool(0.5);
        for _ in 0..FALLS {
            // A guard that is up for half of the window is up before the deadline.
            if tip(&mut world.ledger()) > began + WINDOW / 2 {
                break;
            }
            if self.fall_back(world) {
                // A start that was undone waits no more.
                let mut ledger = world.ledger();
                for (_, start) in &starts {
                    let _stands = ledger.submit(start);
                }
            }
            // What a guard has lost with a branch it brings again also if nobody starts it anew.
            if is_restarted {
                self.restart_guard(world);
            }
        }
        started.max(tip(&mut world.ledger()))
    }

    /// The ledger falls back by a few blocks, if it can.
    fn fall_back(&mut self, world: &mut World) -> bool {
        let copy = TempDir::new().expect("a temporary folder");
        world.copy_ledger(copy.path());
        let blocks = self.random.random_range(1..DEPTH / 2);
        let mut ledger = world.ledger();
        let then = tip(&mut ledger);
        wait(&mut ledger, then + blocks);
        drop(ledger);
        let (undone, evidence) = world.restart_ledger(copy.path());
        self.counts.reorgs += usize::from(undone > 0);
        self.counts.lost_evidence += evidence;
        undone > 0
    }

    /// Kills the guard, and starts it again some blocks later: in a twelfth of the closes' window at most.
    fn restart_guard(&mut self, world: &mut World) {
        self.counts.kills += 1;
        let away = self.random.random_range(0..WINDOW / 12);
        let mut ledger = world.ledger();
        let then = tip(&mut ledger);
        match self.guard {
            Guard::Hub => {
                world.kill_hub();
                wait(&mut ledger, then + away);
                world.start_hub();
            }
            Guard::Tower => {
                world.kill_tower();
                wait(&mut ledger, then + away);
                world.start_tower();
            }
        }
    }

    fn wait_until(&self, world: &World, height: u32) {
        wait(&mut world.ledger(), height);
    }
}

/// The newest final block's height.
fn tip(ledger: &mut LedgerConnection) -> u32 {
    ledger.tip().expect("the ledger answers").0.get()
}

fn wait(ledger: &mut LedgerConnection, height: u32) {
    let began = Instant::now();
    while tip(ledger) < height {
        assert!(began.elapsed() < PATIENCE, "the ledger stands still");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Uses one channel and signs the start of its close by an old state.
fn prepare_one(
    world: &World,
    till: &mut Client<MemoryStore>,
    (guard, number): (Guard, usize),
    random: &mut ChaCha8Rng,
) -> Close {
    let (mut client, channel) = (world.client(number), world.channel(number));
    let till_channel = world.channel(world.till());
    let signer = Signer {
        ledger: world.site.ledger,
        key: SecretKey::from_seed(*world.site.seeds[number]),
    };
    let mut olds = vec![own(&client, &channel)];
    for _ in 0..random.random_range(2..=PAYMENTS) {
        match guard {
            Guard::Hub => {
                client.pay(&channel, &[payment(till, till_channel)]).expect("paid");
            }
            Guard::Tower => {
                till.pay(&till_channel, &[payment(&client, channel)]).expect("paid");
                client.sync(&channel).expect("in date");
                client.ack(&channel).expect("acknowledged");
                client.sync(&channel).expect("and firm");
                client.ack(&channel).expect("acknowledged");
            }
        }
        olds.push(own(&client, &channel));
    }
    let newest = own(&client, &channel);
    let which = random.random_range(0..olds.len() - 1);
    let pair = pair_of(&olds[which], &signer, &client);
    let terms = newest.opened().terms;
    let (best, due, start) = match guard {
        Guard::Hub => {
            let state = newest.acknowledged();
            let due = terms.capacity.to_sat() - terms.opening_share.to_sat() + state.debit.to_sat();
            let best = (state.counter, HubCounter::ZERO);
            (best, due, olds[which].start_close(&signer, pair))
        }
        Guard::Tower => {
            let best = newest.pair(&signer).expect("acknowledged");
            let firm = best
                .hub
                .as_ref()
                .map_or(0, |half| half.leaf.private.firm_credit.to_sat());
            let counters = best.counters();
            watch(world, &newest, &signer, best);
            (
                counters,
                terms.opening_share.to_sat() + firm,
                start_of(world, &newest, pair),
            )
        }
    };
    Close {
        channel,
        guard,
        age: olds.len() - 1 - which,
        best,
        due,
        start,
        after: random.random_range(0..SPREAD),
    }
}

/// The tower is given the best evidence.
fn watch(world: &World, own: &ClientChannel, signer: &Signer, pair: Pair) {
    let package = Package::of_client(own, signer, pair);
    let key = SecretKey::from_seed(*world.site.seeds[number_of(world, &own.id())]);
    let mut tower = Connection::connect(&world.tower_options(), key).expect("the tower answers");
    let parts = package.parts();
    let answer = tower.request(&package.message(&parts)).expect("the tower answers");
    let kept = answer.message().expect("a message");
    assert!(matches!(kept, ToClient::TowerPackage(_)), "{kept:?}");
}

fn number_of(world: &World, channel: &ChannelId) -> usize {
    let found = world.site.channels.iter().position(|own| own == channel);
    found.expect("a channel of the site")
}

/// The hub's operator starts the close with an old pair.
fn start_of(world: &World, own: &ClientChannel, pair: Pair) -> Transaction {
    let (client, hub) = pair.counters();
    let has_evidence = pair != Pair::default();
    let start = StartClose {
        channel: own.id(),
        opener: Opener::Hub,
        has_evidence,
        batch: pair
            .hub
            .as_ref()
            .and_then(|half| half.leaf.batch())
            .unwrap_or(BatchNumber::ZERO),
        client,
        hub,
    };
    let action = Action::StartClose {
        start: SignedStart {
            start,
            signature: start.sign(&world.site.ledger, &world.keys.identity()),
        },
        pair: has_evidence.then(|| Box::new(pair)),
    };
    Transaction {
        body: TransactionBody::of_action(vec![own.opened().funding], Vec::new(), action),
        witnesses: vec![Witness::Action],
    }
}

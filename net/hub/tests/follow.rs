//! A hub that follows a ledger of its own: away and back, only final blocks, another branch.

mod rig;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rig::closes::wait;
use rig::ledger::Ledger;
use rig::{Hub, Shape, copy_dir, get, open, sat, stop};
use tempfile::TempDir;
use tidegate_channel::wallet::SettleOn;
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{Client, ConnectOptions, FileStore, LightChain, Payment};
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::pipeline::Serving;
use tidegate_settle::Node;
use tidegate_types::{ChannelId, Digest, Height};

const DEPTH: u32 = 3;

fn height(serving: &Serving) -> u32 {
    let status: serde_json::Value = serde_json::from_str(&get(serving, "/status").1).expect("JSON");
    status["height"]
        .as_u64()
        .and_then(|height| u32::try_from(height).ok())
        .expect("a height")
}

fn payment(payee: &Client<FileStore>, channel: ChannelId) -> Payment {
    Payment {
        payee: payee.key(),
        payee_channel: channel,
        amount: sat(700),
        fee: None,
        payment_id: None,
        hash: None,
    }
}

fn world(block_interval_ms: u32) -> (Hub, Ledger, [Seed; 2]) {
    let seeds = [random_seed().expect("random"), random_seed().expect("random")];
    let shape = Shape {
        block_interval_ms,
        finality_depth: DEPTH,
        ..Shape::default()
    };
    let mut hub = Hub::format_as(&[&seeds[0], &seeds[1]], shape);
    let ledger = Ledger::of(&hub);
    hub.follows = Some(ledger.address());
    (hub, ledger, seeds)
}

fn tip(dir: &Path) -> (Height, Digest, Height) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (mut node, _) = Node::look(&disk, dir).expect("a ledger");
    node.audit().expect("the books hold");
    (node.tip().height, node.tip().hash, node.tip().final_height)
}

#[test]
fn a_hub_outlives_its_ledger_and_acts_on_final_blocks_alone() {
    let (hub, mut ledger, [alice, bob]) = world(40);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.pay(&from, &[payment(&b, to)]).expect("paid");
    assert_eq!(get(&serving, "/readyz").0, 200);

    ledger.stop();
    wait("the hub says that its ledger is away", || {
        get(&serving, "/readyz").0 == 503
    });
    assert!(get(&serving, "/readyz").1.contains("ledger"));
    let (newest, _, last_final) = tip(ledger.dir.path());
    assert_eq!(newest.get() - last_final.get(), DEPTH);
    wait("all that was made is here", || height(&serving) == last_final.get());
    wait("without blocks payments wait", || {
        get(&serving, "/status").1.contains("\"stalled\": true")
    });
    drop(a);
    let hasty = ConnectOptions {
        timeout: Duration::from_millis(500),
        ..hub.options(&serving)
    };
    let mut a = Client::connect(&hasty, &alice, hub.wallet(&alice), SettleOn::PayeeAck).expect("the hub answers");
    assert!(a.pay(&from, &[payment(&b, to)]).is_err(), "the hub is busy");
    drop(a);

    ledger.start();
    wait("the hub is ready again", || get(&serving, "/readyz").0 == 200);
    let mut a = hub.connect(&serving, &alice);
    a.sync(&from).expect("what was signed is brought again");
    a.pay(&from, &[payment(&b, to)]).expect("paid");

    // The hub's own record of the ledger is that of the ledger, after a restart too.
    drop((a, b));
    stop(serving);
    ledger.stop();
    let serving = hub.start();
    ledger.start();
    wait("the hub catches up", || height(&serving) > last_final.get() + 10);
    let mut light = ledger.connect(&hub);
    let (validator, genesis) = (light.validator(), Digest::ZERO);
    let first = light.blocks(Height::new(1), Duration::ZERO).expect("blocks").blocks;
    let base = (
        Height::ZERO,
        first.first().map_or(genesis, |block| block.header.previous),
    );
    let mut chain = LightChain::behind(hub.ledger, validator, base).expect("a key");
    let page = light.blocks(Height::new(1), Duration::ZERO).expect("blocks");
    let blocks = chain.take(page.clone()).expect("every block holds");
    assert!(
        blocks.len() >= last_final.get() as usize,
        "{} final blocks",
        blocks.len()
    );
    let mut bent = page;
    bent.blocks[2].transactions = Vec::new();
    bent.blocks[2].header.count = 1;
    assert!(
        LightChain::behind(hub.ledger, validator, base)
            .expect("a key")
            .take(bent)
            .is_err()
    );
    stop(serving);
    ledger.stop();
    let (ours, theirs) = (tip(&hub.dir.path().join("ledger")), tip(ledger.dir.path()));
    assert!(ours.0 <= theirs.0 && ours.2 <= theirs.2);
}

/// The ledger loses its newest blocks and makes others, which grow higher: the hub follows, and channels stand as its final
/// blocks say.
#[test]
fn a_higher_branch_of_the_ledger_is_followed() {
    let (hub, mut ledger, [alice, _]) = world(250);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let channel = open(&mut a, 1_500_000);
    ledger.stop();
    let before = TempDir::new().expect("a temporary directory");
    copy_dir(ledger.dir.path(), before.path());
    // Two more blocks, not final under a depth of three.
    ledger.start();
    let common = tip(before.path()).0;
    wait("the hub has seen blocks that will be undone", || {
        tip(&hub.dir.path().join("ledger")).0.get() >= common.get() + 2
    });
    ledger.stop();
    let lost = tip(&hub.dir.path().join("ledger"));
    assert!(lost.2 <= common, "the copy holds all that was final");
    ledger.dir = before;
    ledger.start();
    wait("the hub is on the new branch, and beyond", || {
        tip(&hub.dir.path().join("ledger")).0.get() > lost.0.get() + 2 * DEPTH
    });
    a.sync(&channel).expect("the channel stands");
    drop(a);
    ledger.stop();
    stop(serving);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let read = |dir: &Path| {
        let (node, _) = Node::look(&disk, dir).expect("a ledger");
        node.final_blocks_above(Height::ZERO, usize::MAX).expect("readable")
    };
    let (ours, theirs) = (read(&hub.dir.path().join("ledger")), read(ledger.dir.path()));
    let shorter = ours.len().min(theirs.len());
    assert!(
        shorter > lost.0.get() as usize,
        "what was undone is final by now, otherwise"
    );
    assert_eq!(ours[..shorter], theirs[..shorter]);
}

//! What tests of closes ask and do: starts of closes, what the ledger says of them, and what is left when all have ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_channel::evidence::Pair;
use tidegate_client::channel::Signer;
use tidegate_client::key_file::Seed;
use tidegate_client::{Client, ClientChannel, ClientError, ConnectionError, FileStore, MemoryStore, WalletStore as _};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::state;
use tidegate_ledger::{Action, CloseState, Condition, Transaction};
use tidegate_settle::Node;
use tidegate_types::{ChannelId, Fixed as _, Height, KeyBytes};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{LedgerQuery, LedgerResult};

use super::Hub;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn signer(hub: &Hub, seed: &Seed) -> Signer {
    Signer {
        ledger: hub.ledger,
        key: SecretKey::from_seed(**seed),
    }
}

pub(crate) fn own(client: &Client<FileStore>, channel: &ChannelId) -> ClientChannel {
    client.channels().get(channel).expect("opened").clone()
}

/// The newest pair of a channel as it was, its newest leaf acknowledged.
pub(crate) fn pair_of(channel: &ClientChannel, signer: &Signer, height: Height) -> Pair {
    let (mut channel, mut store) = (channel.clone(), MemoryStore::default());
    store.create(channel.opened()).expect("an empty store");
    channel.ack(signer, &mut store, height).expect("it may be");
    channel.pair(signer).expect("a pair")
}

/// The start of a close by that pair.
pub(crate) fn start_of(channel: &ClientChannel, signer: &Signer, height: Height) -> Transaction {
    channel.start_close(signer, pair_of(channel, signer, height))
}

pub(crate) fn close_of(client: &mut Client<FileStore>, channel: ChannelId) -> Option<CloseState> {
    let found = client.query(LedgerQuery::Close(channel), |answer| match answer.result {
        LedgerResult::Close([]) => Ok(None),
        LedgerResult::Close(record) => Ok(Some(CloseState::decode(record).expect("a close"))),
        _ => panic!("another answer"),
    });
    found.expect("the hub answers")
}

/// What a key has on the ledger, in satoshi.
pub(crate) fn funds_of(client: &mut Client<FileStore>, key: KeyBytes) -> u64 {
    let sum = client.query(LedgerQuery::UtxosOf(key), |answer| match answer.result {
        LedgerResult::Utxos { outputs, .. } => Ok(outputs.iter().map(|utxo| utxo.amount.to_sat()).sum::<u64>()),
        _ => panic!("another answer"),
    });
    sum.expect("the hub answers")
}

#[track_caller]
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The code and the words by which the hub refuses something.
#[track_caller]
pub(crate) fn refusal(result: Result<impl core::fmt::Debug, ClientError>) -> (ErrorCode, String) {
    match result {
        Err(ClientError::Connection(ConnectionError::Remote { code, text })) => (code, text),
        other => panic!("{other:?}"),
    }
}

/// The hub's ledger, read while nobody writes; its books hold.
pub(crate) fn ledger(hub: &Hub) -> Node {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (mut node, _) = Node::look(&disk, &hub.dir.path().join("ledger")).expect("a ledger");
    node.audit().expect("the books hold");
    node
}

/// What a hub that has ended and its ledger hold: the books hold, and value is conserved.
pub(crate) fn at_rest(hub: &Hub) -> (Node, Vec<(ChannelId, &'static str)>) {
    let node = ledger(hub);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let state = state::inspect(&disk, hub.dir.path(), &mut |_| {}).expect("a good state");
    let (held, capacity) = state.engine.value();
    assert_eq!(held, capacity, "no value is made or lost");
    let funded: u128 = node
        .channels()
        .map(|(_, _, terms)| u128::from(terms.capacity.to_sat()))
        .sum();
    assert_eq!(capacity, funded, "channels hold what their outputs hold");
    let channels = state.channels().map(|view| (view.id, view.status)).collect();
    (node, channels)
}

/// How many transactions of the ledger have such an action.
pub(crate) fn actions(node: &Node, wanted: impl Fn(&Action) -> bool) -> usize {
    let blocks = node.final_blocks_above(Height::ZERO, usize::MAX).expect("readable");
    let transactions = blocks.iter().flat_map(|block| &block.transactions);
    let actions = transactions.filter_map(|transaction| transaction.body.action.as_deref());
    actions.filter(|action| wanted(action)).count()
}

pub(crate) fn coins(node: &Node, key: KeyBytes) -> u64 {
    let own = node.utxos_of(&key).into_iter();
    own.map(|(_, utxo)| utxo.output.amount.to_sat()).sum()
}

/// What the locks hold that are outputs of the ledger now.
pub(crate) fn locks(node: &Node) -> Vec<u64> {
    let all = node
        .outputs()
        .filter(|(_, utxo)| matches!(utxo.output.condition, Condition::Lock(_)));
    all.map(|(_, utxo)| utxo.output.amount.to_sat()).collect()
}

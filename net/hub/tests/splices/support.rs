//! What the tests of splices ask and do.

use std::time::Duration;

use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{ChannelTerms, LeafPrivate};
use tidegate_client::key_file::Seed;
use tidegate_client::{Client, ClientError, Connection, FileStore, Incoming, SplicePlan};
use tidegate_crypto::keys::SecretKey;
use tidegate_hub::pipeline::Serving;
use tidegate_ledger::{Splice, Witness};
use tidegate_settle::Node;
use tidegate_types::{Amount, ChannelId, Fixed as _, Height, KeyBytes, OutPoint};
use tidegate_wire::messages::{LedgerQuery, LedgerResult, SpliceRequest};
use tidegate_wire::{ErrorCode, ToClient};

pub(crate) use crate::rig::closes::{PATIENCE, at_rest, close_of, wait};
pub(crate) use crate::rig::payment;
use crate::rig::{Hub, closes, sat};

pub(crate) const FEE: u64 = 2_000;
pub(crate) const FUNDS: u64 = 5_000_000;

pub(crate) fn plan(added: u64, taken: u64) -> SplicePlan {
    SplicePlan {
        added: sat(added),
        taken: sat(taken),
        fee: sat(FEE),
        dust: sat(330),
        lifetime: None,
        timeout: Duration::from_secs(10),
    }
}

pub(crate) fn funds(client: &mut Client<FileStore>) -> u64 {
    let funds = client.funds().expect("an answer");
    funds.iter().map(|utxo| utxo.amount.to_sat()).sum()
}

pub(crate) fn terms(client: &Client<FileStore>, channel: &ChannelId) -> ChannelTerms {
    client.channels().get(channel).expect("taken up").opened().terms
}

/// Pays, and settles against the payee's own ack; the fee of it.
pub(crate) fn pay(
    a: &mut Client<FileStore>,
    from: &ChannelId,
    b: &mut Client<FileStore>,
    to: &ChannelId,
    amount: u64,
) -> u64 {
    let paid = a.pay(from, &[payment(b.key(), *to, amount)]).expect("paid");
    assert_eq!(paid[0].status, LockStatus::Delivered);
    let credited = (0..4).any(|_| {
        let news = b.poll(Duration::from_secs(5)).expect("news");
        news.iter().any(|leaf| leaf.events.credited == sat(amount))
    });
    assert!(credited, "the payee is told");
    let settled = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        a.settle(from).expect("the hub answers") == 0
    });
    assert!(settled, "the payee's ack arrives");
    paid[0].total.to_sat() - amount
}

pub(crate) fn status(channels: &[(ChannelId, &'static str)], channel: &ChannelId) -> Option<&'static str> {
    channels.iter().find(|(id, _)| id == channel).map(|(_, status)| *status)
}

/// How many inputs of the ledger were spent by a splice.
pub(crate) fn splices(node: &Node) -> usize {
    let blocks = node.final_blocks_above(Height::ZERO, usize::MAX).expect("readable");
    let transactions = blocks.iter().flat_map(|block| &block.transactions);
    let witnesses = transactions.flat_map(|transaction| &transaction.witnesses);
    witnesses
        .filter(|witness| matches!(witness, Witness::ChannelSplice(_)))
        .count()
}
/// A raw session, which asks for anything.
pub(crate) struct Raw {
    pub(crate) connection: Connection,
}

impl Raw {
    pub(crate) fn new(hub: &Hub, serving: &Serving, seed: &Seed) -> Self {
        let key = SecretKey::from_seed(**seed);
        let connection = Connection::connect(&hub.options(serving), key).expect("the hub answers");
        Self { connection }
    }

    pub(crate) fn coins(&mut self, key: KeyBytes) -> Vec<(OutPoint, Amount)> {
        let incoming = self.connection.request(&LedgerQuery::UtxosOf(key)).expect("an answer");
        match incoming.message() {
            Ok(ToClient::LedgerAnswer(answer)) => match answer.result {
                LedgerResult::Utxos { outputs, .. } => {
                    outputs.iter().map(|utxo| (utxo.outpoint, utxo.amount)).collect()
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn send(&mut self, channel: ChannelId, splice: &Splice, fee: Amount) -> u64 {
        let terms = splice.successor.to_vec();
        let request = SpliceRequest {
            channel,
            fee,
            terms: &terms,
            coins: splice.coins[..].into(),
            change: splice.change,
        };
        self.connection.send(&request).expect("sent")
    }

    /// The next leaf of a channel.
    pub(crate) fn leaf(&mut self, channel: &ChannelId) -> LeafPrivate {
        let is_receipt = |incoming: &Incoming| matches!(incoming.message(), Ok(ToClient::Receipt(_)));
        let incoming = self.connection.wait_for(PATIENCE, is_receipt).expect("a receipt");
        let Ok(ToClient::Receipt(receipt)) = incoming.message() else {
            unreachable!("only a receipt was wanted")
        };
        let mut leaves = receipt
            .entries
            .iter()
            .map(|entry| LeafPrivate::decode(entry.private).expect("a leaf"));
        leaves.find(|leaf| leaf.channel == *channel).expect("of this channel")
    }

    /// Asks, and is refused.
    pub(crate) fn refused(&mut self, channel: ChannelId, splice: &Splice, fee: Amount) -> (ErrorCode, String) {
        let asked = self.send(channel, splice, fee);
        let is_answer = |incoming: &Incoming| incoming.header.request == asked;
        let incoming = self.connection.wait_for(PATIENCE, is_answer).expect("an answer");
        match incoming.message() {
            Ok(ToClient::Error(error)) => (error.code, error.text.to_owned()),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn error_code(result: Result<impl core::fmt::Debug, ClientError>) -> ErrorCode {
    closes::refusal(result).0
}

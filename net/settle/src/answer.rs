//! What a node says on the wire.

use tidegate_ledger::Transaction;
use tidegate_types::{Fixed, Height, OutPoint};
use tidegate_wire::lengths::{MAX_BLOCK_PIECE, MAX_BLOCKS, MAX_UTXOS};
use tidegate_wire::messages::{
    BlockBytes, BlockPage, Body as _, Error, LedgerAnswer, LedgerChannel, LedgerQuery, LedgerResult, OutputKind,
    OutputStatus, TxStatus, Utxo,
};
use tidegate_wire::{ErrorCode, Items};

use crate::{Node, TransactionStatus};

/// The whole message that answers a question.
#[must_use]
pub fn answer(node: &Node, query: &LedgerQuery, request: u64) -> Vec<u8> {
    match *query {
        LedgerQuery::Tip => message(node, LedgerResult::Tip, request),
        LedgerQuery::UtxosOf(key) => {
            let found = node.utxos_of(&key);
            let outputs: Vec<Utxo> = found.iter().take(MAX_UTXOS).map(|(o, utxo)| to_wire(o, utxo)).collect();
            let result = LedgerResult::Utxos {
                outputs: Items::from(outputs.as_slice()),
                more: found.len() > MAX_UTXOS,
            };
            message(node, result, request)
        }
        LedgerQuery::Transaction(txid) => {
            let status = match node.transaction_status(&txid) {
                TransactionStatus::Unknown => TxStatus::Unknown,
                TransactionStatus::InBlock { height, is_final: true } => TxStatus::Final(height),
                TransactionStatus::Waiting | TransactionStatus::InBlock { .. } => TxStatus::Mempool,
            };
            message(node, LedgerResult::Transaction(status), request)
        }
        LedgerQuery::Channel(channel) => {
            let found = node.channel_output(&channel);
            let terms = found
                .as_ref()
                .and_then(|(outpoint, utxo)| utxo.channel(outpoint).map(|(_, terms)| terms.to_vec()));
            let answer = found
                .zip(terms.as_ref())
                .map(|((outpoint, utxo), terms)| LedgerChannel {
                    outpoint,
                    status: OutputStatus::Unspent,
                    amount: utxo.output.amount,
                    terms,
                });
            message(node, LedgerResult::Channel(answer), request)
        }
        LedgerQuery::Blocks { from, offset, .. } => page(node, from, offset, request),
    }
}

/// The whole message that answers a transaction that was brought: its name, or why it is refused.
#[must_use]
pub fn submitted(node: &mut Node, bytes: &[u8], request: u64) -> Vec<u8> {
    let taken = Transaction::decode(bytes).map_err(|error| error.to_string());
    let taken = taken.and_then(|transaction| node.submit(transaction).map_err(|error| error.to_string()));
    match taken {
        Ok(txid) => message(node, LedgerResult::Accepted(txid), request),
        Err(text) => refusal(ErrorCode::TransactionRefused, &text, request),
    }
}

pub(crate) fn refusal(code: ErrorCode, text: &str, request: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Error { code, text }
        .append(request, &mut bytes)
        .expect("an error is short");
    bytes
}

/// What the blocks of one page come to at most, in bytes.
const PAGE_BYTES_MAX: usize = MAX_BLOCK_PIECE;

fn page(node: &Node, from: Height, offset: u32, request: u64) -> Vec<u8> {
    let (mut blocks, mut bytes): (Vec<Vec<u8>>, usize) = (Vec::new(), 0);
    let read = node.visit_blocks(from, |encoded| {
        let fits = blocks.is_empty() || bytes + encoded.len() <= PAGE_BYTES_MAX;
        if fits {
            bytes += encoded.len();
            blocks.push(encoded.to_vec());
        }
        fits && offset == 0 && blocks.len() < MAX_BLOCKS
    });
    if let Err(error) = read {
        return refusal(ErrorCode::NotFound, &error.to_string(), request);
    }
    let tip = node.tip().height;
    let page = |offset, left, blocks: &[BlockBytes<'_>]| {
        let page = BlockPage {
            tip,
            from,
            offset,
            left,
            blocks: blocks.into(),
        };
        message(node, LedgerResult::Blocks(page), request)
    };
    match blocks.first() {
        Some(first) if offset > 0 || first.len() > MAX_BLOCK_PIECE => {
            let rest = first.get(offset as usize..).unwrap_or_default();
            let (piece, left) = rest.split_at(rest.len().min(MAX_BLOCK_PIECE));
            let left = u32::try_from(left.len()).expect("a block is far below 4 GiB");
            page(offset, left, &[BlockBytes(piece)])
        }
        _ => {
            let items: Vec<_> = blocks.iter().map(|block| BlockBytes(block)).collect();
            page(0, 0, &items)
        }
    }
}

fn to_wire(outpoint: &OutPoint, utxo: &tidegate_ledger::Utxo) -> Utxo {
    Utxo {
        outpoint: *outpoint,
        kind: OutputKind::Key,
        amount: utxo.output.amount,
    }
}

fn message(node: &Node, result: LedgerResult<'_>, request: u64) -> Vec<u8> {
    let answer = LedgerAnswer {
        height: node.tip().final_height,
        tip: node.final_hash(),
        result,
    };
    let mut bytes = Vec::new();
    answer.append(request, &mut bytes).expect("lists are within their caps");
    bytes
}

//! What a node says on the wire.

use std::time::Instant;

use tidegate_ledger::{LockCondition, LockTerms, MempoolError, Transaction};
use tidegate_types::{Amount, ChannelId, Fixed, Height, OutPoint, Txid};
use tidegate_wire::lengths::{LOCK_TERMS_LEN, MAX_BLOCK_PIECE, MAX_BLOCKS, MAX_LOCK_OUTPUTS, MAX_UTXOS};
use tidegate_wire::messages::{
    BlockBytes, BlockPage, Body as _, Error, LedgerAnswer, LedgerChannel, LedgerQuery, LedgerResult, LockOutput,
    OutputKind, OutputStatus, TxStatus, Utxo,
};
use tidegate_wire::{ErrorCode, Items};

use crate::{Node, SubmitError, TransactionStatus};

/// Whether a question takes a look at every output: whoever serves many lets such ones pass seldom ([`Scans`]).
const fn is_scan(query: &LedgerQuery) -> bool {
    matches!(query, LedgerQuery::ChannelsOf(_))
}

/// Lets scans take a tenth of the time at most, whoever asks.
#[derive(Debug, Default)]
pub struct Scans {
    next: Option<Instant>,
}

impl Scans {
    /// Answers a question, or tells by `None` that it was a scan too soon after the last one. `now` is asked again afterwards.
    pub fn answer(
        &mut self,
        node: &Node,
        query: &LedgerQuery,
        request: u64,
        now: impl Fn() -> Instant,
    ) -> Option<Vec<u8>> {
        let began = now();
        if is_scan(query) && self.next.is_some_and(|next| began < next) {
            return None;
        }
        let bytes = answer(node, query, request);
        if is_scan(query) {
            let ended = now();
            self.next = Some(ended + 9 * ended.saturating_duration_since(began));
        }
        Some(bytes)
    }
}

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
                    status: if utxo.is_closing() {
                        OutputStatus::Closing
                    } else {
                        OutputStatus::Unspent
                    },
                    amount: utxo.output.amount,
                    terms,
                });
            message(node, LedgerResult::Channel(answer), request)
        }
        LedgerQuery::ChannelsOf(key) => {
            let mut found: Vec<ChannelId> = node
                .channels()
                .filter(|(_, _, terms)| terms.client == key)
                .map(|(channel, ..)| channel)
                .collect();
            found.sort_unstable();
            let more = found.len() > MAX_UTXOS;
            found.truncate(MAX_UTXOS);
            let channels = Items::from(found.as_slice());
            message(node, LedgerResult::Channels { channels, more }, request)
        }
        LedgerQuery::LocksOf(key) => {
            let mut found = node.locks_of(&key).map(|found| lock_to_wire(node, &found));
            let locks: Vec<LockOutput> = found.by_ref().take(MAX_LOCK_OUTPUTS).collect();
            let result = LedgerResult::Locks {
                locks: Items::from(locks.as_slice()),
                more: found.next().is_some(),
            };
            message(node, result, request)
        }
        LedgerQuery::Close(channel) => {
            let record = node.close_of(&channel).map(|close| close.to_vec()).unwrap_or_default();
            message(node, LedgerResult::Close(&record), request)
        }
        LedgerQuery::Blocks { from, offset, .. } => page(node, from, offset, request),
    }
}

/// Takes an encoded transaction.
///
/// # Errors
/// Why it is refused, in words.
pub fn submit(node: &mut Node, bytes: &[u8]) -> Result<Txid, String> {
    let transaction = Transaction::decode(bytes).map_err(|error| error.to_string())?;
    let txid = transaction.txid();
    match node.submit(transaction) {
        // Whoever lost the answer asks again.
        Ok(_) | Err(SubmitError::Mempool(MempoolError::Known)) => Ok(txid),
        Err(error) => Err(error.to_string()),
    }
}

/// The whole message that answers a transaction that was taken.
#[must_use]
pub fn accepted(node: &Node, txid: Txid, request: u64) -> Vec<u8> {
    message(node, LedgerResult::Accepted(txid), request)
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

fn lock_to_wire(node: &Node, (outpoint, amount, terms): &(OutPoint, Amount, LockTerms)) -> LockOutput {
    let known = match &terms.condition {
        LockCondition::Hash(hash) => node.preimage(hash),
        LockCondition::Ack { .. } => None,
    };
    let (preimage, revealed) = known.unwrap_or(([0; 32], Height::ZERO));
    let mut encoded = [0; LOCK_TERMS_LEN];
    terms.encode_into(&mut encoded);
    LockOutput {
        outpoint: *outpoint,
        amount: *amount,
        terms: encoded,
        revealed,
        preimage,
    }
}

const _: () = assert!(LockTerms::LEN == LOCK_TERMS_LEN);

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

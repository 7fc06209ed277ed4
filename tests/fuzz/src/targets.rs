//! One function per decoder, and one for the verdict on a signature.
//!
//! Each returns whether the bytes were accepted, and panics if the value's encoding is not those very bytes: a second
//! encoding of one value would let a third party alter what was signed.

pub use crate::session::{drive_link, drive_session, greet_client, greet_hub};
pub use crate::signatures::judge_signature;
use tidegate_batch as batch;
use tidegate_channel as channel;
use tidegate_channel::{codec::Canonical, evidence};
use tidegate_client as client;
use tidegate_ledger as ledger;
use tidegate_peers as peers;
use tidegate_types::{Fixed, Reader};
use tidegate_wire::{
    ToClient, ToHub, ToPeer,
    frame::{HEADER_LEN, Header, MAX_BODY, MessageReader},
};

/// A function under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its function.
    pub name: &'static str,
    /// What stands before a body.
    pub form: Form,
    /// The function.
    pub run: fn(&[u8]) -> bool,
}

/// What an input of a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The encoding alone.
    Plain,
    /// A text that people send each other: it names keys, and each is checked as a point of the curve.
    Text,
    /// A message header and its body.
    Message,
    /// A table with places for all that it can hold, and a digest at its end.
    Table,
    /// A message that bears leaves.
    Leaves,
    /// A byte that chooses how the stream is cut, and the stream.
    Stream,
    /// A signature to make and to change.
    Signature,
    /// What happens between the two ends of a session.
    Script,
    /// Bytes of a stranger.
    Greeting,
}

impl Form {
    /// What a target may ask for beside what its input's length allows, in bytes.
    #[must_use]
    pub const fn bytes_free(self) -> usize {
        match self {
            Self::Plain | Self::Text | Self::Message | Self::Leaves | Self::Stream => 16 << 10,
            // The places are allocated whole, whatever stands in them.
            Self::Table => 4 << 20,
            // Batches on every path: points of cold keys are combined for one use.
            Self::Signature => 1 << 20,
            // What both ends say, in the buffers of the script: the session itself holds no more than its window.
            Self::Script => 16 << 20,
            Self::Greeting => 16 << 10,
        }
    }

    /// How many times as long an input takes as a decoder's.
    #[must_use]
    pub const fn dearness(self) -> u64 {
        match self {
            Self::Plain | Self::Message | Self::Leaves | Self::Stream => 1,
            Self::Text | Self::Greeting => 10,
            Self::Table => 50,
            Self::Signature => 20,
            Self::Script => 100,
        }
    }
}

macro_rules! targets {
    ($($form:ident $function:ident),* $(,)?) => {
        /// Every one of them.
        pub const ALL: &[Target] =
            &[$(Target { name: stringify!($function), form: Form::$form, run: $function }),*];
    };
}

targets! {
    Plain decode_client_state,
    Plain decode_leaf_private,
    Plain decode_leaf_public,
    Plain decode_batch_header,
    Plain decode_signed_header,
    Plain decode_ack,
    Plain decode_credit,
    Plain decode_outcome,
    Plain decode_channel_terms,
    Plain decode_final_terms,
    Plain decode_operations,
    Plain decode_transaction,
    Plain decode_block,
    Plain decode_ledger_params,
    Plain decode_genesis,
    Plain decode_inputs,
    Stream decode_stream,
    Message decode_to_hub,
    Message decode_to_client,
    Message decode_to_peer,
    Table decode_peer_table,
    Plain decode_pair,
    Plain decode_lock_evidence,
    Plain decode_ack_proof,
    Plain decode_fault,
    Plain decode_action,
    Plain decode_close_state,
    Plain decode_open_lock,
    Plain decode_utxo,
    Plain decode_record,
    Text decode_address,
    Text decode_request,
    Leaves decode_leaves,
    Signature judge_signature,
    Greeting greet_hub,
    Greeting greet_client,
    Script drive_session,
    Script drive_link,
}

/// Decodes a value of fixed width and holds its encoding against the bytes.
fn fixed<T: Fixed>(data: &[u8]) -> bool {
    let Ok(value) = T::decode(data) else { return false };
    let mut again = Vec::with_capacity(T::LEN);
    value.append_to(&mut again);
    assert!(again == data, "two encodings of one {}", std::any::type_name::<T>());
    true
}

/// A client's half state.
#[must_use]
pub fn decode_client_state(data: &[u8]) -> bool {
    fixed::<channel::ClientState>(data)
}

/// The private part of a leaf.
#[must_use]
pub fn decode_leaf_private(data: &[u8]) -> bool {
    fixed::<channel::LeafPrivate>(data)
}

/// The public part of a leaf.
#[must_use]
pub fn decode_leaf_public(data: &[u8]) -> bool {
    fixed::<channel::LeafPublic>(data)
}

/// A batch header.
#[must_use]
pub fn decode_batch_header(data: &[u8]) -> bool {
    fixed::<channel::BatchHeader>(data)
}

/// A batch header with its signature.
#[must_use]
pub fn decode_signed_header(data: &[u8]) -> bool {
    fixed::<channel::SignedHeader>(data)
}

/// A payee's ack.
#[must_use]
pub fn decode_ack(data: &[u8]) -> bool {
    fixed::<channel::Ack>(data)
}

/// An entry of a leaf's credit list.
#[must_use]
pub fn decode_credit(data: &[u8]) -> bool {
    fixed::<channel::Credit>(data)
}

/// What became of an operation.
#[must_use]
pub fn decode_outcome(data: &[u8]) -> bool {
    fixed::<channel::Outcome>(data)
}

/// The parameters of a channel.
#[must_use]
pub fn decode_channel_terms(data: &[u8]) -> bool {
    fixed::<channel::ChannelTerms>(data)
}

/// What a final leaf promises.
#[must_use]
pub fn decode_final_terms(data: &[u8]) -> bool {
    fixed::<channel::FinalTerms>(data)
}

/// A list of operations.
#[must_use]
pub fn decode_operations(data: &[u8]) -> bool {
    let mut operations = Vec::new();
    if channel::decode_operations(data, &mut operations).is_err() {
        return false;
    }
    let mut again = Vec::with_capacity(data.len());
    channel::encode_operations(&operations, &mut again);
    assert!(again == data, "two encodings of one list of operations");
    true
}

/// A ledger transaction.
#[must_use]
pub fn decode_transaction(data: &[u8]) -> bool {
    let Ok(transaction) = ledger::Transaction::decode(data) else {
        return false;
    };
    assert!(transaction.encode() == data, "two encodings of one transaction");
    true
}

/// A ledger block.
#[must_use]
pub fn decode_block(data: &[u8]) -> bool {
    let Ok(block) = ledger::Block::decode(data) else {
        return false;
    };
    assert!(block.encode() == data, "two encodings of one block");
    true
}

/// A ledger's constants.
#[must_use]
pub fn decode_ledger_params(data: &[u8]) -> bool {
    fixed::<ledger::LedgerParams>(data)
}

/// A ledger's genesis with all its outputs.
#[must_use]
pub fn decode_genesis(data: &[u8]) -> bool {
    let Ok(genesis) = ledger::Genesis::parse(data) else {
        return false;
    };
    let mut writer = ledger::GenesisWriter::new(genesis.header());
    for output in genesis.outputs() {
        let Ok((_, output)) = output else { return false };
        writer.push(&output);
    }
    assert!(writer.finish() == data, "two encodings of one genesis");
    true
}

/// The inputs of a batch, as the log holds them.
#[must_use]
pub fn decode_inputs(data: &[u8]) -> bool {
    let mut r = Reader::new(data);
    let mut again = Vec::with_capacity(data.len());
    while r.remaining() > 0 {
        let Ok(input) = batch::Input::read(&mut r) else {
            return false;
        };
        input.append_to(&mut again);
    }
    assert!(again == data, "two encodings of one list of inputs");
    true
}

/// A message stream that arrives in slices: the first byte chooses their length, which must not change what is read.
#[must_use]
pub fn decode_stream(data: &[u8]) -> bool {
    let Some((&slice, stream)) = data.split_first() else {
        return false;
    };
    let whole = read_stream(stream, usize::MAX);
    let sliced = read_stream(stream, usize::from(slice) + 1);
    assert!(whole == sliced, "messages depend on how the stream was cut");
    !whole.is_empty()
}

/// The messages of a stream up to its end or its first error.
fn read_stream(stream: &[u8], slice: usize) -> Vec<(Header, Vec<u8>)> {
    let mut reader = MessageReader::new(MAX_BODY);
    let mut messages = Vec::new();
    for mut input in stream.chunks(slice.min(stream.len()).max(1)) {
        loop {
            match reader.next(&mut input) {
                Ok(Some((header, body))) => messages.push((header, body.to_vec())),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

/// Splits a message off its header, if the header is one and announces exactly the bytes behind it.
fn message(data: &[u8]) -> Option<(Header, &[u8])> {
    let (head, body) = data.split_first_chunk::<HEADER_LEN>()?;
    let header = Header::decode_strict(head, MAX_BODY).ok()?;
    (header.len as usize == body.len()).then_some((header, body))
}

/// A message to a hub.
#[must_use]
pub fn decode_to_hub(data: &[u8]) -> bool {
    let Some((header, body)) = message(data) else {
        return false;
    };
    let Ok(message) = ToHub::decode(&header, body) else {
        return false;
    };
    let mut again = Vec::with_capacity(data.len());
    message
        .append(header.request, &mut again)
        .expect("it was no longer than this when it came");
    assert!(again == data, "two encodings of one {}", message.kind());
    true
}

/// A message to a client.
#[must_use]
pub fn decode_to_client(data: &[u8]) -> bool {
    let Some((header, body)) = message(data) else {
        return false;
    };
    let Ok(message) = ToClient::decode(&header, body) else {
        return false;
    };
    let mut again = Vec::with_capacity(data.len());
    message
        .append(header.request, &mut again)
        .expect("it was no longer than this when it came");
    assert!(again == data, "two encodings of one {}", message.kind());
    true
}

/// Decodes a value whose width depends on its content, and holds its encoding against the bytes.
fn canonical<T: Canonical>(data: &[u8]) -> bool {
    let Ok(value) = T::decode(data) else { return false };
    assert!(
        value.to_bytes() == data,
        "two encodings of one {}",
        std::any::type_name::<T>()
    );
    true
}

/// The evidence of a dispute.
#[must_use]
pub fn decode_pair(data: &[u8]) -> bool {
    canonical::<evidence::Pair>(data)
}

/// Evidence on one lock.
#[must_use]
pub fn decode_lock_evidence(data: &[u8]) -> bool {
    canonical::<evidence::LockEvidence>(data)
}

/// The way from an ack to a credited lock.
#[must_use]
pub fn decode_ack_proof(data: &[u8]) -> bool {
    canonical::<evidence::AckProof>(data)
}

/// A hub's fault.
#[must_use]
pub fn decode_fault(data: &[u8]) -> bool {
    canonical::<evidence::Fault>(data)
}

/// What a transaction does beside moving coins.
#[must_use]
pub fn decode_action(data: &[u8]) -> bool {
    canonical::<ledger::Action>(data)
}

/// How far a channel's close is, as a ledger tells it.
#[must_use]
pub fn decode_close_state(data: &[u8]) -> bool {
    fixed::<ledger::CloseState>(data)
}

/// A lock of a closing channel.
#[must_use]
pub fn decode_open_lock(data: &[u8]) -> bool {
    fixed::<ledger::OpenLock>(data)
}

/// An unspent output, as tables hold it.
#[must_use]
pub fn decode_utxo(data: &[u8]) -> bool {
    fixed::<ledger::Utxo>(data)
}

/// A message on a link between hubs.
#[must_use]
pub fn decode_to_peer(data: &[u8]) -> bool {
    let Some((header, body)) = message(data) else {
        return false;
    };
    let Ok(message) = ToPeer::decode(&header, body) else {
        return false;
    };
    let mut again = Vec::with_capacity(data.len());
    message
        .append(header.request, &mut again)
        .expect("it was no longer than this when it came");
    assert!(again == data, "two encodings of one {}", message.kind());
    true
}

/// What a hub has kept of others. The input is without its digest, which is made here: else no changed input would get behind it. Of
/// two places for one slot the second is left out, and version 1 is written as version 2, so only what is read is held against what
/// is written.
#[must_use]
pub fn decode_peer_table(data: &[u8]) -> bool {
    let now = (peers::Moment::new(0), peers::Minute::new(30_000_000));
    let whole = peers::Kept::sealed(data);
    let Ok(kept) = peers::Kept::decode(&whole, now.1) else {
        return false;
    };
    let again = kept.encode(now);
    let twice = peers::Kept::decode(&again, now.1).expect("what was kept is read back");
    assert!(twice.encode(now) == again, "a table that is not read back");
    true
}

/// A record of a wallet's journal.
#[must_use]
pub fn decode_record(data: &[u8]) -> bool {
    let Ok(record) = client::store::Record::decode(data) else {
        return false;
    };
    assert!(record.encode() == data, "two encodings of one record");
    true
}

/// The text of an input: text that begins as one of ours is taken as it is; of other bytes the first `count` become the bytes of a
/// bech32m string, so that inputs get behind its checksum, and the rest stays text.
fn text(data: &[u8], prefix: &str, count: usize) -> Option<String> {
    if data.starts_with(prefix.as_bytes()) {
        return Some(std::str::from_utf8(data).ok()?.to_owned());
    }
    let (coded, rest) = data.split_at(count.min(data.len()));
    let head =
        bech32::encode_lower::<bech32::Bech32m>(bech32::Hrp::parse_unchecked(&prefix[..prefix.len() - 1]), coded)
            .ok()?;
    Some(head + std::str::from_utf8(rest).ok()?)
}

/// A hub's address, which people send each other: white space around it is not part of it, and bech32 may be all capitals.
#[must_use]
pub fn decode_address(data: &[u8]) -> bool {
    let Some(text) = text(data, "tg1", 64) else {
        return false;
    };
    let Ok(address) = text.parse::<client::HubAddress>() else {
        return false;
    };
    let again: client::HubAddress = address.to_string().parse().expect("an address is read back");
    assert!(again == address, "an address that is not read back");
    true
}

/// A payment request, which people send each other as they do addresses.
#[must_use]
pub fn decode_request(data: &[u8]) -> bool {
    let Some(text) = text(data, "tgr1", usize::MAX) else {
        return false;
    };
    let Ok(request) = text.parse::<client::PaymentRequest>() else {
        return false;
    };
    assert!(
        request.to_string().parse() == Ok(request),
        "a request that is not read back"
    );
    true
}

/// The leaves of a receipt, or of the answer to a `Sync`, as a wallet reads them.
#[must_use]
pub fn decode_leaves(data: &[u8]) -> bool {
    let Some((header, body)) = message(data) else {
        return false;
    };
    match ToClient::decode(&header, body) {
        Ok(ToClient::Receipt(receipt)) => receipt.entries.iter().all(|entry| client::Leaf::decode(&entry).is_ok()),
        Ok(ToClient::SyncAnswer(answer)) => {
            let mut leaves = answer.leaves.iter();
            leaves.all(|leaf| client::Leaf::decode_synced(&leaf).is_ok())
        }
        _ => false,
    }
}

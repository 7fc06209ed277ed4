//! Widths of the signed objects that messages carry, and the most of anything that one message holds.
//!
//! Whoever gives these bytes a meaning asserts at compile time that its own widths are the same.

use tidegate_types::{Digest, Fixed, KeyBytes, OutPoint, SignatureBytes};

use crate::frame::MAX_BODY;
use crate::messages::LockOutput;

/// A client state `C`.
pub const STATE_LEN: usize = 160;
/// A batch header with the hub's signature.
pub const SIGNED_HEADER_LEN: usize = 248;
/// The private part of a leaf.
pub const LEAF_PRIVATE_LEN: usize = 216;
/// The public part of a leaf.
pub const LEAF_PUBLIC_LEN: usize = 96;
/// A credit, as the payee is told of it.
pub const CREDIT_LEN: usize = 80;
/// The outcome of one operation.
pub const OUTCOME_LEN: usize = 96;
/// What a leaf does to an in-lock.
pub const IN_CHANGE_LEN: usize = 104;
/// An ack without its signature.
pub const ACK_LEN: usize = 72;
/// The terms in a final leaf.
pub const FINAL_TERMS_LEN: usize = 96;
/// An operation that adds a lock.
pub const ADD_LEN: usize = 136;
/// A kind of outcome with its reason.
pub const OP_OUTCOME_LEN: usize = 2;
/// What hides a lock under a credited or failed root.
pub const SALT_LEN: usize = 16;

/// The longest list of operations in bytes: 16 adds and 16 releases.
pub const MAX_OPERATIONS_LEN: usize = 16 * ADD_LEN + 16 * 40;
/// The longest encoding of a channel's terms in bytes.
pub const MAX_TERMS_LEN: usize = 1024;
/// The longest transaction in bytes.
pub const MAX_TRANSACTION_LEN: usize = 64 << 10;
/// The most inputs that an opening takes from the client.
pub const MAX_OPEN_INPUTS: usize = 64;
/// The most channels that one `Attach` lends.
pub const MAX_ATTACHED: usize = 1024;
/// The longest Merkle path: one digest for each level of 2³² leaves.
pub const MAX_PATH: usize = 32;
/// The most credits of one leaf.
pub const MAX_CREDITS: usize = 8192;
/// The most outcomes of one leaf: 64 states of 32 operations.
pub const MAX_OUTCOMES: usize = 2048;
/// The most changes to in-locks of one leaf: every slot is emptied and taken again.
pub const MAX_IN_CHANGES: usize = 128;
/// The most requests that one leaf answers.
pub const MAX_ANSWERS: usize = 1024;
/// The most leaves between a credit and the ack that covers it, and the most that a `SyncAnswer` carries.
pub const MAX_LEAVES: usize = 64;
/// The most open locks on one side of a channel.
pub const MAX_OPEN_LOCKS: usize = 64;
/// The most stored answers: 64 states of 16 adds, and the open locks.
pub const MAX_STORED_ANSWERS: usize = 64 * 16 + MAX_OPEN_LOCKS;
/// The most outputs that one `LedgerAnswer` lists.
pub const MAX_UTXOS: usize = 4096;
/// The most lock outputs that one `LedgerAnswer` lists.
pub const MAX_LOCK_OUTPUTS: usize = 1024;
/// The width of a lock output's terms.
pub const LOCK_TERMS_LEN: usize = 136;
/// The most blocks that one `LedgerAnswer` brings.
pub const MAX_BLOCKS: usize = 1024;
/// The widest block, or piece of one, that a `LedgerAnswer` brings.
pub const MAX_BLOCK_PIECE: usize = 1 << 20;
/// The longest record of a close.
pub const MAX_CLOSE_LEN: usize = 1024;
/// The longest pair of a `TowerPackage`: both halves, each proved and named by another leaf or state, with 64 locks each.
pub const MAX_PAIR_LEN: usize = 32 << 10;
/// The most reveals of a `TowerPackage`: the ack of its leaf, and a preimage for each lock.
pub const MAX_TOWER_REVEALS: usize = 1 + MAX_OPEN_LOCKS;
/// The most addresses that hubs tell each other at once.
pub const MAX_PEERS: usize = 256;
/// The most batch headers that they tell each other at once.
pub const MAX_PEER_HEADERS: usize = 16;
/// The longest text of an `Error` in bytes.
pub const MAX_ERROR_TEXT: usize = 256;
/// The longest body of a `Receipt` in bytes.
pub const MAX_RECEIPT_BODY: usize = 1 << 20;

/// Bytes before the first entry of a `Receipt`: header, count, padding.
pub(crate) const RECEIPT_HEAD_LEN: usize = SIGNED_HEADER_LEN + 8;
/// Bytes of the largest entry of a `Receipt`.
const MAX_ENTRY_LEN: usize = 24
    + LEAF_PRIVATE_LEN
    + LEAF_PUBLIC_LEN
    + MAX_PATH * Digest::LEN
    + MAX_CREDITS * CREDIT_LEN
    + MAX_OUTCOMES * OUTCOME_LEN
    + MAX_ANSWERS * 16
    + MAX_IN_CHANGES * IN_CHANGE_LEN
    + FINAL_TERMS_LEN;
const _: () = assert!(
    RECEIPT_HEAD_LEN + MAX_ENTRY_LEN <= MAX_RECEIPT_BODY,
    "every leaf fits a message"
);
const _: () = assert!(MAX_RECEIPT_BODY <= MAX_BODY as usize);
const _: () = assert!(MAX_UTXOS * 48 + 64 <= MAX_BODY as usize);
const _: () = assert!(MAX_LOCK_OUTPUTS * LockOutput::LEN + 64 <= MAX_BODY as usize);
const _: () = assert!(
    MAX_OPEN_INPUTS * OutPoint::LEN + MAX_TERMS_LEN + KeyBytes::LEN + SignatureBytes::LEN + MAX_TRANSACTION_LEN
        <= MAX_BODY as usize
);

//! The settlement ledger: UTXO transactions, blocks that can be undone, and the evidence by which a channel ends.
//!
//! ```text
//! Genesis ──▶ Chain ◀── Block ◀── Solo ◀── Mempool ◀── Transaction + Witness
//!               │
//!               ├── UtxoStore   the unspent outputs: the caller's table
//!               ├── UtxoTree    their Merkle commitment, in memory
//!               └── Event       channels that opened or closed in a block
//! ```
//!
//! The rules are sections 2 and 7 of the protocol. There is no script language: an output has one of a closed set of
//! [`Condition`]s, and each has a closed set of ways to be spent, the [`Witness`] kinds. What a decoder does not know it
//! refuses.
//!
//! Every block is checked as a whole: it is applied completely or not at all, after it Σ outputs + burned fees equals
//! the supply of the genesis, and it can be undone exactly until it is final.
//!
//! Nothing here does I/O, reads a clock, draws randomness or starts a thread.

mod action;
mod block;
mod chain;
mod check;
mod close;
mod codec;
mod condition;
mod entries;
mod event;
mod fund;
mod genesis;
mod judge;
mod keys;
mod mempool;
mod output;
mod params;
mod record;
mod solo;
mod spend;
mod splice;
mod store;
mod transaction;
mod tree;
mod witness;

pub use action::{Action, LockPlace, Payer};
pub use block::{Block, BlockHeader, BlockSignatureError};
pub use chain::{Applied, BlockError, Chain, Lookup, Supply, Tip, Trust, UndoError};
pub use check::{CheckedTransaction, TransactionError};
pub use close::CloseError;
pub use condition::{
    After, Condition, Inner, LockCondition, LockTerms, MULTI_KEYS_MAX, Multi, MultiKeys, StakeState, StakeTerms,
    Timelock,
};
pub use event::Event;
pub use fund::{FundError, fund};
pub use genesis::{
    Genesis, GenesisError, GenesisHead, GenesisHeader, GenesisOutputs, GenesisWriter, NetworkName, genesis_outpoint,
};
pub use judge::{ActionError, LockError, SettleError};
pub use keys::KeyCache;
pub use mempool::{Mempool, MempoolError};
pub use output::{Output, OutputError, Utxo};
pub use params::{LedgerParams, ParamsError};
pub use record::{
    AckRecord, ClientBest, CloseState, EndedRecord, HubBest, OpenLock, PreimageRecord, Record, StakeRecord,
    ack_outpoint, close_outpoint, commitment_outpoint, ended_outpoint, lock_outpoint, preimage_outpoint,
    stake_outpoint,
};
pub use solo::{SealError, Sealed, Solo};
pub use splice::Splice;
pub use store::{MemoryStore, UtxoStore};
pub use transaction::{MAX_INPUTS, MAX_OUTPUTS, Transaction, TransactionBody};
pub use tree::{UTXO_PATH_LEN, UtxoTree, utxo_leaf, verify_utxo_path};
pub use witness::{ChannelClose, LockProof, MultiWitness, Witness};

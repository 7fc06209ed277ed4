//! Merkle trees: a batch's receipts, small lists, the open locks of a channel, the state of all channels.
//!
//! | tree | shape | root |
//! |---|---|---|
//! | [`Tree`], [`root`] | binary, any number of leaves, an odd node is promoted as it is | over count and top |
//! | [`LockTree`] | 4-ary, exactly 64 slots, an empty slot is zero | the top node |
//! | [`StateTree`], [`state_root`] | 4-ary, any number of slots, absent children are zero | over count and top |
//!
//! Leaves, nodes and roots are hashed in different domains, the count is under the root, no node is ever doubled and a
//! path has exactly one length, so a root stands for one list of leaves, and a path for one place in it.
//!
//! All trees are hashed level by level, up to 16 nodes at a time.

mod binary;
mod first_locks;
mod lock_batch;
mod lock_tree;
mod roots;
mod state;

pub use binary::{
    LIST, OUTCOMES, RECEIPTS, SharedPaths, TRANSACTIONS, Tree, TreeKind, UTXO, path_len, root, shared_path_len,
    verify_path,
};
pub use first_locks::{FirstLockTree, FirstLocks};
pub use lock_batch::{LockChange, LockScratch, LockTrees, update_lock_trees};
pub use lock_tree::{LOCK_PATH_LEN, LockNodes, LockTree};
pub use roots::{RootsScratch, roots};
pub use state::{StatePathError, StateTree, state_path_len, state_root, verify_state_path};

use tidegate_types::Digest;

use crate::hash::{Domain, hash};

/// How many nodes are gathered for one call of the vector code: as many as the widest takes at a time.
const LANES: usize = 16;

fn root_over(domain: Domain, count: u32, top: &Digest) -> Digest {
    hash(domain, &root_block(count, top))
}

/// `count ‖ 28 zero bytes ‖ top`: what a root is the hash of. One block, so that many roots can be hashed at a time.
fn root_block(count: u32, top: &Digest) -> [u8; 64] {
    let mut block = [0; 64];
    block[..4].copy_from_slice(&count.to_le_bytes());
    block[32..].copy_from_slice(top.as_bytes());
    block
}

fn count_of(leaves: &[Digest]) -> u32 {
    u32::try_from(leaves.len()).expect("a tree has fewer than 2³² leaves: they would take 128 GiB")
}

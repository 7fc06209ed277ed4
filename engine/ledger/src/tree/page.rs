//! Pages of the tree: the lowest three levels over 64 positions.

use tidegate_crypto::hash::{Domain, hash_many};
use tidegate_types::Digest;

use super::leaf_bytes;
use crate::UtxoStore;

/// Levels of a page below its root, and the positions in one.
pub(super) const PAGE_DEPTH: usize = 3;
pub(super) const PAGE: usize = 1 << (2 * PAGE_DEPTH);

/// The lowest levels over 64 positions.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) leaves: [Digest; PAGE],
    pub(super) fours: [Digest; PAGE / 4],
    pub(super) sixteens: [Digest; PAGE / 16],
    /// The positions that hold what the genesis created there.
    pub(super) created: u64,
}

impl Page {
    pub(super) const EMPTY: Self = Self {
        leaves: [Digest::ZERO; PAGE],
        fours: [Digest::ZERO; PAGE / 4],
        sixteens: [Digest::ZERO; PAGE / 16],
        created: 0,
    };

    /// The page as the genesis created it.
    pub(super) fn created(number: usize, store: &impl UtxoStore) -> Self {
        let position = |at: usize| u32::try_from(at).expect("positions have 32 bits, and the last page is never full");
        let outputs = store.created(position(number * PAGE)..position((number + 1) * PAGE));
        let leaves: Vec<_> = outputs
            .iter()
            .map(|(outpoint, utxo)| leaf_bytes(outpoint, utxo))
            .collect();
        let mut page = Self {
            created: u64::MAX,
            ..Self::EMPTY
        };
        hash_many(Domain::UtxoLeaf, &leaves, &mut page.leaves);
        page.fours.copy_from_slice(&nodes_over(page.leaves.as_chunks().0));
        page.sixteens.copy_from_slice(&nodes_over(page.fours.as_chunks().0));
        page
    }

    pub(super) fn root(&self) -> Digest {
        nodes_over(&[self.sixteens])[0]
    }

    pub(super) fn set(&mut self, at: usize, leaf: Digest, created: bool) {
        self.leaves[at] = leaf;
        self.created = self.created & !(1 << at) | u64::from(created) << at;
    }

    pub(super) fn group(&self, group: usize) -> &[Digest; 4] {
        &self.leaves.as_chunks().0[group]
    }
}

/// The nodes over groups of four.
pub(super) fn nodes_over(groups: &[[Digest; 4]]) -> Vec<Digest> {
    let full = |group: &&[Digest; 4]| **group != [Digest::ZERO; 4];
    let inputs: Vec<[u8; 128]> = groups.iter().filter(full).map(|group| bytemuck::cast(*group)).collect();
    let mut hashed = vec![Digest::ZERO; inputs.len()];
    hash_many(Domain::UtxoNode, &inputs, &mut hashed);
    let mut hashed = hashed.into_iter();
    let node = |group: &[Digest; 4]| full(&group).then(|| hashed.next()).flatten();
    groups
        .iter()
        .map(node)
        .map(|node| node.unwrap_or(Digest::ZERO))
        .collect()
}

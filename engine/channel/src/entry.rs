//! What the state tree holds of one channel, and the proof that it does.
//!
//! ```text
//! channel 32 | state 32 | leaf 32 | ack 32                  digests
//! c 8 | h 8 | acked h 8 | ack h 8                           counters
//! K 8 | U 8 | D 8 | Σ out-locks 8 | Σ in-locks 8            satoshi, as in section 3
//! V 8 | d0 8 | status 4 | 0 × 36                            256 bytes, little endian
//! ```
//!
//! This is the one definition of what the state root stands for. The root is that of `tidegate_crypto::merkle::StateTree`
//! over the digests of all channels' entries, in the order in which the channels were opened, settled ones included.
//!
//! What an entry does not spell out it binds: the terms by the channel's name; the open locks by the lock root in the
//! state; credits, outcomes and all earlier leaves by the newest leaf, each of which holds the digest of the one before.
//! Not under the root: signatures (their content is), where records lie and which are free, and the height, since
//! a block without channel events changes no channel.
//!
//! ```
//! use tidegate_channel::{ChannelEntry, EntryProof};
//! use tidegate_crypto::merkle::StateTree;
//! let entries = [1, 2, 3].map(|n| ChannelEntry { client_counter: n, status: ChannelEntry::ACTIVE, ..ChannelEntry::ZERO });
//! let tree = StateTree::build(entries.iter().map(ChannelEntry::digest).collect());
//! let mut proof = EntryProof::of(&tree, 1, entries[1]);
//! assert!(proof.verify(&tree.root()).is_ok());
//! proof.entry.debit_sat += 1;
//! assert!(proof.verify(&tree.root()).is_err());
//! ```

use bytemuck::{Pod, Zeroable};
use tidegate_crypto::hash::{Domain, hash, hash_many};
use tidegate_crypto::merkle::{StatePathError, StateTree, verify_state_path};
use tidegate_types::{ChannelId, Digest};

/// What the state tree holds of one channel. See the module for the layout; amounts in satoshi.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ChannelEntry {
    /// The channel's name, which its terms and funding lead to.
    pub channel: ChannelId,
    /// Digest of the newest accepted client state, C(c).
    pub state: Digest,
    /// Digest of the newest leaf, H(h).
    pub leaf: Digest,
    /// Digest of the leaf that the client's newest `Ack` names; zero if there was none.
    pub ack: Digest,
    /// Counter of the client state, c.
    pub client_counter: u64,
    /// Counter of the leaf, h.
    pub leaf_counter: u64,
    /// The newest leaf that the client has acknowledged, by an `Ack` or a state.
    pub acknowledged_leaf: u64,
    /// The leaf that the newest `Ack` names; zero if there was none.
    pub ack_counter: u64,
    /// Firm credit, K.
    pub firm_credit_sat: u64,
    /// Credit that waits for an acknowledgement, U.
    pub unfirm_credit_sat: u64,
    /// Total debit, D.
    pub debit_sat: u64,
    /// Sum of the client's open locks, fees included.
    pub out_locks_sat: u64,
    /// Sum of the hub's open locks.
    pub in_locks_sat: u64,
    /// The value of the funding output, V.
    pub capacity_sat: u64,
    /// The client's share of it at the opening, d0.
    pub opening_share_sat: u64,
    /// [`ChannelEntry::ACTIVE`], [`ChannelEntry::CLOSING`], [`ChannelEntry::SETTLED`] or [`ChannelEntry::DISPUTED`].
    pub status: u32,
    /// Zero.
    pub reserved: [u32; 9],
}

const _: () = assert!(size_of::<ChannelEntry>() == ChannelEntry::LEN);

impl ChannelEntry {
    /// Bytes of an entry: whole blocks of the hash.
    pub const LEN: usize = 256;
    /// The entry of no channel.
    pub const ZERO: Self = Self {
        channel: ChannelId::ZERO,
        state: Digest::ZERO,
        leaf: Digest::ZERO,
        ack: Digest::ZERO,
        client_counter: 0,
        leaf_counter: 0,
        acknowledged_leaf: 0,
        ack_counter: 0,
        firm_credit_sat: 0,
        unfirm_credit_sat: 0,
        debit_sat: 0,
        out_locks_sat: 0,
        in_locks_sat: 0,
        capacity_sat: 0,
        opening_share_sat: 0,
        status: 0,
        reserved: [0; 9],
    };
    /// It can be paid and pay.
    pub const ACTIVE: u32 = 1;
    /// The final leaf is made; nothing moves any more.
    pub const CLOSING: u32 = 2;
    /// The ledger has paid both sides.
    pub const SETTLED: u32 = 3;
    /// One side closes it on the ledger; nothing moves any more, and there is no final leaf.
    pub const DISPUTED: u32 = 4;

    /// Its digest: a leaf of the state tree.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::StateLeaf, bytemuck::bytes_of(self))
    }

    /// The digests of many entries, up to 16 at a time.
    ///
    /// # Panics
    /// If `entries` and `out` differ in length.
    pub fn digests(entries: &[Self], out: &mut [Digest]) {
        hash_many::<{ Self::LEN }>(Domain::StateLeaf, bytemuck::cast_slice(entries), out);
    }

    /// What the client owns of the channel, its reserve included; `None` if the sums contradict each other.
    #[must_use]
    pub fn client_balance_sat(&self) -> Option<u64> {
        let plus = self.opening_share_sat.checked_add(self.firm_credit_sat)?;
        plus.checked_sub(self.debit_sat.checked_add(self.out_locks_sat)?)
    }

    /// What the hub owns of the channel, its reserve included; `None` if the sums contradict each other.
    #[must_use]
    pub fn hub_balance_sat(&self) -> Option<u64> {
        let own = self.capacity_sat.checked_sub(self.opening_share_sat)?;
        let plus = own.checked_add(self.debit_sat)?;
        let minus = self.firm_credit_sat.checked_add(self.unfirm_credit_sat)?;
        plus.checked_sub(minus.checked_add(self.in_locks_sat)?)
    }

    /// All that the channel holds, part by part: its capacity, if nothing was made or lost. A balance that cannot be
    /// formed counts as nothing, so that the sum then differs.
    #[must_use]
    pub fn held_sat(&self) -> u128 {
        let parts = [
            self.client_balance_sat().unwrap_or(0),
            self.hub_balance_sat().unwrap_or(0),
            self.unfirm_credit_sat,
            self.out_locks_sat,
            self.in_locks_sat,
        ];
        parts.into_iter().map(u128::from).sum()
    }
}

/// Proof that a channel had this entry in the state with a certain root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// The entry.
    pub entry: ChannelEntry,
    /// The channel's number: how many were opened before it.
    pub slot: u32,
    /// How many channels there were.
    pub count: u32,
    /// The path from the entry's digest to the root, as `tidegate_crypto::merkle::verify_state_path` takes it.
    pub path: Vec<Digest>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryProofError {
    /// The entry is not of the form that a hub commits to.
    #[error("the entry has a status of {status} or reserved bytes that are not zero")]
    Form {
        /// Its status.
        status: u32,
    },
    /// The path does not prove it.
    #[error("{0}")]
    Path(#[from] StatePathError),
}

impl EntryProof {
    /// The proof for slot `slot` of `tree`, whose digest there is that of `entry`.
    ///
    /// # Panics
    /// If the tree has no such slot.
    #[must_use]
    pub fn of(tree: &StateTree, slot: u32, entry: ChannelEntry) -> Self {
        Self {
            entry,
            slot,
            count: tree.count(),
            path: tree.path(slot).collect(),
        }
    }

    /// Checks the proof against a root that the caller has from a source it trusts.
    ///
    /// # Errors
    /// [`EntryProofError`], the first that applies.
    pub fn verify(&self, root: &Digest) -> Result<(), EntryProofError> {
        let status = self.entry.status;
        let known = (ChannelEntry::ACTIVE..=ChannelEntry::DISPUTED).contains(&status);
        if !known || self.entry.reserved != [0; 9] {
            return Err(EntryProofError::Form { status });
        }
        Ok(verify_state_path(
            &self.entry.digest(),
            self.slot,
            self.count,
            &self.path,
            root,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64) -> ChannelEntry {
        ChannelEntry {
            channel: ChannelId::from_bytes([u8::try_from(n).expect("small"); 32]),
            client_counter: n,
            capacity_sat: 1_000,
            opening_share_sat: 600,
            debit_sat: 100,
            out_locks_sat: 50,
            firm_credit_sat: 30,
            unfirm_credit_sat: 20,
            status: ChannelEntry::ACTIVE,
            ..ChannelEntry::ZERO
        }
    }

    #[test]
    fn balances_are_those_of_the_definition_and_add_up() {
        let entry = entry(1);
        assert_eq!(entry.client_balance_sat(), Some(600 + 30 - 100 - 50));
        assert_eq!(entry.hub_balance_sat(), Some(400 + 100 - 30 - 20));
        assert_eq!(entry.held_sat(), 1_000);
    }

    #[test]
    fn sums_that_contradict_each_other_show() {
        let overdrawn = ChannelEntry {
            debit_sat: 700,
            ..entry(1)
        };
        assert_eq!(overdrawn.client_balance_sat(), None);
        assert_ne!(overdrawn.held_sat(), 1_000);
        let promised = ChannelEntry {
            unfirm_credit_sat: 900,
            ..entry(1)
        };
        assert_eq!(promised.hub_balance_sat(), None);
        assert_ne!(promised.held_sat(), 1_000);
    }

    #[test]
    fn many_digests_are_those_of_each() {
        let entries: Vec<_> = (0..37).map(entry).collect();
        let mut out = vec![Digest::ZERO; entries.len()];
        ChannelEntry::digests(&entries, &mut out);
        assert_eq!(out, entries.iter().map(ChannelEntry::digest).collect::<Vec<_>>());
    }

    /// Every byte of an entry is under the root, and so are slot and count.
    #[test]
    fn a_bent_proof_fails() {
        let entries: Vec<_> = (0..21).map(entry).collect();
        let tree = StateTree::build(entries.iter().map(ChannelEntry::digest).collect());
        let proof = EntryProof::of(&tree, 20, entries[20]);
        assert_eq!(proof.verify(&tree.root()), Ok(()));
        for bit in 0..ChannelEntry::LEN * 8 {
            let mut bent = proof.clone();
            bytemuck::bytes_of_mut(&mut bent.entry)[bit / 8] ^= 1 << (bit % 8);
            assert!(bent.verify(&tree.root()).is_err(), "bit {bit}");
        }
        let other = [
            EntryProof {
                slot: 19,
                ..proof.clone()
            },
            EntryProof {
                count: 22,
                ..proof.clone()
            },
            EntryProof {
                path: proof.path[..3].to_vec(),
                ..proof.clone()
            },
        ];
        assert!(other.iter().all(|proof| proof.verify(&tree.root()).is_err()));
    }

    /// A hub that committed to an entry of another form cannot prove it: nobody would know what it means.
    #[test]
    fn an_entry_of_another_form_is_refused_though_it_is_under_the_root() {
        let status = ChannelEntry { status: 5, ..entry(1) };
        let mut reserved = entry(1);
        reserved.reserved[8] = 1;
        for entry in [status, reserved, ChannelEntry::ZERO] {
            let tree = StateTree::build(vec![entry.digest()]);
            let proof = EntryProof::of(&tree, 0, entry);
            let form = EntryProofError::Form { status: entry.status };
            assert_eq!(proof.verify(&tree.root()), Err(form));
        }
    }
}

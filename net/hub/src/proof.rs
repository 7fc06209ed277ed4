//! The proof of one channel's state as JSON: what `/proof/ID` and `tidegate inspect proof` say, and anybody can check.
//!
//! ```json
//! {"type":"proof","state_root":HEX,"batch":7,"lsn":7,"slot":3,"count":29067,
//!  "entry":{"channel":HEX,"status":"ACTIVE","state":{"counter":9,"digest":HEX},"leaf":{…},"acknowledged_leaf":4,"ack":{…},
//!           "firm_credit_sat":0,"unfirm_credit_sat":0,"debit_sat":2500,"out_locks_sat":0,"in_locks_sat":0,
//!           "capacity_sat":2000000,"opening_share_sat":1000000},
//!  "path":[HEX,…]}
//! ```
//!
//! The entry's bytes are made from these very fields, so what is shown is what is proved. A root is believed for other
//! reasons: it is that of `/status`, of one's own `tidegate verify`, or of somebody whom one trusts.

use serde::{Deserialize, Serialize};
use tidegate_channel::{ChannelEntry, EntryProof, EntryProofError};
use tidegate_types::{ChannelId, DecodeError, Digest};

use crate::commitment::StateRoot;

/// The names of the statuses of an entry.
const STATUSES: [(&str, u32); 3] = [
    ("ACTIVE", ChannelEntry::ACTIVE),
    ("CLOSING", ChannelEntry::CLOSING),
    ("SETTLED", ChannelEntry::SETTLED),
];

/// A proof with its root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofRow {
    /// `proof`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The root, hex.
    pub state_root: String,
    /// The batch that it is of.
    pub batch: u64,
    /// That batch's log record.
    pub lsn: u64,
    /// The channel's number.
    pub slot: u32,
    /// How many channels there were.
    pub count: u32,
    /// What the root stands for of this channel.
    pub entry: EntryRow,
    /// Siblings from the channel up to the root, hex.
    pub path: Vec<String>,
}

/// A counter and the digest of what it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedRow {
    /// The counter.
    pub counter: u64,
    /// The digest, hex.
    pub digest: String,
}

/// An entry of the state tree: `tidegate_channel::ChannelEntry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "they are those of `ChannelEntry`, where each is explained")]
pub struct EntryRow {
    pub channel: String,
    pub status: String,
    pub state: NamedRow,
    pub leaf: NamedRow,
    pub acknowledged_leaf: u64,
    pub ack: NamedRow,
    pub firm_credit_sat: u64,
    pub unfirm_credit_sat: u64,
    pub debit_sat: u64,
    pub out_locks_sat: u64,
    pub in_locks_sat: u64,
    pub capacity_sat: u64,
    pub opening_share_sat: u64,
}

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofFileError {
    /// It is no JSON of this form.
    #[error("it is no proof: {0}")]
    Json(#[from] serde_json::Error),
    /// A digest is none.
    #[error("it is no proof: {field}: {error}")]
    Digest {
        /// Where it stands.
        field: &'static str,
        /// Why it is none.
        error: DecodeError,
    },
    /// A word is unknown.
    #[error("it is no proof: {field} is `{found}`")]
    Word {
        /// Where it stands.
        field: &'static str,
        /// What stands there.
        found: String,
    },
    /// It does not hold.
    #[error("the proof does not hold: {0}")]
    Proof(#[from] EntryProofError),
    /// It is for another root than the one that was given.
    #[error("the proof is for root {found}, not {expected}")]
    OtherRoot {
        /// The root that was given.
        expected: Digest,
        /// That of the proof.
        found: Digest,
    },
}

impl ProofRow {
    /// A proof under a root.
    #[must_use]
    pub fn of(proof: &EntryProof, root: &StateRoot) -> Self {
        Self {
            kind: "proof".to_owned(),
            state_root: root.root.to_string(),
            batch: root.as_of.batch.get(),
            lsn: root.as_of.lsn.get(),
            slot: proof.slot,
            count: proof.count,
            entry: EntryRow::of(&proof.entry),
            path: proof.path.iter().map(ToString::to_string).collect(),
        }
    }

    /// Checks the proof against `root`, or against its own root if the caller has none. Returns what it proves.
    ///
    /// # Errors
    /// [`ProofFileError`].
    pub fn check(&self, root: Option<Digest>) -> Result<ChannelEntry, ProofFileError> {
        if self.kind != "proof" {
            return Err(word("type", &self.kind));
        }
        let found = digest("state_root", &self.state_root)?;
        let expected = root.unwrap_or(found);
        if found != expected {
            return Err(ProofFileError::OtherRoot { expected, found });
        }
        let path: Result<Vec<Digest>, _> = self.path.iter().map(|text| digest("path", text)).collect();
        let proof = EntryProof {
            entry: self.entry.entry()?,
            slot: self.slot,
            count: self.count,
            path: path?,
        };
        proof.verify(&expected)?;
        Ok(proof.entry)
    }
}

fn word(field: &'static str, found: &str) -> ProofFileError {
    let found = found.to_owned();
    ProofFileError::Word { field, found }
}

fn digest(field: &'static str, text: &str) -> Result<Digest, ProofFileError> {
    text.parse().map_err(|error| ProofFileError::Digest { field, error })
}

impl EntryRow {
    /// An entry as JSON.
    #[must_use]
    pub fn of(entry: &ChannelEntry) -> Self {
        let named = |counter, digest: &Digest| NamedRow {
            counter,
            digest: digest.to_string(),
        };
        let status = STATUSES.iter().find(|(_, status)| *status == entry.status);
        Self {
            channel: entry.channel.to_string(),
            status: status.map_or("UNKNOWN", |(name, _)| name).to_owned(),
            state: named(entry.client_counter, &entry.state),
            leaf: named(entry.leaf_counter, &entry.leaf),
            acknowledged_leaf: entry.acknowledged_leaf,
            ack: named(entry.ack_counter, &entry.ack),
            firm_credit_sat: entry.firm_credit_sat,
            unfirm_credit_sat: entry.unfirm_credit_sat,
            debit_sat: entry.debit_sat,
            out_locks_sat: entry.out_locks_sat,
            in_locks_sat: entry.in_locks_sat,
            capacity_sat: entry.capacity_sat,
            opening_share_sat: entry.opening_share_sat,
        }
    }

    fn entry(&self) -> Result<ChannelEntry, ProofFileError> {
        let channel = self.channel.parse::<ChannelId>();
        let status = STATUSES.iter().find(|(name, _)| *name == self.status);
        Ok(ChannelEntry {
            channel: channel.map_err(|error| ProofFileError::Digest {
                field: "entry.channel",
                error,
            })?,
            state: digest("entry.state.digest", &self.state.digest)?,
            leaf: digest("entry.leaf.digest", &self.leaf.digest)?,
            ack: digest("entry.ack.digest", &self.ack.digest)?,
            client_counter: self.state.counter,
            leaf_counter: self.leaf.counter,
            acknowledged_leaf: self.acknowledged_leaf,
            ack_counter: self.ack.counter,
            firm_credit_sat: self.firm_credit_sat,
            unfirm_credit_sat: self.unfirm_credit_sat,
            debit_sat: self.debit_sat,
            out_locks_sat: self.out_locks_sat,
            in_locks_sat: self.in_locks_sat,
            capacity_sat: self.capacity_sat,
            opening_share_sat: self.opening_share_sat,
            status: status.ok_or_else(|| word("entry.status", &self.status))?.1,
            reserved: [0; 9],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commitment::AsOf;
    use tidegate_crypto::merkle::StateTree;
    use tidegate_types::BatchNumber;

    fn row() -> ProofRow {
        let entry = |n: u8| ChannelEntry {
            channel: ChannelId::from_bytes([n; 32]),
            state: Digest::from_bytes([n + 1; 32]),
            leaf: Digest::from_bytes([n + 2; 32]),
            ack: Digest::from_bytes([n + 3; 32]),
            client_counter: 4,
            leaf_counter: 5,
            acknowledged_leaf: 6,
            ack_counter: 7,
            firm_credit_sat: 8,
            unfirm_credit_sat: 9,
            debit_sat: 10,
            out_locks_sat: 11,
            in_locks_sat: 12,
            capacity_sat: 1_000,
            opening_share_sat: 500,
            status: ChannelEntry::CLOSING,
            reserved: [0; 9],
        };
        let entries: Vec<_> = (0..7).map(entry).collect();
        let tree = StateTree::build(entries.iter().map(ChannelEntry::digest).collect());
        let as_of = AsOf {
            batch: BatchNumber::new(3),
            lsn: tidegate_table::Lsn::new(4),
        };
        let root = StateRoot {
            root: tree.root(),
            as_of,
            channels: 7,
            held: 0,
            capacity: 0,
        };
        ProofRow::of(&EntryProof::of(&tree, 5, entries[5]), &root)
    }

    #[test]
    fn a_proof_survives_its_json_and_holds() {
        let text = serde_json::to_string(&row()).expect("plain data");
        let read: ProofRow = serde_json::from_str(&text).expect("its own form");
        assert_eq!(read, row());
        let root = read.state_root.parse().expect("hex");
        assert_eq!(
            read.check(Some(root)).expect("it holds").channel,
            ChannelId::from_bytes([5; 32])
        );
        assert!(read.check(None).is_ok());
        let other = read.check(Some(Digest::ZERO));
        assert!(matches!(other, Err(ProofFileError::OtherRoot { .. })));
    }

    /// Every digit and letter of a proof but the batch's two numbers is under the root or is refused.
    #[test]
    fn a_proof_bent_in_any_character_is_refused() {
        let text = serde_json::to_string(&row()).expect("plain data");
        let unproved = text.find("\"batch\"").expect("there")..text.find("\"slot\"").expect("there");
        let mut tried = 0;
        for at in (0..text.len()).filter(|at| !unproved.contains(at)) {
            let old = text.as_bytes()[at];
            let new = match old {
                b'9' => b'8',
                b'0'..=b'8' => old + 1,
                b'a'..=b'e' => old + 1,
                b'f'..=b'z' | b'A'..=b'Z' => old - 1,
                _ => continue,
            };
            let mut bent = text.clone().into_bytes();
            bent[at] = new;
            let read: Result<ProofRow, _> = serde_json::from_slice(&bent);
            assert!(
                read.is_err() || read.is_ok_and(|row| row.check(None).is_err()),
                "byte {at}"
            );
            tried += 1;
        }
        assert!(tried > 900, "{tried}");
    }
}

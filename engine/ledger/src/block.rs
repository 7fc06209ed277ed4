//! Blocks: an ordered list of transactions and what it leads to (rule 31).
//!
//! ```text
//! header   height 4 | count 4 | time 8 | previous 32 | transactions 32 | utxos 32          112 bytes
//! block    header | validator's signature 64 | count × (length 4 | transaction)
//! hash     hash(Block, header); the signature is over signed_message(ledger, Block, hash)
//! transactions   Merkle root; a leaf is hash(TransactionLeaf, txid | witnesses)
//! utxos          root of the tree of unspent outputs after the block, see `tree`
//! ```

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::merkle;
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{
    DecodeError, Digest, Fixed, Height, LedgerId, Reader, SignatureBytes, Txid, UnixMillis, fixed_struct,
};

use crate::{LedgerParams, Transaction};

/// What a block's hash covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// The block's height; the genesis is 0.
    pub height: Height,
    /// How many transactions it has.
    pub count: u32,
    /// The validator's clock; never below that of the previous block.
    pub time: UnixMillis,
    /// Hash of the previous block; zero in the genesis.
    pub previous: Digest,
    /// Merkle root of the transactions and their witnesses.
    pub transactions: Digest,
    /// Root of the unspent outputs after this block.
    pub utxos: Digest,
}
fixed_struct!(BlockHeader {
    height: Height,
    count: u32,
    time: UnixMillis,
    previous: Digest,
    transactions: Digest,
    utxos: Digest,
});

/// A block with the validator's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: BlockHeader,
    /// The validator's signature over the header's hash.
    pub signature: SignatureBytes,
    /// The transactions, in the order in which they apply.
    pub transactions: Vec<Transaction>,
}

/// The width of a block without transactions.
pub(crate) const HEAD_BYTES: u64 = (BlockHeader::LEN + SignatureBytes::LEN) as u64;
/// What stands around each transaction.
pub(crate) const FRAME_BYTES: u64 = 4;

/// The validator's signature is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block is not signed by the ledger's validator")]
pub struct BlockSignatureError;

impl BlockHeader {
    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut bytes = [0; Self::LEN];
        self.encode_into(&mut bytes);
        hash(Domain::Block, &bytes)
    }

    fn message(&self, ledger: &LedgerId) -> SignedMessage {
        signed_message(ledger, SignedKind::Block, self.hash().as_bytes())
    }

    /// The validator's signature.
    #[must_use]
    pub fn sign(&self, ledger: &LedgerId, key: &SecretKey) -> SignatureBytes {
        key.sign(self.message(ledger).as_slice())
    }

    /// Checks that `validator` signed this header.
    ///
    /// # Errors
    /// [`BlockSignatureError`].
    pub fn verify(
        &self,
        ledger: &LedgerId,
        validator: &PublicKey,
        signature: &SignatureBytes,
    ) -> Result<(), BlockSignatureError> {
        match verify(validator, self.message(ledger).as_slice(), signature) {
            Verdict::Valid => Ok(()),
            Verdict::Invalid => Err(BlockSignatureError),
        }
    }
}

/// The leaf of a transaction in its block's tree. It covers the witnesses, which the txid does not.
pub(crate) fn transaction_leaf(txid: &Txid, transaction: &Transaction) -> Digest {
    let mut entry = txid.as_bytes().to_vec();
    transaction.encode_witnesses(&mut entry);
    merkle::TRANSACTIONS.leaf(&entry)
}

/// The root over the leaves of a block's transactions.
pub(crate) fn transactions_root(leaves: &[Digest]) -> Digest {
    merkle::root(merkle::TRANSACTIONS, leaves)
}

impl Block {
    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.header.hash()
    }

    /// True if the header commits to these transactions, witnesses included. For whoever follows the blocks without the
    /// state that checks them.
    #[must_use]
    pub fn holds_its_transactions(&self) -> bool {
        let leaves: Vec<Digest> = self
            .transactions
            .iter()
            .map(|transaction| transaction_leaf(&transaction.txid(), transaction))
            .collect();
        self.header.count as usize == leaves.len() && transactions_root(&leaves) == self.header.transactions
    }

    /// The encoding.
    ///
    /// # Panics
    /// If the header's count is not the number of transactions: such a block was never applied.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert_eq!(
            self.header.count as usize,
            self.transactions.len(),
            "the header counts the transactions"
        );
        let mut out = Vec::new();
        self.header.append_to(&mut out);
        self.signature.append_to(&mut out);
        for transaction in &self.transactions {
            let bytes = transaction.encode();
            u32::try_from(bytes.len())
                .expect("a transaction that was checked is far below 4 GiB")
                .append_to(&mut out);
            out.extend_from_slice(&bytes);
        }
        out
    }

    /// Reads a block that must fill `bytes` exactly.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not what [`Block::encode`] writes for any block, or are more than any ledger
    /// allows ([`LedgerParams::BLOCK_BYTES_LIMIT`]).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > LedgerParams::BLOCK_BYTES_LIMIT as usize {
            return Err(DecodeError::OutOfRange { field: "block size" });
        }
        let mut r = Reader::new(bytes);
        let header = BlockHeader::read(&mut r)?;
        let signature = SignatureBytes::read(&mut r)?;
        // Grows as transactions are found, since the count alone is no evidence of them.
        let mut transactions = Vec::new();
        for _ in 0..header.count {
            let len = u32::read(&mut r)? as usize;
            transactions.push(Transaction::decode(r.bytes(len)?)?);
        }
        r.finish()?;
        Ok(Self {
            header,
            signature,
            transactions,
        })
    }
}

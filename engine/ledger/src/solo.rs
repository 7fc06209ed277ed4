//! The solo validator: one key makes all blocks. Who runs it is trusted with the ledger (rule 32, first stage).

use tidegate_crypto::keys::SecretKey;
use tidegate_types::{SignatureBytes, UnixMillis};

use crate::{Applied, Block, Chain, Mempool, UtxoStore};

/// The validator's key.
#[derive(Debug)]
pub struct Solo {
    key: SecretKey,
}

/// A block that was made, and what it did.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The block. The chain has applied it; the caller makes it durable before it tells anyone.
    pub block: Block,
    /// What it did.
    pub applied: Applied,
}

/// Why no block was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not that of the ledger's validator.
    #[error("the key is not that of the ledger's validator")]
    NotTheValidator,
    /// The last height is reached.
    #[error("the ledger has reached its last height")]
    HeightsExhausted,
}

impl Solo {
    /// The validator with this key.
    #[must_use]
    pub const fn new(key: SecretKey) -> Self {
        Self { key }
    }

    /// Makes the next block of the transactions that pay best, as many as fit, and applies it. Those that no longer
    /// hold leave the pool. A clock that ran backwards is taken as standing still.
    ///
    /// # Errors
    /// [`SealError`]; then nothing changed.
    pub fn seal<S: UtxoStore>(
        &self,
        chain: &mut Chain<S>,
        mempool: &mut Mempool,
        now: UnixMillis,
    ) -> Result<Sealed, SealError> {
        if self.key.public().bytes() != chain.validator() {
            return Err(SealError::NotTheValidator);
        }
        let mut draft = chain.draft(now).ok_or(SealError::HeightsExhausted)?;
        let (mut taken, mut transactions) = (Vec::new(), Vec::new());
        let mut invalid = Vec::new();
        for candidate in mempool.iter() {
            if !draft.has_room(chain.params(), candidate.facts()) {
                continue;
            }
            match chain.extend_anew(&mut draft, candidate) {
                Ok(()) => {
                    taken.push(candidate.txid());
                    transactions.push(candidate.transaction().clone());
                }
                Err(_) => invalid.push(candidate.txid()),
            }
        }
        invalid.iter().for_each(|txid| drop(mempool.remove(txid)));
        let header = chain.header(&draft);
        let signature: SignatureBytes = header.sign(&chain.ledger(), &self.key);
        let applied = chain.commit(draft, &header);
        taken.iter().for_each(|txid| drop(mempool.remove(txid)));
        mempool.remove_spenders(transactions.iter().flat_map(|tx| &tx.body.inputs));
        Ok(Sealed {
            block: Block {
                header,
                signature,
                transactions,
            },
            applied,
        })
    }
}

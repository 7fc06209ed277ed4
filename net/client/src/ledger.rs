//! A connection to a ledger's own endpoint.
//!
//! What comes over it is believed by nobody: a follower checks blocks as if they came from anyone ([`tidegate_ledger::Chain`]),
//! and a light one checks at least that the validator signed them ([`LightChain`]).

use std::time::Duration;

use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_ledger::Block;
use tidegate_types::{DecodeError, Digest, Height, KeyBytes, LedgerId, Txid};
use tidegate_wire::messages::{LedgerAnswer, LedgerQuery, LedgerResult, SubmitTx};
use tidegate_wire::{Kind, ToClient};

use crate::connection::{ConnectOptions, Connection, ConnectionError};
use crate::lock_output::LockOutput;

/// Why the ledger did not answer, or not with what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The connection failed, or the ledger said no.
    #[error("ledger: {0}")]
    Connection(#[from] ConnectionError),
    /// An answer to another question.
    #[error("the ledger answered with {0}, which does not answer the question")]
    Unexpected(Kind),
    /// A ledger's answer to another question.
    #[error("the ledger answered another question")]
    OtherAnswer,
    /// A block does not decode.
    #[error("a block from the ledger does not decode: {0}")]
    Block(DecodeError),
    /// A block does not stand on the one before, or the validator did not sign it, or it holds other transactions than its
    /// header says.
    #[error("block {0} from the ledger does not hold")]
    Forged(Height),
    /// The ledger has final blocks that contradict those that this program has seen.
    #[error("the ledger has another final block at height {0} than the one that was seen before")]
    OtherHistory(Height),
    /// The ledger's key is none that counts.
    #[error("the validator's key is not valid")]
    Validator,
}

/// Blocks, and where the ledger stands.
#[derive(Clone, Debug)]
pub struct Page {
    /// Height of the newest block, final or not.
    pub tip: Height,
    /// Height of the newest final block.
    pub final_height: Height,
    /// Hash of the newest final block.
    pub final_hash: Digest,
    /// The blocks, in order.
    pub blocks: Vec<Block>,
}

/// A connection to a ledger's own endpoint.
#[derive(Debug)]
pub struct LedgerConnection(Connection);

impl LedgerConnection {
    /// Connects, as nobody in particular: a ledger answers everyone alike.
    ///
    /// # Errors
    /// [`LedgerError::Connection`].
    pub fn connect(options: &ConnectOptions) -> Result<Self, LedgerError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(ConnectionError::Random)?;
        Ok(Self(Connection::connect(options, SecretKey::from_seed(seed))?))
    }

    /// The validator's key, as the ledger says it.
    #[must_use]
    pub const fn validator(&self) -> KeyBytes {
        self.0.hello().hub
    }

    /// Milliseconds from block to block, about.
    #[must_use]
    pub const fn block_interval_ms(&self) -> u32 {
        self.0.hello().block_interval_ms
    }

    /// Asks; `then` sees the answer.
    ///
    /// # Errors
    /// [`LedgerError`], and what `then` returns.
    pub fn query<T>(
        &mut self,
        query: LedgerQuery,
        then: impl FnOnce(&LedgerAnswer<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let incoming = self.0.request(&query)?;
        match incoming.message()? {
            ToClient::LedgerAnswer(answer) => then(&answer),
            other => Err(LedgerError::Unexpected(other.kind())),
        }
    }

    /// The newest final block.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn tip(&mut self) -> Result<(Height, Digest), LedgerError> {
        self.query(LedgerQuery::Tip, |answer| Ok((answer.height, answer.tip)))
    }

    /// The newest final block's height, and the locks that closes have turned into outputs and that this key claims or gets
    /// back. Where there are very many, the rest comes once these are taken.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn locks_of(&mut self, key: KeyBytes) -> Result<(Height, Vec<LockOutput>), LedgerError> {
        self.query(LedgerQuery::LocksOf(key), |answer| {
            let LedgerResult::Locks { locks, .. } = &answer.result else {
                return Err(LedgerError::OtherAnswer);
            };
            let read = locks.iter().map(|told| LockOutput::of(&told));
            let found = read.collect::<Result<_, _>>().map_err(LedgerError::Block)?;
            Ok((answer.height, found))
        })
    }

    /// The blocks from a height on, some of them; waits for the first for `wait`, which is well below the connection's timeout,
    /// if there is none yet. Nothing of them is checked but that they decode.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn blocks(&mut self, from: Height, wait: Duration) -> Result<Page, LedgerError> {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let (mut page, mut whole, mut left) = self.page(from, 0, wait_ms)?;
        while left > 0 {
            let offset = u32::try_from(whole.len()).map_err(|_| LedgerError::OtherAnswer)?;
            let (_, more, still) = self.page(from, offset, 0)?;
            if more.is_empty() {
                return Err(LedgerError::OtherAnswer);
            }
            whole.extend_from_slice(&more);
            left = still;
        }
        if !whole.is_empty() {
            page.blocks.push(Block::decode(&whole).map_err(LedgerError::Block)?);
        }
        Ok(page)
    }

    /// One page: whole blocks, or the bytes of a piece and how many follow it.
    fn page(&mut self, from: Height, offset: u32, wait_ms: u32) -> Result<(Page, Vec<u8>, u32), LedgerError> {
        self.query(LedgerQuery::Blocks { from, offset, wait_ms }, |answer| {
            let LedgerResult::Blocks(page) = answer.result else {
                return Err(LedgerError::OtherAnswer);
            };
            let mut told = Page {
                tip: page.tip,
                final_height: answer.height,
                final_hash: answer.tip,
                blocks: Vec::new(),
            };
            if page.offset > 0 || page.left > 0 {
                let piece = page.blocks.iter().next().ok_or(LedgerError::OtherAnswer)?;
                return Ok((told, piece.0.to_vec(), page.left));
            }
            for block in page.blocks {
                told.blocks.push(Block::decode(block.0).map_err(LedgerError::Block)?);
            }
            Ok((told, Vec::new(), 0))
        })
    }

    /// Brings a transaction.
    ///
    /// # Errors
    /// [`LedgerError::Connection`] with the ledger's words if it is refused.
    pub fn submit(&mut self, transaction: &[u8]) -> Result<Txid, LedgerError> {
        let incoming = self.0.request(&SubmitTx { transaction })?;
        match incoming.message()? {
            ToClient::LedgerAnswer(LedgerAnswer {
                result: LedgerResult::Accepted(txid),
                ..
            }) => Ok(txid),
            other => Err(LedgerError::Unexpected(other.kind())),
        }
    }
}

/// The final blocks of a ledger, checked as far as one can who does not hold its state: each stands on the one before, is
/// signed by the validator and holds the transactions that its header commits to.
#[derive(Clone, Debug)]
pub struct LightChain {
    ledger: LedgerId,
    validator: PublicKey,
    last: (Height, Digest),
}

impl LightChain {
    /// Goes on behind a block that is final.
    ///
    /// # Errors
    /// [`LedgerError::Validator`].
    pub fn behind(ledger: LedgerId, validator: KeyBytes, last: (Height, Digest)) -> Result<Self, LedgerError> {
        let validator = PublicKey::register(validator).map_err(|_| LedgerError::Validator)?;
        Ok(Self {
            ledger,
            validator,
            last,
        })
    }

    /// The last block that was taken: height and hash.
    #[must_use]
    pub const fn last(&self) -> (Height, Digest) {
        self.last
    }

    /// Takes the final blocks of a page that begins right behind the last one, and returns them; nothing if one of them does
    /// not hold.
    ///
    /// # Errors
    /// [`LedgerError::Forged`], [`LedgerError::OtherHistory`].
    pub fn take(&mut self, page: Page) -> Result<Vec<Block>, LedgerError> {
        let (mut last, final_height) = (self.last, page.final_height);
        let mut blocks = page.blocks;
        blocks.retain(|block| block.header.height <= final_height);
        for block in &blocks {
            let header = &block.header;
            if last == self.last && header.previous != last.1 && Some(header.height) == last.0.next() {
                return Err(LedgerError::OtherHistory(last.0));
            }
            let is_next = Some(header.height) == last.0.next() && header.previous == last.1;
            let signed = header.verify(&self.ledger, &self.validator, &block.signature).is_ok();
            if !is_next || !signed || !block.holds_its_transactions() {
                return Err(LedgerError::Forged(header.height));
            }
            last = (header.height, header.hash());
        }
        self.last = last;
        Ok(blocks)
    }
}

//! Transactions that wait for a block, in the order of what they pay for their cost.
//!
//! Memory is bounded: a full pool drops what pays least, or refuses a newcomer that pays no more. What a dispute needs goes
//! before everything else. Each waiting transaction spends outputs that are unspent on the chain, so none depends on another
//! and any subset fits a block; two that spend one output never wait together, the first stays. Actions on one channel do
//! wait together: evidence of one side must not keep out that of the other.

use std::collections::BTreeMap;

use tidegate_types::{OutPoint, Txid};

use crate::{CheckedTransaction, Witness};

/// Why a transaction is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MempoolError {
    /// It waits already.
    #[error("the transaction waits already")]
    Known,
    /// Another that waits spends one of its inputs.
    #[error("{with} spends {input} too, and was first")]
    Conflict {
        /// The output that both spend.
        input: OutPoint,
        /// The one that waits.
        with: Txid,
    },
    /// Enough actions wait that concern this output.
    #[error("enough transactions wait that concern {input}; try again after the next block")]
    Crowded {
        /// The output.
        input: OutPoint,
    },
    /// The pool is full of transactions that pay as much or more.
    #[error("the mempool is full; a higher fee would be taken")]
    Full,
}

/// Best first: what disputes need, then what it pays, then who came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// False for a transaction that blocks keep room for.
    is_ordinary: bool,
    /// Fee for 2²⁰ units of cost, subtracted from the maximum, so that the best is the lowest.
    shortfall: u64,
    sequence: u64,
}

/// The transactions that wait.
#[derive(Clone, Debug)]
pub struct Mempool {
    by_rank: BTreeMap<Rank, CheckedTransaction>,
    ranks: BTreeMap<Txid, Rank>,
    spends: BTreeMap<OutPoint, Txid>,
    /// How many waiting actions concern an output, which they leave where it is.
    shared: BTreeMap<OutPoint, u32>,
    bytes: u64,
    bytes_max: u64,
    sequence: u64,
}

impl Mempool {
    /// The most actions that wait for one output. A block takes or drops all of them, so that nobody can keep others out.
    const SHARED_MAX: u32 = 16;

    /// An empty pool for `bytes_max` bytes of encoded transactions.
    #[must_use]
    pub const fn new(bytes_max: u64) -> Self {
        Self {
            by_rank: BTreeMap::new(),
            ranks: BTreeMap::new(),
            spends: BTreeMap::new(),
            shared: BTreeMap::new(),
            bytes: 0,
            bytes_max,
            sequence: 0,
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_rank.len()
    }

    /// True if none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_rank.is_empty()
    }

    /// The bytes of their encodings.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True if the transaction waits.
    #[must_use]
    pub fn contains(&self, txid: &Txid) -> bool {
        self.ranks.contains_key(txid)
    }

    /// Which waiting transaction spends an output.
    #[must_use]
    pub fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.spends.get(outpoint).copied()
    }

    /// The waiting transactions, best first.
    pub fn iter(&self) -> impl Iterator<Item = &CheckedTransaction> {
        self.by_rank.values()
    }

    /// Takes a transaction in and returns those that were dropped for it, the worst first.
    ///
    /// # Errors
    /// [`MempoolError`]; then nothing changed.
    pub fn insert(&mut self, transaction: CheckedTransaction) -> Result<Vec<CheckedTransaction>, MempoolError> {
        let txid = transaction.txid();
        if self.contains(&txid) {
            return Err(MempoolError::Known);
        }
        for &input in exclusive(&transaction) {
            if let Some(with) = self.spender(&input) {
                return Err(MempoolError::Conflict { input, with });
            }
        }
        if let Some(input) = shared(&transaction)
            && self.shared.get(input).is_some_and(|&count| count >= Self::SHARED_MAX)
        {
            return Err(MempoolError::Crowded { input: *input });
        }
        let rank = Rank {
            is_ordinary: !transaction.is_urgent(),
            shortfall: u64::MAX - rate(&transaction),
            sequence: self.sequence,
        };
        let worse = self.worse_than(rank, transaction.bytes()).ok_or(MempoolError::Full)?;
        let dropped = worse.iter().filter_map(|txid| self.remove(txid)).collect();
        self.sequence += 1;
        self.bytes += transaction.bytes();
        self.ranks.insert(txid, rank);
        for input in exclusive(&transaction) {
            self.spends.insert(*input, txid);
        }
        if let Some(input) = shared(&transaction) {
            *self.shared.entry(*input).or_default() += 1;
        }
        self.by_rank.insert(rank, transaction);
        Ok(dropped)
    }

    /// What has to go so that `bytes` more fit: the fewest that pay less than `rank`, or `None` if they are not enough.
    fn worse_than(&self, rank: Rank, bytes: u64) -> Option<Vec<Txid>> {
        let mut excess = (self.bytes + bytes).saturating_sub(self.bytes_max);
        let mut worse = Vec::new();
        for (other, waiting) in self.by_rank.iter().rev() {
            if excess == 0 {
                break;
            }
            if (other.is_ordinary, other.shortfall) <= (rank.is_ordinary, rank.shortfall) {
                return None;
            }
            excess = excess.saturating_sub(waiting.bytes());
            worse.push(waiting.txid());
        }
        (excess == 0).then_some(worse)
    }

    /// Takes a transaction out.
    pub fn remove(&mut self, txid: &Txid) -> Option<CheckedTransaction> {
        let rank = self.ranks.remove(txid)?;
        let transaction = self.by_rank.remove(&rank)?;
        self.bytes -= transaction.bytes();
        for input in exclusive(&transaction) {
            self.spends.remove(input);
        }
        if let Some(input) = shared(&transaction) {
            let count = self.shared.get_mut(input).expect("what waits was counted");
            *count -= 1;
            if *count == 0 {
                self.shared.remove(input);
            }
        }
        Some(transaction)
    }

    /// Takes out whatever spends one of these outputs: they are spent now. Returns it.
    pub fn remove_spenders<'a>(
        &mut self,
        outpoints: impl IntoIterator<Item = &'a OutPoint>,
    ) -> Vec<CheckedTransaction> {
        outpoints
            .into_iter()
            .filter_map(|outpoint| {
                let txid = self.spender(outpoint)?;
                self.remove(&txid)
            })
            .collect()
    }
}

/// The inputs that nothing else that waits may spend.
fn exclusive(transaction: &CheckedTransaction) -> impl Iterator<Item = &OutPoint> {
    let transaction = transaction.transaction();
    let both = transaction.body.inputs.iter().zip(&transaction.witnesses);
    both.filter(|(_, witness)| !matches!(witness, Witness::Action))
        .map(|(input, _)| input)
}

/// The output that an action concerns: several may, and each is judged again when a block takes it.
fn shared(transaction: &CheckedTransaction) -> Option<&OutPoint> {
    let transaction = transaction.transaction();
    let acts = matches!(transaction.witnesses.first(), Some(Witness::Action));
    transaction.body.inputs.first().filter(|_| acts)
}

fn rate(transaction: &CheckedTransaction) -> u64 {
    let scaled = u128::from(transaction.fee().to_sat()) << 20;
    u64::try_from(scaled / u128::from(transaction.cost().max(1))).unwrap_or(u64::MAX)
}

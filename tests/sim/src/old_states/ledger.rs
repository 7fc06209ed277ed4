//! The ledger: chain and pool, sealed by its validator, which may fall back and go on otherwise.

use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{
    Block, Chain, Condition, Genesis, GenesisHeader, GenesisWriter, LedgerParams, LockCondition, LockTerms,
    MemoryStore, Mempool, NetworkName, Output, Solo, Transaction, TransactionError, Trust, UtxoStore as _,
};
use tidegate_types::{Age, Height, KeyBytes, OutPoint, UnixMillis};

use super::WINDOW;

const POOL_BYTES: u64 = 1 << 20;
const INTERVAL_MS: u64 = 500;
const VALIDATOR: [u8; 32] = [250; 32];

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    /// Its state.
    pub chain: Chain<MemoryStore>,
    pool: Mempool,
    solo: Solo,
    clock: u64,
    /// From height 1 on, those of branches that were left are gone.
    blocks: Vec<Block>,
    /// What was final once stays final.
    last_final: Height,
}

impl Ledger {
    /// A ledger whose genesis creates these outputs, in order.
    ///
    /// # Panics
    /// If the outputs are none that a ledger may hold.
    #[must_use]
    pub fn new(depth: u32, outputs: &[Output]) -> Self {
        let key = SecretKey::from_seed(VALIDATOR);
        let params = LedgerParams {
            dispute_window_min: Age::new(WINDOW),
            finality_depth: Age::new(depth),
            ..LedgerParams::default()
        };
        let mut writer = GenesisWriter::new(&GenesisHeader {
            params,
            time: UnixMillis::new(1),
            validator: key.public().bytes(),
            network: NetworkName::new("sim").expect("a short name"),
        });
        for output in outputs {
            writer.push(output);
        }
        let bytes = writer.finish();
        let genesis = Genesis::parse(&bytes).expect("a good genesis");
        let chain = Chain::from_genesis(&genesis, Trust::OwnRecords, MemoryStore::new(), |_, _| ());
        Self {
            chain: chain.expect("a good genesis"),
            pool: Mempool::new(POOL_BYTES),
            solo: Solo::new(key),
            clock: 1,
            blocks: Vec::new(),
            last_final: Height::ZERO,
        }
    }

    /// The height of the newest block.
    #[must_use]
    pub const fn tip(&self) -> Height {
        self.chain.tip().height
    }

    /// The height of the newest final block.
    #[must_use]
    pub const fn last_final(&self) -> Height {
        self.last_final
    }

    /// The final blocks above a height.
    ///
    /// # Panics
    /// If the height is that of no block.
    #[must_use]
    pub fn final_above(&self, height: Height) -> &[Block] {
        let (from, to) = (height.get() as usize, self.last_final.get() as usize);
        &self.blocks[from..to.max(from)]
    }

    /// Takes a transaction into the pool.
    ///
    /// # Errors
    /// Why it is refused.
    ///
    /// # Panics
    /// If it does not decode as what it was.
    pub fn submit(&mut self, transaction: &Transaction) -> Result<(), TransactionError> {
        let decoded = Transaction::decode(&transaction.encode()).expect("what is sent decodes");
        assert_eq!(&decoded, transaction);
        let checked = self.chain.check(decoded)?;
        // One that waits already is as good.
        let _waits = self.pool.insert(checked);
        Ok(())
    }

    /// Makes the next block. Closes whose last word is spoken are settled by it, as a node's validator does.
    ///
    /// # Panics
    /// If value is made or lost.
    pub fn seal(&mut self, channels: &[OutPoint]) {
        for funding in channels {
            let is_over = |(close, _): (tidegate_ledger::CloseState, _)| close.grace_end <= self.tip();
            if self.chain.close_of(funding).is_some_and(is_over)
                && let Ok(settlement) = self.chain.settlement(funding)
            {
                let _waits = self.submit(&settlement);
            }
        }
        self.clock += INTERVAL_MS;
        let sealed = self
            .solo
            .seal(&mut self.chain, &mut self.pool, UnixMillis::new(self.clock));
        self.blocks.push(sealed.expect("the validator seals").block);
        self.last_final = self.last_final.max(self.chain.tip().final_height);
        let supply = self.chain.supply();
        assert_eq!(supply.genesis, supply.unspent + supply.burned, "value is conserved");
    }

    /// Falls back by so many blocks, as far as they are not final. What they held is forgotten, or waits again.
    pub fn fall_back(&mut self, blocks: u32, forgets: bool) -> u32 {
        let mut undone = Vec::new();
        for _ in 0..blocks {
            if self.chain.undo_tip().is_err() {
                break;
            }
            undone.extend(self.blocks.pop());
        }
        self.pool = Mempool::new(POOL_BYTES);
        if !forgets {
            for transaction in undone.iter().rev().flat_map(|block| &block.transactions) {
                let _refused = self.submit(transaction);
            }
        }
        u32::try_from(undone.len()).expect("few")
    }

    /// What stands in outputs of a key, and in locks of closes that fall to it: a met one to whoever claims it, any other back.
    /// Nobody here shows an ack that would meet a lock of the channel that closes.
    #[must_use]
    pub fn paid_to(&self, owner: KeyBytes) -> u64 {
        let is_met = |terms: &LockTerms| match terms.condition {
            LockCondition::Hash(hash) => {
                let found = self.chain.preimage(&hash);
                found.is_some_and(|(_, height)| height <= terms.expiry)
            }
            LockCondition::Ack { .. } => false,
        };
        let owns = |output: &Output| match &output.condition {
            Condition::Key(key) => *key == owner,
            Condition::Lock(terms) => owner == if is_met(terms) { terms.claim } else { terms.refund },
            _ => false,
        };
        let outputs = self.chain.store().iter().map(|(_, utxo)| utxo.output);
        outputs.filter(owns).map(|output| output.amount.to_sat()).sum()
    }

    /// Fees so far, in satoshi.
    ///
    /// # Panics
    /// Never: there is less than 2⁶⁴ satoshi.
    #[must_use]
    pub fn burned(&self) -> u64 {
        u64::try_from(self.chain.supply().burned).expect("less than all money")
    }

    /// True if an output stands, closing or not.
    #[must_use]
    pub fn stands(&self, funding: &OutPoint) -> bool {
        self.chain.store().get(funding).is_some()
    }
}

//! Taking blocks that another node made: the next ones, or a higher branch.

use tidegate_ledger::{Applied, Block, MAX_OUTPUTS, Trust, UtxoStore};
use tidegate_types::Height;
use tidegate_wal::LogError;

use crate::files::{RECORD_HEAD, undone_record};
use crate::{FollowError, Node, TickError};

/// What following a branch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// How many blocks of the chain before were undone.
    pub undone: u32,
    /// How many blocks were taken.
    pub taken: u32,
}

impl Node {
    /// Takes blocks, each standing on the one before and the first on any block of this chain that is not below the last
    /// final one. If that is not the tip, they are a branch, which is taken if it is higher than what stands; until then
    /// everything stays as it is. Every block is checked as if it came from anyone, and is durable on return.
    ///
    /// # Errors
    /// [`FollowError`]. After [`FollowError::Block`] the blocks below the bad one are taken if they were no branch, or are
    /// already higher than what stood before.
    pub fn follow(&mut self, blocks: &[Block]) -> Result<Followed, FollowError> {
        if self.is_poisoned() {
            return Err(FollowError::Poisoned);
        }
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Ok(Followed { undone: 0, taken: 0 });
        };
        let tip = self.tip();
        let detached = FollowError::Detached {
            final_height: tip.final_height,
        };
        let fork = if first.header.previous == tip.hash {
            tip.height
        } else {
            self.recent.height_of(&first.header.previous).ok_or(detached.clone())?
        };
        let depth = tip.height.get().checked_sub(fork.get());
        let undone = depth.filter(|_| fork >= tip.final_height).ok_or(detached)?;
        if last.header.height <= tip.height {
            return Err(FollowError::NotHigher {
                end: last.header.height,
                tip: tip.height,
            });
        }
        // One block above the tip is enough to leave what stands, and is never one that its own branch makes final before.
        let enough = (undone as usize + 1).min(blocks.len());
        let (branch, rest) = blocks.split_at(enough);
        self.check_room(branch)?;
        self.switch(undone, branch)?;
        let mut taken = enough;
        for block in rest {
            self.check_room(std::slice::from_ref(block))?;
            self.switch(0, std::slice::from_ref(block))?;
            taken += 1;
        }
        Ok(Followed {
            undone,
            taken: u32::try_from(taken).unwrap_or(u32::MAX),
        })
    }

    fn check_room(&self, blocks: &[Block]) -> Result<(), FollowError> {
        let transactions = blocks.iter().map(|block| block.transactions.len()).sum::<usize>();
        let created = (transactions * MAX_OUTPUTS) as u64;
        if created > 0 && self.chain.store().len() + created > self.utxos_max as u64 {
            return Err(FollowError::TableFull);
        }
        Ok(())
    }

    /// Undoes so many blocks and applies others, in memory and in the log; or nothing of both.
    fn switch(&mut self, undone: u32, branch: &[Block]) -> Result<(), FollowError> {
        let writer = self.writer.as_ref().ok_or(FollowError::ReadOnly)?;
        match writer.log.segments().prepare() {
            Ok(()) => {}
            Err(error @ LogError::NoSpace(_)) => return Err(FollowError::NoSpace(error)),
            Err(error) => return Err(self.failed(error)),
        }
        let before = self.undo(undone);
        let mut applied = Vec::new();
        for block in branch {
            match self.chain.apply(block, Trust::Nothing) {
                Ok(done) => applied.push(done),
                Err(error) => {
                    for _ in &applied {
                        self.chain.undo_tip().expect("none of the branch is final yet");
                    }
                    self.redo(before);
                    let height = block.header.height;
                    return Err(FollowError::Block { height, error });
                }
            }
        }
        self.write(undone, branch, applied)?;
        self.bring_back(&before);
        match self.keep_small() {
            Ok(()) => Ok(()),
            Err(TickError::Log(error)) => Err(FollowError::Log(error)),
            Err(_) => Err(FollowError::Poisoned),
        }
    }

    /// Takes the newest blocks off; the newest first.
    fn undo(&mut self, count: u32) -> Vec<Block> {
        let mut undone = Vec::new();
        for _ in 0..count {
            self.chain
                .undo_tip()
                .expect("the fork is not below the last final block");
            let encoded = self.recent.pop(&mut self.index);
            undone.push(Block::decode(&encoded).expect("encoded here, or decoded before"));
        }
        undone
    }

    /// Puts back what [`Node::undo`] took off. The log never heard of it.
    fn redo(&mut self, undone: Vec<Block>) {
        for block in undone.into_iter().rev() {
            let applied = self.chain.apply(&block, Trust::OwnRecords);
            let applied = applied.expect("it stood here before");
            self.recent.push(&mut self.index, &block, block.encode(), applied);
        }
    }

    fn write(&mut self, undone: u32, branch: &[Block], applied: Vec<Applied>) -> Result<(), FollowError> {
        let writer = self.writer.as_mut().ok_or(FollowError::ReadOnly)?;
        let log = &mut writer.log;
        let mut write = || {
            if undone > 0 {
                log.append(&[&undone_record(undone)])?;
            }
            for block in branch {
                log.append(&[&RECORD_HEAD, &block.encode()])?;
            }
            log.sync()
        };
        if let Err(error) = write() {
            return Err(self.failed(error));
        }
        if let Some(fork) = branch
            .first()
            .and_then(|first| first.header.height.get().checked_sub(1))
        {
            writer.keep.undone_to(Height::new(fork));
        }
        for (block, applied) in branch.iter().zip(applied) {
            self.recent.push(&mut self.index, block, block.encode(), applied);
            let spent = block
                .transactions
                .iter()
                .flat_map(|transaction| &transaction.body.inputs);
            self.mempool.remove_spenders(spent);
            // An action leaves its channel's output where it is.
            for transaction in &block.transactions {
                self.mempool.remove(&transaction.txid());
            }
        }
        Ok(())
    }

    /// Transactions of blocks that were undone wait again, if they still hold.
    fn bring_back(&mut self, undone: &[Block]) {
        for transaction in undone.iter().rev().flat_map(|block| &block.transactions) {
            // Most stand in the new branch too, and are refused as spent already.
            let _refused = self.submit(transaction.clone());
        }
    }

    fn failed(&mut self, error: LogError) -> FollowError {
        self.set_poisoned();
        tracing::error!(%error, "the ledger's log failed; the settlement node stops");
        FollowError::Log(error)
    }

    /// The height from which a branch may leave this chain: just above the last final block.
    #[must_use]
    pub const fn first_open_height(&self) -> Height {
        match self.tip().final_height.next() {
            Some(height) => height,
            None => Height::MAX,
        }
    }
}

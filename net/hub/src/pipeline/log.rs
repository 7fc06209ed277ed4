//! The log thread: durable, then signed, then told.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use tidegate_channel::SignedHeader;
use tidegate_crypto::keys::SecretKey;
use tidegate_reactor::Sender as ReactorSender;
use tidegate_table::Lsn;
use tidegate_types::LedgerId;
use tidegate_wal::{Log, LogError};

use super::links::Heard;
use super::probes;
use super::queue::{Receiver, Sender};
use super::receipts;
use super::sequencer::micros;
use super::stats::{Stats, add, note};
use super::work::Job;
use crate::commitment::{AsOf, Feed};

/// Answers after which the reactor is woken: it writes them while the next are made, and does not wake for each.
const FLUSH_EVERY: u32 = 16;

pub(crate) struct LogThread {
    pub(crate) log: Log,
    pub(crate) ledger: LedgerId,
    pub(crate) key: SecretKey,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) done: Sender<Job>,
    pub(crate) reactor: ReactorSender,
    pub(crate) stats: Arc<Stats>,
    pub(crate) commitment: Feed,
    /// Where the newest header is shown to the links, if there are any.
    pub(crate) heard: Option<Arc<Heard>>,
}

impl LogThread {
    /// Takes jobs in their order until the sequencer ends.
    ///
    /// # Errors
    /// [`LogError`] of the first failed write or sync. Nothing has been told of that batch or any after it, and nothing
    /// will be (R3).
    pub(crate) fn run(&mut self) -> Result<(), LogError> {
        while let Ok(mut job) = self.jobs.recv() {
            let header = self.commit(&mut job)?;
            let start = Instant::now();
            self.tell(&mut job, header.as_ref());
            note(&self.stats.receipts_us, micros(start.elapsed()));
            // The sequencer has gone before its jobs only when the hub ends.
            let _ended = self.done.send(job);
        }
        Ok(())
    }

    /// Makes a batch durable, if it has changed anything, and signs its header then.
    fn commit(&mut self, job: &mut Job) -> Result<Option<SignedHeader>, LogError> {
        if job.record.is_empty() {
            return Ok(None);
        }
        let lsn = self.make_durable(job)?;
        let batch = job.executed.header.number;
        // Before its receipts leave, so that whoever has one finds it under the root.
        self.commitment.batch(AsOf { batch, lsn }, &mut job.executed.changes);
        let header = job.executed.header.sign(&self.ledger, &self.key);
        if let Some(heard) = &self.heard {
            *heard.newest.lock() = Some(header);
        }
        Ok(Some(header))
    }

    /// Answers all who wait for the batch, which is durable.
    fn tell(&self, job: &mut Job, header: Option<&SignedHeader>) {
        let reactor = &self.reactor;
        // A reactor that has ended sends nothing more; the clients will ask again.
        let queued = Cell::new(0_u32);
        let send = |conn, bytes| {
            drop(reactor.queue(conn, bytes));
            queued.set(queued.get() + 1);
            if queued.get().is_multiple_of(FLUSH_EVERY) {
                reactor.flush();
            }
        };
        for sync in &job.syncs {
            send(
                sync.origin.conn,
                receipts::sync_answer(sync, &job.executed, header, &job.requests),
            );
        }
        if let Some(header) = header {
            receipts::write_all(job, header, |conn, bytes| {
                probes::receipt_out(conn, bytes.len());
                send(conn, bytes);
            });
        }
        job.reads.drain(..).for_each(|read| read.show(&self.commitment.work));
        for (conn, bytes) in job.replies.drain(..) {
            send(conn, bytes);
        }
        reactor.flush();
    }

    /// One write, one sync. Only after this may anything of the batch be seen.
    fn make_durable(&mut self, job: &Job) -> Result<Lsn, LogError> {
        let start = Instant::now();
        probes::sync_begin(job.record.len());
        let lsn = self.log.append_sync(&[&job.record])?;
        probes::sync_end(lsn);
        let stats = &self.stats;
        note(&stats.sync_us, micros(start.elapsed()));
        note(&stats.batch_sizes, job.inputs as u64);
        add(&stats.batches, 1);
        add(&stats.syncs, 1);
        add(&stats.log_bytes, job.record.len() as u64);
        add(&stats.delivered, job.delivered);
        Ok(lsn)
    }
}

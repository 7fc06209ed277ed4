//! Checkpoints beside the batches: when one begins, and the thread that writes it.
//!
//! The sequencer begins a checkpoint between two batches and sends it to the thread `checkpoint`, which does its steps with
//! pauses between them, so that a commit never waits long for the disk. When it is written it comes back, and only then may
//! the next begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use tidegate_table::{Lsn, Progress, Spent};

use crate::state::{Checkpointer, HubEngine, StateError, Stepped, is_no_space};

/// Between two steps the thread pauses so many times as long as the step took.
const PAUSE_TIMES: u32 = 2;
/// How long it waits for the log to be durable before it looks again.
const LOG_PAUSE: Duration = Duration::from_millis(1);

/// With pauses, beside payments.
const PACED: u8 = 0;
/// Without: the hub is stopping, and somebody waits.
const HURRIED: u8 = 1;
/// Not any more: the hub is ending after a failure.
const ABANDONED: u8 = 2;

/// What the sequencer asks of the thread.
enum Order {
    Write(Box<Checkpointer>),
    /// To be dropped where nobody waits.
    Free(#[expect(dead_code, reason = "kept to be dropped")] Spent),
}

/// A checkpoint that is over.
struct Report {
    checkpointer: Box<Checkpointer>,
    result: Result<Progress, StateError>,
    took: Duration,
}

/// The sequencer's end: begins checkpoints and takes them back.
#[derive(Debug)]
pub struct Checkpoints {
    /// Here while none is being written.
    idle: Option<Box<Checkpointer>>,
    orders: Sender<Order>,
    reports: Receiver<Report>,
    pace: Arc<AtomicU8>,
    /// Log since the newest checkpoint was begun.
    log_bytes: u64,
    /// So much of it begins the next.
    log_bytes_max: u64,
    written: Written,
}

/// What the checkpoints of one run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Checkpoints that are durable.
    pub checkpoints: u64,
    /// Pages in them.
    pub pages: u64,
    /// From their beginnings to their ends.
    pub took: Duration,
}

/// The thread's end: writes them.
#[derive(Debug)]
pub struct CheckpointThread {
    orders: Receiver<Order>,
    reports: Sender<Report>,
    pace: Arc<AtomicU8>,
}

/// Both ends. The log behind the newest checkpoint has `log_bytes` already; with `log_bytes_max` the next one is due.
#[must_use]
pub fn checkpoints(checkpointer: Checkpointer, log_bytes: u64, log_bytes_max: u64) -> (Checkpoints, CheckpointThread) {
    // An order never waits: one checkpoint is under way at most, and what it left is freed before the next.
    let (orders, work) = bounded(2);
    let (done, reports) = bounded(1);
    let pace = Arc::new(AtomicU8::new(PACED));
    let thread = CheckpointThread {
        orders: work,
        reports: done,
        pace: Arc::clone(&pace),
    };
    let ours = Checkpoints {
        idle: Some(Box::new(checkpointer)),
        orders,
        reports,
        pace,
        log_bytes,
        log_bytes_max,
        written: Written::default(),
    };
    (ours, thread)
}

impl Checkpoints {
    /// Notes that the log has grown by so much.
    pub const fn note_log(&mut self, bytes: u64) {
        self.log_bytes += bytes;
    }

    /// Whether one is being written.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        self.idle.is_none()
    }

    /// What was written so far.
    #[must_use]
    pub const fn written(&self) -> Written {
        self.written
    }

    /// Between two batches: takes back a checkpoint that is over, begins one that is due. `lsn` is the newest record that has
    /// been handed to the log.
    ///
    /// # Errors
    /// [`StateError`] if a checkpoint failed for good.
    pub fn tick(&mut self, engine: &mut HubEngine, lsn: Lsn) -> Result<(), StateError> {
        if self.idle.is_none() {
            match self.reports.try_recv() {
                Ok(report) => self.take_back(report, engine)?,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => panic!("the checkpointing thread ends after the sequencer"),
            }
        }
        if self.log_bytes >= self.log_bytes_max {
            let Some(mut checkpointer) = self.idle.take() else {
                // The next one is due before this one is over: what a restart replays is worth more than its pauses.
                self.pace.store(HURRIED, Ordering::Relaxed);
                return Ok(());
            };
            self.log_bytes = 0;
            self.pace.store(PACED, Ordering::Relaxed);
            checkpointer.begin(engine, lsn)?;
            self.order(Order::Write(checkpointer));
        }
        Ok(())
    }

    fn order(&self, order: Order) {
        self.orders
            .send(order)
            .expect("the checkpointing thread ends after the sequencer");
    }

    fn take_back(&mut self, report: Report, engine: &mut HubEngine) -> Result<(), StateError> {
        let Report {
            mut checkpointer,
            result,
            took,
        } = report;
        self.order(Order::Free(checkpointer.end(engine)));
        match result {
            Ok(written) => {
                self.written.checkpoints += 1;
                self.written.pages += written.pages as u64;
                self.written.took += took;
                tracing::info!(
                    lsn = checkpointer.lsn().get(),
                    pages = written.pages,
                    saved_bytes = written.saved_bytes,
                    millis = took.as_millis(),
                    "checkpoint written"
                );
            }
            // The one before stands, and so does the log behind it: later, when there is room.
            Err(error) if is_no_space(&error) => tracing::warn!(%error, "no room for a checkpoint"),
            Err(error) => return Err(error),
        }
        self.idle = Some(checkpointer);
        Ok(())
    }

    /// Finishes the checkpoint that is under way and writes a last one. The log is durable up to `lsn`, its newest record.
    ///
    /// # Errors
    /// [`StateError`] if one failed for good.
    pub fn finish(mut self, engine: &mut HubEngine, lsn: Lsn) -> Result<(), StateError> {
        if self.idle.is_none() {
            self.pace.store(HURRIED, Ordering::Relaxed);
            let report = self.reports.recv();
            self.take_back(
                report.expect("the checkpointing thread ends after the sequencer"),
                engine,
            )?;
        }
        let mut checkpointer = self.idle.take().expect("it has just come back");
        match checkpointer.write(engine, lsn) {
            Ok(_) => Ok(()),
            Err(error) if is_no_space(&error) => {
                tracing::warn!(%error, "no room for a checkpoint");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.pace.store(ABANDONED, Ordering::Relaxed);
    }
}

impl CheckpointThread {
    /// Writes what the sequencer orders until that is gone. `over` is called after each checkpoint, so that an idle sequencer
    /// takes it back; `failed` when one failed for good.
    pub fn run(self, over: impl Fn(), failed: impl Fn()) {
        while let Ok(order) = self.orders.recv() {
            let Order::Write(mut checkpointer) = order else {
                continue;
            };
            let start = Instant::now();
            let Some(result) = self.write(&mut checkpointer) else {
                return;
            };
            let lost = result.as_ref().is_err_and(|error| !is_no_space(error));
            let report = Report {
                checkpointer,
                result,
                took: start.elapsed(),
            };
            // The sequencer has gone before its checkpoint only when the hub ends.
            let _ended = self.reports.send(report);
            if lost {
                failed();
            } else {
                over();
            }
        }
    }

    /// All steps with their pauses; `None` if nobody wants it any more.
    fn write(&self, checkpointer: &mut Checkpointer) -> Option<Result<Progress, StateError>> {
        loop {
            let start = Instant::now();
            let pause = match checkpointer.step() {
                Ok(Stepped::More(_)) => start.elapsed() * PAUSE_TIMES,
                Ok(Stepped::AwaitsLog) => LOG_PAUSE,
                Ok(Stepped::Done(written)) => return Some(Ok(written)),
                Err(error) => return Some(Err(error)),
            };
            match self.pace.load(Ordering::Relaxed) {
                ABANDONED => return None,
                HURRIED if pause != LOG_PAUSE => {}
                _ => sleep(pause),
            }
        }
    }
}

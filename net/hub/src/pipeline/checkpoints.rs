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
/// A checkpoint that found no room is tried again after so long, not after another full log: on a full disk there will be none, and a
/// checkpoint is what gives the log's room back.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

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
    /// The last one found no room: the next is due from then on.
    again_at: Option<Instant>,
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
        again_at: None,
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
        if self.log_bytes >= self.log_bytes_max || self.again_at.is_some_and(|at| Instant::now() >= at) {
            let Some(mut checkpointer) = self.idle.take() else {
                // The next one is due before this one is over: what a restart replays is worth more than its pauses.
                self.pace.store(HURRIED, Ordering::Relaxed);
                return Ok(());
            };
            self.log_bytes = 0;
            self.again_at = None;
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
            Err(error) if is_no_space(&error) => {
                tracing::warn!(%error, "no room for a checkpoint");
                self.again_at = Some(Instant::now() + NO_ROOM_PAUSE);
            }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tidegate_batch::{BlockInput, Executed, Input, Policy};
    use tidegate_disk::{Disk, FaultyDisk};
    use tidegate_types::{Age, Amount, Digest, Height, KeyBytes, LedgerId, UnixMillis};

    use super::*;
    use crate::state::{self, HubState, Params};

    fn params() -> Params {
        Params {
            hub: KeyBytes::from_bytes([1; 32]),
            ledger: LedgerId::ZERO,
            policy: Policy {
                margin: Age::new(2),
                ack_interval: Age::new(1),
                max_lock: Age::new(100),
                min_amount: Amount::ZERO,
                fee_base: Amount::ZERO,
                fee_ppm: 0,
                max_unfirm_credits: 1000,
                max_in_locks: 64,
                max_in_locks_per_payer: 16,
                max_forwarded: 0,
            },
            salt_secret: [0; 32],
            log_identity: 7,
            segment_bytes: 12 << 10,
        }
    }

    /// A hub that is started often must not replay more than one that runs on: it is the log's own bytes that start a checkpoint.
    #[test]
    fn a_replayed_log_is_as_long_as_a_written_one() {
        let (disk, data): (Arc<dyn Disk>, _) = (Arc::new(FaultyDisk::new()), Path::new("/hub"));
        disk.create_dir_all(data).expect("a disk in memory");
        state::create(&disk, data, &params(), Digest::ZERO, UnixMillis::new(1), []).expect("room");
        let mut state = HubState::open(&disk, data, &mut |_| {}).expect("made");
        let mut executed = Executed::default();
        for height in 1..=3 {
            let inputs = [Input::Block(BlockInput::empty(Height::new(height), Digest::ZERO))];
            state
                .engine
                .execute(UnixMillis::new(2), &inputs, &mut executed)
                .expect("a block");
            let mut record = Vec::new();
            state::append_record(&state.engine, &executed, &inputs, &mut record);
            state.log.append_sync(&[&record]).expect("room");
        }
        let written = state.log.counters().bytes;
        drop(state);
        let again = HubState::open(&disk, data, &mut |_| {}).expect("as it was left");
        assert_eq!((again.replayed, again.replayed_bytes), (3, written));
    }

    /// On a full disk the log cannot grow to where the next checkpoint would be due, and only a checkpoint gives its room back.
    #[test]
    fn a_checkpoint_without_room_is_tried_again_without_more_log() {
        let (faulty, data) = (FaultyDisk::new(), Path::new("/hub"));
        let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
        disk.create_dir_all(data).expect("a disk in memory");
        state::create(&disk, data, &params(), Digest::ZERO, UnixMillis::new(1), []).expect("room");
        let HubState {
            mut engine,
            log,
            checkpointer,
            ..
        } = HubState::open(&disk, data, &mut |_| {}).expect("made");
        let (mut ours, thread) = checkpoints(checkpointer, 0, 100);
        let (over, wait) = bounded(8);
        let thread = std::thread::spawn(move || thread.run(|| over.send(()).expect("somebody waits"), || {}));
        let lsn = log.synced_lsn();
        faulty.limit_space(Some(0));
        ours.note_log(100);
        ours.tick(&mut engine, lsn).expect("it begins");
        wait.recv().expect("it is over");
        ours.tick(&mut engine, lsn).expect("want of room is no failure");
        assert_eq!(
            (ours.written().checkpoints, ours.is_writing()),
            (0, false),
            "not again at once"
        );
        faulty.limit_space(None);
        sleep(NO_ROOM_PAUSE);
        ours.tick(&mut engine, lsn).expect("it begins again");
        wait.recv().expect("it is over");
        ours.tick(&mut engine, lsn).expect("it is written");
        assert_eq!((ours.written().checkpoints, ours.is_writing()), (1, false));
        drop(ours);
        thread.join().expect("it ends");
    }
}

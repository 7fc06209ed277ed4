//! What each thread of a hub runs, and what its end means for the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tidegate_reactor::{Reactor, ReactorError, Sender as ReactorSender};
use tidegate_wal::{LogError, Segments};

use super::ServeError;
use crate::pipeline::checkpoints::CheckpointThread;
use crate::pipeline::front::Front;
use crate::pipeline::ledger::{LedgerFailure, LedgerThread};
use crate::pipeline::log::LogThread;
use crate::pipeline::queue::Sender;
use crate::pipeline::sequencer::{Parts, Sequencer, SequencerError};
use crate::pipeline::work::{Group, Work};

/// Milliseconds that clients have to take what waits for them when the hub ends.
const DRAIN_MILLIS: u64 = 2_000;

pub(super) fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ServeError> {
    Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(ServeError::Thread)
}

pub(super) fn run_sequencer(parts: Parts, reactor: &ReactorSender) -> Result<(), SequencerError> {
    let result = Sequencer::new(parts).run();
    // After a failure nothing more is told to anyone.
    let drain = if result.is_ok() { DRAIN_MILLIS } else { 0 };
    let _ended = reactor.stop(drain);
    result
}

pub(super) fn run_log(mut log: LogThread, groups: &Sender<Group>, reactor: &ReactorSender) -> Result<(), LogError> {
    let result = log.run();
    if result.is_err() {
        // Before the sequencer can notice: nothing is answered after a failed write or sync (R3).
        let _ended = reactor.stop(0);
    }
    // What the sequencer can notice, once it wakes.
    drop(log);
    wake(groups);
    result
}

/// An empty group wakes the sequencer; if its queue is full, it is awake.
fn wake(groups: &Sender<Group>) {
    drop(groups.try_send(Group::new()));
}

/// Without blocks no deadline passes: the hub ends rather than going on without its ledger.
pub(super) fn run_ledger(
    ledger: LedgerThread,
    groups: &Sender<Group>,
    reactor: &ReactorSender,
) -> Result<(), LedgerFailure> {
    let result = ledger.run();
    if result.is_err() {
        end_hub(groups, reactor);
    }
    result
}

/// Ends the hub after a failure: nothing more is told to anyone.
fn end_hub(groups: &Sender<Group>, reactor: &ReactorSender) {
    let _ended = reactor.stop(0);
    let _ended = groups.send(vec![Work::Stop]);
}

pub(super) fn run_checkpoints(thread: CheckpointThread, groups: &Sender<Group>, reactor: &ReactorSender) {
    thread.run(|| wake(groups), || end_hub(groups, reactor));
}

pub(super) fn run_reactor(reactor: Reactor, mut front: Front, groups: &Sender<Group>) -> Result<(), ReactorError> {
    // It is gone when the thread ends: what its links know is kept before the hub has ended.
    let result = reactor.run(&mut front);
    // Whatever the reason: a hub that hears nobody ends.
    let _ended = groups.send(vec![Work::Stop]);
    result
}

/// How often the log is looked at for a segment to be made ready; one lasts for seconds.
const PREPARE_EVERY: Duration = Duration::from_millis(100);

/// Keeps a zeroed segment ahead of the log until the log is gone. Without room the hub answers `Busy`; after a failed
/// write or sync it ends.
pub(super) fn prepare(
    segments: &Arc<Segments>,
    no_room: &AtomicBool,
    groups: &Sender<Group>,
    reactor: &ReactorSender,
) -> Result<(), LogError> {
    while Arc::strong_count(segments) > 2 {
        match segments.prepare() {
            Ok(()) => no_room.store(false, Ordering::Relaxed),
            Err(error @ LogError::NoSpace(_)) => {
                if !no_room.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "no room for the log: payments are answered with Busy");
                }
            }
            Err(error) => {
                end_hub(groups, reactor);
                return Err(error);
            }
        }
        std::thread::sleep(PREPARE_EVERY);
    }
    Ok(())
}

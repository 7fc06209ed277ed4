//! Bounded queues between the threads that a payment passes, whose waiting threads sleep and never yield.
//!
//! Those of crossbeam spin before they sleep, and give the processor away while they do (`sched_yield`, eight times). A kernel that
//! counts what it owes to each thread (Linux from 6.6 on) takes that for a whole slice which the thread did not want: with anybody
//! else running, even at the lowest priority, it comes back milliseconds later, and so does the payment that it was woken for. A lock
//! and a condition variable of the standard library never yield. What comes within a few microseconds is waited for awake: without
//! that, profile `hot-keys` had 115, 147 and 109 thousand payments/s, with it 135, 144 and 135, and with crossbeam's queues 145, 135
//! and 145 (`tidegate benchmark --seconds 3`, three rounds in turns, a virtual machine that others used too).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam::channel::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

/// Turns of a thread that waits before it sleeps: as many as crossbeam's spin before they yield, some 5 µs.
const SPINS: usize = 128;

/// A queue of `bound` at most.
pub(crate) fn bounded<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        senders: 1,
        received: true,
        sleeps: false,
        held_up: 0,
    };
    let shared = Arc::new(Shared {
        bound,
        waiting: AtomicUsize::new(0),
        state: Mutex::new(state),
        filled: Condvar::new(),
        taken: Condvar::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

struct State<T> {
    items: VecDeque<T>,
    senders: usize,
    /// The receiver is there.
    received: bool,
    /// The receiver sleeps and must be woken.
    sleeps: bool,
    /// Senders that sleep because the queue is full.
    held_up: usize,
}

struct Shared<T> {
    bound: usize,
    /// How many wait, or did a moment ago: a hint for whoever spins.
    waiting: AtomicUsize,
    state: Mutex<State<T>>,
    filled: Condvar,
    taken: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nobody panics in here")
    }

    fn push(&self, mut state: MutexGuard<'_, State<T>>, item: T) {
        state.items.push_back(item);
        self.waiting.store(state.items.len(), Ordering::Relaxed);
        self.wake(state);
    }

    /// Without the lock, for which the woken thread would only wait.
    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.filled.notify_one();
        }
    }

    /// Waits a few microseconds for something to come, awake: what comes now costs its sender no wake-up.
    fn spin(&self) {
        for _ in 0..SPINS {
            if self.waiting.load(Ordering::Relaxed) > 0 {
                return;
            }
            std::hint::spin_loop();
        }
    }

    fn pop(&self, mut state: MutexGuard<'_, State<T>>) -> Result<T, TryRecvError> {
        let Some(item) = state.items.pop_front() else {
            let gone = state.senders == 0;
            return Err(if gone {
                TryRecvError::Disconnected
            } else {
                TryRecvError::Empty
            });
        };
        self.waiting.store(state.items.len(), Ordering::Relaxed);
        let held_up = state.held_up > 0;
        drop(state);
        if held_up {
            self.taken.notify_one();
        }
        Ok(item)
    }
}

/// The end that things are put in at; any thread may have one.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Puts one in, and waits for room if there is none.
    pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        while state.received && state.items.len() >= self.0.bound {
            state.held_up += 1;
            state = self.0.taken.wait(state).expect("nobody panics in here");
            state.held_up -= 1;
        }
        if !state.received {
            return Err(SendError(item));
        }
        self.0.push(state, item);
        Ok(())
    }

    /// Puts one in if there is room.
    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let state = self.0.lock();
        if !state.received {
            return Err(TrySendError::Disconnected(item));
        }
        if state.items.len() >= self.0.bound {
            return Err(TrySendError::Full(item));
        }
        self.0.push(state, item);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            self.0.wake(state);
        }
    }
}

/// The end that things are taken out at, in their order.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Takes one out if there is any.
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.pop(self.0.lock())
    }

    /// Takes one out, and waits for it.
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        self.0.spin();
        let mut state = self.0.lock();
        while state.items.is_empty() && state.senders > 0 {
            state.sleeps = true;
            state = self.0.filled.wait(state).expect("nobody panics in here");
        }
        self.0.pop(state).map_err(|_| RecvError)
    }

    /// As [`Receiver::recv`], for so long at most.
    pub(crate) fn recv_timeout(&self, patience: Duration) -> Result<T, RecvTimeoutError> {
        let until = Instant::now() + patience;
        self.0.spin();
        let mut state = self.0.lock();
        while state.items.is_empty() && state.senders > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.sleeps = false;
                return Err(RecvTimeoutError::Timeout);
            }
            state.sleeps = true;
            (state, _) = self.0.filled.wait_timeout(state, left).expect("nobody panics in here");
        }
        self.0.pop(state).map_err(|_| RecvTimeoutError::Disconnected)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().items.len()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.received = false;
        // What waits is dropped now, not when the last sender goes: whoever waits for an answer to it would wait on.
        let waits = std::mem::take(&mut state.items);
        drop(state);
        drop(waits);
        self.0.taken.notify_all();
    }
}

impl<T> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({} of {} wait)", self.0.lock().items.len(), self.0.bound)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Long enough that a test which needs it has failed.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn things_come_out_in_their_order_from_all_threads() {
        let (sender, receiver) = bounded(2);
        let senders = (0..3_u32).map(|thread| (thread, sender.clone()));
        let threads: Vec<_> = senders
            .map(|(thread, sender)| thread::spawn(move || (0..1_000).for_each(|n| sender.send((thread, n)).unwrap())))
            .collect();
        drop(sender);
        let mut next = [0; 3];
        while let Ok((thread, n)) = receiver.recv() {
            assert_eq!(n, std::mem::replace(&mut next[thread as usize], n + 1));
        }
        assert_eq!(next, [1_000; 3]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_full_queue_takes_nothing_until_something_is_taken() {
        let (sender, receiver) = bounded(1);
        sender.try_send(1).unwrap();
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        let waits = thread::spawn(move || sender.send(3));
        assert_eq!(receiver.recv_timeout(LONG), Ok(1));
        assert_eq!(receiver.recv_timeout(LONG), Ok(3));
        waits.join().unwrap().unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn nobody_waits_for_an_end_that_is_gone() {
        let (sender, receiver) = bounded::<u8>(1);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(
            receiver.recv_timeout(Duration::from_millis(1)),
            Err(RecvTimeoutError::Timeout)
        );
        let waits = thread::spawn(move || (receiver.recv(), receiver.recv_timeout(LONG)));
        drop(sender);
        let gone = (Err(RecvError), Err(RecvTimeoutError::Disconnected));
        assert_eq!(waits.join().unwrap(), gone);
        let (sender, receiver) = bounded(1);
        sender.try_send(1).unwrap();
        let waits = thread::spawn(move || (sender.send(2), sender.try_send(3)));
        drop(receiver);
        let gone = (Err(SendError(2)), Err(TrySendError::Disconnected(3)));
        assert_eq!(waits.join().unwrap(), gone);
    }

    #[test]
    fn what_waits_goes_with_the_receiver() {
        let ((sender, receiver), waits) = (bounded(1), Arc::new(()));
        sender.try_send(Arc::clone(&waits)).unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&waits), 1);
        drop(sender);
    }
}

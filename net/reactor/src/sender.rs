//! The way from other threads into a reactor: a bounded queue, and a wake that many senders share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::channel::{self, Receiver, TrySendError};
use mio::Waker;

use crate::id::ConnId;

/// What another thread asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Queue these plaintext bytes.
    Send(ConnId, Vec<u8>),
    /// Close as by `Outbox::close`.
    Close(ConnId),
    /// Read nothing for so many milliseconds.
    Rest(ConnId, u64),
    /// Call `on_wake`.
    Wake,
    /// Send what waits, for at most so many milliseconds, and end.
    Stop(u64),
}

/// Why a command did not reach the reactor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// The queue is full; here are the bytes again.
    #[error("the reactor's queue is full")]
    Full(Vec<u8>),
    /// The reactor has ended.
    #[error("the reactor has ended")]
    Ended,
}

struct Shared {
    waker: Waker,
    /// True from a wake until the reactor has noticed it: nobody needs to wake again meanwhile.
    waking: AtomicBool,
}

/// Sends from any thread. Cheap to clone. Commands of one thread are carried out in their order.
#[derive(Clone)]
pub struct Sender {
    queue: channel::Sender<Command>,
    shared: Arc<Shared>,
}

/// The reactor's end.
pub(crate) struct Commands {
    queue: Receiver<Command>,
    shared: Arc<Shared>,
}

pub(crate) fn command_queue(commands_max: usize, waker: Waker) -> (Sender, Commands) {
    let (queue, receiver) = channel::bounded(commands_max);
    let shared = Arc::new(Shared {
        waker,
        waking: AtomicBool::new(false),
    });
    let commands = Commands {
        queue: receiver,
        shared: Arc::clone(&shared),
    };
    (Sender { queue, shared }, commands)
}

impl Sender {
    /// Queues `plaintext`, one or more whole messages, for `conn`; waits while the queue is full. If the connection is
    /// gone by then, the bytes are dropped.
    ///
    /// Gather what goes to one peer: each call costs a place in the queue. Never call this from the reactor's own thread:
    /// a handler has its `Outbox`.
    ///
    /// # Errors
    /// [`SenderError::Ended`].
    pub fn send(&self, conn: ConnId, plaintext: Vec<u8>) -> Result<(), SenderError> {
        self.push(Command::Send(conn, plaintext))
    }

    /// As [`Sender::send`], but leaves a sleeping reactor asleep: it sees the bytes after the next [`Sender::flush`]. For many
    /// answers one behind the other, so that the reactor does not wake and sleep again for each.
    ///
    /// # Errors
    /// [`SenderError::Ended`].
    pub fn queue(&self, conn: ConnId, plaintext: Vec<u8>) -> Result<(), SenderError> {
        self.put(Command::Send(conn, plaintext))
    }

    /// Has the reactor look at what was queued.
    pub fn flush(&self) {
        self.wake_up();
    }

    /// As [`Sender::send`], without waiting.
    ///
    /// # Errors
    /// [`SenderError`].
    pub fn try_send(&self, conn: ConnId, plaintext: Vec<u8>) -> Result<(), SenderError> {
        match self.queue.try_send(Command::Send(conn, plaintext)) {
            Ok(()) => {
                self.wake_up();
                Ok(())
            }
            Err(TrySendError::Full(Command::Send(_, plaintext))) => {
                self.wake_up();
                Err(SenderError::Full(plaintext))
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(SenderError::Ended),
        }
    }

    /// Closes `conn` once it has taken what waits for it.
    ///
    /// # Errors
    /// [`SenderError::Ended`].
    pub fn close(&self, conn: ConnId) -> Result<(), SenderError> {
        self.push(Command::Close(conn))
    }

    /// Delivers nothing from `conn` for `millis` milliseconds and up to 64 more, counted from when the reactor hears of it; answers go
    /// out meanwhile. Of several the last one counts. A sleeping reactor is left asleep, as by [`Sender::queue`].
    ///
    /// # Errors
    /// [`SenderError::Ended`].
    pub fn rest(&self, conn: ConnId, millis: u64) -> Result<(), SenderError> {
        self.put(Command::Rest(conn, millis))
    }

    /// Has the handler's `on_wake` called soon, once for any number of calls that come together.
    ///
    /// # Errors
    /// [`SenderError::Ended`].
    pub fn wake(&self) -> Result<(), SenderError> {
        self.push(Command::Wake)
    }

    /// Ends the reactor: no more is accepted or delivered, and what waits is sent for at most `drain_millis`.
    ///
    /// # Errors
    /// [`SenderError::Ended`] if it has ended already.
    pub fn stop(&self, drain_millis: u64) -> Result<(), SenderError> {
        self.push(Command::Stop(drain_millis))
    }

    fn push(&self, command: Command) -> Result<(), SenderError> {
        self.put(command)?;
        self.wake_up();
        Ok(())
    }

    fn put(&self, command: Command) -> Result<(), SenderError> {
        match self.queue.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(SenderError::Ended),
            Err(TrySendError::Full(command)) => {
                // The reactor must be awake to make room.
                self.wake_up();
                self.queue.send(command).map_err(|_| SenderError::Ended)
            }
        }
    }

    /// One write to the eventfd per batch: whoever finds `waking` set knows that the reactor has not emptied the queue
    /// since, and will see what was pushed before.
    fn wake_up(&self) {
        if !self.shared.waking.swap(true, Ordering::AcqRel)
            && let Err(error) = self.shared.waker.wake()
        {
            self.shared.waking.store(false, Ordering::Release);
            tracing::error!(%error, "the reactor could not be woken");
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({} commands wait)", self.queue.len())
    }
}

impl Commands {
    /// Must be called after the waker's event and before the queue is emptied: then nothing that is pushed later can
    /// believe itself noticed.
    pub(crate) fn notice_wake(&self) {
        self.shared.waking.swap(false, Ordering::AcqRel);
    }

    pub(crate) fn next(&self) -> Option<Command> {
        self.queue.try_recv().ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

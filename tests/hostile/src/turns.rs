//! Turns for a process whose threads shall not all compute at once.
//!
//! A kernel weighs threads that run when nobody else wants the processor too: with a hundred and fifty of them it hands them a third
//! of a processor that others want. So no more of a crowd than there are processors compute at a time; the others sleep.

use std::sync::{Condvar, Mutex, OnceLock};

static TURNS: OnceLock<Turns> = OnceLock::new();

struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

/// From now on at most `threads` of this process have their turn at one time.
///
/// # Panics
/// If it was limited before.
pub fn limit(threads: usize) {
    let turns = Turns {
        free: Mutex::new(threads),
        freed: Condvar::new(),
    };
    assert!(TURNS.set(turns).is_ok(), "limited once");
}

/// A turn that lasts until it is dropped; nobody may wait for a hub meanwhile.
#[derive(Debug)]
pub struct Turn(());

/// Waits for a turn. A process without a limit has one at any time.
///
/// # Panics
/// If a thread has panicked in its turn.
#[must_use]
pub fn take() -> Turn {
    if let Some(turns) = TURNS.get() {
        let free = turns.free.lock().expect("nobody panics with the lock");
        let mut free = turns.freed.wait_while(free, |free| *free == 0).expect("nor here");
        *free -= 1;
    }
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = TURNS.get() {
            *turns.free.lock().expect("nobody panics with the lock") += 1;
            turns.freed.notify_one();
        }
    }
}

//! Atomic words: those of the standard library, the model checker's, or those of drawn schedules.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is asked of an atomic word.
pub(super) trait Atomic: Send + Sync + 'static {
    fn new(value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    /// True if it held `current` and holds `new` now.
    fn exchange(&self, current: u64, new: u64) -> bool;
    fn fence(order: Ordering);
}

/// Makes `$word` an atomic word, with the fence of the same world.
macro_rules! atomic_word {
    ($word:ty, $fence:path) => {
        impl $crate::versions::atomic::Atomic for $word {
            fn new(value: u64) -> Self {
                Self::new(value)
            }

            fn load(&self, order: Ordering) -> u64 {
                self.load(order)
            }

            fn store(&self, value: u64, order: Ordering) {
                self.store(value, order);
            }

            fn exchange(&self, current: u64, new: u64) -> bool {
                self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            }

            fn fence(order: Ordering) {
                $fence(order);
            }
        }
    };
}
#[cfg(test)]
pub(super) use atomic_word;

atomic_word!(AtomicU64, std::sync::atomic::fence);

//! How many bytes a peer may have delivered that were not processed.
//!
//! A session decrypts a frame only if its plaintext fits the credit that is left; what was processed is granted again. So
//! a peer whose messages wait costs one window of memory, and the rest of what it sends stays in its own kernel.
//! Nothing here sends: telling the peer its credit is a message of `wire`.

/// A window of bytes: granted, used, and granted again when processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credits {
    window: u64,
    granted: u64,
    used: u64,
}

/// Less credit than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} bytes wanted, {available} granted")]
pub struct NoCredit {
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes left.
    pub available: u64,
}

impl Credits {
    /// A window of `window` bytes, all granted.
    #[must_use]
    pub const fn new(window: u64) -> Self {
        Self {
            window,
            granted: window,
            used: 0,
        }
    }

    /// Bytes that may still be delivered.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.granted - self.used
    }

    /// Bytes delivered that were not processed.
    #[must_use]
    pub const fn outstanding(&self) -> u64 {
        self.window - self.available()
    }

    /// Uses `bytes` of what was granted.
    ///
    /// # Errors
    /// [`NoCredit`]; nothing was used.
    pub const fn take(&mut self, bytes: u64) -> Result<(), NoCredit> {
        let available = self.available();
        if bytes > available {
            return Err(NoCredit {
                wanted: bytes,
                available,
            });
        }
        self.used += bytes;
        Ok(())
    }

    /// Grants again `bytes` that were processed.
    ///
    /// # Panics
    /// If more is granted than was delivered: then someone processed bytes twice.
    pub const fn grant(&mut self, bytes: u64) {
        assert!(bytes <= self.outstanding(), "only delivered bytes are processed");
        self.granted += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_bounds_what_is_outstanding() {
        let mut credits = Credits::new(10);
        assert_eq!(credits.take(7), Ok(()));
        assert_eq!(
            credits.take(4),
            Err(NoCredit {
                wanted: 4,
                available: 3
            })
        );
        assert_eq!((credits.available(), credits.outstanding()), (3, 7));
        credits.grant(5);
        assert_eq!((credits.available(), credits.outstanding()), (8, 2));
        assert_eq!(credits.take(8), Ok(()));
    }

    #[test]
    #[should_panic(expected = "only delivered bytes are processed")]
    fn nothing_is_processed_twice() {
        let mut credits = Credits::new(10);
        credits.take(1).unwrap();
        credits.grant(2);
    }
}

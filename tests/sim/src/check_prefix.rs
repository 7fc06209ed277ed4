//! No acknowledged batch is missing, and none is there that was never made.

use tidegate_types::BatchNumber;

/// What a reopened state breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixBreach {
    /// A batch that was acknowledged as durable is gone.
    #[error("batch {acknowledged} was acknowledged as durable; after reopening the newest is {found}")]
    Missing {
        /// The newest that was acknowledged.
        acknowledged: BatchNumber,
        /// The newest that is there.
        found: BatchNumber,
    },
    /// A batch is there that nobody made.
    #[error("only {made} batches were ever made; after reopening the newest is {found}")]
    NeverMade {
        /// The newest that was executed.
        made: BatchNumber,
        /// The newest that is there.
        found: BatchNumber,
    },
}

/// Checks the newest batch after reopening: at least the newest acknowledged, at most the newest made.
///
/// # Errors
/// [`PrefixBreach`].
pub fn check(acknowledged: BatchNumber, made: BatchNumber, found: BatchNumber) -> Result<(), PrefixBreach> {
    if found < acknowledged {
        return Err(PrefixBreach::Missing { acknowledged, found });
    }
    if found > made {
        return Err(PrefixBreach::NeverMade { made, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_acknowledged_or_under_way_may_be_there() {
        let n = BatchNumber::new;
        assert_eq!(check(n(5), n(6), n(5)), Ok(()));
        assert_eq!(check(n(5), n(6), n(6)), Ok(()));
        let missing = PrefixBreach::Missing {
            acknowledged: n(5),
            found: n(4),
        };
        assert_eq!(check(n(5), n(6), n(4)), Err(missing));
        let never = PrefixBreach::NeverMade {
            made: n(6),
            found: n(7),
        };
        assert_eq!(check(n(5), n(6), n(7)), Err(never));
    }
}

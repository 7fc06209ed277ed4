//! A batch is all or nothing (R6): the channels stand where they stood before it, every one, or where it brings them.
//!
//! This looks at counters only, channel by channel, so that it does not rest on any digest that the hub computes.

use tidegate_types::{BatchNumber, ChannelId, ClientCounter, HubCounter};

/// Where each channel stands: its newest accepted state and its newest leaf.
pub type Standing = Vec<(ChannelId, ClientCounter, HubCounter)>;

/// A batch of which a part is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch {batch} is there in part: {after} of {changed} channels have it")]
pub struct Partial {
    /// The batch.
    pub batch: BatchNumber,
    /// Channels that it changes.
    pub changed: usize,
    /// Channels that stand where it brings them.
    pub after: usize,
}

/// Checks where channels are found after reopening.
///
/// # Errors
/// [`Partial`] if they stand neither all as before the batch nor all as after it.
pub fn check(batch: BatchNumber, before: &Standing, after: &Standing, found: &Standing) -> Result<(), Partial> {
    if found == before || found == after {
        return Ok(());
    }
    let changed = after.iter().filter(|channel| !before.contains(channel));
    let there = changed.clone().filter(|channel| found.contains(channel)).count();
    Err(Partial {
        batch,
        changed: changed.count(),
        after: there,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(counters: [u64; 3]) -> Standing {
        let channel = |(n, counter): (u8, u64)| {
            let id = ChannelId::from_bytes([n; 32]);
            (id, ClientCounter::new(counter), HubCounter::new(counter + 1))
        };
        (0..).zip(counters).map(channel).collect()
    }

    #[test]
    fn a_part_is_neither_before_nor_after() {
        let (before, after) = (standing([1, 1, 1]), standing([2, 1, 2]));
        let batch = BatchNumber::new(7);
        let found = |counters| check(batch, &before, &after, &standing(counters));
        assert_eq!(found([1, 1, 1]), Ok(()));
        assert_eq!(found([2, 1, 2]), Ok(()));
        let partial = |after| Partial {
            batch,
            changed: 2,
            after,
        };
        assert_eq!(found([2, 1, 1]), Err(partial(1)));
        assert_eq!(found([2, 2, 2]), Err(partial(2)));
        assert_eq!(found([0, 1, 1]), Err(partial(0)));
    }
}

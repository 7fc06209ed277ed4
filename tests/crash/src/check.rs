//! Which receipts are missing from a hub.
//!
//! ```text
//! held by the client   1 ◄─ 2 ◄─ 3 ◄─ 4            each leaf names the digest of the one before
//! told by the hub                      ▲── 5 ◄─ 6   checked in full: signature, path, digests
//! ```
//!
//! A held leaf is found if the hub's newest leaf leads to it, digest by digest. What the hub can no longer be asked for,
//! because the client has acknowledged it, is found by the same chain: no other leaf has that digest.

use std::collections::BTreeMap;

use tidegate_client::{Connection, HeaderCache, Leaf};
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{ChannelId, ClientCounter, Digest, HubCounter};
use tidegate_wire::ToClient;
use tidegate_wire::messages::Sync;

use crate::held::Held;

/// Asks the hub for what it has above leaf `counter` of a channel. In order; the last is checked against the hub's
/// signature, and each names the one before.
///
/// # Panics
/// If the hub does not answer, or its answer proves nothing.
#[must_use]
pub fn ask(connection: &mut Connection, headers: &HeaderCache, channel: ChannelId, counter: u64) -> Vec<Held> {
    let question = Sync {
        channel,
        state: ClientCounter::ZERO,
        leaf: HubCounter::new(counter),
    };
    let incoming = connection.request(&question).expect("the hub answers");
    let ToClient::SyncAnswer(answer) = incoming.message().expect("a message") else {
        panic!("channel {channel}: no answer to a Sync");
    };
    let synced = answer
        .leaves
        .iter()
        .map(|leaf| Leaf::decode_synced(&leaf).expect("unacknowledged leaves are whole"));
    let mut leaves: Vec<Held> = synced.map(|leaf| Held::of_leaf(&leaf)).collect();
    let fresh = answer.fresh.expect("an active channel has a fresh leaf");
    let leaf = Leaf::decode(&fresh.entry).expect("a leaf");
    let header = headers.verify(fresh.header).expect("the hub's signature");
    leaf.check_proof(&header, &fresh.entry)
        .expect("the batch holds the leaf");
    leaves.push(Held::of_leaf(&leaf));
    leaves
}

/// A cache of headers for a hub.
#[must_use]
pub fn headers(ledger: tidegate_types::LedgerId, hub: tidegate_types::KeyBytes) -> HeaderCache {
    HeaderCache::new(ledger, PublicKey::register(hub).expect("the hub's key counts"))
}

/// The leaves of one channel in `held` to which the hub's newest leaves do not lead. `told` is what [`ask`] returned.
#[must_use]
pub fn missing<'a>(held: &'a [Held], told: &[Held]) -> Vec<&'a Held> {
    let mut next = lowest_link(told);
    let mut missing = Vec::new();
    // From the newest down; a leaf that does not fit does not change what is looked for.
    for leaf in held.iter().rev() {
        if next == Some((leaf.counter, leaf.digest)) {
            next = leaf.counter.checked_sub(1).map(|counter| (counter, leaf.previous));
        } else {
            missing.push(leaf);
        }
    }
    missing
}

/// The leaf just below those that the hub told of, if they are a chain.
fn lowest_link(told: &[Held]) -> Option<(u64, Digest)> {
    let chained = |pair: &[Held]| pair[0].counter + 1 == pair[1].counter && pair[0].digest == pair[1].previous;
    let lowest = told.first().filter(|_| told.windows(2).all(chained))?;
    Some((lowest.counter.checked_sub(1)?, lowest.previous))
}

/// What a dead hub's log says of receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InLog {
    /// Receipts whose batch stands in the log with the very header that the receipt shows.
    pub found: u64,
    /// Receipts of batches before the oldest record that is left: a checkpoint covers them.
    pub older: u64,
    /// Receipts of batches that were never made durable, or were made with another header.
    pub missing: u64,
}

/// Looks up each receipt of `held` in the headers of the log, by number.
#[must_use]
pub fn in_log(held: &[Held], headers: &BTreeMap<u64, Digest>) -> InLog {
    let first = headers.keys().next().copied();
    let mut result = InLog::default();
    for receipt in held.iter().filter(|leaf| leaf.is_receipt()) {
        match headers.get(&receipt.batch) {
            Some(digest) if *digest == receipt.header => result.found += 1,
            None if first.is_some_and(|first| receipt.batch < first) => result.older += 1,
            Some(_) | None => result.missing += 1,
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(counter: u64) -> Held {
        let digest = |n: u64| Digest::from_bytes([u8::try_from(n).expect("few leaves") + 1; 32]);
        Held {
            channel: ChannelId::from_bytes([1; 32]),
            counter,
            digest: digest(counter),
            previous: digest(counter - 1),
            proof: 1,
            batch: counter * 10,
            header: digest(counter + 100),
        }
    }

    #[test]
    fn a_whole_chain_has_nothing_missing() {
        let held: Vec<Held> = (1..=5).map(leaf).collect();
        assert_eq!(missing(&held, &[leaf(6)]), Vec::<&Held>::new());
        assert_eq!(missing(&held, &[leaf(6), leaf(7)]), Vec::<&Held>::new());
    }

    #[test]
    fn a_hub_that_lost_its_newest_leaves_has_them_missing() {
        let held: Vec<Held> = (1..=5).map(leaf).collect();
        // It goes on from leaf 3 as if 4 and 5 had never been.
        let again = Held {
            digest: Digest::from_bytes([99; 32]),
            ..leaf(4)
        };
        assert_eq!(missing(&held, &[again]), [&held[4], &held[3]]);
        assert_eq!(missing(&held, &[]).len(), 5);
    }

    #[test]
    fn a_broken_answer_finds_nothing() {
        let held: Vec<Held> = (1..=5).map(leaf).collect();
        assert_eq!(missing(&held, &[leaf(6), leaf(8)]).len(), 5);
    }

    #[test]
    fn the_log_finds_only_its_own_headers() {
        let held: Vec<Held> = (1..=5).map(leaf).collect();
        let mut headers: BTreeMap<u64, Digest> = (2..=5).map(|n| (n * 10, leaf(n).header)).collect();
        assert_eq!(
            in_log(&held, &headers),
            InLog {
                found: 4,
                older: 1,
                missing: 0
            }
        );
        headers.insert(30, Digest::ZERO);
        headers.remove(&50);
        assert_eq!(
            in_log(&held, &headers),
            InLog {
                found: 2,
                older: 1,
                missing: 2
            }
        );
        assert_eq!(in_log(&held, &BTreeMap::new()).missing, 5);
    }
}

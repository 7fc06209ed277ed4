//! Times a node over a genesis of many channels: made, opened, audited, and one block sealed.
//!
//! ```text
//! cargo run --release -p tidegate-settle --example genesis -- [CHANNELS] [KEYS]
//! ```

use std::sync::Arc;
use std::time::Instant;

use tidegate_channel::ChannelTerms;
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_ledger::{GenesisHeader, GenesisWriter, LedgerParams, NetworkName, Output};
use tidegate_settle::{Node, NodeOptions};
use tidegate_types::{Age, Amount, Height, KeyBytes, UnixMillis};

fn secret(n: u32) -> SecretKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&n.to_le_bytes());
    SecretKey::from_seed(seed)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what:<24} {:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn genesis(channels: u32, keys: &[KeyBytes]) -> Vec<u8> {
    let hub = secret(u32::MAX).public().bytes();
    let capacity = Amount::from_sat(1_000_000).expect("in range");
    let mut writer = GenesisWriter::new(&GenesisHeader {
        // As many as can be disputed in time: a longer window for more channels.
        params: LedgerParams {
            dispute_window_min: Age::new(144.max(channels / 900)),
            ..LedgerParams::default()
        },
        time: UnixMillis::new(1_600_000_000_000),
        validator: hub,
        network: NetworkName::new("timing").expect("a name"),
    });
    for nonce in 0..channels {
        let client = keys[nonce as usize % keys.len()];
        writer.push(&Output::to_channel(&ChannelTerms {
            client,
            hub,
            client_payout: client,
            hub_payout: hub,
            emergency: KeyBytes::ZERO,
            delegate: KeyBytes::ZERO,
            capacity,
            opening_share: capacity,
            client_reserve: Amount::ZERO,
            hub_reserve: Amount::ZERO,
            dispute_window: Age::new(1_000_000),
            evidence_grace: Age::new(12),
            expiry: Height::MAX,
            nonce,
        }));
    }
    writer.finish()
}

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u32>().expect("a number"));
    let channels = args.next().unwrap_or(29_067);
    let keys = args.next().unwrap_or(channels);
    let keys: Vec<_> = timed("draw keys", || (0..keys).map(|n| secret(n).public().bytes()).collect());
    let bytes = timed("write genesis", || genesis(channels, &keys));
    println!("{channels} channels, {} keys, {} bytes", keys.len(), bytes.len());
    let dir = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    timed("create", || Node::create(&disk, dir.path(), &bytes, 42)).expect("a node is made");
    let key = Some(secret(u32::MAX));
    let mut node = timed("open", || Node::open(&disk, dir.path(), key, NodeOptions::default())).expect("it opens");
    timed("audit", || node.audit()).expect("the books hold");
    timed("first block", || node.seal(UnixMillis::new(1_700_000_000_000))).expect("it seals");
    timed("second block", || node.seal(UnixMillis::new(1_700_000_000_001))).expect("it seals");
}

//! Clients that pay each other until the hub is gone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_channel::wallet::SettleOn;
use tidegate_client::{Client, ClientError, ConnectOptions, ConnectionError, FileStore, Payment};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::RealDisk;
use tidegate_types::{Amount, KeyBytes};

use crate::held::NotingStore;
use crate::hub::Site;

/// How long a client leaves a busy hub alone.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// How one client's time with one hub process ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// States that the hub answered with a receipt.
    pub paid: u64,
    /// Why the client could not go on while the hub lived.
    pub stuck: Option<ClientError>,
}

/// One client of a site.
#[derive(Debug)]
pub struct Payer<'a> {
    site: &'a Site,
    index: usize,
    random: ChaCha8Rng,
}

impl<'a> Payer<'a> {
    /// The client of this number; what it pays follows from `seed`.
    #[must_use]
    pub fn new(site: &'a Site, index: usize, seed: u64) -> Self {
        Self {
            site,
            index,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Pays until the connection breaks or `killed` is set; comes again to a hub that is busy.
    pub fn run(&mut self, options: &ConnectOptions, killed: &AtomicBool) -> Ended {
        let mut ended = Ended::default();
        while let Err(error) = self.pay_on(options, &mut ended.paid) {
            // Whatever happens to a client after the kill happens because of it.
            let over = killed.load(Ordering::SeqCst);
            if !over && matches!(error, ClientError::Connection(ConnectionError::Busy { .. })) {
                std::thread::sleep(BUSY_PAUSE);
                continue;
            }
            let gone = over || matches!(error, ClientError::Connection(_));
            ended.stuck = (!gone).then_some(error);
            break;
        }
        ended
    }

    fn pay_on(&mut self, options: &ConnectOptions, paid: &mut u64) -> Result<(), ClientError> {
        let own = self.site.channels[self.index];
        let seed = &self.site.seeds[self.index];
        let mut client = Client::connect(options, seed, store(self.site, self.index)?, SettleOn::Delivered)?;
        client.sync(&own)?;
        loop {
            let payments: Vec<Payment> = (0..self.random.random_range(1..=4)).map(|_| self.payment()).collect();
            client.pay(&own, &payments)?;
            *paid += 1;
            client.settle(&own)?;
            // Credits are taken and acknowledged as they come.
            while !client.poll(Duration::from_millis(1))?.is_empty() {}
        }
    }

    fn payment(&mut self) -> Payment {
        let others = self.site.channels.len() - 1;
        let payee = (self.index + 1 + self.random.random_range(0..others)) % self.site.channels.len();
        Payment {
            payee: key(self.site, payee),
            payee_channel: self.site.channels[payee],
            amount: Amount::from_sat(self.random.random_range(1..=50)).expect("a small amount"),
            fee: None,
            payment_id: None,
            hash: None,
        }
    }
}

/// The public key of a client.
#[must_use]
pub fn key(site: &Site, index: usize) -> KeyBytes {
    SecretKey::from_seed(*site.seeds[index]).public().bytes()
}

/// The file of what a client holds.
#[must_use]
pub fn held_path(site: &Site, index: usize) -> std::path::PathBuf {
    site.path(&format!("held-{index}"))
}

fn store(site: &Site, index: usize) -> Result<NotingStore, ClientError> {
    let folder = site.path(&format!("wallet-{index}"));
    let wallet = FileStore::open(Arc::new(RealDisk), Path::new(&folder))?;
    Ok(NotingStore::new(wallet, &held_path(site, index)))
}

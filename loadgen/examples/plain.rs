//! A second client, as plain as can be, to hold the load generator's `single` against: two blocking connections, one thread,
//! every state signed and every receipt checked in its turn. It shares nothing with the generator but `net/client`.
//!
//! ```text
//! plain HUB LEDGER PAYER.key PAYEE.key PAYMENTS
//! ```
//!
//! Both keys need coins on the ledger. Each opens a channel; then the payer pays, one payment at a time. A payment's time is
//! from just before its bytes are handed to the session until its receipt was read; signing before and checking after are
//! not in it, as they are not in what the generator calls service time. Prints one JSON object. `scripts/second-client`
//! runs both side by side.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_channel::wallet::SettleOn;
use tidegate_channel::{Condition, Lock};
use tidegate_client::{
    Channels, Client, ConnectOptions, Connection, HeaderCache, KeyFile, MemoryStore, OpenPlan, Signer,
};
use tidegate_crypto::SecretKey;
use tidegate_types::{Age, Amount, ChannelId, Height, LedgerId, PaymentId};
use tidegate_wire::ToClient;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(30);
/// Payments before the first that counts.
const WARM_UP: u32 = 200;
/// Credits after which the payee acks, and payments after which the payer settles: below 64 locks and 64 leaves.
const ACK_EVERY: u32 = 16;
const SETTLE_EVERY: u32 = 32;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [hub, ledger, payer, payee, payments] = args.as_slice() else {
        return Err("usage: plain HUB LEDGER PAYER.key PAYEE.key PAYMENTS".into());
    };
    let options = ConnectOptions {
        address: hub.parse()?,
        ledger: ledger.parse::<LedgerId>().map_err(|_| "the ledger is 64 hex digits")?,
        push_ack_proofs: false,
        share_paths: false,
        timeout: PATIENCE,
    };
    let mut payer = Party::open(&options, Path::new(payer))?;
    let mut payee = Party::open(&options, Path::new(payee))?;
    let mut times = Vec::new();
    for number in 0..payments.parse::<u32>()? + WARM_UP {
        let time = payer.pay(&payee, number)?;
        if number >= WARM_UP {
            times.push(time);
        }
        payee.take_receipt()?;
        if number % ACK_EVERY == ACK_EVERY - 1 {
            payee.ack()?;
        }
        if number % SETTLE_EVERY == SETTLE_EVERY - 1 {
            payer.settle()?;
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_nanos() as f64 / 1e3;
    println!(
        r#"{{"payments":{},"p50_us":{:.1},"p90_us":{:.1},"p99_us":{:.1}}}"#,
        times.len(),
        at(50),
        at(90),
        at(99)
    );
    Ok(())
}

/// One end: a connection and a channel.
struct Party {
    connection: Connection,
    channels: Channels<MemoryStore>,
    channel: ChannelId,
    height: Height,
}

impl Party {
    /// Opens a channel with the whole client, and takes it over for the plain one.
    fn open(options: &ConnectOptions, key: &Path) -> Result<Self> {
        let seed = KeyFile::open(key)?.seed(None)?;
        let mut client = Client::connect(options, &seed, MemoryStore::default(), SettleOn::Delivered)?;
        let sat = |sat| Amount::from_sat(sat).expect("in range");
        let channel = client.open(&OpenPlan {
            capacity: sat(200_000_000),
            own: sat(100_000_000),
            fee: sat(10_000),
            dust: sat(330),
            lifetime: Age::new(1_000_000),
            payout: None,
            timeout: PATIENCE,
        })?;
        let opened = *client.channels().get(&channel).expect("it was just opened").opened();
        let (hello, height) = (*client.hello(), client.height());
        drop(client);
        let key = || SecretKey::from_seed(*seed);
        let signer = Signer {
            ledger: options.ledger,
            key: key(),
        };
        let headers = Arc::new(HeaderCache::new(options.ledger, options.address.identity));
        let mut channels = Channels::open(signer, headers, MemoryStore::default())?;
        channels.adopt(opened)?;
        assert_eq!(hello.hub, options.address.identity.bytes());
        Ok(Self {
            connection: Connection::connect(options, key())?,
            channels,
            channel,
            height,
        })
    }

    /// Pays one satoshi more each time, and tells how long the hub took.
    fn pay(&mut self, payee: &Self, number: u32) -> Result<Duration> {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_le_bytes());
        let hello = self.connection.hello();
        let lock = Lock {
            payment_id: PaymentId::from_bytes(id),
            amount: Amount::from_sat(1_000 + u64::from(number)).expect("in range"),
            fee: Amount::ZERO,
            payee: payee.channels.signer().key.public().bytes(),
            payee_channel: payee.channel,
            expiry: self
                .height
                .plus(Age::new(hello.max_lock.get() / 2))
                .ok_or("no such height")?,
            condition: Condition::Ack,
        };
        let state = self.channels.pay(&self.channel, &[lock], self.height)?;
        self.exchange(&state.message())
    }

    /// Sends a state and takes the receipt that answers it.
    fn exchange<'m>(&mut self, message: &impl tidegate_wire::messages::Body<'m>) -> Result<Duration> {
        let sent = Instant::now();
        self.connection.send(message)?;
        let incoming = self.connection.wait_for(PATIENCE, |_| true)?;
        let time = sent.elapsed();
        self.take(&incoming)?;
        Ok(time)
    }

    fn take(&mut self, incoming: &tidegate_client::Incoming) -> Result<()> {
        match incoming.message()? {
            ToClient::Receipt(receipt) => {
                for news in self.channels.accept_receipt(&receipt)? {
                    let leaf = self
                        .channels
                        .get(&news.channel)
                        .expect("it has news")
                        .wallet()
                        .hub()
                        .leaf();
                    self.height = self.height.max(leaf.height);
                }
                Ok(())
            }
            other => Err(format!("the hub answers with {:?}", other.kind()).into()),
        }
    }

    fn take_receipt(&mut self) -> Result<()> {
        let incoming = self.connection.wait_for(PATIENCE, |_| true)?;
        self.take(&incoming)
    }

    fn ack(&mut self) -> Result<()> {
        if let Some(ack) = self.channels.ack(&self.channel, self.height)? {
            self.exchange(&ack.message())?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        if let Some(state) = self.channels.settle(&self.channel, self.height)? {
            self.exchange(&state.message())?;
        }
        Ok(())
    }
}

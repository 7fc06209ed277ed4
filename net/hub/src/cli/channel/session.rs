//! A wallet's folder and its connection to the hub.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tidegate_channel::RefuseReason;
use tidegate_channel::evidence::Pair;
use tidegate_channel::wallet::{LockStatus, SettleOn};
use tidegate_client::key_file::Seed;
use tidegate_client::{
    Channels, Client, ClientChannel, ClientError, ConnectOptions, ConnectionError, FileStore, HeaderCache, HubAddress,
    LedgerConnection, Signer,
};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::RealDisk;
use tidegate_types::{ChannelId, Height, LedgerId, LockId};
use tidegate_wire::ErrorCode;

use super::super::amounts::parse_id;
use super::super::http;
use super::super::output::{read_file, write_file};
use super::super::password::PasswordFlag;
use super::super::start::parse_address;
use crate::error::Error;

/// Which hub, which key, which folder.
#[derive(Debug, Args)]
pub(super) struct SessionFlags {
    /// The hub's address, as `tidegate start` prints it
    #[arg(long, value_name = "tg1…@HOST:PORT")]
    hub: String,
    /// Your key file
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    /// The wallet's folder [default: ~/.tidegate/wallet]; never use two copies of one
    #[arg(long, value_name = "DIR")]
    wallet: Option<PathBuf>,
    /// The settlement ledger's name, 64 hex digits; remembered, and asked of a hub on this machine if left out
    #[arg(long, value_name = "HEX")]
    ledger_id: Option<String>,
    /// The operator's endpoint of a hub on this machine, which tells the ledger's name
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7412")]
    admin: SocketAddr,
    /// The settlement ledger's own endpoint, as `tidegate ledger` prints it; for what is done without the hub
    #[arg(long, value_name = "tg1…@HOST:PORT")]
    ledger: Option<String>,
    /// Seconds to wait for any answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    #[command(flatten)]
    password: PasswordFlag,
}

impl SessionFlags {
    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    fn address(&self) -> Result<HubAddress, Error> {
        self.hub.parse().map_err(|source| Error::Address {
            text: self.hub.clone(),
            source,
        })
    }

    fn wallet_dir(&self) -> PathBuf {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".tidegate/wallet"));
        self.wallet
            .clone()
            .or_else(home)
            .unwrap_or_else(|| PathBuf::from("wallet"))
    }
}

/// A wallet without its hub.
pub(super) struct Offline {
    pub(super) channels: Channels<FileStore>,
    pub(super) seed: Seed,
    ledger: LedgerId,
}

impl Offline {
    pub(super) fn open(flags: &SessionFlags) -> Result<Self, Error> {
        let address = flags.address()?;
        let seed = flags.password.seed(&flags.key)?;
        let key = SecretKey::from_seed(*seed);
        let folder = flags.wallet_dir().join(key.public().bytes().to_string());
        let store = FileStore::open(Arc::new(RealDisk), &folder).map_err(ClientError::from)?;
        let note = folder.join(format!("ledger-of-{}", address.identity.bytes()));
        let ledger = ledger_id(flags, &address, &note)?;
        let headers = Arc::new(HeaderCache::new(ledger, address.identity));
        let channels = Channels::open(Signer { ledger, key }, headers, store).map_err(ClientError::from)?;
        Ok(Self { channels, seed, ledger })
    }

    /// The channel that is meant: the one that is named, or the only one.
    pub(super) fn channel(&self, named: Option<&str>) -> Result<ChannelId, Error> {
        pick(self.channels.iter(), named)
    }

    pub(super) fn own(&self, channel: &ChannelId) -> Result<&ClientChannel, Error> {
        self.channels.get(channel).ok_or(Error::NoChannel(*channel))
    }

    /// The best pair that this wallet can show: by what was acknowledged.
    pub(super) fn pair(&self, channel: &ChannelId) -> Result<Pair, Error> {
        Ok(self.own(channel)?.pair(self.channels.signer())?)
    }

    /// As [`Offline::pair`], for a ledger of this height: the newest leaf is acknowledged first, if it still may be.
    pub(super) fn newest_pair(&mut self, channel: &ChannelId, height: Height) -> Result<Pair, Error> {
        self.channels.ack(channel, height).map_err(ClientError::from)?;
        self.pair(channel)
    }

    pub(super) fn options(&self, address: HubAddress, flags: &SessionFlags) -> ConnectOptions {
        ConnectOptions {
            address,
            ledger: self.ledger,
            push_ack_proofs: false,
            share_paths: false,
            timeout: flags.timeout(),
        }
    }

    /// A connection to the ledger's own endpoint, or to the hub, which answers for it from what it has followed.
    pub(super) fn any_ledger(&self, flags: &SessionFlags) -> Result<LedgerConnection, Error> {
        let address = match &flags.ledger {
            Some(text) => parse_address(text)?,
            None => flags.address()?,
        };
        Ok(LedgerConnection::connect(&self.options(address, flags))?)
    }

    /// A connection to the ledger's own endpoint.
    pub(super) fn ledger(&self, flags: &SessionFlags) -> Result<LedgerConnection, Error> {
        let text = flags.ledger.as_deref();
        let text = text.ok_or(Error::NotOffered(
            "the ledger's own address is needed: --ledger tg1…@HOST:PORT",
        ))?;
        Ok(LedgerConnection::connect(&self.options(parse_address(text)?, flags))?)
    }
}

/// The channel that is named, or the only one that is not closed.
fn pick<'a>(channels: impl Iterator<Item = &'a ClientChannel>, named: Option<&str>) -> Result<ChannelId, Error> {
    if let Some(text) = named {
        return parse_id(text, "channel id");
    }
    let mut open = channels.filter(|channel| channel.closed().is_none());
    match (open.next(), open.next()) {
        (Some(channel), None) => Ok(channel.id()),
        (None, _) => Err(Error::WhichChannel("this wallet has no open channel with that hub")),
        (Some(_), Some(_)) => Err(Error::WhichChannel("this wallet has several channels with that hub")),
    }
}

/// A connected wallet.
pub(super) struct Session {
    pub(super) client: Client<FileStore>,
}

impl Session {
    pub(super) fn connect(flags: &SessionFlags) -> Result<Self, Error> {
        let address = flags.address()?;
        let seed = flags.password.seed(&flags.key)?;
        let key = SecretKey::from_seed(*seed).public().bytes();
        // One folder for each key: two wallets of one person do not wait for each other.
        let folder = flags.wallet_dir().join(key.to_string());
        let store = FileStore::open(Arc::new(RealDisk), &folder).map_err(ClientError::from)?;
        let note = folder.join(format!("ledger-of-{}", address.identity.bytes()));
        let ledger = ledger_id(flags, &address, &note)?;
        let options = ConnectOptions {
            address,
            ledger,
            push_ack_proofs: true,
            share_paths: false,
            timeout: flags.timeout(),
        };
        let client = Client::connect(&options, &seed, store, SettleOn::PayeeAck)?;
        write_file(&note, format!("{ledger}\n").as_bytes())?;
        let mut session = Self { client };
        session.take_up_lost()?;
        Ok(session)
    }

    /// A wallet without channels whose key has some was lost: what the hub holds of them is taken up.
    fn take_up_lost(&mut self) -> Result<(), Error> {
        if self.client.channels().iter().next().is_some() {
            return Ok(());
        }
        let found = match self.client.find_channels() {
            // Looking through all outputs is something that a ledger does seldom; the next verb asks again.
            Err(ClientError::Connection(ConnectionError::Busy { .. })) => return Ok(()),
            other => other?,
        };
        for channel in found {
            match self.client.recover(&channel) {
                Ok(()) => eprintln!("taken up channel {channel} from what the hub holds of it"),
                // It is one with another hub.
                Err(ClientError::Connection(ConnectionError::Remote {
                    code: ErrorCode::NotAttached,
                    ..
                })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The channel that is meant: the one that is named, or the only one.
    pub(super) fn channel(&self, named: Option<&str>) -> Result<ChannelId, Error> {
        pick(self.client.channels().iter(), named)
    }

    /// Fetches what was missed, acknowledges it, and settles what was proved.
    pub(super) fn bring_up(&mut self, channel: &ChannelId) -> Result<(), Error> {
        match self.client.sync(channel) {
            Err(ClientError::Behind { own, held, .. }) => {
                eprintln!(
                    "this wallet knows state {} and the hub holds state {} with your signature: taking up what the hub \
                     holds",
                    own.get(),
                    held.get()
                );
                self.client.recover(channel)?;
            }
            // What is refused again is refused for good: the next state takes its place, and nothing of it was paid.
            Err(ClientError::Refused { counter, reason }) if is_for_good(reason) => {
                eprintln!("state {} stays refused ({reason}) and is given up", counter.get());
                self.client.supersede(channel)?;
            }
            other => other?,
        }
        let is_open = self
            .client
            .channels()
            .get(channel)
            .is_some_and(|own| own.closed().is_none() && !own.is_final());
        if is_open {
            self.client.settle(channel)?;
        }
        Ok(())
    }

    /// Waits until a lock ends: settled against its payee's ack or its preimage, or taken back. What is known of it then, or
    /// after so many seconds.
    pub(super) fn wait_settled(
        &mut self,
        channel: &ChannelId,
        lock: &LockId,
        seconds: u64,
    ) -> Result<LockStatus, Error> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut known = LockStatus::Sent;
        loop {
            if seconds > 0 {
                self.client.fetch_proofs(channel)?;
            }
            known = self.status(channel, lock).unwrap_or(known);
            let waits = matches!(known, LockStatus::Sent | LockStatus::Pending | LockStatus::Delivered);
            if seconds > 0 && !waits {
                self.client.settle(channel)?;
            }
            if !waits || Instant::now() >= deadline {
                return Ok(known);
            }
            // A failure is told by a leaf, which comes unasked.
            self.client.poll(Duration::from_millis(100))?;
        }
    }

    fn status(&self, channel: &ChannelId, lock: &LockId) -> Option<LockStatus> {
        let wallet = self.client.channels().get(channel)?.wallet();
        wallet
            .locks()
            .find(|(open, _)| open.id == *lock)
            .map(|(_, status)| status)
    }

    /// What the key has on the ledger, in satoshi.
    pub(super) fn funds(&mut self) -> Result<u64, Error> {
        Ok(self.client.funds()?.iter().map(|utxo| utxo.amount.to_sat()).sum())
    }
}

/// Whether the same bytes will never be taken.
const fn is_for_good(reason: RefuseReason) -> bool {
    !matches!(
        reason,
        RefuseReason::Busy | RefuseReason::AckOverdue | RefuseReason::Closing
    )
}

/// The ledger that both ends mean: said, remembered, or asked of a hub on this very machine.
fn ledger_id(flags: &SessionFlags, address: &HubAddress, note: &Path) -> Result<LedgerId, Error> {
    if let Some(text) = &flags.ledger_id {
        return parse_id(text, "ledger id");
    }
    if fs::exists(note).unwrap_or(false) {
        let text = String::from_utf8_lossy(&read_file(note)?).trim().to_owned();
        return parse_id(&text, "ledger id");
    }
    let is_local = address.host == "localhost"
        || address
            .host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: IpAddr| ip.is_loopback());
    if !is_local {
        return Err(Error::NotOffered(
            "--ledger-id is needed the first time; the hub's operator publishes it",
        ));
    }
    let status = http::status(flags.admin)?;
    let is_same = status["identity"].as_str() == Some(&address.identity.bytes().to_string());
    if !is_same {
        return Err(Error::AdminAnswer {
            address: flags.admin.to_string(),
            answer: "for another hub than --hub names".into(),
        });
    }
    parse_id(status["ledger"].as_str().unwrap_or_default(), "ledger id")
}

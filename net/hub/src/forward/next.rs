//! The next hub, as its client sees it: one connection, one channel, nothing settled but what is chosen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_channel::wallet::SettleOn;
use tidegate_channel::{Lock, RefuseReason};
use tidegate_client::{Client, ClientChannel, ClientError, ConnectOptions, FileStore};
use tidegate_disk::{Disk, RealDisk};
use tidegate_types::{Age, ChannelId, Height, KeyBytes, LockId, LockSlot};

use super::decide::{Bounds, Outgoing};
use super::evidence::Journals;
use super::kept::folder;
use super::route::Route;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// While payments are under way the next hub is asked so often whether it is still there, and what became of them.
const CHECK_EVERY: Duration = Duration::from_secs(3);

/// Why nothing can be said or heard.
#[derive(Debug, thiserror::Error)]
pub(super) enum NextError {
    /// The next hub, or the journal of the channel with it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no channel to pay by.
    #[error("this hub has no channel, or several, with the next one; name one in the route")]
    NoChannel,
}

/// A connection to the next hub.
#[derive(Debug)]
pub(super) struct Next {
    client: Client<FileStore>,
    channel: ChannelId,
    /// When the next hub was asked last.
    checked: Instant,
}

impl Next {
    /// Connects, and has every state that was signed acknowledged.
    pub(super) fn connect(journals: &Journals, route: &Route) -> Result<Self, NextError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let hub = route.to.identity.bytes();
        let store = FileStore::open(disk, &folder(&journals.data, &hub, &journals.own)).map_err(ClientError::from)?;
        let options = ConnectOptions {
            address: route.to.clone(),
            ledger: journals.ledger,
            push_ack_proofs: false,
            share_paths: false,
            timeout: TIMEOUT,
        };
        let mut client = Client::connect(&options, &journals.seed, store, SettleOn::PayeeAck)?;
        let channel = match route.channel {
            Some(named) => named,
            None => only_channel(&mut client, hub)?,
        };
        let mut next = Self {
            client,
            channel,
            checked: Instant::now(),
        };
        next.sync()?;
        Ok(next)
    }

    /// Has every state that was signed acknowledged, and asks now and then whether the next hub is there at all.
    pub(super) fn bring_up(&mut self) -> Result<(), NextError> {
        let is_answered = self.own()?.unanswered().is_none();
        if is_answered && self.checked.elapsed() < CHECK_EVERY {
            return Ok(());
        }
        self.sync()
    }

    fn sync(&mut self) -> Result<(), NextError> {
        self.checked = Instant::now();
        self.settle_nothing()?;
        let synced = self.client.sync(&self.channel);
        self.supersede_if_refused(synced)?;
        self.settle_nothing()?;
        Ok(self.client.fetch_proofs(&self.channel)?)
    }

    /// Until something is chosen no state settles anything.
    fn settle_nothing(&mut self) -> Result<(), NextError> {
        if self.own().is_ok() {
            self.client.settle_only(&self.channel, Some(BTreeSet::new()))?;
        }
        Ok(())
    }

    fn own(&self) -> Result<&ClientChannel, NextError> {
        self.client.channels().get(&self.channel).ok_or(NextError::NoChannel)
    }

    /// The channel.
    pub(super) const fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Listens for so long; true if something came.
    pub(super) fn listen(&mut self, timeout: Duration) -> Result<bool, NextError> {
        Ok(!self.client.poll(timeout)?.is_empty())
    }

    /// The locks that are open there.
    pub(super) fn open(&self) -> Result<Vec<Outgoing>, NextError> {
        let locks = self.own()?.wallet().locks();
        let open = locks.map(|(open, status)| Outgoing {
            id: open.id,
            lock: open.lock,
            status,
        });
        Ok(open.collect())
    }

    /// What can be sent there.
    pub(super) fn bounds(&self, height: Height, margin: Age) -> Result<Bounds, NextError> {
        let own = self.own()?;
        Ok(Bounds {
            height,
            margin,
            next_margin: self.client.hello().margin,
            spendable: own.wallet().spendable(),
            slots: LockSlot::COUNT - own.wallet().client().locks().len(),
            is_closing: own.is_final(),
        })
    }

    /// Adds locks, settles those that are chosen, and drops what failed or expired; true if the next hub refused that, and has
    /// acknowledged another state in its place.
    pub(super) fn pay(
        &mut self,
        send: &[Lock],
        settle: BTreeSet<LockId>,
        needs_fresh_leaf: bool,
    ) -> Result<bool, NextError> {
        if needs_fresh_leaf {
            self.sync()?;
        }
        self.client.settle_only(&self.channel, Some(settle))?;
        let done = if send.is_empty() {
            self.client.settle(&self.channel).map(drop)
        } else {
            self.client.send_locks(&self.channel, send)
        };
        self.supersede_if_refused(done)
    }

    /// A state that is refused is given up; true if the next one was accepted in its place, and not the refused one after all.
    fn supersede_if_refused(&mut self, result: Result<(), ClientError>) -> Result<bool, NextError> {
        match result {
            Ok(()) => Ok(false),
            Err(ClientError::Refused {
                counter,
                reason: reason @ RefuseReason::AckOverdue,
            }) => {
                // The same bytes are taken once the leaves are acknowledged.
                self.client.ack(&self.channel)?;
                Err(ClientError::Refused { counter, reason }.into())
            }
            Err(ClientError::Refused { reason, .. }) => {
                tracing::warn!(%reason, "the next hub has refused a state");
                self.settle_nothing()?;
                Ok(self.client.supersede(&self.channel)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The only channel with this hub: of the wallet, else of those that the ledger knows.
fn only_channel(client: &mut Client<FileStore>, hub: KeyBytes) -> Result<ChannelId, NextError> {
    let living = |own: &&ClientChannel| own.closed().is_none() && own.opened().terms.hub == hub;
    let own: Vec<ChannelId> = client.channels().iter().filter(living).map(ClientChannel::id).collect();
    match own[..] {
        [only] => Ok(only),
        [] => match client.find_channels()?[..] {
            [only] => Ok(only),
            _ => Err(NextError::NoChannel),
        },
        _ => Err(NextError::NoChannel),
    }
}

//! Links with other hubs: carries out what `tidegate_peers` asks for, on the reactor's thread.
//!
//! ```text
//!  log thread ─ newest header ─▶ Heard ─▶ Links (tick, messages) ─ table, evidence ─▶ thread "peers-file"
//!                                          │  ▲
//!                                          ▼  │
//!                                    reactor: links by Noise XX
//! ```
//!
//! Nothing here waits: the file is written by a thread of its own, and a table that cannot be kept is only told of.

mod keep;
mod open;
mod rows;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use tidegate_channel::SignedHeader;
use tidegate_channel::codec::Canonical as _;
use tidegate_crypto::keys::PublicKey;
use tidegate_peers::{Action, Bounds, Ended, Kept, LinkId, Lists, Minute, Moment, Network, Place, Setup};
use tidegate_reactor::{ConnId, Outbox};
use tidegate_session::{LinkConfig, ServerConfig};
use tidegate_wire::frame::Header;

pub(crate) use keep::{Keeper, TABLE_FILE, load, read};
pub(crate) use open::{LINK_TICK_MILLIS, OpenLinks, open_links};
pub use rows::LinkRow;
pub(crate) use rows::PeerRows;

/// Milliseconds between two times that the table is kept.
const KEEP_EVERY: u64 = 600_000;
/// The same once a hub was banned, or has answered for the first time: a hub that is killed forgets no more than this.
const KEEP_SOON: u64 = 10_000;

/// What an operator wants of links.
#[derive(Clone, Debug, Default)]
pub struct LinkSettings {
    /// Links that this hub begins.
    pub outgoing: usize,
    /// Links that others begin, at most.
    pub incoming_max: usize,
    /// Hubs that are dialled first.
    pub seeds: Vec<Place>,
    /// Who is allowed and denied.
    pub lists: Lists,
    /// Addresses of private networks are taken and told.
    pub private_networks: bool,
}

/// What the threads tell each other of links.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// This hub's newest header.
    pub(crate) newest: Mutex<Option<SignedHeader>>,
    /// The links and what is known, for the operator.
    pub(crate) rows: Mutex<PeerRows>,
}

/// See the [module](self).
pub(crate) struct Links {
    network: Network,
    own: Arc<ServerConfig>,
    heard: Arc<Heard>,
    keeper: Keeper,
    /// What was dialled, until it is a link or gone.
    dialled: HashMap<ConnId, Place>,
    open: HashSet<ConnId>,
    actions: Vec<Action>,
    turned_away: u64,
    /// When the table was last kept, and how many had answered then.
    kept: Option<Moment>,
    kept_answered: usize,
    /// A hub was banned since.
    banned: bool,
    /// When this was last looked at.
    now: (Moment, Minute),
}

impl Links {
    pub(crate) fn new(
        settings: LinkSettings,
        port: u16,
        own: Arc<ServerConfig>,
        seed: [u8; 32],
        heard: Arc<Heard>,
        (kept, keeper): (Kept, Keeper),
    ) -> Self {
        let kept_answered = kept.table.tried();
        let network = Network::new(Setup {
            own: own.identity.public().bytes(),
            port,
            ledger: own.ledger,
            seed,
            kept,
            seeds: settings.seeds,
            lists: settings.lists,
            bounds: Bounds {
                outgoing: settings.outgoing,
                incoming_max: settings.incoming_max,
            },
            private_networks: settings.private_networks,
        });
        Self {
            network,
            own,
            heard,
            keeper,
            dialled: HashMap::new(),
            open: HashSet::new(),
            actions: Vec::new(),
            turned_away: 0,
            kept: None,
            kept_answered,
            banned: false,
            now: (Moment::new(0), minute()),
        }
    }

    /// Another hub has proved who it is.
    pub(crate) fn opened(&mut self, conn: ConnId, peer: &PublicKey, from: IpAddr, out: &mut Outbox<'_>) {
        let place = self.dialled.remove(&conn);
        let (id, now) = (LinkId(conn.as_u64()), now(out));
        let opened = self
            .network
            .opened(id, peer.bytes(), from, place, now, &mut self.actions);
        match opened {
            Ok(()) => {
                self.open.insert(conn);
            }
            Err(reason) => {
                tracing::debug!(peer = %peer.bytes(), %reason, "no link");
                self.turned_away += u64::from(reason != Ended::Twice);
                out.close(conn);
            }
        }
        self.carry_out(out);
    }

    /// True if the connection is a link.
    pub(crate) fn holds(&self, conn: ConnId) -> bool {
        self.open.contains(&conn)
    }

    /// A message came on a link.
    pub(crate) fn received(&mut self, conn: ConnId, header: &Header, body: &[u8], out: &mut Outbox<'_>) {
        let now = now(out);
        self.network
            .received(LinkId(conn.as_u64()), header, body, now, &mut self.actions);
        self.carry_out(out);
    }

    /// A connection is gone, whatever it was.
    pub(crate) fn closed(&mut self, conn: ConnId, out: &Outbox<'_>) {
        if let Some(place) = self.dialled.remove(&conn) {
            self.network.not_reached(&place);
        }
        if self.open.remove(&conn) {
            self.network.closed(LinkId(conn.as_u64()), now(out).0);
        }
    }

    /// A second has passed.
    pub(crate) fn tick(&mut self, out: &mut Outbox<'_>) {
        if let Some(newest) = self.heard.newest.lock().take() {
            let header = &newest.header;
            self.network.note_state(Some(newest), header.height, header.block);
        }
        self.now = now(out);
        let (moment, minute) = self.now;
        self.network.tick(moment, minute, &mut self.actions);
        self.carry_out(out);
        *self.heard.rows.lock() = PeerRows {
            on: true,
            links: self.network.links(moment).iter().map(LinkRow::of).collect(),
            turned_away: self.turned_away,
            ..PeerRows::of_kept(self.network.kept(), minute)
        };
        self.keep_if_due(moment);
    }

    /// Has the table kept now and then, and soon after what must outlive a kill.
    fn keep_if_due(&mut self, now: Moment) {
        let answered = self.network.kept().table.tried();
        let news = self.banned || answered != self.kept_answered;
        let wait = if news { KEEP_SOON } else { KEEP_EVERY };
        let first = news && self.kept.is_none();
        if (first || now.since(self.kept.unwrap_or_default()) >= wait) && self.keep() {
            (self.kept, self.kept_answered, self.banned) = (Some(now), answered, false);
        }
    }

    fn keep(&self) -> bool {
        self.keeper.table(self.network.kept().encode(self.now))
    }

    fn carry_out(&mut self, out: &mut Outbox<'_>) {
        for action in core::mem::take(&mut self.actions) {
            match action {
                Action::Dial(place) => self.dial(place, out),
                // A link that takes no more is closed by the reactor, and told of then.
                Action::Send(link, bytes) => drop(out.send(ConnId::from_u64(link.0), &bytes)),
                Action::Close(link) => out.close(ConnId::from_u64(link.0)),
                Action::Banned(peer) => {
                    self.banned = true;
                    tracing::warn!(%peer, "a hub is banned");
                }
                Action::Fault(fault) => {
                    tracing::error!(kind = ?fault.kind(), "a hub has signed two histories; the evidence is kept");
                    self.keeper.evidence(fault.to_bytes());
                }
            }
        }
    }

    fn dial(&mut self, place: Place, out: &mut Outbox<'_>) {
        // An identity that is no key is nobody's.
        let conn = PublicKey::register(place.identity).ok().and_then(|peer| {
            let own = Arc::clone(&self.own);
            out.connect_link(place.address, Arc::new(LinkConfig { own, peer }))
        });
        match conn {
            Some(conn) => drop(self.dialled.insert(conn, place)),
            None => self.network.not_reached(&place),
        }
    }
}

/// When the hub ends, what is known of others is kept.
impl Drop for Links {
    fn drop(&mut self) {
        self.keep();
    }
}

fn now(out: &Outbox<'_>) -> (Moment, Minute) {
    (Moment::new(out.now().get()), minute())
}

/// The minute of Unix time.
pub(crate) fn minute() -> Minute {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Minute::new(u32::try_from(since.as_secs() / 60).unwrap_or(u32::MAX))
}

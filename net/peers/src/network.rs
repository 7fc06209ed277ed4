//! The links of one hub: which are wanted, what travels on them, and when they end.

mod again;
mod dial;
mod link;
mod view;

use std::net::IpAddr;

use hashbrown::HashMap;
use tidegate_channel::SignedHeader;
use tidegate_channel::evidence::Fault;
use tidegate_types::{Digest, Fixed as _, Height, KeyBytes, LedgerId};
use tidegate_wire::frame::Header;
use tidegate_wire::lengths::{MAX_PEER_HEADERS, MAX_PEERS};
use tidegate_wire::messages::{Body, Error, LINK_VERSION, PeerEntry, Peers, Ping};
use tidegate_wire::{ErrorCode, ToPeer, WireError};

use crate::keepalive::Due;
use crate::kept::Kept;
use crate::lists::Lists;
use crate::place::Place;
use crate::random::Random;
use crate::score::Offence;
use crate::witness::{Contradiction, Witness};
use crate::{Minute, Moment};
use again::Again;
use link::Link;

pub use view::LinkView;

/// Milliseconds between two answers to the same link's questions for addresses.
const ANSWER_EVERY: u64 = 3_600_000;
/// Milliseconds between two words about the state on one link; a hub that says more is a nuisance.
const STATE_EVERY: u64 = 10_000;
/// Milliseconds that the greeting may take.
const GREETING_PATIENCE: u64 = 10_000;
/// Milliseconds between two places that are told to one link unasked: twice as long as what may come, for clocks and ways differ.
const SPREAD_EVERY: u64 = 20_000;
/// Links to which a new place is told.
const SPREAD_TO: usize = 2;
/// Minutes within which a place must have been there to be told on.
const SPREAD_FRESH: u32 = 10;
/// With fewer places than this a hub asks every new link for more.
const PLACES_WANTED: usize = 1_000;

/// The program's name for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// How many links there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Links that this hub begins, if it knows of so many hubs.
    pub outgoing: usize,
    /// Links that others begin, at most.
    pub incoming_max: usize,
}

/// What a hub's links are begun with.
#[derive(Debug)]
pub struct Setup {
    /// This hub.
    pub own: KeyBytes,
    /// Where it listens; 0 if it takes no links.
    pub port: u16,
    /// The ledger that all of them mean.
    pub ledger: LedgerId,
    /// Drawn at random for this run.
    pub seed: [u8; 32],
    /// Whom it knew of before, and what they had done wrong.
    pub kept: Kept,
    /// Whom the operator names; they are dialled first, and again and again, whatever their address.
    pub seeds: Vec<Place>,
    /// Whom the operator allows and denies.
    pub lists: Lists,
    /// How many.
    pub bounds: Bounds,
    /// True if addresses of private networks are taken and told: all hubs are on one.
    pub private_networks: bool,
}

/// What the program is to do.
#[derive(Debug)]
pub enum Action {
    /// Begin a connection; report it by [`Network::opened`] or [`Network::not_reached`].
    Dial(Place),
    /// Send a whole message.
    Send(LinkId, Vec<u8>),
    /// Close, once what waits is sent.
    Close(LinkId),
    /// Tell the operator: a peer is banned.
    Banned(KeyBytes),
    /// Tell the operator and keep it: a hub has signed what it may not have.
    Fault(Box<Fault>),
}

/// Why a link was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The operator's list says no.
    #[error("the operator's list denies it")]
    Denied,
    /// It is banned.
    #[error("it is banned")]
    Banned,
    /// There are as many links that others began as there may be.
    #[error("there are enough links")]
    Full,
    /// There is a link with it already, or it is this hub itself.
    #[error("there is a link with it already")]
    Twice,
}

/// All links of one hub and what is to be done about them.
#[derive(Debug)]
pub struct Network {
    setup: Setup,
    random: Random,
    witness: Witness,
    links: HashMap<LinkId, Link>,
    /// Who is being dialled.
    dials: Vec<Place>,
    /// Who is dialled again.
    again: Again,
    /// This hub's newest header, and its ledger's newest final block.
    newest: Option<SignedHeader>,
    block: (Height, Digest),
    bad_words: u64,
}

/// The time, in both measures.
#[derive(Clone, Copy, Debug)]
struct Now {
    moment: Moment,
    minute: Minute,
}

impl Network {
    /// Nothing is linked yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            random: Random::new(setup.seed),
            witness: Witness::new(setup.ledger),
            links: HashMap::new(),
            dials: Vec::new(),
            again: Again::new(&setup.seeds),
            newest: None,
            block: (Height::ZERO, Digest::ZERO),
            bad_words: 0,
            setup,
        }
    }

    /// The places that are known, and who has done what: to be kept over a restart.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.setup.kept
    }

    /// Notes a new header of this hub, and the newest final block of its ledger.
    pub const fn note_state(&mut self, newest: Option<SignedHeader>, height: Height, block: Digest) {
        if newest.is_some() {
            self.newest = newest;
        }
        self.block = (height, block);
    }

    /// What is due: dials, questions after silence, words about the state. To be called about once a second.
    pub fn tick(&mut self, moment: Moment, minute: Minute, out: &mut Vec<Action>) {
        let now = Now { moment, minute };
        self.dial(now, out);
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for id in links {
            self.tend(id, now, out);
        }
    }

    /// A peer has proved its identity. `place` is the one that was dialled, if this hub began the connection.
    ///
    /// # Errors
    /// [`Ended`]: the connection is to be closed.
    pub fn opened(
        &mut self,
        id: LinkId,
        identity: KeyBytes,
        ip: IpAddr,
        place: Option<Place>,
        (moment, minute): (Moment, Minute),
        out: &mut Vec<Action>,
    ) -> Result<(), Ended> {
        if let Some(place) = place {
            self.dials.retain(|dial| *dial != place);
            self.setup.kept.table.answered(&place, minute);
        }
        self.admit(&identity, ip, place.is_some(), minute, out)?;
        self.links.insert(id, Link::new(identity, ip, place, moment));
        let greeting = Peers::Greeting {
            version: LINK_VERSION,
            port: self.setup.port,
        };
        send(id, &greeting, out);
        if place.is_some() && self.setup.kept.table.len() < PLACES_WANTED {
            self.ask(id, out);
        }
        Ok(())
    }

    fn admit(
        &mut self,
        identity: &KeyBytes,
        ip: IpAddr,
        outgoing: bool,
        minute: Minute,
        out: &mut Vec<Action>,
    ) -> Result<(), Ended> {
        let allowed = self.setup.lists.allows(Some(identity), ip);
        if self.setup.lists.denies(Some(identity), ip) {
            return Err(Ended::Denied);
        }
        if !allowed && self.setup.kept.scores.is_banned(identity, minute) {
            return Err(Ended::Banned);
        }
        if *identity == self.setup.own {
            return Err(Ended::Twice);
        }
        let twin = self.links.iter().find(|(_, link)| link.identity == *identity);
        if let Some((&other, link)) = twin {
            // Both ends keep the connection that the hub with the lower identity began, when they dial each other at once.
            let lower_begins = (self.setup.own < *identity) == outgoing;
            if link.outgoing.is_some() == outgoing || !lower_begins {
                return Err(Ended::Twice);
            }
            self.links.remove(&other);
            out.push(Action::Close(other));
        }
        let incoming = self.links.values().filter(|link| link.outgoing.is_none()).count();
        if !outgoing && !allowed && incoming >= self.setup.bounds.incoming_max {
            return Err(Ended::Full);
        }
        Ok(())
    }

    fn ask(&mut self, id: LinkId, out: &mut Vec<Action>) {
        if let Some(link) = self.links.get_mut(&id) {
            link.asked = true;
            let most = u32::try_from(MAX_PEERS).expect("a cap of the wire");
            send(id, &Peers::Ask { most }, out);
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.remove(&id) else { return };
        if let Some(place) = link.outgoing.filter(|_| link.greeted) {
            self.again.broken(&mut self.random, place, link.opened, now);
        }
    }

    /// A message came on a link.
    pub fn received(
        &mut self,
        id: LinkId,
        header: &Header,
        body: &[u8],
        (moment, minute): (Moment, Minute),
        out: &mut Vec<Action>,
    ) {
        let now = Now { moment, minute };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.alive.heard(moment);
        let message = match ToPeer::decode(header, body) {
            Ok(message) => message,
            Err(error) => {
                let (code, text) = (WireError::code(&error), error.to_string());
                send_for(id, header.request, &Error { code, text: &text }, out);
                self.bad_words += 1;
                return self.punish(id, Offence::Malformed, now, out);
            }
        };
        let greeting = matches!(message, ToPeer::Peers(Peers::Greeting { .. }));
        if greeting == link.greeted {
            return self.punish(id, Offence::OutOfOrder, now, out);
        }
        match message {
            ToPeer::Peers(Peers::Greeting { version, port }) => self.greeted(id, version, port, now, out),
            ToPeer::Peers(Peers::Ask { most }) => self.tell(id, most, header.request, now, out),
            ToPeer::Peers(Peers::Addresses(entries)) => self.told(id, entries, now, out),
            ToPeer::Peers(Peers::State { height, block, headers }) => {
                self.state(id, (height, block), headers, now, out)
            }
            ToPeer::Ping(ping) => self.ping(id, ping, header.request, now, out),
            // What could not be served is no offence, and nothing here waits for it.
            ToPeer::Busy(_) | ToPeer::Error(_) => {}
        }
    }

    fn greeted(&mut self, id: LinkId, version: u32, port: u16, now: Now, out: &mut Vec<Action>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.greeted = true;
        if version != LINK_VERSION {
            let error = Error {
                code: ErrorCode::UnsupportedVersion,
                text: "this hub speaks version 1 of links",
            };
            send(id, &error, out);
            self.end(id, out);
            return;
        }
        let place = Place::new(link.identity, link.ip, port);
        if port != 0 && self.is_usable(&place) {
            let source = place.address.ip();
            self.setup.kept.table.add(place, now.minute, source, now.minute);
            self.spread(id, &place, now.minute, now, out);
        }
        self.tell_state(id, now, out);
    }

    /// Tells a few others of a place that is new here, so that hubs are found that nobody has asked about.
    fn spread(&mut self, from: LinkId, place: &Place, seen: Minute, now: Now, out: &mut Vec<Action>) {
        let may = |link: &Link| link.spread.is_none_or(|at| now.moment.since(at) >= SPREAD_EVERY);
        let others = self
            .links
            .iter()
            .filter(|(id, link)| **id != from && link.greeted && link.identity != place.identity && may(link));
        let mut others: Vec<LinkId> = others.map(|(id, _)| *id).collect();
        others.sort_unstable();
        for _ in 0..SPREAD_TO.min(others.len()) {
            let id = others.swap_remove(self.random.below(others.len()));
            if let Some(link) = self.links.get_mut(&id) {
                link.spread = Some(now.moment);
            }
            send(id, &Peers::Addresses(&[place.entry(seen)]), out);
        }
    }

    fn is_usable(&self, place: &Place) -> bool {
        let local = self.setup.private_networks && place.address.port() != 0;
        place.identity != self.setup.own && (local || place.is_public())
    }

    /// Answers a question for addresses, once in a while.
    fn tell(&mut self, id: LinkId, most: u32, request: u64, now: Now, out: &mut Vec<Action>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.told.is_some_and(|told| now.moment.since(told) < ANSWER_EVERY) {
            return self.punish(id, Offence::Nagging, now, out);
        }
        link.told = Some(now.moment);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(MAX_PEERS);
        let (private, asker) = (self.setup.private_networks, link.identity);
        // Whoever asks knows itself: with few places known its own would be the whole answer.
        let tellable = |place: &Place| place.identity != asker && (private || place.is_public());
        let sample = self
            .setup
            .kept
            .table
            .sample(&mut self.random, most, now.minute, tellable);
        let entries: Vec<PeerEntry> = sample.iter().map(|(place, seen)| place.entry(*seen)).collect();
        send_for(id, request, &Peers::Addresses(&entries), out);
    }

    /// Takes addresses, as many as may come.
    fn told(&mut self, id: LinkId, entries: &[PeerEntry], now: Now, out: &mut Vec<Action>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let answer = core::mem::take(&mut link.asked);
        if answer {
            link.limit.allow(MAX_PEERS);
        }
        let source = link.ip;
        let taken = entries.iter().take_while(|_| link.limit.take(now.moment)).count();
        for entry in &entries[..taken] {
            let place = Place::of_entry(entry);
            if self.is_usable(&place) {
                let seen = Minute::new(entry.seen_minutes());
                let new = self.setup.kept.table.add(place, seen, source, now.minute);
                // An answer holds what others know too.
                if new && !answer && now.minute.since(seen) <= SPREAD_FRESH && seen <= now.minute {
                    self.spread(id, &place, seen, now, out);
                }
            }
        }
        if taken < entries.len() {
            self.punish(id, Offence::Flood, now, out);
        }
    }

    /// Takes what a peer says of the ledger and of batches, its own and those that it has seen.
    fn state(
        &mut self,
        id: LinkId,
        block: (Height, Digest),
        headers: &[[u8; SignedHeader::LEN]],
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let too_soon = link
            .state_heard
            .is_some_and(|heard| now.moment.since(heard) < STATE_EVERY / 2);
        link.state_heard = Some(now.moment);
        link.block = Some(block);
        if too_soon {
            return self.punish(id, Offence::Nagging, now, out);
        }
        for bytes in headers {
            let Ok(header) = SignedHeader::decode(bytes) else {
                return self.punish(id, Offence::Malformed, now, out);
            };
            let hub = header.header.hub;
            match self.witness.take(&header) {
                Ok(()) | Err(Contradiction::Older) => {}
                Err(Contradiction::Signature) => return self.punish(id, Offence::Malformed, now, out),
                Err(Contradiction::Fault(fault)) => {
                    out.push(Action::Fault(fault));
                    self.punish_hub(hub, now, out);
                }
            }
        }
    }

    /// Whoever has signed two histories is no peer, whoever has told of it.
    fn punish_hub(&mut self, hub: KeyBytes, now: Now, out: &mut Vec<Action>) {
        let link = self.links.iter().find(|(_, link)| link.identity == hub);
        match link.map(|(id, _)| *id) {
            Some(id) => self.punish(id, Offence::Contradiction, now, out),
            None => {
                self.setup
                    .kept
                    .scores
                    .note(hub, Offence::Contradiction, now.moment, now.minute);
                out.push(Action::Banned(hub));
            }
        }
    }

    fn ping(&mut self, id: LinkId, ping: Ping, request: u64, now: Now, out: &mut Vec<Action>) {
        if !ping.answer {
            let pong = Ping { answer: true, ..ping };
            send_for(id, request, &pong, out);
        } else if let Some(link) = self.links.get_mut(&id)
            && !link.alive.answered(ping.token, now.moment)
        {
            self.punish(id, Offence::OutOfOrder, now, out);
        }
    }

    /// What is due on one link.
    fn tend(&mut self, id: LinkId, now: Now, out: &mut Vec<Action>) {
        let token = self.random.draw().to_le_bytes();
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.greeted && now.moment.since(link.opened) >= GREETING_PATIENCE {
            return self.punish_and_end(id, Offence::Silence, now, out);
        }
        match link.alive.due(now.moment, token) {
            Due::Nothing => {}
            Due::Ask => send(id, &Ping { answer: false, token }, out),
            Due::Gone => return self.punish_and_end(id, Offence::Silence, now, out),
        }
        if link.greeted {
            self.tell_state(id, now, out);
        }
    }

    /// Tells the newest header, if it is newer than what was told, and some that were seen of others.
    fn tell_state(&mut self, id: LinkId, now: Now, out: &mut Vec<Action>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let number = self.newest.map(|header| header.header.number);
        let news = link
            .state_told
            .is_none_or(|(at, told)| now.moment.since(at) >= STATE_EVERY && told != (number, self.block.0));
        if !news {
            return;
        }
        link.state_told = Some((now.moment, (number, self.block.0)));
        let others = self.links.values().map(|link| link.identity);
        let seen = others.filter_map(|hub| self.witness.newest(&hub).copied());
        let headers: Vec<[u8; SignedHeader::LEN]> = self
            .newest
            .into_iter()
            .chain(seen)
            .take(MAX_PEER_HEADERS)
            .map(|header| header.to_vec().try_into().expect("a header has one width"))
            .collect();
        let (height, block) = self.block;
        let state = Peers::State {
            height,
            block,
            headers: &headers,
        };
        send(id, &state, out);
    }

    /// Notes an offence; a peer that is banned for it is closed.
    fn punish(&mut self, id: LinkId, offence: Offence, now: Now, out: &mut Vec<Action>) {
        let Some(link) = self.links.get(&id) else { return };
        let (identity, ip) = (link.identity, link.ip);
        if self.setup.lists.allows(Some(&identity), ip) {
            return;
        }
        if self.setup.kept.scores.note(identity, offence, now.moment, now.minute) {
            out.push(Action::Banned(identity));
            self.end(id, out);
        }
    }

    fn punish_and_end(&mut self, id: LinkId, offence: Offence, now: Now, out: &mut Vec<Action>) {
        self.punish(id, offence, now, out);
        self.end(id, out);
    }

    fn end(&mut self, id: LinkId, out: &mut Vec<Action>) {
        if self.links.remove(&id).is_some() {
            out.push(Action::Close(id));
        }
    }
}

fn send<'a>(id: LinkId, body: &impl Body<'a>, out: &mut Vec<Action>) {
    send_for(id, 0, body, out);
}

fn send_for<'a>(id: LinkId, request: u64, body: &impl Body<'a>, out: &mut Vec<Action>) {
    let mut bytes = Vec::new();
    body.append(request, &mut bytes).expect("lists are within their caps");
    out.push(Action::Send(id, bytes));
}

#[cfg(test)]
mod tests;

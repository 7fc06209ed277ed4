//! The hub's own part in disputes over its channels with next hubs, where it is the client (rule 25). What it can show stands in the
//! journal that its worker writes (`crate::forward`), so it is read there, beside the worker and whether that reaches the next hub
//! or not.
//!
//! ```text
//! a close of an outgoing channel ─▶ a thread reads the journal      again every few blocks: the worker may have got more
//! shown older, height < deadline ─▶ ledger: Evidence, its fee charged to this hub's side
//! a credit that waits there ──────▶ ledger: RevealAck, by the same word
//! height > deadline + δ + 1 ──────▶ ledger: Settle, if whoever makes the blocks has not
//! ```
//!
//! As in `disputes` nothing here is durable: closes stand on the ledger and evidence in journals, and both are found again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::channel::{Receiver, TryRecvError, bounded};
use tidegate_ledger::CloseState;
use tidegate_tower::Package;
use tidegate_types::{Age, ChannelId, Digest, Height, KeyBytes, OutPoint};

use super::LedgerThread;
use crate::forward::{Disputed, Journals};

const SHOW: &str = "newer evidence against a next hub";
const REVEAL: &str = "an ack by which a next hub owes";

/// The closes of channels with next hubs.
#[derive(Debug)]
pub(crate) struct Outgoing {
    journals: Journals,
    disputed: Arc<Disputed>,
    watched: BTreeMap<ChannelId, Watched>,
    /// The block after which the closes were last looked at.
    looked: Option<Digest>,
}

/// What is held against one close.
#[derive(Debug, Default)]
struct Watched {
    asked: Option<Receiver<Option<Package>>>,
    /// When the journal was read last.
    asked_at: Height,
    package: Option<Box<Package>>,
}

/// A close that stands in a final block.
#[derive(Clone, Copy, Debug)]
struct Close {
    funding: OutPoint,
    hub: KeyBytes,
    state: CloseState,
}

impl Outgoing {
    pub(crate) const fn new(journals: Journals, disputed: Arc<Disputed>) -> Self {
        Self {
            journals,
            disputed,
            watched: BTreeMap::new(),
            looked: None,
        }
    }

    /// Takes what was read; true if something was.
    fn take(&mut self) -> bool {
        let mut came = false;
        for watched in self.watched.values_mut() {
            let found = match watched.asked.as_ref().map(Receiver::try_recv) {
                Some(Ok(found)) => found,
                Some(Err(TryRecvError::Disconnected)) => None,
                Some(Err(TryRecvError::Empty)) | None => continue,
            };
            watched.asked = None;
            came = true;
            // What could be read once is kept if it cannot be read now.
            watched.package = found.map(Box::new).or(watched.package.take());
        }
        came
    }

    /// Has the journal read, unless that was done a moment ago.
    fn ask(&mut self, close: &Close, (tip, every): (Height, Age)) {
        let channel = close.state.channel;
        let is_new = !self.watched.contains_key(&channel);
        let watched = self.watched.entry(channel).or_default();
        let is_recent = watched.asked_at.plus(every).is_some_and(|again| tip < again);
        if watched.asked.is_some() || (!is_new && is_recent) || tip >= close.state.deadline {
            return;
        }
        if is_new {
            let (hub, deadline) = (close.hub, close.state.deadline);
            tracing::warn!(%channel, next = %hub, %deadline, "a close of a channel with a next hub has begun");
        }
        let (sender, found) = bounded(1);
        (watched.asked, watched.asked_at) = (Some(found), tip);
        let (journals, hub) = (self.journals.clone(), close.hub);
        let read = move || {
            let package = journals.package((channel, hub), tip).unwrap_or_else(|error| {
                tracing::error!(%channel, %error, "there is nothing to show of a channel with a next hub");
                None
            });
            // The hub may have ended meanwhile.
            let _ended = sender.send(package);
        };
        if let Err(error) = std::thread::Builder::new().name("evidence".to_owned()).spawn(read) {
            tracing::error!(%channel, %error, "no thread to read a journal; it is tried again");
            watched.asked = None;
        }
    }
}

impl LedgerThread {
    /// Looks at the closes of channels with next hubs, if anything has changed.
    pub(super) fn defend_outgoing(&mut self) {
        let (came, tip) = (self.outgoing.take(), self.node.tip());
        if self.outgoing.looked == Some(tip.hash) && !came {
            return;
        }
        self.outgoing.looked = Some(tip.hash);
        let closes = self.outgoing_closes();
        let stands = |channel: &ChannelId| closes.iter().any(|close| close.state.channel == *channel);
        self.outgoing.watched.retain(|channel, _| stands(channel));
        let every = Age::new((self.margin.get() / 3).max(1));
        for close in &closes {
            self.outgoing.disputed.insert(close.state.channel);
            self.outgoing.ask(close, (tip.height, every));
            self.answer_outgoing(close);
        }
    }

    fn outgoing_closes(&self) -> Vec<Close> {
        let (own, last) = (self.hub.public().bytes(), self.node.tip().final_height);
        let closes = self
            .node
            .closes()
            .filter(|(_, terms, _)| terms.client == own && terms.hub != own);
        closes
            .filter(|(_, _, state)| state.started <= last)
            .map(|(funding, terms, state)| Close {
                funding,
                hub: terms.hub,
                state,
            })
            .collect()
    }

    fn answer_outgoing(&mut self, close: &Close) {
        let (tip, state) = (self.node.tip().height, &close.state);
        let mut due = Vec::new();
        if let Some(package) = self
            .outgoing
            .watched
            .get(&state.channel)
            .and_then(|watched| watched.package.as_ref())
        {
            let (client, hub) = package.counters();
            let is_newer = client > state.client.counter || hub > state.hub.counter;
            if is_newer && tip < state.deadline {
                due.push((SHOW, package.transaction()));
            } else if hub == state.hub.counter {
                // Only of the leaf that stands there: the ack of another would show what nobody asks for.
                let reveals = package.due_reveals(state.grace_end).into_iter();
                let reveals = reveals.filter(|reveal| tip < reveal.last);
                due.extend(reveals.map(|reveal| (REVEAL, reveal.transaction)));
            }
        }
        self.bring_due(&close.funding, state, due);
    }
}

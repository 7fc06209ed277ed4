//! Whom this hub dials next.

use super::{Action, Network, Now};
use crate::place::Place;

/// Dials under way at one time.
const DIALS_MAX: usize = 4;

impl Network {
    pub(super) fn dial(&mut self, now: Now, out: &mut Vec<Action>) {
        let begun = self.links.values().filter(|link| link.outgoing.is_some()).count();
        if begun + self.dials.len() >= self.setup.bounds.outgoing || self.dials.len() >= DIALS_MAX {
            return;
        }
        let Some(place) = self.next_again(now).or_else(|| self.next_known(now)) else {
            return;
        };
        self.setup.kept.table.attempt(&place, now.minute);
        self.dials.push(place);
        out.push(Action::Dial(place));
    }

    /// A seed, or the other end of a link that broke.
    fn next_again(&mut self, now: Now) -> Option<Place> {
        let (mut random, mut again) = (self.random.clone(), core::mem::take(&mut self.again));
        let chosen = again.next(&mut random, now.moment, |place, seed| self.is_wanted(place, !seed, now));
        (self.random, self.again) = (random, again);
        let (place, seed) = chosen?;
        if seed {
            self.setup
                .kept
                .table
                .add(place, now.minute, place.address.ip(), now.minute);
        }
        Some(place)
    }

    fn next_known(&mut self, now: Now) -> Option<Place> {
        let mut random = self.random.clone();
        let chosen = self
            .setup
            .kept
            .table
            .select(&mut random, now.minute, |place| self.is_wanted(place, true, now));
        self.random = random;
        chosen
    }

    /// True if a link with this place would be a new and welcome one. Links that this hub begins go to different groups.
    fn is_wanted(&self, place: &Place, other_group: bool, now: Now) -> bool {
        let (identity, ip) = (&place.identity, place.address.ip());
        let mut linked = self.links.values();
        let mut begun = self
            .links
            .values()
            .filter_map(|link| link.outgoing.as_ref())
            .chain(&self.dials);
        let neighbour =
            other_group && !self.setup.private_networks && begun.any(|other| other.group() == place.group());
        *identity != self.setup.own
            && !linked.any(|link| link.identity == *identity)
            && !self.dials.iter().any(|dial| dial.identity == *identity)
            && !neighbour
            && !self.setup.lists.denies(Some(identity), ip)
            && !self.setup.kept.scores.is_banned(identity, now.minute)
    }

    /// A place was dialled and not reached, or is not who it was said to be.
    pub fn not_reached(&mut self, place: &Place) {
        self.dials.retain(|dial| dial != place);
    }
}

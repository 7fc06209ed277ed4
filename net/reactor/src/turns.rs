//! Whose turn it is in a round of the loop.
//!
//! ```text
//!  light peers ─▶ every one of them, in every round
//!  heavy peers ─▶ one behind the other while the round's share for them lasts; the rest in later rounds
//!  strangers   ─▶ likewise, and only while there is processor time for strangers at all
//! ```
//!
//! Where both of the latter wait, a round is for one of them and the next for the other: a light peer's question waits for one of
//! them, and so does its answer.
//!
//! A peer is heavy for a little while after a turn in which it had much to say. So whoever asks rarely waits for a fraction of a
//! millisecond of the others' work, however many others there are and however much they send; and among the heavy each has its turn.
//! (The idea is that of flow queues in routers, RFC 8290: sparse flows first.)

use std::collections::VecDeque;
use std::time::Duration;

use tidegate_session::Millis;

use crate::id::ConnId;

/// What heavy peers together, or strangers together, may take of one round. One turn is taken in any case.
pub(crate) const SHARE: Duration = Duration::from_micros(200);
/// A turn with more messages than this is one of a heavy peer …
const LIGHT_MESSAGES: usize = 32;
/// … and so is one with more bytes.
const LIGHT_BYTES: usize = 16 << 10;
/// How long a peer is heavy after such a turn.
const HEAVY_MILLIS: u64 = 50;

/// How a connection is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Known, and with little to say of late.
    Light,
    /// Known, and with much to say.
    Heavy,
    /// Not known yet.
    Stranger,
}

/// Until when a peer is heavy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight(Millis);

impl Weight {
    /// A turn had so many messages, or a read so many bytes.
    pub(crate) const fn note(&mut self, messages: usize, bytes: usize, now: Millis) {
        if messages > LIGHT_MESSAGES || bytes > LIGHT_BYTES {
            self.0 = now.after(HEAVY_MILLIS);
        }
    }

    pub(crate) fn class(self, now: Millis) -> Class {
        if now < self.0 { Class::Heavy } else { Class::Light }
    }
}

/// Connections that have something to do without another event, in the order of their turns.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    light: VecDeque<ConnId>,
    heavy: VecDeque<ConnId>,
    strangers: VecDeque<ConnId>,
    /// Strangers with something to do when there is processor time for them.
    deferred: VecDeque<ConnId>,
    /// Strangers have had the last round that both wanted.
    strangers_had: bool,
}

impl Turns {
    const fn queue(&mut self, class: Class) -> &mut VecDeque<ConnId> {
        match class {
            Class::Light => &mut self.light,
            Class::Heavy => &mut self.heavy,
            Class::Stranger => &mut self.strangers,
        }
    }

    pub(crate) fn push(&mut self, class: Class, id: ConnId) {
        self.queue(class).push_back(id);
    }

    pub(crate) fn pop(&mut self, class: Class) -> Option<ConnId> {
        self.queue(class).pop_front()
    }

    /// Whose round this is beside the light peers': of those who wait, the one that did not have the last such round.
    pub(crate) fn take_round(&mut self) -> Class {
        if !self.heavy.is_empty() && !self.strangers.is_empty() {
            self.strangers_had = !self.strangers_had;
            return if self.strangers_had {
                Class::Stranger
            } else {
                Class::Heavy
            };
        }
        if self.strangers.is_empty() {
            Class::Heavy
        } else {
            Class::Stranger
        }
    }

    pub(crate) fn len(&mut self, class: Class) -> usize {
        self.queue(class).len()
    }

    /// True if nobody waits for a turn but for want of processor time.
    pub(crate) fn is_empty(&self) -> bool {
        self.light.is_empty() && self.heavy.is_empty() && self.strangers.is_empty()
    }

    /// A stranger waits for processor time.
    pub(crate) fn defer(&mut self, id: ConnId) {
        self.deferred.push_back(id);
    }

    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// There is processor time for strangers again.
    pub(crate) fn recall(&mut self) {
        self.strangers.append(&mut self.deferred);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_peers_and_strangers_have_their_rounds_by_turns() {
        let mut turns = Turns::default();
        turns.push(Class::Stranger, ConnId::from_u64(1));
        assert_eq!([turns.take_round(), turns.take_round()], [Class::Stranger; 2]);
        turns.push(Class::Heavy, ConnId::from_u64(2));
        let rounds = [(); 4].map(|()| turns.take_round());
        assert_eq!(rounds, [Class::Stranger, Class::Heavy, Class::Stranger, Class::Heavy]);
        turns.pop(Class::Stranger).unwrap();
        assert_eq!([turns.take_round(), turns.take_round()], [Class::Heavy; 2]);
    }

    #[test]
    fn much_to_say_makes_heavy_for_a_while() {
        let mut weight = Weight::default();
        let now = Millis::new(1_000);
        weight.note(LIGHT_MESSAGES, LIGHT_BYTES, now);
        assert_eq!(weight.class(now), Class::Light);
        weight.note(LIGHT_MESSAGES + 1, 0, now);
        assert_eq!(weight.class(now.after(HEAVY_MILLIS - 1)), Class::Heavy);
        assert_eq!(weight.class(now.after(HEAVY_MILLIS)), Class::Light);
        weight.note(0, LIGHT_BYTES + 1, now.after(100));
        assert_eq!(weight.class(now.after(100)), Class::Heavy);
    }
}

//! One deadline per slot, on a wheel.
//!
//! ```text
//!  bucket   0   1   2   …   1023        one bucket per 64 ms, a revolution is 65.5 s
//!           |       |
//!           s7      s2 - s9             doubly linked lists of slots, in arrays indexed by slot
//! ```
//!
//! Arming and disarming cost a few stores, whatever the number of connections, and a slot that is used again leaves nothing
//! behind. Deadlines fire up to one bucket late, never early. A deadline more than a revolution away stays in its bucket and
//! is looked at once per revolution.

use tidegate_session::Millis;

const BUCKET_MILLIS: u64 = 64;
const BUCKETS: u64 = 1024;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    /// When it fires, in buckets since the clock's beginning.
    time: u64,
    armed: bool,
    previous: u32,
    next: u32,
}

const UNARMED: Link = Link {
    time: 0,
    armed: false,
    previous: NONE,
    next: NONE,
};

/// See the [module](self).
pub(crate) struct Wheel {
    heads: Vec<u32>,
    links: Vec<Link>,
    armed: usize,
    /// The first bucket time (milliseconds / 64) that was not looked at.
    hand: u64,
}

impl Wheel {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            heads: vec![NONE; index(BUCKETS)],
            links: Vec::new(),
            armed: 0,
            hand: now.get() / BUCKET_MILLIS,
        }
    }

    /// Sets the one deadline of `slot`.
    pub(crate) fn arm(&mut self, slot: usize, deadline: Millis) {
        self.disarm(slot);
        if self.links.len() <= slot {
            self.links.resize(slot + 1, UNARMED);
        }
        // What is already past goes where the hand looks next.
        let time = bucket_time(deadline).max(self.hand);
        let bucket = index(time % BUCKETS);
        let head = self.heads[bucket];
        self.links[slot] = Link {
            time,
            armed: true,
            previous: NONE,
            next: head,
        };
        if head != NONE {
            self.links[head as usize].previous = slot_u32(slot);
        }
        self.heads[bucket] = slot_u32(slot);
        self.armed += 1;
    }

    /// Forgets the deadline of `slot`, if it has one.
    pub(crate) fn disarm(&mut self, slot: usize) {
        let Some(link) = self.links.get(slot).copied().filter(|link| link.armed) else {
            return;
        };
        if link.previous == NONE {
            let bucket = index(link.time % BUCKETS);
            self.heads[bucket] = link.next;
        } else {
            self.links[link.previous as usize].next = link.next;
        }
        if link.next != NONE {
            self.links[link.next as usize].previous = link.previous;
        }
        self.links[slot] = UNARMED;
        self.armed -= 1;
    }

    /// Takes every slot whose deadline is at or before `now` off the wheel and appends it to `fired`.
    pub(crate) fn advance(&mut self, now: Millis, fired: &mut Vec<usize>) {
        let until = now.get() / BUCKET_MILLIS;
        let buckets = (until + 1).saturating_sub(self.hand).min(BUCKETS);
        for step in 0..buckets {
            let mut slot = self.heads[index((self.hand + step) % BUCKETS)];
            while slot != NONE {
                let link = self.links[slot as usize];
                if link.time <= until {
                    fired.push(slot as usize);
                    self.disarm(slot as usize);
                }
                slot = link.next;
            }
        }
        self.hand = self.hand.max(until + 1);
    }

    /// Milliseconds from `now` until a bucket that holds anything is due; `None` if nothing is armed.
    pub(crate) fn wait(&self, now: Millis) -> Option<u64> {
        if self.armed == 0 {
            return None;
        }
        let steps = (0..BUCKETS).find(|step| self.heads[index((self.hand + step) % BUCKETS)] != NONE)?;
        let due = Millis::new((self.hand + steps) * BUCKET_MILLIS);
        Some(due.since(now))
    }
}

/// The bucket time at whose beginning `deadline` is past.
fn bucket_time(deadline: Millis) -> u64 {
    deadline.get().div_ceil(BUCKET_MILLIS)
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("fewer buckets than addresses")
}

fn slot_u32(slot: usize) -> u32 {
    u32::try_from(slot).expect("slots come from ids, which hold them in 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a wheel beside a plain list of deadlines over a few revolutions.
    #[test]
    fn slots_fire_within_one_bucket_after_their_deadline_and_never_before() {
        let start = 1_000_003;
        let mut wheel = Wheel::new(Millis::new(start));
        let mut plain: Vec<Option<u64>> = vec![None; 50];
        let mut state = 7u64;
        let mut random = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut now, mut fires) = (start, 0);
        while now < start + 400_000 {
            now += random(300);
            let mut fired = Vec::new();
            wheel.advance(Millis::new(now), &mut fired);
            for slot in fired {
                let deadline = plain[slot].take().expect("armed");
                assert!(deadline <= now, "slot {slot} fired early");
                fires += 1;
            }
            for (slot, deadline) in plain.iter().enumerate() {
                assert!(
                    deadline.is_none_or(|deadline| deadline + 64 > now),
                    "slot {slot} is late at {now}"
                );
            }
            let slot = index(random(50));
            if random(4) == 0 {
                wheel.disarm(slot);
                plain[slot] = None;
            } else {
                let most = if random(2) == 0 { 500 } else { 150_000 };
                let deadline = now + random(most);
                wheel.arm(slot, Millis::new(deadline));
                plain[slot] = Some(deadline);
            }
            assert_eq!(wheel.armed, plain.iter().flatten().count());
            let first = plain.iter().flatten().min();
            if let (Some(wait), Some(first)) = (wheel.wait(Millis::new(now)), first) {
                assert!(now + wait <= first + 64, "sleeps past {first}");
            }
        }
        assert!(fires > 500, "{fires}");
    }

    #[test]
    fn an_empty_wheel_waits_for_nothing() {
        let mut wheel = Wheel::new(Millis::new(5));
        assert_eq!(wheel.wait(Millis::new(5)), None);
        wheel.arm(3, Millis::new(1000));
        assert!(
            wheel
                .wait(Millis::new(5))
                .is_some_and(|wait| (995..995 + 64).contains(&wait))
        );
        wheel.disarm(3);
        assert_eq!(wheel.wait(Millis::new(5)), None);
    }
}

//! States under way: found by the request id that an answer repeats. Memory is used again, so it stays small and warm.

use super::meter::Times;
use crate::workload::Part;

/// One state without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) payer: u32,
    /// Which state of its channel it is.
    pub(crate) ordinal: u32,
    /// Where in its section it stands.
    pub(crate) position: u32,
    pub(crate) times: Times,
    /// Payments of it that wait for their preimages.
    pub(crate) pending: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Flights {
    slots: Vec<(u32, Option<Flight>)>,
    /// The payments of each slot's state.
    parts: Vec<Part>,
    width: usize,
    free: Vec<u32>,
}

impl Flights {
    /// None under way. Each state has `width` payments.
    pub(crate) const fn new(width: usize) -> Self {
        Self {
            slots: Vec::new(),
            parts: Vec::new(),
            width,
            free: Vec::new(),
        }
    }

    /// Keeps a flight with its payments, and gives its request id, which is never zero and never used twice.
    pub(crate) fn insert(&mut self, flight: Flight, parts: impl Iterator<Item = Part>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.parts.resize(self.slots.len() * self.width, Part::default());
            u32::try_from(self.slots.len() - 1).expect("windows are far below 2³²")
        });
        let (generation, slot) = &mut self.slots[index as usize];
        *generation += 1;
        *slot = Some(flight);
        let kept = &mut self.parts[index as usize * self.width..][..self.width];
        kept.iter_mut().zip(parts).for_each(|(kept, part)| *kept = part);
        u64::from(*generation) << 32 | u64::from(index)
    }

    /// Takes the flight of a request; `None` if there is none of that id.
    pub(crate) fn remove(&mut self, request: u64) -> Option<Flight> {
        let index = place(request);
        let (current, slot) = self.slots.get_mut(index as usize)?;
        if u64::from(*current) != request >> 32 {
            return None;
        }
        let flight = slot.take()?;
        self.free.push(index);
        Some(flight)
    }

    /// The flight of a request; `None` if there is none of that id.
    pub(crate) fn get_mut(&mut self, request: u64) -> Option<&mut Flight> {
        let (current, slot) = self.slots.get_mut(place(request) as usize)?;
        slot.as_mut().filter(|_| u64::from(*current) == request >> 32)
    }

    /// Payment `index` of the flight that was taken last under this id.
    pub(crate) fn part(&self, request: u64, index: usize) -> Part {
        self.parts[place(request) as usize * self.width + index]
    }

    /// How many states are under way.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many payments each state has.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// How many payments are under way.
    pub(crate) const fn payments(&self) -> usize {
        self.len() * self.width
    }
}

fn place(request: u64) -> u32 {
    u32::try_from(request & u64::from(u32::MAX)).expect("masked")
}

#[cfg(test)]
mod tests {
    use tidegate_types::Amount;

    use super::*;

    #[test]
    fn an_answered_request_is_unknown_afterwards() {
        let flight = |ordinal| Flight {
            payer: 2,
            ordinal,
            position: 0,
            times: Times::default(),
            pending: 0,
        };
        let parts = |print| {
            (0..2).map(move |n| Part {
                payee: n,
                amount: Amount::ZERO,
                print,
            })
        };
        let mut flights = Flights::new(2);
        let (a, b) = (flights.insert(flight(1), parts(7)), flights.insert(flight(2), parts(8)));
        assert_eq!(
            (flights.len(), flights.payments(), flights.remove(a)),
            (2, 4, Some(flight(1)))
        );
        assert_eq!((flights.part(a, 0).print, flights.part(a, 1).payee), (7, 1));
        assert_eq!(flights.remove(a), None);
        let c = flights.insert(flight(3), parts(9));
        assert!(c != a && c != b && a != 0);
        assert_eq!(
            (flights.remove(a), flights.remove(0), flights.remove(u64::MAX)),
            (None, None, None)
        );
        assert_eq!(
            (flights.remove(c), flights.remove(b), flights.len()),
            (Some(flight(3)), Some(flight(2)), 0)
        );
        assert_eq!((flights.part(c, 1).print, flights.part(b, 0).print), (9, 8));
    }
}

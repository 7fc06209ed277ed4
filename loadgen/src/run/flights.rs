//! Payments under way: found by the request id that an answer repeats. Memory is used again, so it stays small and warm.

use tidegate_types::Amount;

use super::meter::Times;

/// One payment without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) connection: u32,
    pub(crate) payer: u32,
    pub(crate) payee: u32,
    /// Which payment of its channel it is.
    pub(crate) ordinal: u32,
    /// Where in its section it stands.
    pub(crate) position: u32,
    pub(crate) amount: Amount,
    pub(crate) print: u64,
    pub(crate) times: Times,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Flights {
    slots: Vec<(u32, Option<Flight>)>,
    free: Vec<u32>,
}

impl Flights {
    /// Keeps a flight, and gives its request id, which is never zero and never used twice.
    pub(crate) fn insert(&mut self, flight: Flight) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).expect("windows are far below 2³²")
        });
        let (generation, slot) = &mut self.slots[index as usize];
        *generation += 1;
        *slot = Some(flight);
        u64::from(*generation) << 32 | u64::from(index)
    }

    /// Takes the flight of a request; `None` if there is none of that id.
    pub(crate) fn remove(&mut self, request: u64) -> Option<Flight> {
        let (index, generation) = (request & u64::from(u32::MAX), request >> 32);
        let index = u32::try_from(index).expect("masked");
        let (current, slot) = self.slots.get_mut(index as usize)?;
        if u64::from(*current) != generation {
            return None;
        }
        let flight = slot.take()?;
        self.free.push(index);
        Some(flight)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_request_is_unknown_afterwards() {
        let flight = |ordinal| Flight {
            connection: 1,
            payer: 2,
            payee: 3,
            ordinal,
            position: 0,
            amount: Amount::ZERO,
            print: 4,
            times: Times::default(),
        };
        let mut flights = Flights::default();
        let (a, b) = (flights.insert(flight(1)), flights.insert(flight(2)));
        assert_eq!((flights.len(), flights.remove(a)), (2, Some(flight(1))));
        assert_eq!(flights.remove(a), None);
        let c = flights.insert(flight(3));
        assert!(c != a && c != b && a != 0);
        assert_eq!(
            (flights.remove(a), flights.remove(0), flights.remove(u64::MAX)),
            (None, None, None)
        );
        assert_eq!(
            (flights.remove(c), flights.remove(b), flights.len()),
            (Some(flight(3)), Some(flight(2)), 0)
        );
    }
}

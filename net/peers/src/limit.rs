//! How many addresses one link may bring.
//!
//! A bucket of tokens: one for each address, as many as one answer holds when an answer was asked for, and one every ten seconds
//! (the rate of Bitcoin Core, which adopted it after addresses were flooded through its network in 2021).

use crate::Moment;

/// Tokens are counted in thousandths.
const TOKEN: u64 = 1_000;
/// What a second earns: a tenth of a token.
const PER_SECOND: u64 = TOKEN / 10;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    tokens: u64,
    full: u64,
    filled: Moment,
}

impl Limit {
    /// A bucket that holds one token and can hold `full`.
    pub(crate) const fn new(full: u32, now: Moment) -> Self {
        Self {
            tokens: TOKEN,
            full: full as u64 * TOKEN,
            filled: now,
        }
    }

    /// An answer was asked for: it may come whole.
    pub(crate) fn allow(&mut self, count: usize) {
        let more = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(TOKEN);
        self.tokens = self.tokens.saturating_add(more).min(self.full);
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Moment) -> bool {
        let earned = now.since(self.filled).saturating_mul(PER_SECOND) / 1_000;
        if earned > 0 {
            self.filled = now;
            self.tokens = self.tokens.saturating_add(earned).min(self.full);
        }
        let Some(left) = self.tokens.checked_sub(TOKEN) else {
            return false;
        };
        self.tokens = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_whole_and_then_one_every_ten_seconds() {
        let at = |millis| Moment::new(millis);
        let mut limit = Limit::new(256, at(0));
        let taken = |limit: &mut Limit, now| (0..1_000).filter(|_| limit.take(at(now))).count();
        assert_eq!(taken(&mut limit, 0), 1);
        assert_eq!(taken(&mut limit, 9_000), 0);
        assert_eq!(taken(&mut limit, 19_500), 1, "what was looked at between is not lost");
        limit.allow(256);
        assert_eq!(taken(&mut limit, 19_500), 256);
        limit.allow(usize::MAX);
        assert_eq!(
            taken(&mut limit, 100_000_000),
            256,
            "no more than one answer is saved up"
        );
    }
}

//! A list of figures that stands for a whole distribution.

use serde::Deserialize;

/// Evenly spaced quantiles, lowest first; one figure for a constant. All are at least 1.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<u64>")]
pub struct Quantiles(Vec<u64>);

impl Quantiles {
    /// The value at a rank between 0 and 1; ranks outside count as the ends.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value lies between two u64 figures"
    )]
    pub fn at(&self, rank: f64) -> u64 {
        let steps = self.0.len() - 1;
        let position = rank.clamp(0.0, 1.0) * steps as f64;
        let below = (position.floor() as usize).min(steps);
        let (low, high) = (self.0[below], self.0[(below + 1).min(steps)]);
        let factor = high as f64 / low as f64;
        ((low as f64 * factor.powf(position.fract())).round() as u64).clamp(low, high)
    }

    /// The lowest figure.
    #[must_use]
    pub fn lowest(&self) -> u64 {
        self.0[0]
    }

    /// The highest figure.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.0[self.0.len() - 1]
    }
}

/// Why a list cannot be one of quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantilesError {
    /// No figure.
    #[error("a list of quantiles needs at least one figure")]
    Empty,
    /// Zero among the figures.
    #[error("quantiles are at least 1")]
    Zero,
    /// A figure below the one before it.
    #[error("quantiles stand lowest first")]
    Falling,
}

impl TryFrom<Vec<u64>> for Quantiles {
    type Error = QuantilesError;

    fn try_from(figures: Vec<u64>) -> Result<Self, QuantilesError> {
        match figures.first() {
            None => Err(QuantilesError::Empty),
            Some(0) => Err(QuantilesError::Zero),
            Some(_) if !figures.is_sorted() => Err(QuantilesError::Falling),
            Some(_) => Ok(Self(figures)),
        }
    }
}

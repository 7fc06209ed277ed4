//! From values to places, and the values that are written at an axis.

/// How an axis spreads its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from zero.
    Linear,
    /// By equal factors.
    Log,
    /// Quantiles below 1, by how much is left to 1: each nine as wide as the one before.
    Nines,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A duration in microseconds.
    Micros,
    /// A count: `10 k`.
    Count,
    /// A quantile: `99.9 %`.
    Quantile,
    /// A number as it is.
    Number,
}

impl Show {
    /// A value, short.
    #[must_use]
    pub fn write(self, value: f64) -> String {
        // Of 999.96 ms the three digits are those of a second.
        let value = if self == Self::Quantile {
            value
        } else {
            three_digits(value)
        };
        match self {
            Self::Micros if value.abs() < 1.0 => format!("{} ns", short(value * 1e3)),
            Self::Micros if value.abs() < 1e3 => format!("{} µs", short(value)),
            Self::Micros if value.abs() < 1e6 => format!("{} ms", short(value / 1e3)),
            Self::Micros => format!("{} s", short(value / 1e6)),
            Self::Count if value.abs() >= 1e9 => format!("{} G", short(value / 1e9)),
            Self::Count if value.abs() >= 1e6 => format!("{} M", short(value / 1e6)),
            Self::Count if value.abs() >= 1e4 => format!("{} k", short(value / 1e3)),
            Self::Count | Self::Number => short(value),
            // As many digits as tell it from 1.
            Self::Quantile if value < 1.0 => {
                let digits = whole((-(1.0 - value).log10() - 1e-6).ceil() - 2.0);
                format!("{:.digits$} %", value * 100.0)
            }
            Self::Quantile => "100 %".to_owned(),
        }
    }
}

/// A value rounded to three digits.
fn three_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 2.0);
    (value / unit).round() * unit
}

/// Three digits, without zeros at the end.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = whole(2.0 - value.abs().log10().floor());
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A count of digits: at least none, at most six.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it lies between 0 and 6"
)]
const fn whole(digits: f64) -> usize {
    digits.clamp(0.0, 6.0) as usize
}

/// A value at an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    /// It is written; others are only drawn.
    pub(super) named: bool,
}

/// A scale with its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

/// Nobody counts more nines.
const NINES_MAX: f64 = 6.0;

impl Span {
    /// One that holds all of `values`.
    pub(super) fn of(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = || values.clone().filter(|value| value.is_finite());
        let highest = finite().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = match scale {
            Scale::Linear => (0.0, if highest > 0.0 { round_up(highest) } else { 1.0 }),
            Scale::Log => {
                let lowest = finite().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
                if lowest > highest {
                    (1.0, 10.0)
                } else {
                    let (low, high) = (step_down(lowest), step_up(highest));
                    if high > low {
                        (low, high)
                    } else {
                        (low / 2.0, high * 2.0)
                    }
                }
            }
            Scale::Nines => (0.0, finite().filter(|q| *q < 1.0).fold(0.9, f64::max)),
        };
        Self { scale, low, high }
    }

    fn map(self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(self.low).log10(),
            Scale::Nines => (-(1.0 - value).max(0.0).log10()).min(NINES_MAX),
        }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let (low, high) = (self.map(self.low), self.map(self.high));
        ((self.map(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    pub(super) fn ticks(self) -> Vec<Tick> {
        let named = |value| Tick { value, named: true };
        match self.scale {
            Scale::Linear => {
                let step = step_up(self.high / 6.0);
                let steps = std::iter::successors(Some(0.0), |n| Some(n + 1.0));
                let values = steps.map(|n: f64| n * step);
                values
                    .take_while(|value| *value <= self.high * 1.000_001)
                    .map(named)
                    .collect()
            }
            Scale::Log => {
                let decades = (self.high / self.low).log10();
                let mut ticks = Vec::new();
                let mut decade = 10_f64.powf(self.low.log10().floor());
                while decade <= self.high * 1.000_001 {
                    for digit in 1..10 {
                        let value = decade * f64::from(digit);
                        let named = digit == 1 || (decades < 3.2 && (digit == 2 || digit == 5));
                        if value >= self.low * 0.999_999 && value <= self.high * 1.000_001 {
                            ticks.push(Tick { value, named });
                        }
                    }
                    decade *= 10.0;
                }
                ticks
            }
            Scale::Nines => [0.0, 0.5, 0.9, 0.99, 0.999, 0.999_9, 0.999_99, 0.999_999]
                .into_iter()
                .filter(|q| self.place(*q) < 1.0 || *q <= self.high)
                .map(named)
                .collect(),
        }
    }
}

/// The next of 1, 2, 5, 10, … from `value` on.
fn step_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps
        .map(|step| step * decade)
        .into_iter()
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(10.0 * decade)
}

fn step_down(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [5.0, 2.0, 1.0];
    steps
        .map(|step| step * decade)
        .into_iter()
        .find(|step| *step <= value * 1.000_001)
        .unwrap_or(decade)
}

/// A little above `value`, at a whole number of steps.
fn round_up(value: f64) -> f64 {
    let step = step_up(value / 6.0);
    (value / step - 1e-6).ceil() * step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(span: Span) -> Vec<f64> {
        span.ticks()
            .into_iter()
            .filter(|tick| tick.named)
            .map(|tick| tick.value)
            .collect()
    }

    #[test]
    fn values_are_written_short() {
        assert_eq!(
            [0.5, 12.34, 1_500.0, 999_960.0].map(|value| Show::Micros.write(value)),
            ["500 ns", "12.3 µs", "1.5 ms", "1 s"]
        );
        assert_eq!(
            [0.0, 500.0, 9_990.0, 29_067.0, 999_900.0].map(|value| Show::Count.write(value)),
            ["0", "500", "9990", "29.1 k", "1 M"]
        );
        assert_eq!(
            [0.0, 0.5, 0.9, 0.99, 0.999, 0.99999].map(|value| Show::Quantile.write(value)),
            ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.999 %"]
        );
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_holds_all() {
        let span = Span::of(Scale::Linear, [3.0, 47.0].into_iter());
        assert_eq!(named(span), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert!((span.place(25.0) - 0.5).abs() < 1e-9);
        assert_eq!(named(Span::of(Scale::Linear, [0.0].into_iter())).first(), Some(&0.0));
        assert_eq!(named(Span::of(Scale::Linear, std::iter::empty())).first(), Some(&0.0));
    }

    #[test]
    fn a_log_axis_names_its_decades() {
        let span = Span::of(Scale::Log, [30.0, 40_000_000.0].into_iter());
        assert_eq!(named(span), [1e2, 1e3, 1e4, 1e5, 1e6, 1e7]);
        let narrow = Span::of(Scale::Log, [150.0, 900.0].into_iter());
        assert_eq!(named(narrow), [100.0, 200.0, 500.0, 1_000.0]);
        assert!((narrow.place(316.227_766) - 0.5).abs() < 1e-6);
        let one = Span::of(Scale::Log, [100.0].into_iter());
        assert!(one.place(100.0) > 0.0 && one.place(100.0) < 1.0);
        assert!(!named(Span::of(Scale::Log, [0.0].into_iter())).is_empty());
    }

    #[test]
    fn each_nine_is_as_wide_as_the_one_before() {
        let span = Span::of(Scale::Nines, [0.5, 0.999, 1.0].into_iter());
        assert_eq!(named(span), [0.0, 0.5, 0.9, 0.99, 0.999]);
        let width = |from: f64, to: f64| span.place(to) - span.place(from);
        assert!((width(0.0, 0.9) - width(0.9, 0.99)).abs() < 1e-9);
        assert!((span.place(1.0) - 1.0).abs() < 1e-9);
    }
}

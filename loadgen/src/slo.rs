//! What a latency may be: `p99<15ms`.

use std::fmt;
use std::str::FromStr;

use crate::result::Quantiles;

/// Finds a quantile among the others.
type Pick = fn(&Quantiles) -> f64;

/// The quantiles that a result has, by name.
const NAMES: [(&str, Pick); 6] = [
    ("p50", |q| q.p50),
    ("p90", |q| q.p90),
    ("p99", |q| q.p99),
    ("p99.9", |q| q.p999),
    ("p99.99", |q| q.p9999),
    ("max", |q| q.max),
];

/// A quantile of latency, and what it must stay below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slo {
    quantile: usize,
    limit_us: f64,
}

impl Slo {
    /// True if `latency` is below the limit.
    #[must_use]
    pub fn is_met(&self, latency: &Quantiles) -> bool {
        self.value_us(latency) < self.limit_us
    }

    /// The limit, in µs.
    #[must_use]
    pub const fn limit_us(&self) -> f64 {
        self.limit_us
    }

    /// What is limited, in µs.
    #[must_use]
    pub fn value_us(&self, latency: &Quantiles) -> f64 {
        NAMES[self.quantile].1(latency)
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, unit) = match self.limit_us {
            us if us < 1e3 => (us, "us"),
            us if us < 1e6 => (us / 1e3, "ms"),
            us => (us / 1e6, "s"),
        };
        write!(f, "{}<{limit}{unit}", NAMES[self.quantile].0)
    }
}

impl FromStr for Slo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "an SLO is a quantile (p50, p90, p99, p99.9, p99.99, max), `<`, and a time: p99<15ms";
        let (name, limit) = text.split_once('<').ok_or(FORM)?;
        let name = match name.trim() {
            "p999" => "p99.9",
            "p9999" => "p99.99",
            name => name,
        };
        let quantile = NAMES.iter().position(|(known, _)| *known == name).ok_or(FORM)?;
        let limit = limit.trim();
        let digits = limit.find(|c: char| c.is_ascii_alphabetic() || c == 'µ').ok_or(FORM)?;
        let (number, unit) = limit.split_at(digits);
        let factor = match unit.trim() {
            "us" | "µs" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            _ => return Err(FORM),
        };
        let limit_us = number.trim().parse::<f64>().map_err(|_| FORM)? * factor;
        if limit_us.is_finite() && limit_us > 0.0 {
            Ok(Self { quantile, limit_us })
        } else {
            Err("the time of an SLO is above zero")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_slo_is_read_and_judged() {
        let latency = Quantiles {
            p50: 900.0,
            p99: 14_999.0,
            p999: 20_000.0,
            max: 30_000.0,
            ..Quantiles::default()
        };
        for (text, met) in [
            ("p99<15ms", true),
            ("p99<14.9ms", false),
            ("p50<900us", false),
            ("p50 < 901 µs", true),
            ("p999<20ms", false),
            ("p99.9<0.0201s", true),
            ("max<1s", true),
        ] {
            let slo: Slo = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(slo.is_met(&latency), met, "{text}");
            assert_eq!(slo.to_string().parse::<Slo>(), Ok(slo), "{text}");
        }
        let slo: Slo = "p99<15ms".parse().expect("good");
        assert_eq!(slo.to_string(), "p99<15ms");
        assert!((slo.limit_us() - 15_000.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "", "p99", "p99<", "p99<15", "p98<15ms", "p99<ms", "p99<15m", "p99<-1ms", "p99<0s", "p99>1s",
        ] {
            assert!(text.parse::<Slo>().is_err(), "{text}");
        }
    }
}

//! Rows that differ in one number alone are a line: what something costs when there is more of it.

use std::collections::BTreeMap;

use super::figures::Figure;
use super::results::Results;
use crate::plot::{Axis, Lines, Scale, Series, Show};

/// Lines of all rows that differ only in one of `keys`; nothing if there are none.
pub(super) fn of(results: &Results, keys: &[&str], name: &str, title: &str) -> Option<Figure> {
    let mut lines: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
    for row in results.suites.iter().flat_map(|suite| &suite.result.rows) {
        let Some(factor) = to_micros(&row.unit) else { continue };
        for key in keys {
            if let Some((rest, number)) = without(&row.name, key) {
                let points = lines.entry(rest).or_default();
                points.retain(|point| point[0] != number);
                points.push([number, row.value * factor]);
            }
        }
    }
    let mut series: Vec<Series> = lines
        .into_iter()
        .filter(|(_, points)| points.len() > 1)
        .map(|(name, mut points)| {
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            Series {
                name,
                points,
                hollow: Vec::new(),
                dots: true,
            }
        })
        .collect();
    // The dearest first; more lines than colours would tell nothing.
    series.sort_by(|a, b| highest(b).total_cmp(&highest(a)));
    series.truncate(LINES_MAX);
    (!series.is_empty()).then(|| {
        Figure::lines(
            name,
            "A flat line costs the same however many there are: what is needed stays in the caches, or is asked for before it \
             is needed. A line that rises is the memory behind it.",
            Lines {
                title: title.to_owned(),
                about: format!("{title}: time of one operation by {}", keys.join(" or ")),
                x: Axis::new(&keys.join(", "), Scale::Log, Show::Count),
                y: Axis::new("time of one operation", Scale::Log, Show::Micros),
                series,
                level: None,
            },
        )
    })
}

/// As many as there are colours.
const LINES_MAX: usize = crate::plot::SERIES;

fn highest(series: &Series) -> f64 {
    series.points.iter().map(|point| point[1]).fold(0.0, f64::max)
}

/// Microseconds of one of a unit of time.
pub(super) fn to_micros(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-3),
        "us" => Some(1.0),
        "ms" => Some(1e3),
        "s" => Some(1e6),
        _ => None,
    }
}

/// The name without `key=number`, and the number.
fn without(name: &str, key: &str) -> Option<(String, f64)> {
    let (operation, rest) = name.split_once('/')?;
    let (mut number, mut kept) = (None, Vec::new());
    for part in rest.split(',') {
        match part.strip_prefix(key).and_then(|part| part.strip_prefix('=')) {
            Some(text) => number = text.parse().ok(),
            None => kept.push(part),
        }
    }
    let short = if kept.is_empty() {
        operation.to_owned()
    } else {
        format!("{operation} {}", kept.join(" "))
    };
    Some((short, number?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_without_its_number() {
        assert_eq!(
            without("verify::batch/keys=32,tables=yes,cores=1", "keys"),
            Some(("verify::batch tables=yes cores=1".to_owned(), 32.0))
        );
        assert_eq!(without("m::f/slots=10", "slots"), Some(("m::f".to_owned(), 10.0)));
        assert_eq!(without("m::f/keys=many", "keys"), None);
        assert_eq!(without("m::f/donkeys=3", "keys"), None);
    }
}

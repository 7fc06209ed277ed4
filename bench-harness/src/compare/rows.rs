//! Row by row: which belong together, what their values say, and why some have nothing to say.

use super::{ALPHA, Clock, Compared, THRESHOLD, VALUES_MIN, Verdict};
use crate::measure::OWN;
use crate::report::{Report, Row};
use crate::stats::median;
use crate::stats::ranks::{self, Difference};

/// The rows of two results, by name and system.
#[derive(Debug, Default)]
pub(super) struct Matched<'a> {
    /// On both sides, in one unit; in A's order.
    pub pairs: Vec<(&'a Row, &'a Row)>,
    /// What B should have, and why it has not.
    pub missing: Vec<(String, String)>,
    /// What one side need not have, and why.
    pub others: Vec<(String, String)>,
}

/// How a row is called: its name, and whose it is if it is not the project's own.
pub(super) fn label(name: &str, system: &str) -> String {
    if system == OWN {
        name.to_owned()
    } else {
        format!("{name} of {system}")
    }
}

/// Finds each row of A in B.
pub(super) fn matched<'a>(a: &'a Report, b: &'a Report) -> Matched<'a> {
    let mut matched = Matched::default();
    let find = |report: &'a Report, row: &Row| {
        let same = |other: &&Row| (&other.name, &other.system) == (&row.name, &row.system);
        report.rows.iter().find(same)
    };
    let only = only_of(b);
    for row in &a.rows {
        let name = label(&row.name, &row.system);
        match (find(b, row), only) {
            (Some(other), _) if other.unit == row.unit => matched.pairs.push((row, other)),
            (Some(other), _) => {
                let why = format!("A has it in `{}`, B in `{}`", row.unit, other.unit);
                matched.missing.push((name, why));
            }
            (None, Some(only)) if !row.name.starts_with(only) => {
                let why = format!("B was measured with --only {only}");
                matched.others.push((name, why));
            }
            (None, _) => matched.missing.push((name, "B has no such row".to_owned())),
        }
    }
    let strangers = b.rows.iter().filter(|row| find(a, row).is_none());
    let strangers = strangers.map(|row| (label(&row.name, &row.system), "A has no such row".to_owned()));
    matched.others.extend(strangers);
    matched
}

/// The rows that a result was asked for, by the command that made it.
fn only_of(report: &Report) -> Option<&str> {
    let argv = &report.environment.argv;
    let joined = argv.iter().find_map(|word| word.strip_prefix("--only="));
    let apart = || argv.iter().skip_while(|word| *word != "--only").nth(1);
    joined.or_else(|| apart().map(String::as_str))
}

/// Why rows were not compared, each reason once, with how many rows have it and the first of these.
pub(super) fn reasons<'a>(rows: impl Iterator<Item = &'a (String, String)>) -> Vec<String> {
    let mut groups: Vec<(&str, &str, usize)> = Vec::new();
    for (row, why) in rows {
        match groups.iter_mut().find(|(known, ..)| known == why) {
            Some((.., count)) => *count += 1,
            None => groups.push((why, row, 1)),
        }
    }
    if groups.is_empty() {
        return vec!["neither A nor B has a row".to_owned()];
    }
    let told = groups.into_iter().map(|(why, first, count)| match count {
        1 => format!("{first}: {why}"),
        count => format!("{first} and {} more: {why}", count - 1),
    });
    told.collect()
}

/// What the values of a row say on both sides; why nothing otherwise.
pub(super) fn compare(a: &Row, b: &Row, clock: Option<Clock>, paired: bool) -> Result<Compared, String> {
    let clock = clock.unwrap_or_else(|| Clock::of(a));
    let [of_a, of_b] = [a, b].map(|row| clock.values(row));
    let count = of_a.len().min(of_b.len());
    if count < VALUES_MIN {
        return Err(format!("fewer than {VALUES_MIN} repetitions"));
    }
    if of_a.iter().chain(of_b).any(|value| *value <= 0.0) {
        return Err("a value of zero or below".to_owned());
    }
    let Difference { ratio, interval, p } = if paired && of_a.len() == of_b.len() {
        ranks::paired(of_a, of_b)
    } else {
        ranks::unpaired(of_a, of_b)
    };
    Ok(Compared {
        name: a.name.clone(),
        system: a.system.clone(),
        unit: a.unit.clone(),
        clock,
        a: median(of_a),
        b: median(of_b),
        ratio,
        interval,
        p,
        p_adjusted: p,
        verdict: Verdict::Unclear,
    })
}

pub(super) fn verdict(row: &Compared) -> Verdict {
    // Of a rate less is worse; of everything else, more.
    let rate = row.unit == "/s";
    let [low, high] = row.interval;
    let (ratio, low, high) = if rate {
        (1.0 / row.ratio, 1.0 / high, 1.0 / low)
    } else {
        (row.ratio, low, high)
    };
    let (least, most) = (1.0 / (1.0 + THRESHOLD), 1.0 + THRESHOLD);
    let sure = row.p_adjusted < ALPHA;
    if sure && ratio > most {
        Verdict::Regression
    } else if sure && ratio < least {
        Verdict::Better
    } else if low >= least && high <= most {
        Verdict::Same
    } else {
        Verdict::Unclear
    }
}

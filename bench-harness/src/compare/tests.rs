//! What is found and what is not, on values that are known.

use std::collections::BTreeMap;

use super::*;
use crate::report::Paired;

/// Values around `middle` that lie some percent apart, in an order of their own.
fn values(middle: f64, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..15)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            middle * (1.0 + 0.02 * (state % 1_000) as f64 / 1_000.0)
        })
        .collect()
}

fn row(name: &str, unit: &str, values: &[f64]) -> Row {
    Row {
        cpu_values: values.to_vec(),
        ..Row::of("tidegate", name, unit, values)
    }
}

fn report(rows: Vec<Row>, paired: Option<&str>) -> Report {
    Report {
        schema: crate::report::SCHEMA.to_owned(),
        suite: "s".to_owned(),
        rows,
        ratios: BTreeMap::new(),
        not_run: BTreeMap::new(),
        paired: paired.map(|side| Paired {
            id: "x".to_owned(),
            side: side.to_owned(),
            rounds: 15,
        }),
        extra_work_percent: 0,
        environment: Environment::default(),
    }
}

fn judged(a: Vec<Row>, b: Vec<Row>, paired: bool) -> Comparison {
    let [side_a, side_b] = ["a", "b"].map(|side| paired.then_some(side));
    judge(&report(a, side_a), &report(b, side_b), None).expect("rows to judge")
}

#[test]
fn five_percent_more_are_found_and_equal_sides_are_not() {
    for paired in [true, false] {
        for seed in 1..=20 {
            let a = || row("m::f/n=1", "ns", &values(100.0, seed));
            let same = judged(
                vec![a()],
                vec![row("m::f/n=1", "ns", &values(100.0, seed + 100))],
                paired,
            );
            assert!(!same.regression, "{same}");
            let slow = judged(
                vec![a()],
                vec![row("m::f/n=1", "ns", &values(105.0, seed + 100))],
                paired,
            );
            assert!(slow.regression && slow.rows[0].verdict == Verdict::Regression, "{slow}");
            let quick = judged(
                vec![a()],
                vec![row("m::f/n=1", "ns", &values(95.0, seed + 100))],
                paired,
            );
            assert_eq!(quick.rows[0].verdict, Verdict::Better, "{quick}");
        }
    }
}

#[test]
fn two_percent_are_sure_and_not_enough() {
    let a = row("m::f/n=1", "ns", &values(100.0, 1));
    let b = row(
        "m::f/n=1",
        "ns",
        &values(100.0, 1).iter().map(|v| v * 1.02).collect::<Vec<_>>(),
    );
    let comparison = judged(vec![a], vec![b], true);
    assert!(comparison.rows[0].p < 1e-3);
    assert_eq!(
        (comparison.rows[0].verdict, comparison.regression),
        (Verdict::Same, false)
    );
}

#[test]
fn of_a_rate_less_is_worse() {
    let a = || row("m::f/n=1", "/s", &values(100.0, 1));
    assert!(judged(vec![a()], vec![row("m::f/n=1", "/s", &values(90.0, 2))], false).regression);
    assert!(!judged(vec![a()], vec![row("m::f/n=1", "/s", &values(110.0, 2))], false).regression);
}

#[test]
fn turns_are_turns_of_one_run_only() {
    let a = report(vec![row("m::f/n=1", "ns", &values(100.0, 1))], Some("a"));
    let mut b = report(vec![row("m::f/n=1", "ns", &values(100.0, 2))], Some("b"));
    assert_eq!(judge(&a, &b, None).expect("rows").method, "paired");
    assert_eq!(judge(&a, &a, None).expect("rows").method, "unpaired");
    b.paired.as_mut().expect("set").id = "y".to_owned();
    assert_eq!(judge(&a, &b, None).expect("rows").method, "unpaired");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let few = row("m::few/n=1", "ns", &[1.0, 2.0]);
    let good = row("m::f/n=1", "ns", &values(100.0, 1));
    let other = row("m::g/n=1", "ns", &values(100.0, 1));
    let comparison = judged(
        vec![few.clone(), good.clone()],
        vec![few.clone(), good.clone(), other],
        false,
    );
    assert_eq!(comparison.rows.len(), 1);
    assert_eq!(
        comparison.not_compared,
        ["m::few/n=1: too few repetitions", "m::g/n=1: A has no such row"]
    );
    let (a, mut b) = (report(vec![few], None), report(vec![good], None));
    assert!(matches!(judge(&a, &a, None), Err(CompareError::Nothing)));
    "t".clone_into(&mut b.suite);
    assert!(matches!(judge(&a, &b, None), Err(CompareError::Suites { .. })));
}

#[test]
fn threads_are_compared_by_the_clock_on_the_wall() {
    let of = |name: &str| Clock::of(&row(name, "us", &[1.0]));
    assert_eq!(of("verify::batch/keys=32,cores=1"), Clock::Cpu);
    assert_eq!(of("verify::batch/keys=32,cores=2"), Clock::Wall);
    assert_eq!(of("storage::read/threads=2"), Clock::Wall);
    assert_eq!(Clock::of(&Row::of("x", "m::f/n=1", "us", &[1.0])), Clock::Wall);
}

#[test]
fn a_person_sees_what_it_comes_to_last() {
    let slow = judged(
        vec![row("m::f/n=1", "ns", &values(100.0, 1))],
        vec![row("m::f/n=1", "ns", &values(110.0, 2))],
        false,
    );
    let text = slow.to_string();
    assert!(text.contains("REGRESSION") && text.contains("takes turns"), "{text}");
    assert!(
        text.trim_end()
            .ends_with("1 of 1 rows are slower by more than 3 % with p < 0.01"),
        "{text}"
    );
    let json = serde_json::to_string(&slow).expect("plain data");
    assert_eq!(serde_json::from_str::<Comparison>(&json).expect("its own form"), slow);
}

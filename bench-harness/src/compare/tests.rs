//! What is found and what is not, on values that are known.

use std::collections::BTreeMap;

use super::*;
use crate::report::{Environment, Paired};

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
    judge(&report(a, side_a), &report(b, side_b), Terms::default()).expect("rows to judge")
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
    assert_eq!(judge(&a, &b, Terms::default()).expect("rows").method, "paired");
    assert_eq!(judge(&a, &a, Terms::default()).expect("rows").method, "unpaired");
    b.paired.as_mut().expect("set").id = "y".to_owned();
    assert_eq!(judge(&a, &b, Terms::default()).expect("rows").method, "unpaired");
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
        ["m::g/n=1: A has no such row", "m::few/n=1: fewer than 5 repetitions"]
    );
    assert!(comparison.holds());
    let mut b = report(vec![good], None);
    "t".clone_into(&mut b.suite);
    let error = judge(&report(vec![few], None), &b, Terms::default());
    assert!(matches!(error, Err(CompareError::Suites { .. })));
}

/// A benchmark that was renamed or left out must not look like one that did not become slower.
#[test]
fn a_row_that_b_lacks_is_no_success() {
    let [kept, gone] = ["m::f/n=1", "m::g/n=1"].map(|name| row(name, "ns", &values(100.0, 1)));
    let comparison = judged(vec![kept.clone(), gone.clone()], vec![kept.clone()], false);
    assert!(!comparison.regression && !comparison.holds());
    assert_eq!(comparison.missing, ["m::g/n=1: B has no such row"]);
    let text = comparison.to_string();
    assert!(text.contains("MISSING in B  m::g/n=1"), "{text}");
    let last = text.lines().last().expect("a verdict");
    assert!(
        last.starts_with("rows missing in B: 1; of 1 others none is slower"),
        "{last}"
    );
    // In another unit it is another row.
    let other = Row {
        unit: "us".to_owned(),
        ..gone.clone()
    };
    let comparison = judged(vec![kept.clone(), gone.clone()], vec![kept.clone(), other], false);
    assert_eq!(comparison.missing, ["m::g/n=1: A has it in `ns`, B in `us`"]);
    // What was left out on purpose is not missing; what was asked for is.
    for (only, holds) in [("m::f", true), ("m::", false)] {
        for words in [
            vec!["--only".to_owned(), only.to_owned()],
            vec![format!("--only={only}")],
        ] {
            let mut b = report(vec![kept.clone()], None);
            b.environment.argv = words;
            let a = report(vec![kept.clone(), gone.clone()], None);
            let comparison = judge(&a, &b, Terms::default()).expect("a row");
            assert_eq!(comparison.holds(), holds, "{comparison}");
        }
    }
}

#[test]
fn rows_of_two_systems_are_two_rows() {
    let own = row("m::f/n=1", "ns", &values(100.0, 1));
    let theirs = Row {
        system: "fjall".to_owned(),
        ..own.clone()
    };
    let comparison = judged(vec![own.clone()], vec![own.clone(), theirs.clone()], false);
    assert_eq!(comparison.not_compared, ["m::f/n=1 of fjall: A has no such row"]);
    let comparison = judged(vec![own.clone(), theirs], vec![own], false);
    assert_eq!(comparison.missing, ["m::f/n=1 of fjall: B has no such row"]);
}

#[test]
fn where_nothing_can_be_compared_the_reasons_are_told() {
    let why = |a: Vec<Row>, b: Vec<Row>| {
        let error = judge(&report(a, None), &report(b, None), Terms::default()).expect_err("nothing to judge");
        error.to_string()
    };
    let good = |name: &str, unit: &str| row(name, unit, &values(100.0, 1));
    let few = || vec![row("m::f/n=1", "ns", &[1.0; 4]), row("m::f/n=2", "ns", &[1.0; 4])];
    let text = why(few(), few());
    assert!(text.contains("m::f/n=1 and 1 more: fewer than 5 repetitions"), "{text}");
    let text = why(vec![good("m::f/n=1", "ns")], vec![good("m::f/n=1", "us")]);
    assert!(
        text.contains("A has it in `ns`, B in `us`") && !text.contains("repetitions"),
        "{text}"
    );
    let text = why(vec![good("m::f/n=1", "ns")], vec![row("m::f/n=1", "ns", &[0.0; 9])]);
    assert!(text.contains("m::f/n=1: a value of zero or below"), "{text}");
    let text = why(vec![good("m::f/n=1", "ns")], vec![good("m::g/n=1", "ns")]);
    assert!(
        text.contains("m::f/n=1: B has no such row") && text.contains("m::g/n=1: A has no such row"),
        "{text}"
    );
    assert!(why(Vec::new(), Vec::new()).contains("neither A nor B has a row"));
}

#[test]
fn two_machines_are_not_compared_unless_somebody_asks() {
    let rows = || vec![row("m::f/n=1", "ns", &values(100.0, 1))];
    let sides = |paired: bool| {
        let side = |name| paired.then_some(name);
        let (a, mut b) = (report(rows(), side("a")), report(rows(), side("b")));
        b.environment.cores = 64;
        (a, b)
    };
    let (a, b) = sides(false);
    let error = judge(&a, &b, Terms::default()).expect_err("two machines").to_string();
    assert!(
        error.contains("0 and 64 cores") && error.contains("--across-machines"),
        "{error}"
    );
    let terms = Terms {
        across_machines: true,
        ..Terms::default()
    };
    let comparison = judge(&a, &b, terms).expect("asked for");
    assert!(
        comparison.notes[0].starts_with("two machines (0 and 64 cores)"),
        "{comparison}"
    );
    // One program may know more of the machine than the other: what took turns shared it.
    let (a, b) = sides(true);
    assert_eq!(judge(&a, &b, Terms::default()).expect("turns").method, "paired");
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

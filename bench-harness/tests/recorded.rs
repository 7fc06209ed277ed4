//! What the README shows is what was recorded: its table and its plots are made of `profiles/recorded`, and of nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_bench_harness::page::{self, Results, readme};
use tidegate_bench_harness::plot::Palette;

const RECORDED: &str = "profiles/recorded";

/// Fewer, and something was built without symbols or frame pointers: the picture hides what it should show.
const NAMED_PERCENT_MIN: f64 = 98.0;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn recorded() -> Results {
    Results::read(&root().join(RECORDED)).expect("recorded results")
}

#[test]
fn the_readme_shows_what_was_recorded() {
    let text = fs::read_to_string(root().join("README.md")).expect("the project has a README");
    let block = readme::block(&recorded(), RECORDED);
    let made = readme::replace(&text, &block).expect("the README has a place for figures");
    assert!(
        text == made,
        "`bench-harness readme` writes what was recorded:\n{block}"
    );
}

#[test]
fn plots_are_those_of_the_recorded_results() {
    let figures = page::figures(&recorded());
    for (name, _) in readme::PLOTS {
        let figure = figures.iter().find(|figure| figure.name == name);
        let figure = figure.unwrap_or_else(|| panic!("no recorded result has data for {name}: run scripts/record"));
        let path = root().join(RECORDED).join(format!("{name}.svg"));
        let file = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            file == figure.svg(Palette::Own),
            "{name}.svg is of other results: run scripts/record again"
        );
    }
}

/// A result that proves nothing has no place there.
#[test]
fn recorded_runs_are_valid() {
    let results = recorded();
    for run in &results.runs {
        assert!(run.result.valid, "{}: {:?}", run.name, run.result.notes);
        assert_ne!(run.result.environment.build, "debug", "{}", run.name);
    }
    assert!(results.sweeps.iter().all(|sweep| sweep.result.valid));
    assert!(results.suites.iter().all(|suite| suite.result.extra_work_percent == 0));
}

/// A figure whose code is in no commit cannot be made again by anybody.
#[test]
fn recorded_results_are_of_a_commit() {
    for (environment, names) in recorded().environments() {
        let names = names.join(", ");
        assert!(
            !environment.dirty,
            "{names}: the tree differed from {}",
            environment.git
        );
        assert!(
            !environment.built_before_commit,
            "{names}: the program is older than {}",
            environment.git
        );
    }
}

/// Of the names that `scripts/record` samples: `flame NAME COMMAND…`.
fn sampled() -> Vec<String> {
    let script = fs::read_to_string(root().join("scripts/record")).expect("the script is there");
    let names = script.lines().filter_map(|line| {
        let words = line.strip_prefix("    flame ")?;
        words.split(' ').next().map(str::to_owned)
    });
    names.collect()
}

/// What the README shows as a headline must show where its time goes, in functions that have names.
#[test]
fn headline_results_have_flame_graphs_with_names() {
    let (results, sampled) = (recorded(), sampled());
    // At a fixed rate the same code runs as without one.
    let headlines = results.runs.iter().filter(|run| run.result.rate.is_none());
    for run in headlines {
        assert!(
            sampled.contains(&run.name),
            "scripts/record draws no flame graph of {}",
            run.name
        );
    }
    assert!(
        sampled.len() >= 5,
        "scripts/record samples the headline set: {sampled:?}"
    );
    let runs = results.runs.iter().map(|run| &run.name);
    let names: Vec<&String> = runs.chain(results.suites.iter().map(|suite| &suite.name)).collect();
    for name in &sampled {
        assert!(names.contains(&name), "{name}.json is not recorded: run scripts/record");
        let read = |ending: &str| {
            let path = root().join(RECORDED).join(format!("{name}.flame.{ending}"));
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        assert!(read("svg").contains("<svg"), "{name}.flame.svg is no picture");
        assert!(read("folded").contains(';'), "{name}.flame.folded has no stack");
        let about: serde_json::Value = serde_json::from_str(&read("json")).expect("JSON");
        let named = about["named_percent"].as_f64().expect("a number");
        assert!(
            named >= NAMED_PERCENT_MIN,
            "{name}: {named} % of the samples have names"
        );
        let git = about["git"].as_str().expect("the commit");
        assert!(!git.ends_with("-dirty"), "{name}: the tree differed from {git}");
    }
}

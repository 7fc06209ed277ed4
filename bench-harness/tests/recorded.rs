//! What the README shows is what was recorded: its table and its plots are made of `profiles/recorded`, and of nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_bench_harness::page::{self, Results, readme};
use tidegate_bench_harness::plot::Palette;

const RECORDED: &str = "profiles/recorded";

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
        let Some(figure) = figures.iter().find(|figure| figure.name == name) else {
            continue;
        };
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

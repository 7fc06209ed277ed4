//! The figures of the project's README: made of recorded results alone, so that no number stands there that was not measured,
//! and no result is recorded that the README does not show as it is.
//!
//! ```text
//! profiles/recorded/*.json ─▶ block ─▶ README.md, between two comments; `tests/recorded.rs` compares both
//! ```

use std::fmt::Write as _;

use tidegate_loadgen::environment::Environment;
use tidegate_loadgen::result::RunResult;

use super::results::{Named, Results};
use super::tables::thousands;
use crate::plot::Show;
use crate::report::{Report, Row};

/// What stands before the figures.
pub const BEGIN: &str = "<!-- figures: `scripts/record` writes what stands between these two lines -->";
/// What stands behind them.
pub const END: &str = "<!-- end of figures -->";

/// The plots that the README shows, by name, with what they show.
pub const PLOTS: [(&str, &str); 2] = [
    ("throughput-latency", "Latency against load"),
    (
        "cost-per-stage",
        "Where a payment's processor time goes, by thread of the hub",
    ),
];

/// One line of the table.
struct Line {
    what: String,
    figure: String,
    beside: String,
    command: String,
}

/// The figures as Markdown. `folder` is where the results lie, as seen from the README.
#[must_use]
pub fn block(results: &Results, folder: &str) -> String {
    let mut text = format!("{BEGIN}\n\n");
    let lines = lines(results);
    let environments: Vec<Environment> = results
        .environments()
        .into_iter()
        .map(|(environment, _)| environment)
        .collect();
    if let Some(first) = environments.first() {
        let _ = writeln!(text, "{}\n", place(first, &environments));
    }
    text.push_str("| what | figure | beside it | made again by |\n|---|---|---|---|\n");
    for line in lines {
        let _ = writeln!(
            text,
            "| {} | {} | {} | `{}` |",
            line.what, line.figure, line.beside, line.command
        );
    }
    text.push('\n');
    let figures = super::figures(results);
    for (name, about) in PLOTS {
        if figures.iter().any(|figure| figure.name == name) {
            let _ = writeln!(text, "![{about}]({folder}/{name}.svg)\n");
            let _ = writeln!(text, "{}\n", made_by(name, results));
        }
    }
    text + END
}

/// Under a plot: the commands whose results it shows.
fn made_by(plot: &str, results: &Results) -> String {
    if plot != PLOTS[0].0 {
        return "From the runs of the table, by the names of their files.".to_owned();
    }
    let commands = results
        .sweeps
        .iter()
        .map(|sweep| format!("`{}`", command(&sweep.result.environment)));
    let commands: Vec<String> = commands.collect();
    format!("Made again by {}", commands.join(" and "))
}

/// `text` with the figures between the two comments replaced; `None` if it has no such comments.
#[must_use]
pub fn replace(text: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{block}{after}"))
}

/// Where it was measured: the machine of the first result, and the commits of all.
fn place(first: &Environment, all: &[Environment]) -> String {
    let Environment {
        cpu,
        cores,
        filesystem,
        kernel,
        ..
    } = first;
    let mut commits: Vec<&str> = all.iter().map(|environment| environment.git.as_str()).collect();
    commits.sort_unstable();
    commits.dedup();
    let many = if commits.len() > 1 { "s" } else { "" };
    format!(
        "On {cores} cores ({cpu}, {filesystem}, Linux {kernel}, commit{many} {}), sync and encryption on, hub and generator \
         sharing the cores:",
        commits.join(", ")
    )
}

fn lines(results: &Results) -> Vec<Line> {
    let mut lines = Vec::new();
    for run in &results.runs {
        lines.extend(run_lines(run, results));
    }
    for sweep in &results.sweeps {
        if let (Some(slo), Some(rate)) = (&sweep.result.slo, sweep.result.rate) {
            let found = if sweep.result.bound_found == Some(true) {
                ""
            } else {
                "more than "
            };
            lines.push(Line {
                what: format!("highest rate by schedule with {slo}, `{}`", sweep.result.profile),
                figure: format!("{found}{} payments/s", thousands(rate)),
                beside: String::new(),
                command: command(&sweep.result.environment),
            });
        }
    }
    // Of two results of one thing the first is shown, and that of everybody in one run before others.
    let (everybody, others): (Vec<_>, Vec<_>) = results.suites.iter().partition(|suite| suite.result.suite == "peers");
    for suite in everybody.into_iter().chain(others) {
        for line in suite_lines(&suite.result) {
            let peer = |line: &Line| line.beside.split(':').next().map(str::to_owned);
            let same = |shown: &&Line| shown.what == line.what && peer(shown) == peer(&line);
            if lines.iter().find(same).is_none() {
                lines.push(line);
            }
        }
    }
    lines
}

fn run_lines(run: &Named<RunResult>, results: &Results) -> Vec<Line> {
    let result = &run.result;
    let command = command(&result.environment);
    let line = |what: String, figure: String, beside: String| Line {
        what,
        figure,
        beside,
        command: command.clone(),
    };
    let profile = &result.profile;
    let latency = &result.latency_us;
    let us = |value| Show::Micros.write(value);
    if let Some(rate) = result.rate {
        let quantiles = format!(
            "p50 {}, p99 {}, p99.9 {}",
            us(latency.p50),
            us(latency.p99),
            us(latency.p999)
        );
        let what = format!("latency at {} payments/s by schedule, `{profile}`", thousands(rate));
        return vec![line(what, quantiles, String::new())];
    }
    if result.connections < 3 {
        let what = format!("one payment at a time, `{profile}`: from send to checked receipt");
        let figure = format!("p50 {}, p99 {}", us(latency.p50), us(latency.p99));
        return vec![line(what, figure, String::new())];
    }
    let tigerbeetle = results.suites.iter().flat_map(|suite| &suite.result.rows);
    let tigerbeetle = tigerbeetle
        .filter(|row| row.system == "TigerBeetle" && row.unit == "/s")
        .map(|row| row.value)
        .next();
    let beside = match tigerbeetle {
        Some(rate) if profile == "hot-keys" => {
            format!("TigerBeetle, transfers without signatures: {}", thousands(rate))
        }
        _ => String::new(),
    };
    vec![
        line(
            format!("payments per second, `{profile}`, closed loop"),
            thousands(result.payments_per_s),
            beside,
        ),
        line(
            "… hub CPU per payment; memory; log".to_owned(),
            format!(
                "{}; {:.0} MB; {:.0} B",
                us(result.hub.cpu_us_per_payment),
                result.hub.rss_bytes_max as f64 / 1e6,
                result.hub.log_bytes_per_payment
            ),
            match result.generator.cpu_us_per_payment {
                0.0 => String::new(),
                cpu => format!("generator CPU {}", us(cpu)),
            },
        ),
    ]
}

/// The headline of a suite that has peers: its own row, and theirs.
fn suite_lines(report: &Report) -> Vec<Line> {
    let command = command(&report.environment);
    let find = |name: &str| report.rows.iter().find(|row| row.name == name);
    let mut lines = Vec::new();
    if let Some(own) = find("verify::batch/keys=32,draw=uniform,tables=yes,cores=1") {
        let theirs = [
            ("dalek verify", "dalek::verify/cores=1"),
            ("dalek verify_batch", "dalek::verify_batch/cores=1"),
            ("ring", "ring::verify/cores=1"),
            ("aws-lc-rs", "aws-lc-rs::verify/cores=1"),
        ];
        lines.push(Line {
            what: "check of a signature, 32 busy keys, one core".to_owned(),
            figure: value(own),
            beside: beside(theirs.iter().filter_map(|(system, name)| Some((*system, find(name)?)))),
            command: command.clone(),
        });
    }
    let durable: Vec<&Row> = report
        .rows
        .iter()
        .filter(|row| row.name.contains("::op/") && row.name.starts_with("storage"))
        .collect();
    for own in durable.iter().filter(|row| row.system == crate::measure::OWN) {
        let records = own.name.rsplit_once("records=").map_or("", |(_, records)| records);
        let theirs = durable
            .iter()
            .filter(|row| row.system != own.system && row.name.ends_with(&format!("records={records}")));
        let theirs = beside(theirs.map(|row| (row.system.as_str(), *row)));
        lines.push(Line {
            what: format!(
                "durable operation in batches of 4 096, {} records",
                thousands(records.parse().unwrap_or(0.0))
            ),
            figure: value(own),
            beside: theirs,
            command: command.clone(),
        });
    }
    lines
}

fn value(row: &Row) -> String {
    match row.unit.as_str() {
        "ns" => Show::Micros.write(row.value / 1e3),
        "us" => Show::Micros.write(row.value),
        unit => format!("{:.1} {unit}", row.value),
    }
}

fn beside<'a>(rows: impl Iterator<Item = (&'a str, &'a Row)>) -> String {
    let texts: Vec<String> = rows.map(|(system, row)| format!("{system}: {}", value(row))).collect();
    texts.join(", ")
}

/// The command that a reader runs in a clone; the file that the result goes to is the reader's own.
fn command(environment: &Environment) -> String {
    let argv = &environment.argv;
    let program = argv
        .first()
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    let mut words = vec![
        "cargo run --release --bin".to_owned(),
        program.to_owned(),
        "--".to_owned(),
    ];
    let mut rest = argv.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            // What goes where differs from reader to reader.
            "--json" | "--dir" | "--peers-built" => drop(rest.next()),
            word => words.push(word.to_owned()),
        }
    }
    if argv.iter().any(|word| word == "--peers-built") {
        words.push("--peers".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_readers_own() {
        let words = [
            "target/release/bench-harness",
            "run",
            "peers",
            "--peers-built",
            "x",
            "--json",
            "y.json",
        ];
        let environment = Environment {
            argv: words.map(str::to_owned).to_vec(),
            ..Environment::default()
        };
        assert_eq!(
            command(&environment),
            "cargo run --release --bin bench-harness -- run peers --peers"
        );
    }

    #[test]
    fn what_stands_around_the_figures_stays() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = replace(&text, &format!("{BEGIN}\nnew\n{END}")).expect("both comments");
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(replace("a", "b"), None);
    }

    #[test]
    fn results_become_lines_with_peers_beside_them() {
        let mut results = Results::default();
        let row = |system: &str, name: &str, unit: &str, value: f64| Row::counted(system, name, unit, value, 1);
        let report = Report {
            schema: crate::report::SCHEMA.to_owned(),
            suite: "peers".to_owned(),
            rows: vec![
                row(
                    "tidegate",
                    "verify::batch/keys=32,draw=uniform,tables=yes,cores=1",
                    "us",
                    1.0,
                ),
                row("ed25519-dalek", "dalek::verify/cores=1", "us", 16.0),
                row(
                    "tidegate",
                    "storage::op/store=tidegate,what=mixed,records=1000000",
                    "ns",
                    240.0,
                ),
                row(
                    "fjall",
                    "storage::op/store=fjall,what=mixed,records=1000000",
                    "ns",
                    2_160.0,
                ),
            ],
            ratios: std::collections::BTreeMap::new(),
            not_run: std::collections::BTreeMap::new(),
            paired: None,
            extra_work_percent: 0,
            environment: Environment::default(),
        };
        results.take("peers", &report.to_json()).expect("a result");
        let block = block(&results, "profiles/recorded");
        for part in [
            "| 1 µs | dalek verify: 16 µs |",
            "1\u{202f}000\u{202f}000 records | 240 ns | fjall: 2.16 µs |",
        ] {
            assert!(block.contains(part), "{part} is not in\n{block}");
        }
    }
}

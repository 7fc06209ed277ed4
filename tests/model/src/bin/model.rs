//! Explores the models of `protocol.md` to their ends: `scripts/model --help`.

use std::process::ExitCode;

use tidegate_test_model::suite::{Subject, home, long, short};
use tidegate_test_model::was::{Rules, Was};

const HELP: &str = "usage: model [--long] [--only WORDS]

Explores every model under the rules as they stand, then under each weakened rule, which must be refuted. Prints how many
states each has. The short bounds take seconds, those of --long the better part of an hour. --only takes the models whose
name begins with WORDS, and no weakened rule.

  model --long --only 'hub, two by Hash'";

fn main() -> ExitCode {
    let mut bounds = short();
    let mut only = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--long" => bounds = long(),
            "--only" => only = args.next(),
            _ => {
                println!("{HELP}");
                return if arg == "--help" {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(2)
                };
            }
        }
    }
    let wanted = |name: &str| only.as_ref().is_none_or(|words| name.starts_with(words));
    let mut good = true;
    let mut states = 0;
    for (name, subject) in bounds.into_iter().filter(|(name, _)| wanted(name)) {
        states += explore(name, subject, &mut good);
    }
    println!("{states:>12} states in all");
    if only.is_none() {
        Was::ALL.into_iter().for_each(|fault| refute(fault, &mut good));
    }
    println!("{}", if good { "all good" } else { "NOT GOOD" });
    ExitCode::from(u8::from(!good))
}

fn explore(name: &str, subject: Subject, good: &mut bool) -> usize {
    let report = subject.run(Rules::WHOLE);
    let seconds = report.took.as_secs_f64();
    println!(
        "{:>12} states, depth {:>2}, {seconds:>7.1} s  {name}",
        report.states, report.depth
    );
    if let Some((property, path)) = &report.refuted {
        println!("  REFUTED: {property}\n{path}");
    }
    for property in &report.missing {
        println!("  NEVER: {property}");
    }
    *good &= report.refuted.is_none() && report.missing.is_empty();
    report.states
}

fn refute(fault: Was, good: &mut bool) {
    let report = home(fault).run(Rules::with(fault));
    let trace = fault.trace().map_or("new".to_owned(), |trace| format!("{trace:>3}"));
    let states = report.states;
    match report.refuted {
        Some((property, _)) => println!("{states:>12} states  trace {trace}  {fault:?}: not \"{property}\""),
        None => println!("{states:>12} states  trace {trace}  {fault:?}: NOT REFUTED"),
    }
    *good &= report.refuted.is_some();
}

//! `bench-harness instructions`: counts of the hot kernels, beside recorded ones.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::{Failure, JsonArgs, child_code};
use crate::instructions::{self, Baseline, Changed, Comparison, CountError, kernels};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bench-harness instructions --baseline profiles/recorded/instructions.json

Exit code 1 if a kernel takes more than the tolerance more than recorded. With --record what is counted now is the new baseline."
)]
pub(super) struct InstructionsArgs {
    /// The recorded counts.
    #[arg(long, value_name = "FILE", default_value = "profiles/recorded/instructions.json")]
    baseline: PathBuf,
    /// How much more a kernel may take, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0)]
    tolerance: f64,
    /// Records what is counted now as the new baseline.
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// What was counted, beside what was recorded.
#[derive(Serialize)]
struct Counted<'a> {
    schema: &'static str,
    baseline: &'a Path,
    /// Whether this count is the baseline now.
    recorded: bool,
    tolerance_percent: f64,
    rows: Vec<Changed<'a>>,
    breaches: Vec<String>,
    /// Why there can be no breach.
    not_compared: Option<String>,
    #[serde(skip)]
    table: Comparison<'a>,
}

impl<'a> Counted<'a> {
    fn of(arguments: &'a InstructionsArgs, then: &'a Baseline, now: &'a Baseline) -> Self {
        let table = then.compare(now, arguments.tolerance);
        let not_compared = then.incomparable(now);
        Self {
            schema: "tidegate.instructions-compare/1",
            baseline: &arguments.baseline,
            recorded: arguments.record,
            tolerance_percent: arguments.tolerance,
            rows: table.rows(),
            breaches: if not_compared.is_none() {
                table.breaches()
            } else {
                Vec::new()
            },
            not_compared,
            table,
        }
    }
}

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table)?;
        match &self.not_compared {
            Some(why) => writeln!(f, "not compared: {why}"),
            None => Ok(()),
        }
    }
}

pub(super) fn run(arguments: &InstructionsArgs) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe().map_err(CountError::Tool)?;
    let now = Baseline::of(instructions::count(&program)?);
    let then = if arguments.record {
        now.write(&arguments.baseline)?;
        now.clone()
    } else {
        Baseline::read(&arguments.baseline)?
    };
    let counted = Counted::of(arguments, &then, &now);
    arguments.json.emit(&counted)?;
    if counted.breaches.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::Grown(counted.breaches))
    }
}

/// The child of the verb: runs the kernels, and names each on a line with its operations.
pub(super) fn work() -> ExitCode {
    child_code(kernels::run_all(&mut |name, operations| {
        println!("{name} {operations}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instructions::counts;

    #[test]
    fn a_machine_reads_what_a_person_sees() {
        let arguments = InstructionsArgs {
            baseline: "counts.json".into(),
            tolerance: 3.0,
            record: false,
            json: JsonArgs { json: None },
        };
        let (then, mut now) = (counts(&[("a", 100.0), ("b", 5.0)]), counts(&[("a", 110.0), ("c", 7.5)]));
        let json = serde_json::to_value(Counted::of(&arguments, &then, &now)).expect("plain data");
        assert_eq!(json["rows"].as_array().map(Vec::len), Some(3));
        assert_eq!(
            (&json["rows"][0]["recorded"], &json["rows"][0]["now"]),
            (&100.0.into(), &110.0.into())
        );
        assert_eq!(
            (&json["rows"][1]["now"], &json["rows"][2]["recorded"]),
            (&().into(), &().into())
        );
        assert_eq!(json["breaches"].as_array().map(Vec::len), Some(3));
        assert_eq!(
            (&json["baseline"], &json["recorded"], &json["not_compared"]),
            (&"counts.json".into(), &false.into(), &().into())
        );
        "rustc 2.0".clone_into(&mut now.compiler);
        let counted = Counted::of(&arguments, &then, &now);
        assert!(counted.breaches.is_empty() && counted.to_string().contains("not compared: recorded with"));
    }
}

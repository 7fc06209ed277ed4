//! `bench-harness instructions`: counts of the hot kernels, beside recorded ones.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Failure, child_code};
use crate::instructions::{self, Baseline, CountError, kernels};

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
}

pub(super) fn run(arguments: &InstructionsArgs) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe().map_err(CountError::Tool)?;
    let now = Baseline::of(instructions::count(&program)?);
    if arguments.record {
        now.write(&arguments.baseline)?;
        print!("{}", now.compare(&now, arguments.tolerance));
        return Ok(ExitCode::SUCCESS);
    }
    let then = Baseline::read(&arguments.baseline)?;
    let comparison = then.compare(&now, arguments.tolerance);
    print!("{comparison}");
    if let Some(why) = then.incomparable(&now) {
        println!("not compared: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    let breaches = comparison.breaches();
    if breaches.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::Grown(breaches))
    }
}

/// The child of the verb: runs the kernels, and names each on a line with its operations.
pub(super) fn work() -> ExitCode {
    child_code(kernels::run_all(&mut |name, operations| {
        println!("{name} {operations}")
    }))
}

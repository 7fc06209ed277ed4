//! `tidegate loadgen …`: the load generator as a process of its own, in the same binary.

use std::ffi::OsString;
use std::iter::once;

use clap::Args;

use super::Outcome;

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct LoadgenArgs {
    /// Arguments of the load generator; `tidegate loadgen --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

pub(super) fn run(args: LoadgenArgs) -> Outcome {
    let name = OsString::from("tidegate loadgen");
    Ok(tidegate_loadgen::cli::run(once(name).chain(args.arguments)))
}

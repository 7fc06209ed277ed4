//! `tidegate key …`: key files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tidegate_client::key_file::{KdfCost, KeyFile, Protection, random_seed};

use super::Outcome;
use super::output::JsonFlag;
use super::password::PasswordFlag;

#[derive(Debug, Subcommand)]
pub(super) enum KeyVerb {
    /// Make a new key in a file of its own, encrypted under a password
    #[command(after_help = "Example:\n  tidegate key new --out alice.key\n  tidegate key new --out test.key --plain")]
    New(NewArgs),
    /// Print the public key of a key file; no password is needed
    #[command(after_help = "Example:\n  tidegate key show alice.key")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The new file; one that exists is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Do not encrypt: for tests, and for machines that start without a person
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    password: PasswordFlag,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The key file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(verb: &KeyVerb) -> Outcome {
    match verb {
        KeyVerb::New(args) => new(args),
        KeyVerb::Show(args) => show(args),
    }
}

fn new(args: &NewArgs) -> Outcome {
    let seed = random_seed()?;
    let public = if args.plain {
        KeyFile::create(&args.out, &seed, Protection::Plain)?
    } else {
        let password = args.password.new_password(&args.out)?;
        KeyFile::create(&args.out, &seed, Protection::Password(&password, KdfCost::default()))?
    };
    let file = args.out.display().to_string();
    let value = json!({"public": public.to_string(), "file": file, "encrypted": !args.plain});
    args.json.emit(&value, || {
        let state = if args.plain { "NOT encrypted" } else { "encrypted" };
        format!("{public}\nkey file {file}, {state}; keep a copy, nobody can make it again\n")
    })?;
    Ok(0)
}

fn show(args: &ShowArgs) -> Outcome {
    let file = KeyFile::open(&args.file)?;
    let value = json!({"public": file.public().to_string(), "encrypted": file.is_encrypted()});
    args.json.emit(&value, || format!("{}\n", file.public()))?;
    Ok(0)
}

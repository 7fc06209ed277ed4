//! `tidegate config …`: what a hub would run with.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Outcome;
use super::output::JsonFlag;
use crate::config::{Config, ConfigError, Sources};
use crate::files::CONFIG_FILE;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Check a configuration: exit code 1 names the first key that is wrong
    #[command(after_help = "Example:\n  tidegate config check --config hub.toml")]
    Check(ShowArgs),
    /// Print the configuration with every default, as a file that can be edited
    #[command(
        after_help = "Example:\n  tidegate config show > hub.toml\n  tidegate config show --data /srv/hub --json"
    )]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    config: ConfigFlags,
    /// Start from the configuration in this data directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    json: JsonFlag,
}

/// Where a configuration comes from, for every verb that needs one.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ConfigFlags {
    /// A TOML file; `tidegate config show` prints one with every key
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One value, above file and environment; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(super) set: Vec<String>,
}

impl ConfigFlags {
    /// Reads the configuration: `--config`, or else the data directory's own file; then environment and flags, and
    /// `more` above them all.
    pub(super) fn load(&self, data: Option<&std::path::Path>, more: &[String]) -> Result<Config, ConfigError> {
        let own = data.map(|dir| dir.join(CONFIG_FILE)).filter(|path| path.is_file());
        let flags: Vec<String> = self.set.iter().chain(more).cloned().collect();
        Sources::of_process(self.config.clone().or(own), flags).load()
    }
}

pub(super) fn run(verb: &ConfigVerb) -> Outcome {
    match verb {
        ConfigVerb::Check(args) => {
            args.config.load(args.data.as_deref(), &[])?;
            args.json
                .emit(&json!({"ok": true}), || "the configuration is good\n".into())?;
        }
        ConfigVerb::Show(args) => {
            let config = args.config.load(args.data.as_deref(), &[])?;
            args.json.emit(&config, || config.to_toml())?;
        }
    }
    Ok(0)
}

//! `bench-harness report DIR --out FILE.html`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Failure, JsonArgs, write};
use crate::page::{self, PageError, Results};
use crate::plot::Palette;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  tidegate benchmark --profile quick --json results/quick.json
  bench-harness report results --out report.html

DIR may hold results of `tidegate benchmark`, `loadgen run`, `search` and `curve`, and of `bench-harness run`, each a file that
ends in .json. The page needs no network; --plots also writes each picture as a file by itself.")]
pub(super) struct ReportArgs {
    /// The folder of results.
    dir: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
    /// Writes each plot as an SVG file into this folder too.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// With `--plots`: only these, by name, as `throughput-latency`; all unless said.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "plots")]
    plot: Vec<String>,
    #[command(flatten)]
    json: JsonArgs,
}

/// What was made, of what.
#[derive(Serialize)]
struct Made<'a> {
    schema: &'static str,
    out: &'a Path,
    bytes: usize,
    runs: usize,
    sweeps: usize,
    suites: usize,
    left_out: &'a [String],
    plots: Vec<PathBuf>,
    #[serde(skip)]
    plots_folder: Option<&'a Path>,
}

impl fmt::Display for Made<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs, sweeps, suites, ..
        } = self;
        writeln!(
            f,
            "{}: {runs} runs, {sweeps} curves and searches, {suites} suites, {} kB; open it in a browser",
            self.out.display(),
            self.bytes.div_ceil(1_000)
        )?;
        let Some(folder) = self.plots_folder else { return Ok(()) };
        writeln!(f, "{}: {} plots", folder.display(), self.plots.len())
    }
}

pub(super) fn run(arguments: &ReportArgs) -> Result<(), Failure> {
    let results = Results::read(&arguments.dir).inspect_err(|error| match error {
        PageError::Empty { skipped, .. } => tell(skipped),
        PageError::Read { .. } => (),
    })?;
    tell(&results.skipped);
    let html = page::html(&results, &arguments.dir);
    write(&arguments.out, &html)?;
    let plots = match &arguments.plots {
        Some(folder) => write_plots(&results, folder, &arguments.plot)?,
        None => Vec::new(),
    };
    arguments.json.emit(&Made {
        schema: "tidegate.report/1",
        out: &arguments.out,
        bytes: html.len(),
        runs: results.runs.len(),
        sweeps: results.sweeps.len(),
        suites: results.suites.len(),
        left_out: &results.skipped,
        plots,
        plots_folder: arguments.plots.as_deref(),
    })
}

/// Each plot as a file; all of them if none is named.
fn write_plots(results: &Results, folder: &Path, names: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut figures = page::figures(results);
    figures.retain(|figure| names.is_empty() || names.contains(&figure.name));
    let mut paths = Vec::new();
    for figure in &figures {
        let path = folder.join(format!("{}.svg", figure.name));
        write(&path, &figure.svg(Palette::Own))?;
        paths.push(path);
    }
    Ok(paths)
}

/// What has no place in the page must not be missed there unnoticed.
fn tell(skipped: &[String]) {
    for why in skipped {
        eprintln!("left out: {why}");
    }
}

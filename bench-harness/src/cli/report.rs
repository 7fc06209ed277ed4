//! `bench-harness report DIR --out FILE.html`.

use std::path::PathBuf;

use super::{Failure, write};
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
}

pub(super) fn run(arguments: &ReportArgs) -> Result<(), Failure> {
    let results = Results::read(&arguments.dir).inspect_err(|error| match error {
        PageError::Empty { skipped, .. } => tell(skipped),
        PageError::Read { .. } => (),
    })?;
    tell(&results.skipped);
    let html = page::html(&results, &arguments.dir);
    write(&arguments.out, &html)?;
    let (runs, sweeps, suites) = (results.runs.len(), results.sweeps.len(), results.suites.len());
    println!(
        "{}: {runs} runs, {sweeps} curves and searches, {suites} suites, {} kB; open it in a browser",
        arguments.out.display(),
        html.len().div_ceil(1_000)
    );
    if let Some(folder) = &arguments.plots {
        let mut figures = page::figures(&results);
        figures.retain(|figure| arguments.plot.is_empty() || arguments.plot.contains(&figure.name));
        for figure in &figures {
            write(&folder.join(format!("{}.svg", figure.name)), &figure.svg(Palette::Own))?;
        }
        println!("{}: {} plots", folder.display(), figures.len());
    }
    Ok(())
}

/// What has no place in the page must not be missed there unnoticed.
fn tell(skipped: &[String]) {
    for why in skipped {
        eprintln!("left out: {why}");
    }
}

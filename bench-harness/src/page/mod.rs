//! `bench-harness report`: one HTML file of many results, for readers who have never seen one.
//!
//! ```text
//! DIR/*.json ─▶ Results ─▶ sections: at a glance, latency, over time, against load, where time goes, scaling, parts ─▶ HTML
//!               results      figures (plots), tables                                                                  page
//! ```
//!
//! The file needs nothing else: pictures are inline, colours follow the reader's light or dark, there is no script and no
//! address outside. A plot is left out when no result has its data, and the page says how to get it.

mod figures;
pub mod readme;
mod results;
mod scaling;
mod sections;
mod tables;

use std::path::{Path, PathBuf};

pub use figures::Figure;
pub use results::{Named, Results};

use crate::plot::{COLOURS, COLOURS_DARK, Palette, RULES, escape, series_rules};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The folder cannot be read.
    #[error("{}: {source}; give the folder that the results were written to", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No file is a result.
    #[error(
        "{} holds no result; `tidegate benchmark --json {}/quick.json` writes one",
        folder.display(),
        folder.display()
    )]
    Empty {
        /// Where.
        folder: PathBuf,
        /// The files that are none, and why.
        skipped: Vec<String>,
    },
}

/// All figures that the results have data for.
#[must_use]
pub fn figures(results: &Results) -> Vec<Figure> {
    let mut all = vec![
        figures::percentiles(results),
        figures::throughput_latency(results),
        figures::stages(results),
        scaling::of(results, &["keys"], "scaling-keys", "Cost against the number of keys"),
        scaling::of(
            results,
            &["channels", "slots", "records", "trees"],
            "scaling-channels",
            "Cost against the number of channels and records",
        ),
    ];
    all.extend(figures::over_time(results).into_iter().map(Some));
    all.extend(figures::ratios(results).into_iter().map(Some));
    all.into_iter().flatten().collect()
}

/// The whole document.
#[must_use]
pub fn html(results: &Results, folder: &Path) -> String {
    let mut page = String::with_capacity(1 << 18);
    page.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    page.push_str(
        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Tidegate: measurements</title>\n<style>\n",
    );
    page.push_str(&style());
    page.push_str("</style></head><body><main>\n");
    page.push_str(&sections::all(results, folder));
    page.push_str("</main></body></html>\n");
    page
}

fn style() -> String {
    let page = include_str!("page.css");
    format!(
        ":root{{{COLOURS}}}\n@media(prefers-color-scheme:dark){{:root{{{COLOURS_DARK}}}}}\n{RULES}\n{}\n{page}",
        series_rules()
    )
}

/// A figure as it stands in the page: picture, what it tells, and where its numbers come from.
fn figure_html(figure: &Figure) -> String {
    format!(
        "<figure id=\"{}\">{}<figcaption>{}</figcaption></figure>\n",
        escape(&figure.name),
        figure.svg(Palette::Inherit),
        escape(&figure.caption)
    )
}

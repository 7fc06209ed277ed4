//! The page's text, from above to below: what was measured, what came out, where it was, how it is read.

use std::fmt::Write as _;
use std::path::Path;

use tidegate_loadgen::environment::Environment;

use super::results::Results;
use super::{Figure, figure_html, figures, scaling, tables};
use crate::plot::escape;

/// Everything between the ends of the document.
pub(super) fn all(results: &Results, folder: &Path) -> String {
    let mut page = head(results, folder);
    let sections = [
        ("latency", "How long a payment takes", LATENCY, latency(results)),
        ("load", "How much load it carries", LOAD, load(results)),
        ("cost", "Where the time goes", COST, cost(results)),
        ("scaling", "With more of everything", SCALING, scaling(results)),
        ("parts", "The parts by themselves", PARTS, parts(results)),
    ];
    for (id, title, about, body) in sections {
        let body = body.unwrap_or_else(|missing| format!("<p class=\"soft\">No result here has it. {missing}</p>"));
        let _ = write!(page, "<h2 id=\"{id}\">{title}</h2>\n<p>{about}</p>\n{body}");
    }
    page.push_str(&places(results));
    page.push_str(WORDS);
    page
}

const LATENCY: &str = "From the moment when a payment was due to the arrival of its receipt, which by then is durable at the \
    hub, signed by it, and checked by the client.";
const LOAD: &str = "An open loop sends by schedule, whatever comes back. The highest rate at which latency stays flat is what \
    a hub can be trusted with; what it does beyond shows how it fails.";
const COST: &str = "Processor time of the hub's process alone, divided by payments: it moves less than payments per second \
    when something else runs on the machine, and it is what a bigger machine multiplies.";
const SCALING: &str = "The same operation over more keys, channels or records.";
const PARTS: &str = "Each suite measures one part without the others. A value is the median of its repetitions; the strip \
    shows every one of them, least to the left; outliers lie beyond Tukey&#39;s fences and are in the median all the same.";

const WORDS: &str = "<h2 id=\"words\">Words</h2>
<dl class=\"facts\">
<dt>open loop</dt><dd>payments are sent by schedule, whether answers come or not: latency from the intended send time</dd>
<dt>closed loop</dt><dd>each channel waits for an answer before it sends more: shows the most that goes through, not what a payer waits</dd>
<dt>p99</dt><dd>99 of 100 payments took no longer</dd>
<dt>receipt</dt><dd>a hash path to a batch header that the hub signed once the batch was durable</dd>
<dt>spread</dt><dd>half the distance from the 10 % to the 90 % quantile of the repetitions, as a part of the median</dd>
<dt>valid</dt><dd>every receipt of the sample held, every satoshi was found again, and the generator was not the limit</dd>
</dl>
";

fn head(results: &Results, folder: &Path) -> String {
    let mut head = format!(
        "<h1>Tidegate: measurements</h1>\n<p class=\"lead\">What was measured in <code>{}</code>: {}. Every figure below comes \
         from these files; the <a href=\"#places\">machine</a> they were taken on and the <a href=\"#words\">words</a> stand at \
         the end.</p>\n<nav>{}</nav>\n",
        escape(&folder.display().to_string()),
        counts(results),
        [
            ("latency", "Latency"),
            ("load", "Load"),
            ("cost", "Cost"),
            ("scaling", "Scaling"),
            ("parts", "Parts"),
            ("places", "Machine"),
            ("words", "Words"),
        ]
        .map(|(id, name)| format!("<a href=\"#{id}\">{name}</a>"))
        .concat()
    );
    if !results.runs.is_empty() {
        head.push_str("<h3>At a glance</h3>\n");
        head.push_str(&tables::runs(results));
    }
    if results.runs.iter().any(|run| !run.result.valid) {
        head.push_str("<p class=\"bad\">A run that is not valid proves nothing; its notes say why.</p>\n");
    }
    head
}

fn counts(results: &Results) -> String {
    let words = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("one {one}")),
        count => Some(format!("{count} {many}")),
    };
    let parts = [
        words(
            results.runs.len(),
            "run of a hub under load",
            "runs of a hub under load",
        ),
        words(results.sweeps.len(), "curve over many rates", "curves over many rates"),
        words(results.suites.len(), "suite of parts", "suites of parts"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

fn html_of(figures: impl IntoIterator<Item = Figure>) -> String {
    figures.into_iter().map(|figure| figure_html(&figure)).collect()
}

fn latency(results: &Results) -> Result<String, &'static str> {
    let figure =
        figures::percentiles(results).ok_or("<code>tidegate benchmark --json DIR/quick.json</code> measures it.")?;
    Ok(html_of([figure]) + &html_of(figures::over_time(results)))
}

fn load(results: &Results) -> Result<String, &'static str> {
    let figure = figures::throughput_latency(results)
        .ok_or("<code>loadgen curve --json DIR/curve.json</code> measures it; <code>scripts/record --quick</code> runs it all.")?;
    Ok(html_of([figure]) + &tables::sweeps(results))
}

fn cost(results: &Results) -> Result<String, &'static str> {
    let figure =
        figures::stages(results).ok_or("<code>tidegate benchmark --json DIR/quick.json</code> measures it.")?;
    Ok(html_of([figure]))
}

fn scaling(results: &Results) -> Result<String, &'static str> {
    let both = [
        scaling::of(results, &["keys"], "scaling-keys", "Cost against the number of keys"),
        scaling::of(
            results,
            &["channels", "slots", "records", "trees"],
            "scaling-channels",
            "Cost against the number of channels and records",
        ),
    ];
    let html = html_of(both.into_iter().flatten());
    if html.is_empty() {
        Err(
            "<code>bench-harness run verify --json DIR/verify.json</code> measures it over keys, <code>merkle</code> over channels.",
        )
    } else {
        Ok(html)
    }
}

fn parts(results: &Results) -> Result<String, &'static str> {
    if results.suites.is_empty() {
        return Err("<code>bench-harness run merkle --json DIR/merkle.json</code> measures one.");
    }
    let mut html = String::new();
    for suite in &results.suites {
        html.push_str(&tables::suite(suite));
    }
    Ok(html + &html_of(figures::ratios(results)))
}

/// Where it was measured.
fn places(results: &Results) -> String {
    let mut html = String::from("<h2 id=\"places\">The machine</h2>\n");
    for (environment, names) in results.environments() {
        html.push_str(&place(&environment, &names));
    }
    html.push_str("<h3>Commands</h3>\n<p>What made each file, word for word.</p>\n");
    html.push_str(&tables::commands(results));
    if !results.skipped.is_empty() {
        let skipped = results
            .skipped
            .iter()
            .map(|why| escape(why))
            .collect::<Vec<_>>()
            .join("<br>");
        let _ = writeln!(html, "<p class=\"soft\">Left out: {skipped}</p>");
    }
    html
}

fn place(environment: &Environment, names: &[&str]) -> String {
    let known = |text: &str| {
        if text.is_empty() {
            "not recorded".to_owned()
        } else {
            text.to_owned()
        }
    };
    let commit = match (environment.dirty, environment.built_before_commit) {
        (true, _) => format!("{}, with changes that are in no commit", environment.git),
        (false, true) => format!("{}, program built before it", environment.git),
        (false, false) => environment.git.clone(),
    };
    let memory = match environment.memory_bytes {
        0 => "not recorded".to_owned(),
        bytes => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    };
    let facts = [
        ("processor", format!("{}, {} cores", environment.cpu, environment.cores)),
        ("of its features", known(&environment.cpu_features.join(" "))),
        ("clock governor", known(&environment.governor)),
        ("memory", memory),
        ("kernel", environment.kernel.clone()),
        ("filesystem", environment.filesystem.clone()),
        ("device", known(&environment.device)),
        ("allocator", environment.allocator.clone()),
        ("verifier", environment.backend.clone()),
        ("build", known(&environment.build)),
        ("commit", commit),
        ("results", names.join(", ")),
    ];
    let rows = facts
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&value)))
        .concat();
    format!("<dl class=\"facts\">\n{rows}</dl>\n")
}

//! The page's tables.

use std::fmt::Write as _;

use tidegate_loadgen::result::RunResult;

use super::figures::without_rate;
use super::results::{Named, Results};
use super::scaling::to_micros;
use crate::plot::{Show, escape};
use crate::report::{Report, Row};

/// A table: names of columns, then rows of cells that are HTML already.
fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head = columns
        .iter()
        .map(|name| format!("<th>{name}</th>"))
        .collect::<String>();
    let body = rows.into_iter().fold(String::new(), |mut body, row| {
        let cells = row.iter().map(|cell| format!("<td>{cell}</td>")).collect::<String>();
        let _ = writeln!(body, "<tr>{cells}</tr>");
        body
    });
    format!("<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n")
}

/// A duration; of one that an older result does not have, a dash.
fn us(value: f64) -> String {
    if value == 0.0 {
        return "–".to_owned();
    }
    Show::Micros.write(value)
}

/// The runs at a glance.
pub(super) fn runs(results: &Results) -> String {
    let columns = [
        "run",
        "load",
        "payments/s",
        "p50",
        "p99",
        "p99.9",
        "hub CPU",
        "generator CPU",
        "memory",
        "log",
        "",
    ];
    table(&columns, results.runs.iter().map(run)) + &notes(results)
}

fn run(run: &Named<RunResult>) -> Vec<String> {
    let RunResult {
        rate,
        payments_per_s,
        latency_us,
        hub,
        generator,
        valid,
        arrivals,
        ..
    } = &run.result;
    let load = match rate {
        Some(rate) => format!(
            "{}/s, {}",
            Show::Count.write(*rate),
            escape(arrivals.as_deref().unwrap_or("open"))
        ),
        None => without_rate(&run.result).to_owned(),
    };
    vec![
        escape(&run.name),
        load,
        format!("<b>{}</b>", thousands(*payments_per_s)),
        us(latency_us.p50),
        us(latency_us.p99),
        us(latency_us.p999),
        us(hub.cpu_us_per_payment),
        us(generator.cpu_us_per_payment),
        format!("{:.0} MB", hub.rss_bytes_max as f64 / 1e6),
        format!("{:.0} B", hub.log_bytes_per_payment),
        if *valid {
            "<span class=\"good\">valid</span>"
        } else {
            "<span class=\"bad\">not valid</span>"
        }
        .to_owned(),
    ]
}

/// A whole number in groups of three.
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn notes(results: &Results) -> String {
    let all = results
        .runs
        .iter()
        .flat_map(|run| run.result.notes.iter().map(move |note| (&run.name, note)));
    let items = all.fold(String::new(), |mut items, (name, note)| {
        let _ = writeln!(items, "<li>{}: {}</li>", escape(name), escape(note));
        items
    });
    if items.is_empty() {
        return items;
    }
    format!("<details><summary>Notes of the runs</summary><ul>\n{items}</ul></details>\n")
}

/// Every rate of every curve and search.
pub(super) fn sweeps(results: &Results) -> String {
    let mut html = String::new();
    for sweep in &results.sweeps {
        let columns = [
            "asked",
            "delivered",
            "p50",
            "p99",
            "p99.9",
            "hub CPU",
            "generator CPU",
            "late",
            "",
        ];
        let rows = sweep.result.points.iter().map(|point| {
            vec![
                point.rate.map_or_else(|| "max".to_owned(), thousands),
                thousands(point.payments_per_s),
                us(point.latency_us.p50),
                us(point.latency_us.p99),
                us(point.latency_us.p999),
                us(point.hub.cpu_us_per_payment),
                us(point.generator.cpu_us_per_payment),
                us(point.generator.lag_us_p99),
                escape(&point.why),
            ]
        });
        let found = match (&sweep.result.slo, sweep.result.rate, sweep.result.bound_found) {
            (Some(slo), Some(rate), Some(true)) => format!("{slo} holds up to {} payments/s.", thousands(rate)),
            (Some(slo), Some(rate), _) => {
                format!("Bound not found: {slo} still holds at {} payments/s.", thousands(rate))
            }
            (Some(slo), None, _) => format!("Bound not found: {slo} holds at no rate that was tried."),
            (None, _, _) => String::new(),
        };
        let _ = write!(
            html,
            "<h3>{} (profile {})</h3>\n<p>{}</p>\n{}",
            escape(&sweep.name),
            escape(&sweep.result.profile),
            escape(&found),
            table(&columns, rows)
        );
    }
    html
}

/// A suite's rows.
pub(super) fn suite(suite: &Named<Report>) -> String {
    let rows = suite.result.rows.iter().map(|row| {
        vec![
            format!("<code>{}</code>", escape(&row.name)),
            escape(&row.system),
            value(row),
            if row.spread > 0.0 {
                format!("±{:.1} %", row.spread * 50.0)
            } else {
                String::new()
            },
            strip(row),
            match row.outliers.count() {
                0 => row.n.to_string(),
                count => format!("{}, {count} outside", row.n),
            },
        ]
    });
    let mut html = format!(
        "<h3>{}</h3>\n{}",
        escape(&suite.name),
        table(&["row", "of", "value", "spread", "repetitions", "n"], rows)
    );
    for (name, why) in &suite.result.not_run {
        let _ = writeln!(html, "<p class=\"soft\">Not run: {}: {}</p>", escape(name), escape(why));
    }
    html
}

/// What a row came to, in the unit that reads best.
fn value(row: &Row) -> String {
    match to_micros(&row.unit) {
        Some(factor) => format!("<b>{}</b>", us(row.value * factor)),
        None => format!("<b>{:.2}</b> {}", row.value, escape(&row.unit)),
    }
}

const STRIP_WIDTH: f64 = 110.0;

/// Every repetition of a row as a dot, from zero to the longest.
fn strip(row: &Row) -> String {
    let highest = row.values.iter().copied().fold(0.0, f64::max);
    if row.values.is_empty() || highest <= 0.0 {
        return String::new();
    }
    let lowest = row.values.iter().copied().fold(f64::INFINITY, f64::min);
    let range = (highest - lowest).max(highest * 0.02);
    let dots = row.values.iter().take(60).fold(String::new(), |mut dots, value| {
        let x = 5.0 + (value - lowest) / range * (STRIP_WIDTH - 10.0);
        let _ = write!(
            dots,
            "<circle cx=\"{x:.1}\" cy=\"8\" r=\"3\" fill=\"var(--s0)\" fill-opacity=\".45\"/>"
        );
        dots
    });
    format!(
        "<svg class=\"strip\" width=\"{STRIP_WIDTH}\" height=\"16\" role=\"img\"><title>{} repetitions from {lowest:.2} to \
         {highest:.2} {}</title>{dots}</svg>",
        row.values.len(),
        escape(&row.unit)
    )
}

/// The command of each file.
pub(super) fn commands(results: &Results) -> String {
    let runs = results.runs.iter().map(|run| (&run.name, &run.result.environment.argv));
    let sweeps = results
        .sweeps
        .iter()
        .map(|sweep| (&sweep.name, &sweep.result.environment.argv));
    let suites = results
        .suites
        .iter()
        .map(|suite| (&suite.name, &suite.result.environment.argv));
    let lines = runs
        .chain(sweeps)
        .chain(suites)
        .fold(String::new(), |mut lines, (name, argv)| {
            let _ = writeln!(lines, "# {}.json\n{}\n", escape(name), escape(&argv.join(" ")));
            lines
        });
    format!("<pre><code>{lines}</code></pre>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0.0, 999.4, 1_000.0, 1_234_567.0].map(thousands),
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
    }

    #[test]
    fn a_strip_has_a_dot_for_each_repetition() {
        let row = Row::of("tidegate", "m::f/n=1", "ns", &[10.0, 11.0, 12.0]);
        assert_eq!(strip(&row).matches("<circle").count(), 3);
        assert_eq!(strip(&Row::counted("tidegate", "m::f/n=1", "ns", 5.0, 1)), "");
    }
}

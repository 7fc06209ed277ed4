//! The report as its reader's browser sees it: in headless Chromium, without a network. Skipped, with a message, where there is
//! none.

mod sample;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tidegate_bench_harness::page::{self, Results};

/// What Debian and others call it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

fn chromium() -> Option<&'static str> {
    let runs = |name: &&str| {
        let mut command = Command::new(name);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    NAMES.into_iter().find(runs)
}

/// Asks the laid out document what no parser knows: what overlaps its picture's edge, how wide the page became, what was loaded.
const QUESTIONS: &str = r#"<script>
const outside = [];
for (const svg of document.querySelectorAll("svg.plot")) {
  const box = svg.getBoundingClientRect();
  for (const text of svg.querySelectorAll("text")) {
    const inner = text.getBoundingClientRect();
    if (inner.left < box.left - 1 || inner.right > box.right + 1 || inner.top < box.top - 1 || inner.bottom > box.bottom + 1)
      outside.push(text.textContent);
  }
}
const ink = getComputedStyle(document.body).color, paper = getComputedStyle(document.documentElement).backgroundColor;
document.documentElement.innerHTML = "<body><pre id=answer>" + JSON.stringify({
  plots: [...document.querySelectorAll("figure:has(svg.plot)")].map(figure => figure.id),
  empty: [...document.querySelectorAll("figure:has(svg.plot)")].filter(figure => figure.innerHTML.includes("NaN")
    || !figure.querySelector("svg.plot path.line:not([stroke-dasharray]), svg.plot rect > title")).map(figure => figure.id),
  headings: document.querySelectorAll("h2").length,
  rows: document.querySelectorAll("td").length,
  outside, ink, paper,
  wide: document.documentElement.scrollWidth > window.innerWidth,
  loaded: performance.getEntriesByType("resource").map(entry => entry.name),
}) + "</pre></body>";
</script>"#;

fn ask(browser: &str, folder: &Path, html: &str, width: u32, dark: bool) -> Value {
    let page = folder.join("page.html");
    fs::write(&page, html.replace("</main>", &format!("</main>{QUESTIONS}"))).expect("written");
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--no-first-run",
        ])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--timeout=30000"])
        .arg(format!("--window-size={width},1000"))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()));
    if dark {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    let output = command
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("it runs");
    let dom = String::from_utf8_lossy(&output.stdout);
    let answer = dom
        .split("id=\"answer\">")
        .nth(1)
        .and_then(|rest| rest.split("</pre>").next());
    let answer = answer.unwrap_or_else(|| panic!("no answer: {dom}\n{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&answer.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")).expect("JSON")
}

fn recorded() -> (PathBuf, Results) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/recorded");
    let results = Results::read(&folder).expect("recorded results");
    (folder, results)
}

#[test]
fn the_page_asks_for_nothing_outside() {
    let (folder, results) = recorded();
    let html = page::html(&results, &folder);
    let rest = html.replace("http://www.w3.org/2000/svg", "");
    for word in ["http://", "https://", "src=", "@import", "url(", "<script", "<link"] {
        assert!(!rest.contains(word), "{word} is in the page");
    }
}

/// Every plot that there is, whatever was recorded.
#[test]
fn the_sample_has_data_for_every_plot() {
    let (_folder, results) = sampled();
    let figures = page::figures(&results);
    let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(names, sample::PLOTS);
    assert!(results.skipped.is_empty(), "{:?}", results.skipped);
}

#[test]
fn a_browser_shows_every_plot_in_light_and_dark_and_narrow() {
    let (folder, results) = sampled();
    lay_out(&results, folder.path());
}

#[test]
fn a_browser_shows_what_was_recorded() {
    let (folder, results) = recorded();
    lay_out(&results, &folder);
}

fn sampled() -> (tempfile::TempDir, Results) {
    let folder = tempfile::tempdir().expect("a folder");
    sample::write(folder.path());
    let results = Results::read(folder.path()).expect("the sample's results");
    (folder, results)
}

/// Lays out the page of the results, as a reader has it on a desk and on a telephone.
fn lay_out(results: &Results, folder: &Path) {
    let Some(browser) = chromium() else {
        println!("skipped: no Chromium (apt-get install chromium)");
        return;
    };
    let html = page::html(results, folder);
    let place = tempfile::tempdir().expect("a folder");
    let light = ask(browser, place.path(), &html, 1_200, false);
    let mut plots: Vec<String> = page::figures(results).into_iter().map(|figure| figure.name).collect();
    let mut shown: Vec<String> = serde_json::from_value(light["plots"].clone()).expect("names");
    plots.sort();
    shown.sort();
    assert_eq!(shown, plots);
    assert_eq!(
        light["empty"],
        Value::Array(Vec::new()),
        "plots without a line or a bar"
    );
    assert_eq!(light["outside"], Value::Array(Vec::new()), "texts leave their pictures");
    assert_eq!(light["loaded"], Value::Array(Vec::new()), "nothing is loaded");
    assert_eq!(light["wide"], false, "the page is wider than its window");
    assert!(
        light["headings"].as_u64() >= Some(7) && light["rows"].as_u64() >= Some(20),
        "{light}"
    );
    let dark = ask(browser, place.path(), &html, 420, true);
    assert_eq!(
        dark["outside"],
        Value::Array(Vec::new()),
        "texts leave their pictures where it is narrow"
    );
    assert_eq!(dark["wide"], false, "the page is wider than a narrow window");
    assert_ne!((&dark["ink"], &dark["paper"]), (&light["ink"], &light["paper"]));
}

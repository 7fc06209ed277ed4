//! `tidegate benchmark`: a result, and nothing left behind.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Place, signal};

#[test]
fn a_short_run_ends_with_a_report_and_leaves_nothing() {
    let place = Place::new();
    let words = [
        "benchmark",
        "--profile",
        "quick",
        "--seconds",
        "1",
        "--rate",
        "200",
        "--channels",
        "16",
        "--json",
        "r.json",
    ];
    let ran = place.run(&words);
    // A machine that is busy with other tests may hold up the generator; then the run says so, and its exit code is 4.
    let held_up = ran.code == 4;
    assert!(ran.code == 0 || held_up, "{ran:?}");
    assert!(ran.out.contains("payments") && ran.out.contains("audit"), "{ran:?}");
    assert_eq!(place.names(), ["r.json"]);
    let result: Value = serde_json::from_slice(&fs::read(place.path("r.json")).expect("a result")).expect("JSON");
    assert_eq!(result["schema"], "tidegate.result/1");
    assert_eq!(
        (&result["valid"], &result["generator"]["saturated"]),
        (&(!held_up).into(), &held_up.into()),
        "{result}"
    );
    assert_eq!(result["channels"], 16);
    assert!(
        result["delivered"].as_u64().is_some_and(|count| count > 100),
        "{result}"
    );
    assert_eq!(result["audit"]["value_conserved"], true);
}

/// The ledger of ten million channels takes more memory than the hub: `hub/rss_bytes_max` is to be the hub's.
#[test]
fn the_hub_of_ten_million_channels_has_its_ledger_in_a_process_of_its_own() {
    let place = Place::new();
    let words = "benchmark --profile ten-million --channels 64 --connections 2 --seconds 1 --rate 200 --json r.json";
    let ran = place.run(&words.split(' ').collect::<Vec<_>>());
    assert!(ran.code == 0 || ran.code == 4, "{ran:?}");
    let said = |what| ran.err.find(what).unwrap_or_else(|| panic!("{what}: {ran:?}"));
    assert!(said("] starting the ledger") < said("] starting the hub"));
    assert_eq!(place.names(), ["r.json"]);
    let result: Value = serde_json::from_slice(&fs::read(place.path("r.json")).expect("a result")).expect("JSON");
    assert_eq!(result["audit"]["value_conserved"], true, "{result}");
    let threads = result["hub"]["threads_us_per_payment"].as_object().expect("threads");
    assert!(threads.contains_key("follow"), "it follows none: {threads:?}");
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let place = Place::new();
    let words = [
        "benchmark",
        "--profile",
        "quick",
        "--seconds",
        "60",
        "--rate",
        "100",
        "--channels",
        "16",
    ];
    let mut command = place.command(&words);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_under_way(&place) {
        assert!(
            Instant::now() < deadline && child.try_wait().expect("a child").is_none(),
            "nothing came up"
        );
        sleep(Duration::from_millis(20));
    }
    signal(&child, Signal::INT);
    let output = child.wait_with_output().expect("a child");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("error[TG-0604]"), "{err}");
    assert_eq!(place.names(), Vec::<String>::new());
}

/// True once the workload is signed: the hub is next.
fn is_under_way(place: &Place) -> bool {
    let Some(scratch) = place
        .names()
        .into_iter()
        .find(|name| name.starts_with("tidegate-benchmark-"))
    else {
        return false;
    };
    place.path(&scratch).join("workload").exists()
}

//! A folder of results that has data for every plot of a report: made up, and as awkward to lay out as results may be.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Every plot that a page of the sample has, in its order.
pub(crate) const PLOTS: [&str; 9] = [
    "latency-percentiles",
    "throughput-latency",
    "cost-per-stage",
    "scaling-keys",
    "scaling-channels",
    "over-time-a-run-at-a-rate",
    "over-time-busy",
    "ratios-merkle",
    "ratios-verify",
];

/// A result with the keys of the contract, by another program.
const GOOD: &str = include_str!("../../../tests/conformance/data/result-good.json");

/// Writes the results.
pub(crate) fn write(folder: &Path) {
    let good: Value = serde_json::from_str(GOOD).expect("JSON");
    for (name, result) in [
        ("busy", run(&good, Value::Null, &STAGES)),
        ("a-run-at-a-rate", run(&good, json!(60_000.0), &STAGES[..4])),
        ("curve-busy", sweep(&good, "tidegate.curve/1", Value::Null)),
        (
            "search-for-a-bound",
            sweep(&good, "tidegate.search/1", json!("p99<15ms")),
        ),
        ("verify", suite(&good, "verify", "keys")),
        ("merkle", suite(&good, "merkle", "channels")),
    ] {
        fs::write(folder.join(format!("{name}.json")), result.to_string()).expect("written");
    }
}

/// More than have colours of their own, and one of them with a long name.
const STAGES: [&str; 10] = [
    "sequencer",
    "reactor",
    "verify",
    "log",
    "commitment",
    "checkpoint-of-a-long-name",
    "admin",
    "settle",
    "timer",
    "main",
];

fn run(good: &Value, rate: Value, stages: &[&str]) -> Value {
    let mut run = good.clone();
    run["mode"] = if rate.is_null() { "closed" } else { "open" }.into();
    run["rate"] = rate;
    run["arrivals"] = "poisson".into();
    run["notes"] = json!(["a note"]);
    let costs = stages.iter().enumerate();
    let costs = costs.map(|(index, name)| ((*name).to_owned(), json!(6.0 / (index + 1) as f64)));
    run["hub"]["threads_us_per_payment"] = Value::Object(costs.collect());
    let second = |number: u64| {
        json!({"second": number, "warm_up": number < 3, "delivered": 10_000, "in_flight": 9, "p50_us": 900.0,
            "p99_us": 1_000.0 * number as f64, "p999_us": 9e4, "max_us": 2e5})
    };
    run["series"] = (1..=12).map(second).collect();
    run
}

/// From a tenth of a millisecond to a hundred seconds, as beyond what is carried.
fn sweep(good: &Value, schema: &str, slo: Value) -> Value {
    let points = [
        (10_000.0, 1e2, "held"),
        (60_000.0, 1e4, "held"),
        (140_000.0, 1e8, "fell behind"),
    ];
    let point = |(rate, latency, why): (f64, f64, &str)| {
        json!({"rate": rate, "payments_per_s": rate, "seconds": 2.0, "sent": 9, "delivered": 9, "lost": 0,
            "latency_us": {"p50": latency / 9.0, "p90": latency, "p99": latency, "p999": latency * 3.0,
                "p9999": latency * 4.0, "max": latency * 5.0},
            "service_us": good["service_us"], "generator": good["generator"], "hub": good["hub"], "held": why == "held",
            "why": why})
    };
    json!({"schema": schema, "profile": "busy", "seed": 1, "channels": 2, "connections": 8, "arrivals": "even", "slo": slo,
        "rate": 60_000.0, "bound_found": true, "points": points.map(point), "audit": good["audit"],
        "environment": good["environment"], "valid": true, "notes": []})
}

fn suite(good: &Value, name: &str, key: &str) -> Value {
    let row = |operation: &str, number: u64| {
        let values: Vec<f64> = (0..11).map(|index| number as f64 + f64::from(index)).collect();
        json!({"name": format!("{name}::{operation}/{key}={number},draw=uniform,tables=yes"), "system": "tidegate",
            "value": values[5], "unit": "ns", "n": 11, "spread": 0.1, "values": values})
    };
    let rows: Vec<Value> = ["batch", "one-by-one"]
        .iter()
        .flat_map(|operation| [1, 1_000, 10_000_000].map(|number| row(operation, number)))
        .collect();
    json!({"schema": "tidegate.bench/1", "suite": name, "rows": rows, "environment": good["environment"],
        "ratios": {"one by one, in the order of arrival, over all in one batch": 16.4, "b over a": 0.9}})
}

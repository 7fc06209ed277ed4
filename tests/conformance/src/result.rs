//! The form of `tidegate.result/1`, as data, and what makes a result good.

use serde_json::Value;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Bool,
    /// An integer of at least 0.
    Count,
    /// A number of at least 0.
    Number,
    /// An object from reasons to counts.
    Reasons,
    /// A list of texts.
    Texts,
    /// 64 hexadecimal digits.
    Hash,
}

use Kind::{Bool, Count, Hash, Number, Reasons, Text, Texts};

/// Every key of a result that is not a latency, as a JSON pointer.
const KEYS: &[(&str, Kind)] = &[
    ("/schema", Text),
    ("/profile", Text),
    ("/seed", Count),
    ("/seconds", Number),
    ("/channels", Count),
    ("/connections", Count),
    ("/sent", Count),
    ("/delivered", Count),
    ("/failed", Reasons),
    ("/refused", Reasons),
    ("/errors", Count),
    ("/payments_per_s", Number),
    ("/signatures_per_s", Number),
    ("/generator/lag_us_p99", Number),
    ("/generator/cpu_s", Number),
    ("/generator/saturated", Bool),
    ("/hub/cpu_s", Number),
    ("/hub/cpu_us_per_payment", Number),
    ("/hub/rss_bytes_max", Count),
    ("/hub/log_bytes_per_payment", Number),
    ("/hub/batches", Count),
    ("/hub/batch_p50", Number),
    ("/hub/syncs", Count),
    ("/limit/verify_us_per_signature", Number),
    ("/limit/verify_share_of_hub_cpu", Number),
    ("/settle", Text),
    ("/acks/taken", Count),
    ("/acks/hub_cpu_us_per_payment", Number),
    ("/audit/value_conserved", Bool),
    ("/audit/receipts_checked", Count),
    ("/audit/receipts_bad", Count),
    ("/audit/acked_missing", Count),
    ("/audit/state_root", Hash),
    ("/environment/git", Text),
    ("/environment/dirty", Bool),
    ("/environment/cpu", Text),
    ("/environment/cores", Count),
    ("/environment/kernel", Text),
    ("/environment/filesystem", Text),
    ("/environment/allocator", Text),
    ("/environment/backend", Text),
    ("/environment/fsync", Bool),
    ("/environment/argv", Texts),
    ("/valid", Bool),
];

/// The quantiles of both latencies, rising.
const QUANTILES: [&str; 6] = ["p50", "p90", "p99", "p999", "p9999", "max"];

/// Everything that is wrong with a result; nothing when it is whole and good.
#[must_use]
pub fn check(text: &str) -> Vec<String> {
    let result: Value = match serde_json::from_str(text) {
        Ok(result) => result,
        Err(error) => return vec![format!("not JSON: {error}")],
    };
    let mut problems: Vec<String> = KEYS
        .iter()
        .filter_map(|(key, kind)| check_key(&result, key, *kind))
        .collect();
    for latency in ["latency_us", "service_us"] {
        problems.extend(check_latency(&result, latency));
    }
    // Judged only when whole: a missing key is one problem, not two.
    if problems.is_empty() {
        problems.extend(check_good(&result));
    }
    problems
}

fn check_key(result: &Value, key: &str, kind: Kind) -> Option<String> {
    let Some(value) = result.pointer(key) else {
        return Some(format!("{key} is missing"));
    };
    let holds = match kind {
        Text => value.as_str().is_some_and(|text| !text.is_empty()),
        Bool => value.is_boolean(),
        Count => value.is_u64(),
        Number => value.as_f64().is_some_and(|number| number >= 0.0),
        Reasons => value
            .as_object()
            .is_some_and(|reasons| reasons.values().all(Value::is_u64)),
        Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
        Hash => value
            .as_str()
            .is_some_and(|text| text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit())),
    };
    (!holds).then(|| format!("{key} is {value}, not of kind {kind:?}"))
}

/// All quantiles are there and none is below the one before it.
fn check_latency(result: &Value, name: &str) -> Vec<String> {
    let keys = QUANTILES.map(|quantile| format!("/{name}/{quantile}"));
    let missing: Vec<String> = keys.iter().filter_map(|key| check_key(result, key, Number)).collect();
    if !missing.is_empty() {
        return missing;
    }
    let values: Vec<f64> = keys.iter().filter_map(|key| result.pointer(key)?.as_f64()).collect();
    if values.is_sorted() {
        Vec::new()
    } else {
        vec![format!("/{name}: quantiles fall: {values:?}")]
    }
}

/// What a whole result must say to be a good one.
fn check_good(result: &Value) -> Vec<String> {
    let at = |key: &str| result.pointer(key).unwrap_or(&Value::Null);
    let count = |key: &str| at(key).as_u64().unwrap_or(0);
    let rules = [
        (at("/schema") == "tidegate.result/1", "/schema is not tidegate.result/1"),
        (at("/valid") == true, "/valid is not true"),
        (count("/delivered") > 0, "/delivered is 0"),
        (count("/delivered") <= count("/sent"), "/delivered exceeds /sent"),
        (count("/errors") == 0, "/errors is not 0"),
        (
            at("/audit/value_conserved") == true,
            "/audit/value_conserved is not true",
        ),
        (count("/audit/receipts_checked") > 0, "/audit/receipts_checked is 0"),
        (count("/audit/receipts_bad") == 0, "/audit/receipts_bad is not 0"),
        (count("/audit/acked_missing") == 0, "/audit/acked_missing is not 0"),
        (at("/environment/fsync") == true, "/environment/fsync is not true"),
    ];
    rules
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, problem)| problem.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../data/result-good.json");

    /// A good result with the value at `key` replaced; removed for `None`.
    fn changed(key: &str, value: Option<Value>) -> String {
        let mut result: Value = serde_json::from_str(GOOD).expect("valid JSON");
        let (parent, name) = key.rsplit_once('/').expect("a pointer");
        let parent = result
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .expect("an object");
        match value {
            Some(value) => drop(parent.insert(name.to_owned(), value)),
            None => assert!(parent.remove(name).is_some(), "{key} is not in the example"),
        }
        result.to_string()
    }

    fn all_keys() -> impl Iterator<Item = String> {
        let latencies = ["latency_us", "service_us"]
            .into_iter()
            .flat_map(|name| QUANTILES.map(|q| format!("/{name}/{q}")));
        KEYS.iter().map(|(key, _)| (*key).to_owned()).chain(latencies)
    }

    #[test]
    fn a_good_result_passes() {
        assert_eq!(check(GOOD), Vec::<String>::new());
    }

    #[test]
    fn every_key_is_missed_and_its_kind_known() {
        for key in all_keys() {
            assert_eq!(check(&changed(&key, None)), [format!("{key} is missing")]);
            assert_eq!(check(&changed(&key, Some(Value::Null))).len(), 1, "{key}");
        }
    }

    #[test]
    fn what_is_not_good_is_found() {
        for (key, value) in [
            ("/schema", "tidegate.result/2".into()),
            ("/valid", false.into()),
            ("/delivered", 0.into()),
            ("/delivered", 1_000_000_000.into()),
            ("/errors", 1.into()),
            ("/audit/value_conserved", false.into()),
            ("/audit/receipts_checked", 0.into()),
            ("/audit/receipts_bad", 1.into()),
            ("/audit/acked_missing", 1.into()),
            ("/audit/state_root", "abc".into()),
            ("/environment/fsync", false.into()),
            ("/latency_us/p50", 1e9.into()),
            ("/sent", (-1).into()),
        ] {
            let value: Value = value;
            assert_eq!(check(&changed(key, Some(value.clone()))).len(), 1, "{key} = {value}");
        }
        assert_eq!(check("{").len(), 1);
    }
}

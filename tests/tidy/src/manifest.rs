//! Rules on `Cargo.toml`: how versions are pinned, where they are written, and that every crate takes the common lints.

use toml::{Table, Value};

use crate::Finding;

/// Pins with a reason: the dependency, and what its entry in `[workspace.dependencies]` must have.
const PINS: [(&str, Pin); 3] = [
    // A hidden module of it hashes many messages at a time: the next patch release may drop it.
    ("blake3", Pin::Exact),
    // The default of 0.1.52 builds a release of the allocator with a known crash.
    ("mimalloc", Pin::Feature("v2")),
    // Its own ciphers are several times slower.
    ("snow", Pin::Feature("ring-resolver")),
];

/// How a dependency must be pinned, beyond having a version.
enum Pin {
    /// `=x.y.z`.
    Exact,
    /// No default features, and this one.
    Feature(&'static str),
}

/// Breaches in the root manifest.
#[must_use]
pub fn check_root(text: &str) -> Vec<Finding> {
    let Some(table) = dependencies_of(text) else {
        return vec![Finding::new("Cargo.toml", 0, "no [workspace.dependencies]")];
    };
    let mut findings: Vec<Finding> = table
        .iter()
        .filter_map(|(name, entry)| check_version(name, entry))
        .collect();
    for (name, pin) in PINS {
        let holds = table.get(name).is_some_and(|entry| pin.holds(entry));
        if !holds {
            findings.push(Finding::new(
                "Cargo.toml",
                0,
                format!("`{name}` must be pinned: {}", pin.words()),
            ));
        }
    }
    findings
}

fn dependencies_of(text: &str) -> Option<Table> {
    let root: Table = text.parse().ok()?;
    Some(root.get("workspace")?.get("dependencies")?.as_table()?.clone())
}

/// The version requirement of an entry, `""` for one without.
fn version_of(entry: &Value) -> &str {
    entry
        .as_str()
        .or_else(|| entry.get("version")?.as_str())
        .unwrap_or_default()
}

fn check_version(name: &str, entry: &Value) -> Option<Finding> {
    if entry.get("path").is_some() {
        return None;
    }
    let version = version_of(entry).trim_start_matches('=');
    let parts: Vec<&str> = version.split('.').collect();
    let good = parts.len() >= 2 && parts.iter().all(|part| part.parse::<u32>().is_ok());
    let elsewhere = entry.get("git").is_some();
    (!good || elsewhere).then(|| {
        Finding::new(
            "Cargo.toml",
            0,
            format!("`{name}` needs a registry version of at least two numbers"),
        )
    })
}

impl Pin {
    fn holds(&self, entry: &Value) -> bool {
        match self {
            Self::Exact => version_of(entry).starts_with('=') && version_of(entry).matches('.').count() == 2,
            Self::Feature(feature) => {
                let features = entry.get("features").and_then(Value::as_array);
                entry.get("default-features").and_then(Value::as_bool) == Some(false)
                    && features.is_some_and(|all| all.iter().any(|f| f.as_str() == Some(feature)))
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Exact => "to an exact version, `=x.y.z`".to_owned(),
            Self::Feature(feature) => format!("without default features, with `{feature}`"),
        }
    }
}

/// Breaches in the manifest of one crate: a version written there instead of in the root, or lints of its own.
#[must_use]
pub fn check_member(path: &str, text: &str) -> Vec<Finding> {
    let Ok(root) = text.parse::<Table>() else {
        return vec![Finding::new(path, 0, "not valid TOML")];
    };
    let mut findings = Vec::new();
    let lints = root
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(Value::as_bool);
    if lints != Some(true) {
        findings.push(Finding::new(path, 0, "needs `[lints] workspace = true`"));
    }
    let targets = root
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|t| t.values());
    for table in targets.filter_map(Value::as_table).chain([&root]) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(kind).and_then(Value::as_table).into_iter().flatten();
            for (name, entry) in entries {
                if entry.get("workspace").and_then(Value::as_bool) != Some(true) {
                    let what = format!("`{name}` in [{kind}]: versions stand in the root, here `workspace = true`");
                    findings.push(Finding::new(path, 0, what));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[workspace.dependencies]\nours = { path = \"x\" }\nrayon = \"1.12\"\nblake3 = \"=1.8.7\"\n\
        mimalloc = { version = \"0.1.52\", default-features = false, features = [\"v2\"] }\n\
        snow = { version = \"0.10\", default-features = false, features = [\"ring-resolver\"] }\n";

    #[test]
    fn pins_as_written_pass_and_loosened_ones_are_found() {
        assert_eq!(check_root(GOOD), []);
        for (from, to) in [
            ("\"=1.8.7\"", "\"1.8.7\""),
            ("\"=1.8.7\"", "\"=1.8\""),
            ("[\"v2\"]", "[]"),
            ("\"0.1.52\", default-features = false,", "\"0.1.52\","),
            ("\"1.12\"", "\"1\""),
            ("\"1.12\"", "\"*\""),
            ("\"1.12\"", "\">=1.2.0\""),
            (
                "\"1.12\"",
                "{ git = \"https://example.org/rayon\", version = \"1.12\" }",
            ),
            ("blake3", "blake2"),
        ] {
            assert!(GOOD.contains(from));
            assert_eq!(check_root(&GOOD.replacen(from, to, 1)).len(), 1, "{from} → {to}");
        }
        assert_eq!(check_root("[package]\n").len(), 1);
    }

    #[test]
    fn members_write_no_versions_and_take_the_lints() {
        let good = "[lints]\nworkspace = true\n[dependencies]\nrayon.workspace = true\n";
        assert_eq!(check_member("a/Cargo.toml", good), []);
        for bad in [
            "[dependencies]\nrayon.workspace = true\n",
            "[lints]\nworkspace = true\n[dev-dependencies]\nrayon = \"1.12\"\n",
            "[lints]\nworkspace = true\n[target.'cfg(unix)'.dependencies]\nrayon = { version = \"1.12\" }\n",
            "[lints",
        ] {
            assert_eq!(check_member("a/Cargo.toml", bad).len(), 1, "{bad}");
        }
    }
}

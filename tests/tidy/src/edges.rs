//! Which room may use which. `ALLOWED` is the architecture's list, as data; every other edge between crates of this
//! workspace is a breach, whether the dependency is normal, of a build script or of tests.

use crate::Finding;

/// The rooms of the engine.
const ENGINE: [&str; 5] = [
    "engine/types",
    "engine/crypto",
    "engine/channel",
    "engine/ledger",
    "engine/batch",
];
/// The rooms of storage.
const STORAGE: [&str; 3] = ["storage/disk", "storage/wal", "storage/table"];
/// The rooms of the net.
const NET: [&str; 8] = [
    "net/wire",
    "net/session",
    "net/reactor",
    "net/peers",
    "net/client",
    "net/settle",
    "net/tower",
    "net/hub",
];

/// The edges, in the architecture's order. `engine/types` may be used by all but `storage` and is not repeated.
///
/// "`channel → crypto`; `ledger → channel, crypto`; `batch → ledger, channel, crypto`; `wal, table → disk`;
/// `session → wire, crypto`; `reactor → session, wire`; `client → session, wire, reactor, channel, crypto, ledger, wal,
/// disk`; `loadgen → client` and what client may use; `tower → client` and what client may use; `settle → ledger,
/// channel, crypto, wire, session, reactor, wal, table, disk`; `hub →` everything in engine, storage, net, and loadgen;
/// `bench-harness, tests →` anything." Since then links between hubs have a room: `peers → wire, channel, crypto`, without a socket.
const ALLOWED: &[(&str, &[&[&str]])] = &[
    ("engine/types", &[]),
    ("engine/crypto", &[]),
    ("engine/channel", &[&["engine/crypto"]]),
    ("engine/ledger", &[&["engine/channel", "engine/crypto"]]),
    ("engine/batch", &[&["engine/ledger", "engine/channel", "engine/crypto"]]),
    ("storage/disk", &[]),
    ("storage/wal", &[&["storage/disk"]]),
    ("storage/table", &[&["storage/disk"]]),
    ("net/wire", &[]),
    ("net/session", &[&["net/wire", "engine/crypto"]]),
    ("net/reactor", &[&["net/session", "net/wire"]]),
    ("net/peers", &[&["net/wire", "engine/channel", "engine/crypto"]]),
    ("net/client", &[CLIENT]),
    ("loadgen", &[&["net/client"], CLIENT]),
    ("net/tower", &[&["net/client"], CLIENT]),
    (
        "net/settle",
        &[
            &[
                "engine/ledger",
                "engine/channel",
                "engine/crypto",
                "net/wire",
                "net/session",
                "net/reactor",
            ],
            &["storage/wal", "storage/table", "storage/disk"],
        ],
    ),
    ("net/hub", &[&ENGINE, &STORAGE, &NET, &["loadgen"]]),
];

/// What the client may use.
const CLIENT: &[&str] = &[
    "net/session",
    "net/wire",
    "net/reactor",
    "engine/channel",
    "engine/crypto",
    "engine/ledger",
    "storage/wal",
    "storage/disk",
];

/// The one room that all may use, but storage.
const TYPES: &str = "engine/types";

/// One dependency between two crates of the workspace, by their folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The folder of the crate that depends.
    pub from: String,
    /// The folder of the crate that it depends on.
    pub to: String,
    /// `normal`, `build` or `development`.
    pub kind: String,
}

/// Whether the architecture has this edge.
#[must_use]
pub fn is_allowed(from: &str, to: &str) -> bool {
    if from == "bench-harness" || from.starts_with("tests/") {
        return true;
    }
    if to == TYPES {
        return from != TYPES && !from.starts_with("storage/");
    }
    ALLOWED
        .iter()
        .any(|(room, uses)| *room == from && uses.iter().any(|group| group.contains(&to)))
}

/// Every edge that the architecture does not have.
#[must_use]
pub fn check(edges: &[Edge]) -> Vec<Finding> {
    edges
        .iter()
        .filter(|edge| !is_allowed(&edge.from, &edge.to))
        .map(|Edge { from, to, kind }| {
            let what =
                format!("{kind} dependency on {to} is not an edge of the architecture (tests/tidy/src/edges.rs)");
            Finding::new(&format!("{from}/Cargo.toml"), 0, what)
        })
        .collect()
}

/// Every crate folder that is not a room of the architecture, and every room without a crate.
#[must_use]
pub fn check_crates(folders: &[String]) -> Vec<Finding> {
    let known = |folder: &str| {
        folder == "bench-harness" || folder.starts_with("tests/") || ALLOWED.iter().any(|(room, _)| *room == folder)
    };
    let strangers = folders
        .iter()
        .filter(|folder| !known(folder))
        .map(|folder| Finding::new(folder, 0, "a crate that the architecture does not know"));
    let missing = ALLOWED
        .iter()
        .filter(|(room, _)| !folders.iter().any(|folder| folder == room))
        .map(|(room, _)| Finding::new(room, 0, "a room of the architecture without its crate"));
    strangers.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, kind: &str) -> Edge {
        Edge {
            from: from.into(),
            to: to.into(),
            kind: kind.into(),
        }
    }

    #[test]
    fn edges_of_the_architecture_pass() {
        let good = [
            edge("engine/batch", "engine/ledger", "normal"),
            edge("net/wire", "engine/types", "normal"),
            edge("loadgen", "storage/disk", "normal"),
            edge("net/hub", "loadgen", "normal"),
            edge("net/hub", "net/tower", "normal"),
            edge("bench-harness", "net/hub", "normal"),
            edge("tests/crash", "net/hub", "development"),
        ];
        assert_eq!(check(&good), []);
    }

    #[test]
    fn every_other_edge_is_found() {
        for (from, to, kind) in [
            ("engine/batch", "storage/table", "normal"),
            ("storage/wal", "engine/types", "normal"),
            ("storage/wal", "storage/table", "development"),
            ("engine/crypto", "engine/channel", "development"),
            ("loadgen", "engine/batch", "build"),
            ("net/client", "net/client", "normal"),
            ("net/reactor", "net/hub", "normal"),
            ("net/wire", "engine/crypto", "development"),
            ("engine/types", "engine/types", "normal"),
            ("net/settle", "net/client", "normal"),
        ] {
            let findings = check(&[edge(from, to, kind)]);
            assert_eq!(findings.len(), 1, "{from} → {to}");
            assert!(findings[0].what.contains(kind));
        }
    }

    #[test]
    fn strangers_and_missing_rooms_are_found() {
        let all: Vec<String> = ALLOWED.iter().map(|(room, _)| (*room).to_owned()).collect();
        assert_eq!(check_crates(&all), []);
        assert_eq!(check_crates(&all[1..]).len(), 1);
        assert_eq!(check_crates(&[all, vec!["net/web".to_owned()]].concat()).len(), 1);
    }
}

//! The shape of the project: what stands at its top, and the `README.md` of each room.

use std::collections::BTreeSet;

use crate::Finding;

/// The top level, exactly: every one of these must be there.
pub const TOP_REQUIRED: [&str; 14] = [
    "Cargo.toml",
    "Cargo.lock",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "bench-harness",
    "engine",
    "loadgen",
    "net",
    "profiles",
    "scripts",
    "storage",
    "tests",
];

/// The folders among them, and those within `profiles` that have readers of their own.
const ROOMS: [&str; 10] = [
    "bench-harness",
    "engine",
    "loadgen",
    "net",
    "profiles",
    "profiles/hosts",
    "profiles/recorded",
    "profiles/workloads",
    "scripts",
    "storage",
];

/// The first path components of all files: hidden names are free, every other name must be on the list and each name of
/// the list must be there.
#[must_use]
pub fn check_top(files: &[String]) -> Vec<Finding> {
    let top: BTreeSet<&str> = files.iter().filter_map(|file| file.split('/').next()).collect();
    let strangers = top
        .iter()
        .filter(|name| !name.starts_with('.') && !TOP_REQUIRED.contains(name))
        .map(|name| Finding::new(name, 0, "does not belong at the top of the project"));
    let missing = TOP_REQUIRED
        .iter()
        .filter(|name| !top.contains(*name))
        .map(|name| Finding::new(name, 0, "is missing at the top of the project"));
    strangers.chain(missing).collect()
}

/// Rooms (top folders and crates) without a `README.md`.
#[must_use]
pub fn check_readmes(files: &[String], crates: &[String]) -> Vec<Finding> {
    let rooms: BTreeSet<&str> = ROOMS
        .iter()
        .copied()
        .chain(["tests"])
        .chain(crates.iter().map(String::as_str))
        .collect();
    rooms
        .into_iter()
        .filter(|room| !files.contains(&format!("{room}/README.md")))
        .map(|room| Finding::new(room, 0, "a room without README.md: what is here, and what may never be"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_top_is_exact() {
        let good = names(&TOP_REQUIRED);
        assert_eq!(check_top(&good), []);
        assert_eq!(
            check_top(&[good.clone(), names(&[".ci/run", ".gitignore"])].concat()),
            []
        );
        assert_eq!(check_top(&[good.clone(), names(&["docs/plan.md"])].concat()).len(), 1);
        assert_eq!(check_top(&good[1..]).len(), 1);
    }

    #[test]
    fn a_room_without_readme_is_found() {
        let mut files: Vec<String> = ROOMS.iter().map(|room| format!("{room}/README.md")).collect();
        files.extend(names(&["tests/README.md", "net/wire/README.md"]));
        assert_eq!(check_readmes(&files, &names(&["net/wire"])), []);
        assert_eq!(check_readmes(&files, &names(&["net/wire", "net/hub"])).len(), 1);
        files.retain(|file| file != "profiles/hosts/README.md");
        assert_eq!(check_readmes(&files, &[]).len(), 1);
    }
}

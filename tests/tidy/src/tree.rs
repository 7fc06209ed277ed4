//! The real project: its files as git lists them, its crates and edges as cargo does. Everything offline.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{Metadata, MetadataCommand};

use crate::edges::Edge;

/// The project as it stands on disk.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    /// Every file that git tracks, relative to the root.
    pub tracked: Vec<String>,
    /// Every file that git tracks or would track if added, relative to the root.
    pub files: Vec<String>,
    /// The folder of each crate, relative to the root.
    pub crates: Vec<String>,
    /// Every dependency between two crates of the workspace.
    pub edges: Vec<Edge>,
}

impl Tree {
    /// Reads the project that this crate was built in.
    ///
    /// # Panics
    /// When git or cargo cannot be run, with what they said.
    #[must_use]
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .expect("this crate is two folders below the root")
            .to_owned();
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .other_options(vec!["--offline".to_owned()])
            .exec()
            .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
        let (crates, edges) = crates_and_edges(&metadata);
        let tracked = git_files(&root, &["--cached"]);
        let files = git_files(&root, &["--cached", "--others", "--exclude-standard"]);
        Self {
            root,
            tracked,
            files,
            crates,
            edges,
        }
    }

    /// The text of a file, `None` when it is missing or not UTF-8.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// All files whose name ends so, with their texts.
    pub fn texts<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, String)> + 'a {
        self.files
            .iter()
            .filter(move |file| file.ends_with(ending))
            .filter_map(|f| Some((f.as_str(), self.text(f)?)))
    }

    /// Whether a file or folder of the project has this path.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| {
            file.strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// Files as git lists them, sorted, without those that are gone from disk.
fn git_files(root: &Path, which: &[&str]) -> Vec<String> {
    // A checkout that belongs to another user, as in a container, is no danger to a program that only lists names.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(which)
        .current_dir(root)
        .output()
        .expect("git can be run");
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = String::from_utf8(output.stdout).expect("names in this project are UTF-8");
    let mut files: Vec<String> = names
        .split('\0')
        .filter(|name| !name.is_empty() && root.join(name).exists())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The crates' folders and the edges between them.
fn crates_and_edges(metadata: &Metadata) -> (Vec<String>, Vec<Edge>) {
    let folder_of = |path: &Path| {
        path.strip_prefix(&metadata.workspace_root)
            .ok()
            .map(|folder| folder.to_string_lossy().into_owned())
    };
    let mut crates = Vec::new();
    let mut edges = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        let from = folder_of(folder.as_std_path()).expect("a member lies in the workspace");
        for dependency in &package.dependencies {
            let to = dependency.path.as_ref().and_then(|path| folder_of(path.as_std_path()));
            edges.extend(to.map(|to| Edge {
                from: from.clone(),
                to,
                kind: dependency.kind.to_string(),
            }));
        }
        crates.push(from);
    }
    (crates, edges)
}

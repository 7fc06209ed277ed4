//! Every rule of `tidegate-test-tidy`, put to the project itself.

use std::sync::LazyLock;

use tidegate_test_tidy::{Finding, edges, manifest, markdown, rooms, source, tree::Tree, unsafe_code};

static TREE: LazyLock<Tree> = LazyLock::new(Tree::read);

/// Fails with all findings, one a line.
#[track_caller]
fn assert_clean(findings: impl IntoIterator<Item = Finding>) {
    let lines: Vec<String> = findings.into_iter().map(|finding| finding.to_string()).collect();
    assert!(lines.is_empty(), "{} breaches:\n{}", lines.len(), lines.join("\n"));
}

/// A rule on one file, put to every Rust source file.
#[track_caller]
fn assert_sources(rule: fn(&str, &str) -> Vec<Finding>) {
    let texts: Vec<(&str, String)> = TREE.texts(".rs").collect();
    assert!(
        texts.len() > 100,
        "only {} source files found: the listing is broken",
        texts.len()
    );
    assert_clean(texts.iter().flat_map(|(path, text)| rule(path, text)));
}

#[test]
fn edges_are_those_of_the_architecture() {
    assert!(
        TREE.edges.len() > 60,
        "only {} edges found: the listing is broken",
        TREE.edges.len()
    );
    assert_clean(edges::check(&TREE.edges));
}

#[test]
fn crates_are_those_of_the_architecture() {
    assert_clean(edges::check_crates(&TREE.crates));
}

#[test]
fn no_source_file_is_too_long() {
    assert_sources(source::check_length);
}

#[test]
fn every_module_says_what_it_is_for() {
    assert_sources(source::check_module_docs);
}

#[test]
fn nothing_is_marked_unfinished() {
    assert_sources(source::check_unfinished);
}

#[test]
fn unsafe_code_is_where_it_may_be_and_argued() {
    assert_sources(unsafe_code::check);
}

#[test]
fn every_link_leads_somewhere() {
    let findings = TREE
        .texts(".md")
        .flat_map(|(path, text)| markdown::check(path, &text, |place| TREE.has(place), |place| TREE.text(place)));
    assert_clean(findings.collect::<Vec<_>>());
}

#[test]
fn the_top_level_is_exact() {
    assert_clean(rooms::check_top(&TREE.tracked));
}

#[test]
fn every_room_has_a_readme() {
    assert_clean(rooms::check_readmes(&TREE.files, &TREE.crates));
}

#[test]
fn dependencies_are_pinned_in_the_root() {
    let root = TREE.text("Cargo.toml").expect("the root has a manifest");
    let members = TREE.crates.iter().flat_map(|folder| {
        let path = format!("{folder}/Cargo.toml");
        let text = TREE.text(&path).expect("a member has a manifest");
        manifest::check_member(&path, &text)
    });
    assert_clean(manifest::check_root(&root).into_iter().chain(members));
}

#[test]
fn profiles_are_valid_toml() {
    let findings = TREE
        .texts(".toml")
        .filter(|(path, _)| path.starts_with("profiles/"))
        .filter_map(|(path, text)| {
            let error = text.parse::<toml::Table>().err()?;
            Some(Finding::new(path, 0, error.to_string()))
        });
    assert_clean(findings);
}

//! `tidegate config`.

use std::fs;

use super::support::{Place, Ran};

#[test]
fn what_is_shown_is_a_file_that_checks() {
    let place = Place::new();
    let shown = place.good(&["config", "show"]);
    assert!(
        shown.contains("[fees]") && shown.contains("TIDEGATE_FEES_BASE_SAT"),
        "{shown}"
    );
    fs::write(place.path("hub.toml"), &shown).expect("writable");
    place.good(&["config", "check", "--config", "hub.toml"]);
    let changed = shown.replace("base_sat = 0", "base_sat = 7");
    fs::write(place.path("hub.toml"), changed).expect("writable");
    assert_eq!(
        place.json(&["config", "show", "--config", "hub.toml"])["fees"]["base_sat"],
        7
    );
    let flagged = place.json(&["config", "show", "--config", "hub.toml", "--set", "fees.base_sat=8"]);
    assert_eq!(flagged["fees"]["base_sat"], 8);
}

#[test]
fn the_environment_wins_over_the_file() {
    let place = Place::new();
    fs::write(place.path("hub.toml"), "[fees]\nppm = 1\n").expect("writable");
    let mut command = place.command(&["config", "show", "--config", "hub.toml", "--json"]);
    let ran = Ran::of(
        &command
            .env("TIDEGATE_FEES_PPM", "2")
            .output()
            .expect("the program runs"),
    );
    assert!(ran.out.contains("\"ppm\":2"), "{ran:?}");
    let bad = command
        .env("TIDEGATE_FEES_PMP", "2")
        .output()
        .expect("the program runs");
    Ran::of(&bad).assert_error(1, "TG-0102");
}

#[test]
fn wrong_files_are_named_with_their_line() {
    let place = Place::new();
    place.bad(1, "TG-0101", &["config", "check", "--config", "none.toml"]);
    fs::write(place.path("hub.toml"), "[fees]\nbase_stat = 1\n").expect("writable");
    let line = place.bad(1, "TG-0102", &["config", "check", "--config", "hub.toml"]);
    assert!(line.contains("hub.toml:2: unknown field `base_stat`"), "{line}");
    fs::write(place.path("hub.toml"), "[payments]\nmax_lock_blocks = 21\n").expect("writable");
    let line = place.bad(1, "TG-0103", &["config", "check", "--config", "hub.toml"]);
    assert!(line.contains("payments.max_lock_blocks"), "{line}");
}

//! The built-in profiles are what the contract says, and a bad file is told where it is bad.

use std::{collections::BTreeSet, path::Path};

use super::*;

fn quick() -> &'static str {
    BUILT_IN[0].1
}

/// The complaint about `quick` with `from` replaced by `to`.
#[track_caller]
fn complaint(from: &str, to: &str) -> String {
    assert!(quick().contains(from), "`{from}` is not in the profile");
    Profile::parse("p", "p.toml", &quick().replacen(from, to, 1))
        .expect_err("a bad profile")
        .to_string()
}

#[test]
fn every_built_in_profile_loads() {
    for (name, _) in BUILT_IN {
        let profile = Profile::load(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(profile.name, name);
        assert!(profile.source.contains("MIT"), "{name}: figures have a source");
    }
}

#[test]
fn every_file_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/workloads");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .expect("the profiles are beside the crate")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn populations_are_those_of_the_contract() {
    let figures = |name| {
        let Population {
            keys,
            channels,
            connections,
        } = Profile::load(name).expect("built in").population;
        (keys, channels, connections)
    };
    assert_eq!(figures("quick"), (256, 256, 8));
    assert_eq!(figures("lightning-2020"), (29_067, 29_067, 64));
    assert_eq!(figures("uniform"), (10_000, 10_000, 64));
    assert_eq!(figures("hot-keys"), (32, 32 * 64, 64));
    assert_eq!(figures("lone-32"), (64, 64, 64));
    assert_eq!(figures("cold-keys"), (1_000_000, 1_000_000, 64));
    assert_eq!(figures("many-connections").2, 10_000);
    assert_eq!(figures("batch-pay").2, 64);
    assert_eq!(figures("ten-million"), (10_000, 10_000_000, 64));
    assert_eq!(figures("single").1, 2);
}

#[test]
fn what_sets_a_profile_apart_is_that_of_the_contract() {
    let load = |name| Profile::load(name).expect("built in");
    let merchant = |name| load(name).merchant.expect("a merchant").percent;
    assert_eq!((merchant("hot-merchant-10"), merchant("hot-merchant-50")), (10, 50));
    assert_eq!(load("many-connections").run.payments_per_s, Some(20_000));
    assert_eq!(load("batch-pay").activity.payments_per_signature, 16);
    assert_eq!(load("batch-pay").distance_in_states(), 3);
    assert_eq!((load("lone-32").payers(), load("single").payers()), (32, 1));
    assert_eq!(load("hot-merchant-10").payers(), 9_999, "a shop pays nobody");
}

/// Each payer can pay its part of a default run at the median amount or, where channels are small, at least 1 satoshi.
#[test]
fn capacities_cover_a_default_run() {
    for (name, _) in BUILT_IN {
        let profile = Profile::load(name).expect("built in");
        // Of millions that are alike, one in a thousand tells.
        let step = if profile.population.channels > 1_000_000 {
            1_000
        } else {
            1
        };
        let indexes = (0..profile.population.channels).step_by(step);
        let channels: Vec<ChannelFigures> = indexes.map(|i| profile.channel(i)).collect();
        let weights: u64 = step as u64 * channels.iter().filter(|c| c.pays).map(|c| c.weight).sum::<u64>();
        let payments = u64::from(profile.run.seconds) * u64::from(profile.run.payments_per_s_planned);
        for channel in channels.iter().filter(|channel| channel.pays) {
            // Three times the mean and five more: a random share of the payments stays below it.
            let share = 3 * payments * channel.weight / weights + 5;
            let spendable = channel
                .opening_share
                .sub(profile.capacities.reserve)
                .expect("above the reserve");
            assert!(
                spendable.to_sat() >= share,
                "{name}: {spendable:?} for {share} payments"
            );
        }
    }
}

#[test]
fn lightning_figures_follow_their_quantiles() {
    let profile = Profile::load("lightning-2020").expect("built in");
    let channels: Vec<ChannelFigures> = (0..29_067).map(|i| profile.channel(i)).collect();
    assert!(channels.is_sorted_by_key(|channel| (channel.weight, channel.capacity)));
    assert_eq!(channels[29_067 / 2].capacity.to_sat(), 651_000);
    assert_eq!(channels[29_067 / 2].weight, 2);
    assert!(channels[0].capacity.to_sat() < 1_200);
    assert!(channels[29_066].weight > 1_400);
}

#[test]
fn a_file_loads_and_takes_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    fs::write(&path, quick()).expect("written");
    let profile = Profile::load(path.to_str().expect("a plain name")).expect("a good file");
    assert_eq!(profile.name, "mine");
    assert_eq!(
        Profile {
            name: "quick".into(),
            ..profile
        },
        Profile::load("quick").expect("built in")
    );
}

#[test]
fn what_is_no_profile_is_said_plainly() {
    let unknown = Profile::load("quikc").expect_err("no such name").to_string();
    assert!(
        unknown.contains("`quikc`") && unknown.contains("lightning-2020"),
        "{unknown}"
    );
    assert!(matches!(
        Profile::load("/nowhere/x.toml"),
        Err(ProfileError::Read { .. })
    ));
}

#[test]
fn syntax_and_unknown_keys_name_their_line() {
    let line = line_of(quick(), "population.keys");
    assert!(complaint("keys = 256", "kezs = 256").starts_with(&format!("p.toml:{line}: unknown field `kezs`")));
    assert!(complaint("keys = 256", "keys = \"256\"").starts_with(&format!("p.toml:{line}: invalid type")));
    assert!(complaint("keys = 256", "keys = ").starts_with(&format!("p.toml:{line}: ")));
    assert!(complaint("keys = 256", "").contains("missing field `keys`"));
    let line = line_of(quick(), "activity.weights");
    assert_eq!(
        complaint("weights = [1]", "weights = [2, 1]"),
        format!("p.toml:{line}: quantiles stand lowest first")
    );
    assert!(complaint("weights = [1]", "weights = [0, 1]").ends_with("quantiles are at least 1"));
    assert!(complaint("weights = [1]", "weights = []").ends_with("at least one figure"));
    assert!(complaint("\"delivered\"", "\"never\"").contains("unknown variant `never`"));
}

/// A change to `quick`, and the key that the complaint names.
const IMPOSSIBLE: &[(&str, &str, &str)] = &[
    ("keys = 256", "keys = 0", "population.keys"),
    ("keys = 256", "keys = 100", "population.channels"),
    ("channels = 256", "channels = 1", "population.channels"),
    ("connections = 8", "connections = 0", "population.connections"),
    ("connections = 8", "connections = 257", "population.connections"),
    ("weights", "payers = 0\nweights", "activity.payers"),
    ("weights", "payers = 257\nweights", "activity.payers"),
    ("distance = 32", "distance = 49", "settlement.distance"),
    (
        "window_per_channel = 16",
        "window_per_channel = 33",
        "run.window_per_channel",
    ),
    (
        "window_per_channel = 16",
        "window_per_channel = 0",
        "run.window_per_channel",
    ),
    (
        "window_per_connection = 128",
        "window_per_connection = 0",
        "run.window_per_connection",
    ),
    ("seconds = 5", "seconds = 601", "run.seconds"),
    ("seconds = 5", "payments_per_s = 0\nseconds = 5", "run.payments_per_s"),
    (
        "weights",
        "payments_per_signature = 17\nweights",
        "activity.payments_per_signature",
    ),
    (
        "weights",
        "payments_per_signature = 0\nweights",
        "activity.payments_per_signature",
    ),
    ("weights", "payments_per_signature = 3\nweights", "settlement.distance"),
    (
        "[amounts]",
        "[merchant]\npercent = 100\ncapacity_sat = 50_000_000\n\n[amounts]",
        "merchant.percent",
    ),
    (
        "[amounts]",
        "[merchant]\npercent = 0\ncapacity_sat = 50_000_000\n\n[amounts]",
        "merchant.percent",
    ),
    (
        "[amounts]",
        "[merchant]\npercent = 1\ncapacity_sat = 49_999_999\n\n[amounts]",
        "merchant.capacity_sat",
    ),
    (
        "weights = [1]",
        "payers = 256\nweights = [1]\n\n[merchant]\npercent = 1\ncapacity_sat = 50_000_000",
        "activity.payers",
    ),
    (
        "client_share_percent = 50",
        "client_share_percent = 100",
        "capacities.client_share_percent",
    ),
    (
        "client_share_percent = 50",
        "client_share_percent = 200",
        "capacities.client_share_percent",
    ),
    (
        "reserve_sat = 1_000",
        "reserve_sat = 25_000_000",
        "capacities.reserve_sat",
    ),
    (
        "[50_000_000]",
        "[5_000_000_000_000_000_000]",
        "capacities.quantiles_sat",
    ),
    (
        "block_interval_ms = 500",
        "block_interval_ms = 0",
        "ledger.block_interval_ms",
    ),
    (
        "max_lock_blocks = 2_048",
        "max_lock_blocks = 1_200",
        "ledger.max_lock_blocks",
    ),
    (
        "dispute_window_blocks = 4_032",
        "dispute_window_blocks = 143",
        "ledger.dispute_window_blocks",
    ),
    (
        "dispute_window_blocks = 4_032",
        "dispute_window_blocks = 4_294_967_295",
        "ledger.dispute_window_blocks",
    ),
    (
        "max_lock_blocks = 2_048",
        "max_lock_blocks = 4_294_967_295",
        "ledger.max_lock_blocks",
    ),
    (
        "weights = [1]",
        "weights = [9_223_372_036_854_775_807]",
        "activity.weights",
    ),
    ("\"delivered\"", "\"ack\"", "settlement.on"),
    (
        "payments_per_s_planned = ",
        "payments_per_s_planned = 4_000",
        "run.payments_per_s_planned",
    ),
    (
        "keys = 256\nchannels = 256\nconnections = 8",
        "keys = 256\nchannels = 25_600\nconnections = 10_001",
        "population.connections",
    ),
];

#[test]
fn a_source_must_be_given() {
    let source = quick()
        .lines()
        .find(|line| line.starts_with("source = "))
        .expect("a line");
    let line = line_of(quick(), "source");
    assert_eq!(
        complaint(source, "source = \"\""),
        format!("p.toml:{line}: `source` must say where the figures come from")
    );
}

#[test]
fn a_line_is_found_however_its_key_is_written() {
    let text =
        "a = 1\npopulation = { keys = 0,\n channels = 2 }\n[\"run\"]\n\n'seconds' = 3\nledger.margin_blocks = 4\n";
    let line = |key| line_of(text, key);
    assert_eq!((line("population.keys"), line("population.channels")), (2, 3));
    assert_eq!(
        (line("run.seconds"), line("run.seed")),
        (6, 4),
        "what is missing is missing in its table"
    );
    assert_eq!((line("run.ledger.margin_blocks"), line("nowhere.key")), (7, 1));
}

#[test]
fn figures_that_cannot_be_name_line_and_key() {
    for (from, to, key) in IMPOSSIBLE {
        let complaint = complaint(from, to);
        assert!(complaint.contains(&format!("`{key}` ")), "{from} → {to}: {complaint}");
        assert!(!complaint.starts_with("p.toml:1:"), "{from} → {to}: {complaint}");
    }
}

#[test]
fn quantiles_grow_by_equal_factors() {
    let quantiles = Quantiles::try_from(vec![1, 100, 10_000]).expect("rising");
    assert_eq!(
        [0.0, 0.25, 0.5, 0.75, 1.0, 2.0].map(|rank| quantiles.at(rank)),
        [1, 10, 100, 1_000, 10_000, 10_000]
    );
    assert_eq!(Quantiles::try_from(vec![7]).expect("one figure").at(0.9), 7);
}

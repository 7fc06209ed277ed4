//! A run against an honest hub is valid; whatever a hub does wrong, the result says so.

mod hub;

use std::fs;
use std::path::{Path, PathBuf};

use hub::{Cheat, identity};
use tempfile::TempDir;
use tidegate_channel::ChannelTerms;
use tidegate_crypto::verify::Backend;
use tidegate_ledger::{Condition, Genesis, GenesisHeader, GenesisWriter, LedgerParams, NetworkName, Output};
use tidegate_loadgen::channels::channels_file;
use tidegate_loadgen::cli::{Arrivals, EXIT_BAD, Rate, exit_code};
use tidegate_loadgen::profile::{BUILT_IN, Profile};
use tidegate_loadgen::result::RunResult;
use tidegate_loadgen::run::{RunOptions, SearchPlan, Step, curve, run, search};
use tidegate_loadgen::slo::Slo;
use tidegate_loadgen::workload::prepare;
use tidegate_types::{Age, ChannelId, Height, KeyBytes, LedgerId, UnixMillis};

fn tiny() -> Profile {
    let text = BUILT_IN[0].1;
    let changes = [
        ("keys = 256", "keys = 8"),
        ("channels = 256", "channels = 8"),
        ("connections = 8", "connections = 2"),
        ("distance = 32", "distance = 4"),
        ("window_per_channel = 16", "window_per_channel = 4"),
    ];
    let text = changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    Profile::parse("tiny", "tiny.toml", &text).expect("a good profile")
}

fn genesis(profile: &Profile) -> Vec<u8> {
    let file = channels_file(profile, 1);
    let hub = identity().public().bytes();
    let mut writer = GenesisWriter::new(&GenesisHeader {
        params: LedgerParams::default(),
        time: UnixMillis::new(1),
        validator: hub,
        network: NetworkName::new("test").expect("a name"),
    });
    for (nonce, channel) in (0..).zip(&file.channels) {
        writer.push(&Output::to_channel(&ChannelTerms {
            client: channel.client,
            hub,
            client_payout: channel.payout,
            hub_payout: hub,
            emergency: KeyBytes::ZERO,
            delegate: channel.delegate,
            capacity: channel.capacity,
            opening_share: channel.opening_share,
            client_reserve: file.terms.reserve,
            hub_reserve: file.terms.reserve,
            dispute_window: file.terms.dispute_window,
            evidence_grace: Age::new(144),
            expiry: Height::new(1_000_000),
            nonce,
        }));
    }
    writer.finish()
}

fn channels(genesis: &[u8]) -> (LedgerId, Vec<(ChannelId, KeyBytes)>) {
    let genesis = Genesis::parse(genesis).expect("a genesis");
    let channels = genesis.outputs().map(|output| {
        let (outpoint, output) = output.expect("an output");
        let Condition::Channel(terms) = output.condition else {
            panic!("a channel")
        };
        (terms.channel_id(&outpoint), terms.delegate)
    });
    (genesis.ledger(), channels.collect())
}

/// One second of load on a hub that cheats so.
fn load(cheat: Cheat, rate: Rate, payments: u32) -> RunResult {
    load_profile(tiny(), cheat, rate, payments)
}

fn load_profile(profile: Profile, cheat: Cheat, rate: Rate, payments: u32) -> RunResult {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| -> PathBuf { Path::new(folder.path()).join(name) };
    let bytes = genesis(&profile);
    fs::write(at("genesis"), &bytes).expect("written");
    prepare(&profile, 1, &at("genesis"), &at("workload"), payments).expect("a workload");
    let (ledger, channels) = channels(&bytes);
    let hub = hub::start(ledger, &channels, cheat);
    let step = Step {
        rate,
        warm_up_seconds: 0,
        seconds: 1,
    };
    run(&options(profile, at("workload"), &hub), step, &[]).expect("a run")
}

fn options(profile: Profile, workload: PathBuf, hub: &hub::Running) -> RunOptions {
    RunOptions {
        profile,
        seed: Some(1),
        workload,
        hub: hub.address.clone(),
        admin: Some(hub.admin),
        arrivals: Arrivals::Even,
        ack_every: 16,
        patience_seconds: 2,
        data: None,
        backend: Backend::Auto,
        hlog: None,
        hgrm: None,
        tui: false,
        argv: vec!["loadgen".to_owned()],
    }
}

/// A sweep over an honest hub, with `payments` prepared.
fn sweep<T>(payments: u32, go: impl FnOnce(&RunOptions) -> T) -> T {
    let profile = tiny();
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| -> PathBuf { Path::new(folder.path()).join(name) };
    let bytes = genesis(&profile);
    fs::write(at("genesis"), &bytes).expect("written");
    prepare(&profile, 1, &at("genesis"), &at("workload"), payments).expect("a workload");
    let (ledger, channels) = channels(&bytes);
    let hub = hub::start(ledger, &channels, Cheat::None);
    go(&options(profile, at("workload"), &hub))
}

fn step(rate: f64) -> Step {
    Step {
        rate: Rate::PerSecond(rate),
        warm_up_seconds: 0,
        seconds: 1,
    }
}

#[test]
fn a_curve_measures_each_rate_by_itself_and_goes_on_in_the_workload() {
    let result = sweep(2_000, |options| {
        curve(options, vec![step(300.0), step(600.0), step(100.0)])
    });
    let result = result.expect("a curve");
    assert!(result.valid, "{result}");
    assert_eq!(result.schema, "tidegate.curve/1");
    let sent: Vec<u64> = result
        .points
        .iter()
        .map(|point| point.sent + point.generator.missed)
        .collect();
    for (sent, asked) in sent.iter().zip([300, 600, 100]) {
        assert!(sent.abs_diff(asked) <= 8, "{sent} of {asked}: {result}");
    }
    let delivered: u64 = result.points.iter().map(|point| point.delivered).sum();
    assert!(delivered > 900 && result.audit.acked_missing == 0, "{result}");
}

#[test]
fn a_search_says_that_it_found_no_bound() {
    let slo: Slo = "p99<60s".parse().expect("good");
    let plan = SearchPlan {
        slo,
        from: 100.0,
        to: 400.0,
        precision: 0.05,
        warm_up_seconds: 0,
        seconds: 1,
    };
    let result = sweep(4_000, |options| search(options, &plan)).expect("a search");
    // A machine that is busy with other tests may be the limit; then the search says so.
    let held_up = result
        .points
        .iter()
        .any(|point| point.why == "generator saturated" || point.why == "fell behind");
    assert!(result.valid, "{result}");
    assert!(
        held_up || (result.rate, result.bound_found) == (Some(400.0), Some(false)),
        "{result}"
    );
}

#[test]
fn latencies_are_written_for_hdrhistograms_plotters() {
    let folder = TempDir::new().expect("a folder");
    let (hlog, hgrm) = (folder.path().join("l.hlog"), folder.path().join("l.hgrm"));
    let result = sweep(1_000, |options| {
        let mut options = options.clone();
        (options.hlog, options.hgrm) = (Some(hlog.clone()), Some(hgrm.clone()));
        run(
            &options,
            step(500.0),
            &["p99<60s".parse().expect("good"), "p50<1us".parse().expect("good")],
        )
    });
    let result = result.expect("a run");
    let met: Vec<bool> = result.slo.iter().map(|slo| slo.met).collect();
    assert_eq!(met, [true, false]);
    let log = fs::read_to_string(&hlog).expect("written");
    assert!(
        log.contains("MaxValueDivisor") && log.lines().last().is_some_and(|line| line.contains(",HIST")),
        "{log}"
    );
    let distribution = fs::read_to_string(&hgrm).expect("written");
    assert!(distribution.contains("1/(1-Percentile)"), "{distribution}");
    let total = format!("Total count    = {:>12}]", result.delivered + result.generator.missed);
    assert!(distribution.contains(&total), "{distribution}");
}

const EVEN: Rate = Rate::PerSecond(1_000.0);

/// Nothing is wrong but that, on a machine that is busy with other tests, the generator was held up, which it tells.
#[track_caller]
fn assert_good(result: &RunResult) {
    let others = result
        .notes
        .iter()
        .filter(|note| *note != "the generator limited the run");
    assert_eq!(others.count(), 0, "{result}");
    assert_eq!(result.valid, !result.generator.saturated, "{result}");
}

#[test]
fn an_open_loop_on_an_honest_hub_is_valid_and_as_fast_as_asked() {
    let result = load(Cheat::None, EVEN, 1_000);
    assert_good(&result);
    assert_eq!((result.sent, result.delivered, result.errors), (1_000, 1_000, 0));
    assert_eq!((result.mode.as_str(), result.generator.missed), ("open", 0));
    assert!(result.payments_per_s <= 1_000.0, "{}", result.payments_per_s);
    assert!(result.latency_us.p50 >= result.service_us.p50 && result.service_us.p50 > 0.0);
    assert_eq!(result.audit.receipts_checked, result.audit.receipts);
    assert!(result.audit.receipts >= 1_000);
    assert_eq!(result.audit.state_root, "ab".repeat(32));
    let series: u64 = result.series.iter().map(|second| second.delivered).sum();
    assert!(result.series.len() == 1 && series <= 1_000, "{:?}", result.series);
}

#[test]
fn one_signature_may_pay_many() {
    let mut profile = tiny();
    profile.activity.payments_per_signature = 4;
    profile.settlement.distance = 8;
    let result = load_profile(profile, Cheat::None, EVEN, 1_000);
    assert_good(&result);
    assert_eq!((result.sent, result.delivered, result.errors), (1_000, 1_000, 0));
    assert!(
        result.audit.value_conserved && result.audit.acked_missing == 0,
        "{result}"
    );
}

#[test]
fn a_failed_payment_among_others_of_its_signature_stops_their_channel() {
    let mut profile = tiny();
    profile.activity.payments_per_signature = 4;
    profile.settlement.distance = 8;
    let failed = load_profile(profile, Cheat::Fails, EVEN, 400);
    assert_eq!(failed.failed["PayeeSilent"], 4, "all that the state pays");
    assert!(failed.delivered > 200 && failed.audit.value_conserved, "{failed}");
}

#[test]
fn a_closed_loop_whose_workload_ends_says_so_and_is_valid() {
    let result = load(Cheat::None, Rate::Max, 500);
    assert!(result.valid, "{:?}", result.notes);
    assert_eq!(result.mode, "closed");
    assert!(
        result.seconds < 1.0 && result.notes.iter().any(|note| note.contains("ended after")),
        "{result}"
    );
    assert_eq!((result.sent, result.delivered), (result.delivered, result.sent));
}

/// The result of a cheating hub is not valid; its notes are given for more.
#[track_caller]
fn caught(cheat: Cheat) -> RunResult {
    let mut result = load(cheat, EVEN, 200);
    assert!(!result.valid, "{cheat:?} was not noticed: {result}");
    result.generator.saturated = true;
    assert_eq!(
        exit_code(&result),
        EXIT_BAD,
        "{cheat:?} is told as a limit of the generator"
    );
    result
}

#[test]
fn a_forgotten_credit_is_missed() {
    let audit = caught(Cheat::ForgetsCredit).audit;
    assert_eq!(
        (audit.acked_missing, audit.value_conserved, audit.receipts_bad),
        (1, false, 0)
    );
}

#[test]
fn a_credit_from_nowhere_is_found_though_all_its_proofs_hold() {
    let audit = caught(Cheat::CreditsTooMuch).audit;
    assert_eq!((audit.value_conserved, audit.receipts_bad), (false, 0));
}

#[test]
fn a_receipt_that_does_not_hold_is_bad() {
    assert!(caught(Cheat::OtherKey).audit.receipts_bad > 0);
    assert!(caught(Cheat::BreaksChain).audit.receipts_bad > 0);
}

#[test]
fn refused_and_failed_payments_are_counted_by_reason_and_stop_their_channel_alone() {
    let refused = load(Cheat::Refuses, EVEN, 200);
    assert!(refused.refused["WrongState"] >= 1, "{refused}");
    assert!(refused.delivered > 150 && refused.audit.value_conserved, "{refused}");
    let failed = load(Cheat::Fails, EVEN, 200);
    assert_eq!(failed.failed["PayeeSilent"], 1);
    assert!(failed.delivered > 150 && failed.audit.value_conserved, "{failed}");
    assert!(
        failed.notes.iter().any(|note| note.contains("were not sent")),
        "{failed}"
    );
}

#[test]
fn payments_without_an_answer_are_errors() {
    let result = caught(Cheat::Silent);
    assert!(result.errors > 0 && result.delivered < 20, "{result}");
}

#[test]
fn a_hub_that_goes_away_ends_the_run_and_what_was_measured_stands() {
    let result = caught(Cheat::Leaves);
    assert!(result.seconds < 0.5 && !result.audit.complete, "{result}");
    assert!(
        result.notes.iter().any(|note| note.contains("the hub has ended it")),
        "{result}"
    );
}

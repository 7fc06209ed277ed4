//! Every way a configuration can be wrong, and that what is shown reads back.

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("file", text)
}

#[track_caller]
fn message(result: Result<Config, ConfigError>) -> String {
    result.expect_err("it is wrong").to_string()
}

#[test]
fn every_value_is_documented_once() {
    let mut paths: Vec<String> = Vec::new();
    for (section, values) in Config::default().to_table() {
        paths.extend(values.as_table().unwrap().keys().map(|key| format!("{section}.{key}")));
    }
    let mut documented: Vec<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    paths.sort();
    documented.sort();
    assert_eq!(documented, paths);
    assert!(
        KEYS.iter()
            .all(|key| key.about.ends_with('.') || key.about.ends_with(')'))
    );
}

#[test]
fn what_is_shown_reads_back() {
    let mut config = Config::default();
    assert_eq!(parse(&config.to_toml()).unwrap(), config);
    config.fees.base_sat = 7;
    config.cpu.backend = "portable".into();
    assert_eq!(parse(&config.to_toml()).unwrap(), config);
    assert_eq!(parse("").unwrap(), Config::default());
    config.routes = vec![RouteEntry {
        to: tidegate_hub_address(),
        payees: vec!["ab".repeat(32)],
        fee_ppm: 3,
        ..RouteEntry::default()
    }];
    assert_eq!(parse(&config.to_toml()).unwrap(), config);
    assert_eq!(config.policy().max_forwarded, 1_024);
    assert_eq!(
        Config::default().policy().max_forwarded,
        0,
        "without routes nothing is forwarded"
    );
}

#[test]
fn a_mistyped_key_is_named_with_its_line() {
    let text = "[fees]\nbase_sat = 1\nbase_stat = 2\n";
    let message = message(parse(text));
    assert!(message.starts_with("file:3: unknown field `base_stat`"), "{message}");
    assert!(parse("[fee]\n").is_err());
    assert!(parse("[fees]\nbase_sat = -1\n").is_err());
    assert!(parse("[fees]\nbase_sat = \"1\"\n").is_err());
}

#[test]
fn the_last_to_speak_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, "[fees]\nbase_sat = 1\nppm = 1\n[batch]\ninputs_max = 5\n").unwrap();
    let sources = Sources {
        file: Some(file),
        environment: vec![
            ("TIDEGATE_FEES_BASE_SAT".into(), "2".into()),
            ("TIDEGATE_FEES_PPM".into(), "2".into()),
            ("TIDEGATE_CPU".into(), "portable".into()),
            ("TIDEGATE_OTHER".into(), "x".into()),
        ],
        base: Config::default(),
        flags: vec![
            "fees.ppm=3".into(),
            "listen.admin=127.0.0.1:9".into(),
            "limits.exempt_loopback=false".into(),
        ],
    };
    let config = sources.load().unwrap();
    assert!(!config.limits.exempt_loopback);
    assert_eq!(
        (config.batch.inputs_max, config.fees.base_sat, config.fees.ppm),
        (5, 2, 3)
    );
    assert_eq!(config.cpu.backend, "portable");
    assert_eq!(config.listen.admin.port(), 9);
}

#[test]
fn a_bad_variable_or_flag_is_named() {
    let variable = |name: &str, value: &str| {
        let environment = vec![(name.into(), value.into())];
        message(
            Sources {
                environment,
                ..Sources::default()
            }
            .load(),
        )
    };
    let flag = |text: &str| {
        let flags = vec![text.into()];
        message(
            Sources {
                flags,
                ..Sources::default()
            }
            .load(),
        )
    };
    assert_eq!(
        variable("TIDEGATE_FEES_BSE", "1"),
        "TIDEGATE_FEES_BSE: names no key of the configuration"
    );
    assert!(variable("TIDEGATE_FEES_PPM", "-1").starts_with("TIDEGATE_FEES_PPM: `-1` is not"));
    assert!(flag("limits.exempt_loopback=no").ends_with("`no` is neither true nor false"));
    assert!(variable("TIDEGATE_LISTEN_ADMIN", "here").starts_with("TIDEGATE_LISTEN_ADMIN: "));
    assert!(variable("TIDEGATE_FEES_PPM", "5000000000").starts_with("TIDEGATE_FEES_PPM: "));
    assert_eq!(flag("fees.bse=1"), "--set fees.bse=1: unknown key `fees.bse`");
    assert!(flag("fees.ppm").contains("section.key=value"));
    assert_eq!(
        variable("TIDEGATE_CPU", "z80"),
        "configuration: `cpu.backend` must be auto, avx512, avx2 or portable"
    );
}

#[test]
fn locks_that_nobody_could_keep_are_refused() {
    // 3 margins of 6 and 2 ack intervals of 2 blocks.
    assert!(parse("[payments]\nmax_lock_blocks = 22\n").is_ok());
    let short = message(parse("[payments]\nmax_lock_blocks = 21\n"));
    assert!(
        short.contains("`payments.max_lock_blocks` cannot be kept") && short.contains("22 blocks"),
        "{short}"
    );
    let slow = message(parse(
        "[payments]\nmax_lock_blocks = 22\n[ledger]\nblock_interval_ms = 499\n",
    ));
    assert!(slow.contains("24 blocks"), "{slow}");
}

#[test]
fn each_rule_is_kept() {
    for (text, key) in [
        ("[fees]\nbase_sat = 9007199254740993\n", "fees.base_sat"),
        ("[fees]\nppm = 1000001\n", "fees.ppm"),
        ("[payments]\nmin_amount_sat = 0\n", "payments.min_amount_sat"),
        ("[payments]\nmax_unfirm_credits = 0\n", "payments.max_unfirm_credits"),
        ("[payments]\nack_interval_ms = 0\n", "payments.ack_interval_ms"),
        ("[payments]\nmargin_blocks = 0\n", "payments.margin_blocks"),
        (
            "[payments]\nmax_forwarded_locks = 12001\n",
            "payments.max_forwarded_locks",
        ),
        ("[ledger]\nfinality_depth_blocks = 6\n", "payments.margin_blocks"),
        ("[ledger]\nblock_interval_ms = 0\n", "ledger.block_interval_ms"),
        ("[ledger]\nnetwork = \"Main\"\n", "ledger.network"),
        ("[channels]\nlifetime_blocks = 4032\n", "channels.lifetime_blocks"),
        (
            "[channels]\nmax_capacity_sat = 9007199254740993\n",
            "channels.max_capacity_sat",
        ),
        ("[channels]\nledger_use_percent = 0\n", "channels.ledger_use_percent"),
        ("[channels]\nledger_use_percent = 101\n", "channels.ledger_use_percent"),
        ("[batch]\ninputs_max = 0\n", "batch.inputs_max"),
        ("[queues]\ngroups = 0\n", "queues.groups"),
        ("[queues]\nbatches = 0\n", "queues.batches"),
        ("[storage]\nsegment_bytes = 1048577\n", "storage.segment_bytes"),
        ("[storage]\ncheckpoint_bytes = 1\n", "storage.checkpoint_bytes"),
        ("[limits]\nconnections = 0\n", "limits.connections"),
        ("[cpu]\nbackend = \"\"\n", "cpu.backend"),
    ] {
        let message = message(parse(text));
        assert!(message.starts_with(&format!("file: `{key}`")), "{text}: {message}");
    }
}

/// The address of some hub.
fn tidegate_hub_address() -> String {
    let keys = crate::keys::HubKeys::generate().unwrap();
    keys.address("127.0.0.1", 7411).to_string()
}

#[test]
fn routes_that_lead_nowhere_or_twice_are_refused() {
    let (a, b) = (tidegate_hub_address(), tidegate_hub_address());
    let (key, other) = ("ab".repeat(32), "cd".repeat(32));
    let route = |to: &str, rest: &str| format!("[[routes]]\nto = \"{to}\"\n{rest}\n");
    let good = [
        route(&a, &format!("payees = [\"{key}\"]")),
        route(&b, "fee_base_sat = 2"),
    ]
    .concat();
    let config = parse(&good).unwrap();
    let routes = config.settings().unwrap().routes;
    assert_eq!(
        (routes[0].payees.as_ref().map(|p| p.len()), routes[1].payees.is_none()),
        (Some(1), true)
    );
    for (text, wanted) in [
        (route("tg1", ""), "names no hub by `to = \"tg1\"`"),
        ("[[routes]]\nfee_ppm = 1\n".into(), "missing field `to`"),
        (route(&a, "fee_pm = 1"), "unknown field `fee_pm`"),
        (route(&a, "channel = \"12\""), "`12` is no channel"),
        (route(&a, "payees = [\"12\"]"), "`12` is no key"),
        (route(&a, "fee_ppm = 1000001"), "`fee_ppm` must be at most"),
        (
            route(&a, "fee_base_sat = 9007199254740993"),
            "`fee_base_sat` must be at most",
        ),
        ([route(&a, ""), route(&b, "")].concat(), "must name payees, all but one"),
        (
            [route(&a, ""), route(&a, &format!("payees = [\"{key}\"]"))].concat(),
            "must lead to different hubs",
        ),
        (
            [
                route(&a, &format!("payees = [\"{other}\", \"{key}\"]")),
                route(&b, &format!("payees = [\"{key}\"]")),
            ]
            .concat(),
            "must name each payee once",
        ),
        (
            format!(
                "[payments]\nmax_in_locks = 0\nmax_in_locks_per_payer = 0\n{}",
                route(&a, "")
            ),
            "need hash locks",
        ),
    ] {
        let message = message(parse(&text));
        assert!(message.contains(wanted), "{text}: {message}");
    }
}

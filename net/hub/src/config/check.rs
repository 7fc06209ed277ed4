//! Which values fit each other.

use tidegate_crypto::verify::Backend;
use tidegate_ledger::NetworkName;
use tidegate_types::{Age, Amount};
use tidegate_wal::PAGE_BYTES;

use super::Config;

/// A value that cannot be, or does not fit another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {rule}")]
pub struct Breach {
    /// The key, `section.key`.
    pub key: &'static str,
    /// What it must do or be.
    pub rule: String,
}

/// The first rule that a configuration breaks.
pub(super) fn first_breach(config: &Config) -> Option<Breach> {
    let rules = amounts(config).into_iter().chain(counts(config)).chain(peers(config));
    let simple = rules
        .into_iter()
        .find(|rule| !rule.0)
        .map(|(_, key, rule)| Breach { key, rule: rule.into() });
    let simple = simple
        .or_else(|| config.peers.breach())
        .or_else(|| config.routes_breach());
    // Sums of blocks and the policy are computed from values that are in range.
    simple.or_else(|| times(config))
}

type Rule = (bool, &'static str, &'static str);

fn amounts(config: &Config) -> [Rule; 8] {
    let Config {
        fees,
        payments,
        channels,
        ledger,
        ..
    } = config;
    let is_amount = |sat: u64| Amount::from_sat(sat).is_some();
    let most = "must be at most 2^53 satoshi";
    [
        (is_amount(fees.base_sat), "fees.base_sat", most),
        (
            is_amount(payments.min_amount_sat) && payments.min_amount_sat > 0,
            "payments.min_amount_sat",
            "must be between 1 and 2^53 satoshi",
        ),
        (is_amount(channels.max_capacity_sat), "channels.max_capacity_sat", most),
        (
            is_amount(channels.max_hub_share_sat),
            "channels.max_hub_share_sat",
            most,
        ),
        (
            is_amount(channels.client_reserve_sat),
            "channels.client_reserve_sat",
            most,
        ),
        (is_amount(channels.hub_reserve_sat), "channels.hub_reserve_sat", most),
        (is_amount(ledger.dust_sat), "ledger.dust_sat", most),
        (
            is_amount(ledger.fee_per_1000_cost_sat),
            "ledger.fee_per_1000_cost_sat",
            most,
        ),
    ]
}

fn counts(config: &Config) -> [Rule; 13] {
    let Config {
        ledger,
        batch,
        queues,
        storage,
        limits,
        cpu,
        payments,
        channels,
        fees,
        ..
    } = config;
    let least_one = "must be at least 1";
    let segment = storage.segment_bytes;
    [
        (
            fees.ppm <= 1_000_000,
            "fees.ppm",
            "must be at most 1000000, which is the whole amount",
        ),
        (ledger.block_interval_ms > 0, "ledger.block_interval_ms", least_one),
        (payments.ack_interval_ms > 0, "payments.ack_interval_ms", least_one),
        (
            NetworkName::new(&ledger.network).is_some(),
            "ledger.network",
            "must be 1 to 32 characters of a-z, 0-9 and '-'",
        ),
        (
            (1..=100).contains(&channels.ledger_use_percent),
            "channels.ledger_use_percent",
            "must be between 1 and 100: the ledger itself allows no more",
        ),
        (
            (1..=65_536).contains(&batch.inputs_max),
            "batch.inputs_max",
            "must be between 1 and 65536",
        ),
        (
            batch.deadline_us <= 1_000_000,
            "batch.deadline_us",
            "must be at most 1000000, one second",
        ),
        (
            (1..=65_536).contains(&queues.groups),
            "queues.groups",
            "must be between 1 and 65536",
        ),
        (
            (1..=64).contains(&queues.batches),
            "queues.batches",
            "must be between 1 and 64",
        ),
        (
            segment.is_multiple_of(PAGE_BYTES as u64) && (1 << 20..=1 << 32).contains(&segment),
            "storage.segment_bytes",
            "must be a multiple of 4096 between 1 MiB and 4 GiB",
        ),
        (
            storage.checkpoint_bytes >= segment,
            "storage.checkpoint_bytes",
            "must be at least `storage.segment_bytes`",
        ),
        (limits.connections > 0, "limits.connections", least_one),
        (
            cpu.backend.parse::<Backend>().is_ok(),
            "cpu.backend",
            "must be auto, avx512, avx2 or portable",
        ),
    ]
}

/// Bounds on peers.
fn peers(config: &Config) -> [Rule; 7] {
    let limits = &config.limits;
    let least_one = "must be at least 1";
    [
        (
            limits.reserved_percent <= 90,
            "limits.reserved_percent",
            "must be at most 90",
        ),
        (
            limits.half_open_per_prefix > 0,
            "limits.half_open_per_prefix",
            least_one,
        ),
        (
            limits.handshakes_burst_per_prefix > 0,
            "limits.handshakes_burst_per_prefix",
            least_one,
        ),
        (
            limits.handshakes_per_s_per_prefix > 0,
            "limits.handshakes_per_s_per_prefix",
            least_one,
        ),
        (
            (1..=100).contains(&limits.handshake_cpu_percent),
            "limits.handshake_cpu_percent",
            "must be between 1 and 100",
        ),
        (
            limits.bad_signature_cpu_percent <= 100,
            "limits.bad_signature_cpu_percent",
            "must be between 0 and 100",
        ),
        (
            limits.requests_waiting_per_peer > 0,
            "limits.requests_waiting_per_peer",
            least_one,
        ),
    ]
}

/// Rule 9 and what follows from it: locks must be possible, and end before their channels do.
fn times(config: &Config) -> Option<Breach> {
    let breach = |key, rule: String| Some(Breach { key, rule });
    let channels = &config.channels;
    if config.payments.margin_blocks <= config.ledger.finality_depth_blocks {
        return breach(
            "payments.margin_blocks",
            "must exceed `ledger.finality_depth_blocks`".into(),
        );
    }
    if let Err(error) = config.policy().check() {
        let key = match error {
            tidegate_batch::PolicyError::LocksTooShort { .. } => "payments.max_lock_blocks",
            tidegate_batch::PolicyError::Credits(_) => "payments.max_unfirm_credits",
            tidegate_batch::PolicyError::InLocks { .. } => "payments.max_in_locks",
        };
        return breach(key, format!("cannot be kept: {error}"));
    }
    let blocks = config.payments.margin_blocks - config.ledger.finality_depth_blocks;
    let most = config.ledger_params().reveals_within(Age::new(blocks));
    if u64::from(config.payments.max_forwarded_locks) > most {
        let rule = format!("must be at most {most}, the preimages that blocks take within the margin (rule 15)");
        return breach("payments.max_forwarded_locks", rule);
    }
    if let Err(error) = config.ledger_params().check() {
        return breach("ledger.finality_depth_blocks", format!("makes no ledger: {error}"));
    }
    let closing = u64::from(channels.dispute_window_blocks) + u64::from(channels.evidence_grace_blocks);
    let needed = closing + u64::from(config.payments.max_lock_blocks);
    if u64::from(channels.lifetime_blocks) <= needed {
        let rule = format!("must exceed Δ, δ and the longest lock together, {needed} blocks");
        return breach("channels.lifetime_blocks", rule);
    }
    None
}

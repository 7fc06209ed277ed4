//! From what was counted to the result, and whether it may be believed.

use std::collections::BTreeMap;

use tidegate_channel::RefuseReason;

use super::generator::Generator;
use super::{Figures, RunError, RunOptions, limit};
use crate::cli::Rate;
use crate::environment::Environment;
use crate::result::{AckFigures, GeneratorFigures, HubFigures, Limit, RunResult, SCHEMA};

/// Receipts that must have been checked in full, if there were as many.
const CHECKED_MIN: u64 = 100_000;
/// Later than this at the 99th percentile, latencies tell more of the generator than of the hub.
const LAG_US_MAX: f64 = 5_000.0;
/// Busier than this, the loop is what limits the run.
const BUSY_MAX: f64 = 0.97;

pub(super) fn judge(generator: &Generator, figures: &Figures, options: &RunOptions) -> Result<RunResult, RunError> {
    let profile = &options.profile;
    let (verify_us, own_backend) = limit::verify_us(profile, &generator.workload, options.backend)?;
    let audit = generator.audit(figures.after.as_ref());
    let (hub, limit, acks, signatures) = hub_figures(generator, figures, verify_us);
    let meter = &generator.meter;
    let seconds = generator.schedule.seconds();
    let busy = generator.cpu.thread_s / generator.cpu.wall_s.max(1e-9);
    let open = generator.schedule.is_open();
    let generator_figures = GeneratorFigures {
        lag_us_p99: meter.lag_us_p99(),
        cpu_s: generator.cpu.process_s,
        busy,
        saturated: busy > BUSY_MAX || (open && meter.lag_us_p99() > LAG_US_MAX),
    };
    let backend = figures.after.as_ref().map_or(own_backend, |status| &status.backend);
    let named = |counts: &BTreeMap<&'static str, u64>| {
        counts
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect()
    };
    let per_second = |count: f64| {
        if seconds > 0.0 {
            (count / seconds * 10.0).round() / 10.0
        } else {
            0.0
        }
    };
    let mut result = RunResult {
        schema: SCHEMA.to_owned(),
        profile: profile.name.clone(),
        seed: generator.workload.head.seed,
        mode: if open { "open" } else { "closed" }.to_owned(),
        rate: match options.rate {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Max => None,
        },
        arrivals: open.then(|| format!("{:?}", options.arrivals).to_lowercase()),
        seconds,
        channels: profile.population.channels,
        connections: profile.population.connections,
        sent: meter.sent,
        delivered: meter.delivered,
        failed: named(&meter.failed),
        refused: named(&meter.refused),
        errors: generator.errors,
        payments_per_s: per_second(meter.answered_in_span as f64),
        signatures_per_s: per_second(signatures),
        latency_us: meter.latency(),
        service_us: meter.service(),
        generator: generator_figures,
        hub,
        limit,
        settle: "delivered".to_owned(),
        acks,
        audit,
        environment: Environment::capture(options.data.as_deref(), backend, options.argv.clone()),
        series: figures.series.clone(),
        valid: false,
        notes: Vec::new(),
    };
    result.notes = breaches(&result, figures);
    result.valid = result.notes.is_empty();
    result.notes.extend(remarks(generator, options));
    Ok(result)
}

fn hub_figures(generator: &Generator, figures: &Figures, verify_us: f64) -> (HubFigures, Limit, AckFigures, f64) {
    let mut limit = Limit {
        verify_us_per_signature: verify_us,
        verify_share_of_hub_cpu: 0.0,
    };
    let (Some(begun), Some(ended)) = (&figures.begun, &figures.ended) else {
        return (
            HubFigures::default(),
            limit,
            AckFigures::default(),
            generator.meter.answered_in_span as f64,
        );
    };
    let (from, to) = (&begun.status, &ended.status);
    let payments = (ended.answered - begun.answered).max(1) as f64;
    let cpu_s = to.cpu_s - from.cpu_s;
    let signatures = to.signatures.saturating_sub(from.signatures);
    // The hub is asked a little after the span ended, so its count is scaled to the span's payments.
    let in_span = signatures as f64 / payments * generator.meter.answered_in_span as f64;
    let taken = to.acks.saturating_sub(from.acks);
    if cpu_s > 0.0 {
        limit.verify_share_of_hub_cpu = verify_us * signatures as f64 / 1e6 / cpu_s;
    }
    let hub = HubFigures {
        cpu_s,
        cpu_us_per_payment: cpu_s * 1e6 / payments,
        rss_bytes_max: to.rss_bytes_max,
        log_bytes_per_payment: to.log_bytes.saturating_sub(from.log_bytes) as f64 / payments,
        batches: to.batches.saturating_sub(from.batches),
        batch_p50: to.batch_p50,
        syncs: to.syncs.saturating_sub(from.syncs),
    };
    let acks = AckFigures {
        taken,
        hub_cpu_us_per_payment: taken as f64 * verify_us / payments,
    };
    (hub, limit, acks, in_span)
}

/// Why a result may not be believed; nothing for a valid one.
fn breaches(result: &RunResult, figures: &Figures) -> Vec<String> {
    let audit = &result.audit;
    let needed = CHECKED_MIN.min(audit.receipts).max(audit.receipts / 16);
    let rules = [
        (
            figures.begun.is_some() && figures.ended.is_some() && figures.after.is_some(),
            "the hub's own figures are missing: give --admin, and measure for longer",
        ),
        (result.delivered > 0, "nothing was delivered"),
        (result.errors == 0, "there were errors"),
        (audit.value_conserved || !audit.complete, "value is not conserved"),
        (audit.complete, "the audit is not complete"),
        (audit.receipts_bad == 0, "receipts did not hold"),
        (audit.acked_missing == 0, "payments were answered and not credited"),
        (
            audit.states_differ == 0,
            "leaves acknowledge other states than were sent",
        ),
        (audit.receipts_checked >= needed, "too few receipts were checked"),
        (
            !result.generator.saturated || result.mode != "open",
            "the generator limited the run",
        ),
    ];
    rules
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, what)| what.to_owned())
        .collect()
}

fn remarks(generator: &Generator, options: &RunOptions) -> Vec<String> {
    let mut remarks = generator.complaints.clone();
    if generator.ended_early {
        remarks.push(format!(
            "the workload ended after {:.1} of {} measured seconds: prepare more payments",
            generator.schedule.seconds(),
            options.seconds
        ));
    }
    if generator.meter.refused.contains_key(RefuseReason::StaleCounter.name()) {
        remarks.push("StaleCounter: the hub has seen this workload before; format a new one".to_owned());
    }
    if generator.unsent > 0 {
        remarks.push(format!(
            "{} payments behind a refused or failed one were not sent",
            generator.unsent
        ));
    }
    remarks
}

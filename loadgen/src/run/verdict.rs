//! From what was counted to the result, and whether it may be believed.

use std::collections::BTreeMap;

use tidegate_channel::RefuseReason;

use super::generator::Generator;
use super::search::{self, Held, SearchPlan};
use super::steps::Measured;
use super::watch::{Figures, StepReadings};
use super::{RunError, RunOptions, limit};
use crate::cli::Rate;
use crate::environment::{Environment, mimalloc_name};
use crate::profile::SettleWhen;
use crate::result::{
    AckFigures, Audit, CURVE_SCHEMA, GeneratorFigures, HubFigures, Limit, Point, RunResult, SCHEMA, SEARCH_SCHEMA,
    SloFigures, SweepResult,
};
use crate::slo::Slo;
use crate::status::Status;

/// Receipts that must have been checked in full, if there were as many.
const CHECKED_MIN: u64 = 100_000;

/// What comes from the whole run, whatever its steps.
struct Whole {
    verify_us: f64,
    audit: Audit,
    environment: Environment,
}

fn whole(generator: &Generator, figures: &Figures, options: &RunOptions) -> Result<Whole, RunError> {
    let (verify_us, own_backend) = limit::verify_us(&options.profile, &generator.workload, options.backend)?;
    let backend = figures.after.as_ref().map_or(own_backend, |status| &status.backend);
    Ok(Whole {
        verify_us,
        audit: generator.audit(figures.after.as_ref()),
        environment: Environment::capture(options.data.as_deref(), &mimalloc_name(), backend, options.argv.clone()),
    })
}

pub(super) fn judge(
    generator: &Generator,
    figures: &Figures,
    options: &RunOptions,
    slo: &[Slo],
) -> Result<RunResult, RunError> {
    let profile = &options.profile;
    let whole = whole(generator, figures, options)?;
    let done = generator.done.first().expect("a run that has begun has a step");
    let missing = StepReadings::default();
    let readings = figures.steps.first().unwrap_or(&missing);
    let hub = HubSide::of(done, readings, whole.verify_us);
    let meter = &done.meter;
    let open = done.step.rate != Rate::Max;
    let named = |counts: &BTreeMap<&'static str, u64>| {
        let counts = counts.iter();
        counts.map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    };
    let latency_us = meter.latency();
    let mut result = RunResult {
        schema: SCHEMA.to_owned(),
        profile: profile.name.clone(),
        seed: generator.workload.head.seed,
        mode: if open { "open" } else { "closed" }.to_owned(),
        rate: asked(done),
        arrivals: open.then(|| arrivals(options)),
        seconds: done.seconds,
        channels: profile.population.channels,
        connections: profile.population.connections,
        sent: meter.sent,
        delivered: meter.delivered,
        failed: named(&meter.failed),
        refused: named(&meter.refused),
        errors: generator.errors,
        payments_per_s: done.payments_per_s(),
        signatures_per_s: tenth(hub.signatures / done.seconds.max(1e-9)),
        latency_us,
        service_us: meter.service(),
        generator: generator_figures(done),
        hub: hub.figures,
        limit: hub.limit,
        settle: match generator.profile.settlement.on {
            SettleWhen::Delivered => "delivered",
            SettleWhen::Ack => "ack",
            SettleWhen::Preimage => "preimage",
        }
        .to_owned(),
        acks: hub.acks,
        audit: whole.audit,
        environment: whole.environment,
        series: figures.series.clone(),
        latency_distribution: meter.distribution(),
        slo: slo
            .iter()
            .map(|slo| SloFigures {
                slo: slo.to_string(),
                met: slo.is_met(&latency_us),
            })
            .collect(),
        valid: false,
        refuted: false,
        notes: Vec::new(),
    };
    judge_whole(&mut result, figures);
    result.notes.extend(remarks(generator));
    result.notes.extend(shortfalls(done));
    Ok(result)
}

/// Sets whether the result may be believed, and the notes that say why not.
fn judge_whole(result: &mut RunResult, figures: &Figures) {
    result.notes = breaches(result, figures);
    result.refuted = !result.notes.is_empty();
    if result.generator.saturated && result.mode == "open" {
        result.notes.push("the generator limited the run".to_owned());
    }
    result.valid = result.notes.is_empty();
}

/// What of the plan did not come to pass.
fn shortfalls(done: &Measured) -> Vec<String> {
    let mut notes = Vec::new();
    if done.meter.missed > 0 {
        notes.push(format!(
            "{} payments were due and not sent: each counts as late as the span's end shows",
            done.meter.missed
        ));
    }
    if done.ended_early {
        notes.push(format!(
            "the workload ended after {:.1} of {} measured seconds: prepare more payments",
            done.seconds, done.step.seconds
        ));
    }
    notes
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn asked(done: &Measured) -> Option<f64> {
    match done.step.rate {
        Rate::PerSecond(rate) => Some(rate),
        Rate::Max => None,
    }
}

fn arrivals(options: &RunOptions) -> String {
    format!("{:?}", options.arrivals).to_lowercase()
}

fn generator_figures(done: &Measured) -> GeneratorFigures {
    GeneratorFigures {
        lag_us_p99: done.meter.lag_us_p99(),
        cpu_s: done.cpu.process_s,
        cpu_us_per_payment: done.cpu.process_s * 1e6 / (done.meter.answered_in_span as f64).max(1.0),
        busy: done.busy(),
        missed: done.meter.missed,
        saturated: done.is_saturated(),
    }
}

/// What the hub tells of a step.
#[derive(Default)]
struct HubSide {
    figures: HubFigures,
    limit: Limit,
    acks: AckFigures,
    /// Signatures in the measured span.
    signatures: f64,
}

impl HubSide {
    fn of(done: &Measured, readings: &StepReadings, verify_us: f64) -> Self {
        let answered = done.meter.answered_in_span as f64;
        let mut limit = Limit {
            verify_us_per_signature: verify_us,
            verify_share_of_hub_cpu: 0.0,
        };
        let (Some(begun), Some(ended)) = (&readings.begun, &readings.ended) else {
            return Self {
                limit,
                signatures: answered,
                ..Self::default()
            };
        };
        let (from, to) = (&begun.status, &ended.status);
        let payments = (ended.answered - begun.answered).max(1) as f64;
        let cpu_s = to.cpu_s - from.cpu_s;
        let signatures = to.signatures.saturating_sub(from.signatures);
        let taken = to.acks.saturating_sub(from.acks);
        if cpu_s > 0.0 {
            limit.verify_share_of_hub_cpu = verify_us * signatures as f64 / 1e6 / cpu_s;
        }
        Self {
            figures: HubFigures {
                cpu_s,
                cpu_us_per_payment: cpu_s * 1e6 / payments,
                rss_bytes_max: to.rss_bytes_max,
                log_bytes_per_payment: to.log_bytes.saturating_sub(from.log_bytes) as f64 / payments,
                batches: to.batches.saturating_sub(from.batches),
                batch_p50: to.batch_p50,
                syncs: to.syncs.saturating_sub(from.syncs),
                threads_us_per_payment: threads(from, to, payments),
            },
            limit,
            acks: AckFigures {
                taken,
                hub_cpu_us_per_payment: taken as f64 * verify_us / payments,
            },
            // The hub is asked a little after the span ended, so its count is scaled to the span's payments.
            signatures: signatures as f64 / payments * answered,
        }
    }
}

/// Microseconds per payment of each kind of thread. One that is new began at nothing.
fn threads(from: &Status, to: &Status, payments: f64) -> BTreeMap<String, f64> {
    let spent = |(name, cpu_s): (&String, &f64)| {
        let before = from.threads_cpu_s.get(name).copied().unwrap_or(0.0);
        (name.clone(), (cpu_s - before).max(0.0) * 1e6 / payments)
    };
    to.threads_cpu_s.iter().map(spent).collect()
}

pub(super) fn judge_search(
    generator: &Generator,
    figures: &Figures,
    options: &RunOptions,
    plan: &SearchPlan,
) -> Result<SweepResult, RunError> {
    let mut result = sweep(generator, figures, options, Some(&plan.slo))?;
    let bound = search::bound(plan, &generator.done);
    SEARCH_SCHEMA.clone_into(&mut result.schema);
    result.slo = Some(plan.slo.to_string());
    (result.rate, result.bound_found) = (bound.rate, Some(bound.found));
    if bound.by_generator {
        result
            .notes
            .push("the generator, not the hub, is why no higher rate holds".to_owned());
    }
    if bound.rate.is_some_and(|rate| rate >= plan.to) {
        result
            .notes
            .push(format!("no rate above {} was tried: raise --to", plan.to));
    }
    Ok(result)
}

pub(super) fn judge_curve(
    generator: &Generator,
    figures: &Figures,
    options: &RunOptions,
) -> Result<SweepResult, RunError> {
    sweep(generator, figures, options, None)
}

fn sweep(
    generator: &Generator,
    figures: &Figures,
    options: &RunOptions,
    slo: Option<&Slo>,
) -> Result<SweepResult, RunError> {
    let whole = whole(generator, figures, options)?;
    let missing = StepReadings::default();
    let readings = figures.steps.iter().chain(std::iter::repeat(&missing));
    let points = generator.done.iter().zip(readings);
    let points = points.map(|(done, readings)| point(done, readings, whole.verify_us, slo));
    let mut notes = audit_breaches(&whole.audit);
    if generator.errors > 0 {
        notes.push("there were errors".to_owned());
    }
    let valid = notes.is_empty();
    notes.extend(remarks(generator));
    if generator.done.last().is_some_and(|last| last.ended_early) {
        notes.push("the workload ended: prepare more payments".to_owned());
    }
    let profile = &options.profile;
    Ok(SweepResult {
        schema: CURVE_SCHEMA.to_owned(),
        profile: profile.name.clone(),
        seed: generator.workload.head.seed,
        channels: profile.population.channels,
        connections: profile.population.connections,
        arrivals: arrivals(options),
        slo: None,
        rate: None,
        bound_found: None,
        points: points.collect(),
        audit: whole.audit,
        environment: whole.environment,
        valid,
        notes,
    })
}

fn point(done: &Measured, readings: &StepReadings, verify_us: f64, slo: Option<&Slo>) -> Point {
    let meter = &done.meter;
    let held = search::judge(done, slo);
    Point {
        rate: asked(done),
        payments_per_s: done.payments_per_s(),
        seconds: done.seconds,
        sent: meter.sent,
        delivered: meter.delivered,
        lost: done.lost(),
        latency_us: meter.latency(),
        service_us: meter.service(),
        generator: generator_figures(done),
        hub: HubSide::of(done, readings, verify_us).figures,
        held: held == Held::Yes,
        why: held.why().to_owned(),
    }
}

fn broken(rules: impl IntoIterator<Item = (bool, &'static str)>) -> Vec<String> {
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    broken.map(|(_, what)| what.to_owned()).collect()
}

/// What the audit says against a result.
fn audit_breaches(audit: &Audit) -> Vec<String> {
    let needed = CHECKED_MIN.min(audit.receipts).max(audit.receipts / 16);
    broken([
        (audit.value_conserved || !audit.complete, "value is not conserved"),
        (audit.complete, "the audit is not complete"),
        (audit.receipts_bad == 0, "receipts did not hold"),
        (audit.acked_missing == 0, "payments were answered and not credited"),
        (
            audit.states_differ == 0,
            "leaves acknowledge other states than were sent",
        ),
        (audit.receipts_checked >= needed, "too few receipts were checked"),
    ])
}

/// Why a result may not be believed, but for the generator's own limit.
fn breaches(result: &RunResult, figures: &Figures) -> Vec<String> {
    let read = figures
        .steps
        .first()
        .is_some_and(|step| step.begun.is_some() && step.ended.is_some());
    let mut breaches = broken([
        (
            read && figures.after.is_some(),
            "the hub's own figures are missing: give --admin, and measure for longer",
        ),
        (result.delivered > 0, "nothing was delivered"),
        (result.errors == 0, "there were errors"),
    ]);
    breaches.extend(audit_breaches(&result.audit));
    breaches
}

fn remarks(generator: &Generator) -> Vec<String> {
    let mut remarks = generator.complaints.clone();
    let refused = |reason: RefuseReason| {
        let mut steps = generator.done.iter();
        steps.any(|done| done.meter.refused.contains_key(reason.name()))
    };
    if refused(RefuseReason::StaleCounter) {
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

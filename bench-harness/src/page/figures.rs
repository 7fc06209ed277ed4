//! The plots of a report, each from what the results say.

use tidegate_loadgen::result::{Point, Quantiles, RunResult, SweepResult};

use super::results::{Named, Results};
use crate::plot::{Axis, Bar, Bars, Lines, Palette, Scale, Series, Show};

/// A picture with what it tells.
#[derive(Clone, Debug)]
pub struct Figure {
    /// A word for its file and its place in the page.
    pub name: String,
    /// What a reader is to see in it.
    pub caption: String,
    /// What is drawn.
    plot: Plot,
}

#[derive(Clone, Debug)]
enum Plot {
    Lines(Lines),
    Bars(Bars),
}

impl Figure {
    pub(super) fn lines(name: &str, caption: &str, plot: Lines) -> Self {
        Self {
            name: name.to_owned(),
            caption: caption.to_owned(),
            plot: Plot::Lines(plot),
        }
    }

    fn bars(name: &str, caption: &str, plot: Bars) -> Self {
        Self {
            name: name.to_owned(),
            caption: caption.to_owned(),
            plot: Plot::Bars(plot),
        }
    }

    /// The picture.
    #[must_use]
    pub fn svg(&self, palette: Palette) -> String {
        match &self.plot {
            Plot::Lines(lines) => lines.svg(palette),
            Plot::Bars(bars) => bars.svg(palette),
        }
    }
}

/// A load without a rate: as fast as answers come, unless the result does not say.
pub(super) const fn without_rate(result: &RunResult) -> &'static str {
    if result.mode.is_empty() {
        "load not told"
    } else {
        "closed loop"
    }
}

/// How a run is called: its file, and what was asked of it.
pub(super) fn name_of(run: &Named<RunResult>) -> String {
    let load = run.result.rate.map_or_else(
        || without_rate(&run.result).to_owned(),
        |rate| format!("{} payments/s", Show::Count.write(rate)),
    );
    format!("{} ({load})", run.name)
}

/// Latency by quantile, a line for each run.
pub(super) fn percentiles(results: &Results) -> Option<Figure> {
    let series: Vec<Series> = results
        .runs
        .iter()
        .filter(|run| run.result.delivered > 0)
        .map(|run| Series {
            name: name_of(run),
            points: shape(&run.result),
            hollow: Vec::new(),
            dots: false,
        })
        .collect();
    (!series.is_empty()).then(|| {
        Figure::lines(
            "latency-percentiles",
            "Read it from left to right: half of all payments were answered within the height at 50 %, 99 of 100 within the \
             height at 99 %, and so on. A line that stays flat far to the right is a hub without hiccups. Open loops count \
             from the moment a payment was due, so that waiting for a slow hub counts too; closed loops, which wait for \
             answers before they send more, cannot show that.",
            Lines {
                title: "Latency by percentile".to_owned(),
                about: "Latency of payments from the intended send time to the checked receipt, by quantile".to_owned(),
                x: Axis::new("percentile: each further nine as wide as the one before", Scale::Nines, Show::Quantile),
                y: Axis::new("latency", Scale::Log, Show::Micros),
                series,
                level: None,
            },
        )
    })
}

/// The distribution of a run; of an older result, the quantiles that it has.
fn shape(result: &RunResult) -> Vec<[f64; 2]> {
    if !result.latency_distribution.is_empty() {
        // The quickest of all tells nothing, and would stretch the picture.
        let shape = result.latency_distribution.iter().copied();
        return shape.filter(|[quantile, _]| *quantile > 0.0).collect();
    }
    let Quantiles {
        p50,
        p90,
        p99,
        p999,
        p9999,
        ..
    } = result.latency_us;
    vec![[0.5, p50], [0.9, p90], [0.99, p99], [0.999, p999], [0.9999, p9999]]
}

/// Latency second by second, a figure for each run that is long enough to have a course.
pub(super) fn over_time(results: &Results) -> Vec<Figure> {
    let long = results.runs.iter().filter(|run| run.result.series.len() > 2);
    long.map(|run| {
        let seconds = || run.result.series.iter().filter(|second| second.delivered > 0);
        let line = |name: &str, value: fn(&tidegate_loadgen::result::SecondFigures) -> f64| Series {
            name: name.to_owned(),
            points: seconds().map(|second| [f64::from(second.second), value(second)]).collect(),
            hollow: seconds().enumerate().filter(|(_, second)| second.warm_up).map(|(index, _)| index).collect(),
            dots: true,
        };
        let mut series = vec![line("p50", |second| second.p50_us), line("p99", |second| second.p99_us)];
        // Older results have no maxima.
        if seconds().all(|second| second.max_us > 0.0) {
            series.push(line("longest", |second| second.max_us));
        }
        Figure::lines(
            &format!("over-time-{}", run.name),
            "One point for each second of the run; hollow points are the warm-up, which no figure above counts. Steady lines \
             mean that the figures do not depend on how long was measured; single peaks are checkpoints, the device, or \
             whatever else the machine did.",
            Lines {
                title: format!("Latency over time: {}", name_of(run)),
                about: format!("Median, 99th percentile and longest latency in each second of the run {}", run.name),
                x: Axis::new("second of the run", Scale::Linear, Show::Number),
                y: Axis::new("latency", Scale::Log, Show::Micros),
                series,
                level: None,
            },
        )
    })
    .collect()
}

/// Latency against load.
pub(super) fn throughput_latency(results: &Results) -> Option<Figure> {
    let many = results.sweeps.len() > 1;
    let mut series = Vec::new();
    for sweep in &results.sweeps {
        for (name, value) in [
            ("p50", (|point| point.latency_us.p50) as fn(&Point) -> f64),
            ("p99", |point| point.latency_us.p99),
            ("p99.9", |point| point.latency_us.p999),
        ] {
            let label = if many {
                format!("{} {name}", sweep.name)
            } else {
                name.to_owned()
            };
            series.push(curve(&sweep.result, &label, value));
        }
    }
    series.retain(|series| !series.points.is_empty());
    let slo = results.sweeps.iter().find_map(|sweep| sweep.result.slo.clone());
    let level = slo.and_then(|slo| {
        let parsed: tidegate_loadgen::slo::Slo = slo.parse().ok()?;
        Some((parsed.limit_us(), slo))
    });
    (!series.is_empty()).then(|| {
        Figure::lines(
            "throughput-latency",
            "Each point is a rate that was asked of the hub by schedule, whether it kept up or not. The flat part is the load \
             that it carries; where the lines turn upwards, queues begin. Hollow points did not hold: the hub fell behind, or \
             the generator did. The first rate that was not carried is the last that is drawn: beyond it, latency only tells \
             how long was measured.",
            Lines {
                title: "Latency against load".to_owned(),
                about: "Latency quantiles by payments per second asked for".to_owned(),
                x: Axis::new("payments per second, asked for by schedule", Scale::Linear, Show::Count),
                y: Axis::new("latency from the intended send time", Scale::Log, Show::Micros),
                series,
                level,
            },
        )
    })
}

fn curve(sweep: &SweepResult, name: &str, value: fn(&Point) -> f64) -> Series {
    let mut points: Vec<&Point> = sweep
        .points
        .iter()
        .filter(|point| point.rate.is_some() && point.delivered > 0)
        .collect();
    points.sort_by(|a, b| a.rate.partial_cmp(&b.rate).expect("rates are numbers"));
    // Beyond what is carried a latency tells only how long was measured: one point shows where that begins.
    let carried = points
        .iter()
        .rposition(|point| is_kept(point))
        .map_or(0, |last| last + 1);
    points.truncate(carried + 1);
    Series {
        name: name.to_owned(),
        points: points
            .iter()
            .map(|point| [point.rate.unwrap_or(0.0), value(point)])
            .collect(),
        hollow: (0..points.len()).filter(|index| !is_kept(points[*index])).collect(),
        dots: true,
    }
}

/// Whether the rate was carried, whatever the latency.
fn is_kept(point: &Point) -> bool {
    point.held || point.why == "latency"
}

/// What a payment costs, by the threads of the hub that spend it.
pub(super) fn stages(results: &Results) -> Option<Figure> {
    let runs: Vec<&Named<RunResult>> = results
        .runs
        .iter()
        .filter(|run| !run.result.hub.threads_us_per_payment.is_empty())
        // One payment at a time pays for waking every thread, which would dwarf all else.
        .filter(|run| run.result.connections > 2)
        .collect();
    let mut names: Vec<&String> = runs
        .iter()
        .flat_map(|run| run.result.hub.threads_us_per_payment.keys())
        .collect();
    let cost = |name: &String| -> f64 {
        let of = |run: &&Named<RunResult>| run.result.hub.threads_us_per_payment.get(name).copied().unwrap_or(0.0);
        runs.iter().map(of).sum()
    };
    names.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
    names.dedup();
    let (shown, rest) = names.split_at(names.len().min(STAGES_MAX));
    let part = |run: &Named<RunResult>, names: &[&String]| -> f64 {
        let of = |name: &&String| run.result.hub.threads_us_per_payment.get(*name).copied().unwrap_or(0.0);
        names.iter().map(of).sum()
    };
    let bars = runs.iter().map(|run| Bar {
        name: run.name.clone(),
        parts: shown
            .iter()
            .map(|name| part(run, &[name]))
            .chain([part(run, rest)])
            .collect(),
    });
    (!runs.is_empty()).then(|| {
        Figure::bars(
            "cost-per-stage",
            "Processor time that the hub spends on one payment, by the thread that spends it: the reactor reads, decrypts and \
             writes; verify checks signatures; the sequencer decides and hashes; the log writes and syncs; commitment keeps \
             the state tree. Waiting costs nothing here, and neither does the load generator.",
            Bars {
                title: "Where a payment's processor time goes".to_owned(),
                about: "CPU microseconds per payment by thread of the hub, stacked, one bar for each run".to_owned(),
                label: "µs of processor time per payment".to_owned(),
                show: Show::Number,
                parts: shown.iter().map(|name| (*name).clone()).chain(["others".to_owned()]).collect(),
                bars: bars.collect(),
            },
        )
    })
}

/// More parts than these cannot be told apart.
const STAGES_MAX: usize = 7;

/// Each suite's ratios: how many times as long one thing takes as another.
pub(super) fn ratios(results: &Results) -> Vec<Figure> {
    let suites = results.suites.iter().filter(|suite| !suite.result.ratios.is_empty());
    suites
        .map(|suite| {
            let bars = suite.result.ratios.iter().map(|(name, ratio)| Bar {
                name: name.clone(),
                parts: vec![*ratio],
            });
            Figure::bars(
                &format!("ratios-{}", suite.name),
                "Of one run on one machine, so that its noise meets both sides: 1 means as long as each other, 5 that the first \
                 takes five times as long as the second.",
                Bars {
                    title: format!("{}: how many times as long", suite.name),
                    about: format!("Ratios of rows of the suite {}", suite.result.suite),
                    label: "times as long".to_owned(),
                    show: Show::Number,
                    parts: vec![String::new()],
                    bars: bars.collect(),
                },
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tidegate_loadgen::environment::Environment;
    use tidegate_loadgen::result::{Audit, CURVE_SCHEMA, GeneratorFigures, HubFigures};

    use super::*;

    fn sweep(points: &[(f64, &str)]) -> SweepResult {
        let point = |(rate, why): &(f64, &str)| Point {
            rate: Some(*rate),
            payments_per_s: *rate,
            seconds: 2.0,
            sent: 10,
            delivered: 10,
            lost: 0,
            latency_us: Quantiles {
                p99: *rate,
                ..Quantiles::default()
            },
            service_us: Quantiles::default(),
            generator: GeneratorFigures::default(),
            hub: HubFigures::default(),
            held: *why == "held",
            why: (*why).to_owned(),
        };
        SweepResult {
            schema: CURVE_SCHEMA.to_owned(),
            profile: "quick".to_owned(),
            seed: 1,
            channels: 2,
            connections: 8,
            arrivals: "even".to_owned(),
            slo: None,
            rate: None,
            bound_found: None,
            points: points.iter().map(point).collect(),
            audit: Audit::default(),
            environment: Environment::default(),
            valid: true,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_curve_ends_at_the_first_rate_that_was_not_carried() {
        let sweep = sweep(&[
            (4_000.0, "fell behind"),
            (1_000.0, "held"),
            (3_000.0, "fell behind"),
            (2_000.0, "latency"),
        ]);
        let line = curve(&sweep, "p99", |point| point.latency_us.p99);
        let rates: Vec<f64> = line.points.iter().map(|point| point[0]).collect();
        assert_eq!((rates, line.hollow), (vec![1_000.0, 2_000.0, 3_000.0], vec![2]));
    }

    #[test]
    fn results_without_data_have_no_plot() {
        let mut results = Results::default();
        assert!(
            percentiles(&results).is_none() && stages(&results).is_none() && throughput_latency(&results).is_none()
        );
        let named = |name: &str, result| Named {
            name: name.to_owned(),
            result,
        };
        results.sweeps = vec![
            named("a", sweep(&[(1_000.0, "held")])),
            named("b", sweep(&[(2_000.0, "held")])),
        ];
        let svg = throughput_latency(&results).expect("two curves").svg(Palette::Own);
        assert!(svg.contains(">a p99.9<") && svg.contains(">b p50<"), "{svg}");
    }
}

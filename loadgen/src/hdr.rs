//! Latencies in the forms of HdrHistogram's own plotters.
//!
//! ```text
//! interval log    one histogram for each second, compressed (V2): `HistogramLogProcessor`, `HistogramLogAnalyzer`
//! distribution    value in ms | percentile | count | 1/(1 - percentile): the `.hgrm` of its plot pages
//! ```

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError};

/// Nanoseconds in a millisecond, the unit of both forms.
const NS_PER_MS: f64 = 1e6;

/// An interval log that is being written.
pub(crate) struct IntervalLog<'a, W: Write> {
    writer: IntervalLogWriter<'a, 'a, W, V2DeflateSerializer>,
}

impl IntervalLog<'_, io::Empty> {
    /// What a log needs for its histograms.
    pub(crate) fn serializer() -> V2DeflateSerializer {
        V2DeflateSerializer::new()
    }
}

impl<'a, W: Write> IntervalLog<'a, W> {
    /// Writes the head. Times count from the beginning of the run.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn begin(out: &'a mut W, serializer: &'a mut V2DeflateSerializer) -> io::Result<Self> {
        let mut builder = IntervalLogWriterBuilder::new();
        builder
            .add_comment("latencies in nanoseconds from the intended send time; interval maxima in milliseconds")
            .with_max_value_divisor(NS_PER_MS);
        Ok(Self {
            writer: builder.begin_log_with(out, serializer)?,
        })
    }

    /// Adds an interval, in nanoseconds of the run's clock.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn write(&mut self, from: u64, to: u64, latencies: &Histogram<u64>) -> io::Result<()> {
        let (begin, length) = (
            Duration::from_nanos(from),
            Duration::from_nanos(to.saturating_sub(from)),
        );
        let written = self.writer.write_histogram(latencies, begin, length, None);
        written.map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
        })
    }
}

/// Ticks per half of the distance that is left to 100 percent, as the other tools have it.
const TICKS: u32 = 5;

/// Writes the distribution of latencies in nanoseconds.
///
/// # Errors
/// What the system says.
pub(crate) fn write_distribution(out: &mut impl Write, latencies: &Histogram<u64>) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    for step in latencies.iter_quantiles(TICKS) {
        let value = step.value_iterated_to() as f64 / NS_PER_MS;
        let quantile = step.quantile_iterated_to();
        let count = latencies.count_between(0, step.value_iterated_to());
        if quantile < 1.0 {
            let inverse = 1.0 / (1.0 - quantile);
            writeln!(out, "{value:>12.3} {quantile:>2.12} {count:>10} {inverse:>14.2}")?;
        } else {
            writeln!(out, "{value:>12.3} {quantile:>2.12} {count:>10}")?;
        }
    }
    let ms = |nanos: f64| nanos / NS_PER_MS;
    writeln!(
        out,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
        ms(latencies.mean()),
        ms(latencies.stdev())
    )?;
    writeln!(
        out,
        "#[Max     = {:>12.3}, Total count    = {:>12}]",
        ms(latencies.max() as f64),
        latencies.len()
    )?;
    writeln!(
        out,
        "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
        latencies.buckets(),
        2_u32.pow(11)
    )
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;

    fn histogram(values: impl Iterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("in range");
        values.for_each(|value| histogram.saturating_record(value));
        histogram
    }

    #[test]
    fn a_log_reads_back_second_by_second() {
        let (first, second) = (histogram(1_000_000..1_000_100), histogram(std::iter::once(7_000_000)));
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLog::begin(&mut bytes, &mut serializer).expect("memory");
        log.write(0, 1_000_000_000, &first).expect("memory");
        log.write(1_000_000_000, 2_500_000_000, &second).expect("memory");
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            if let LogEntry::Interval(interval) = entry.expect("a good line") {
                use base64::Engine as _;
                let packed = base64::engine::general_purpose::STANDARD
                    .decode(interval.encoded_histogram())
                    .expect("base64");
                let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut packed.as_slice()).expect("V2");
                found.push((
                    interval.start_timestamp(),
                    interval.duration(),
                    interval.max(),
                    histogram,
                ));
            }
        }
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, found[1].1), (Duration::ZERO, Duration::from_millis(1_500)));
        assert!((found[1].2 - 7.0).abs() < 0.01, "milliseconds: {}", found[1].2);
        assert_eq!((found[0].3.clone(), found[1].3.len()), (first, 1));
    }

    #[test]
    fn a_distribution_ends_at_the_maximum() {
        let mut bytes = Vec::new();
        write_distribution(&mut bytes, &histogram((1..=10_000).map(|n| n * 1_000))).expect("memory");
        let text = String::from_utf8(bytes).expect("text");
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                line.split_whitespace()
                    .map(|cell| cell.parse().expect("a number"))
                    .collect()
            })
            .collect();
        let median = rows.iter().find(|row| row[1] >= 0.5).expect("half");
        assert!(
            (median[0] - 5.0).abs() < 0.05 && (median[2] - 5_000.0).abs() < 20.0,
            "{median:?}"
        );
        let last = rows.last().expect("rows");
        assert!((last[0] - 10.0).abs() < 0.02, "{last:?}");
        assert!((last[1] - 1.0).abs() < 1e-9 && (last[2] - 10_000.0).abs() < 1e-9);
        assert!(rows.is_sorted_by(|a, b| a[0] <= b[0] && a[2] <= b[2]));
        assert!(text.contains("Total count    =        10000"), "{text}");
    }
}

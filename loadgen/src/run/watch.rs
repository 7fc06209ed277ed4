//! What the main thread does while the generator works: it asks the hub for its figures, and shows how it goes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::generator::{Event, Line};
use super::pace::Pace;
use super::schedule::Clock;
use super::{RunError, RunOptions};
use crate::hdr::IntervalLog;
use crate::result::SecondFigures;
use crate::status::{self, Status};
use crate::view::{Moment, View};

/// What the main thread shares with the others.
pub(super) struct Watch {
    pub(super) clock: Clock,
    pub(super) answered: Arc<AtomicU64>,
    pub(super) acks: Arc<AtomicU64>,
    pub(super) pace: Arc<Pace>,
    pub(super) over: Arc<AtomicBool>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            clock: Clock::start(),
            answered: Arc::default(),
            acks: Arc::default(),
            pace: Arc::default(),
            over: Arc::default(),
        }
    }
}

/// The hub's figures at one moment, and what the generator had counted then.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) status: Status,
    pub(super) answered: u64,
}

/// The hub when a step began to be measured, and when that ended.
#[derive(Debug, Default)]
pub(super) struct StepReadings {
    pub(super) begun: Option<Reading>,
    pub(super) ended: Option<Reading>,
}

/// The readings of a run.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) steps: Vec<StepReadings>,
    pub(super) after: Option<Status>,
    pub(super) series: Vec<SecondFigures>,
}

/// A generator that tells nothing for so long has gone astray.
const SILENCE: Duration = Duration::from_secs(120);
/// How often a live view is drawn anew.
const FRAME: Duration = Duration::from_millis(250);
/// How often a live view asks the hub.
const ASK: Duration = Duration::from_secs(1);

impl Watch {
    /// Follows a run to its end.
    pub(super) fn follow(&self, heard: &Receiver<Event>, options: &RunOptions) -> Result<Figures, RunError> {
        let Some(path) = &options.hlog else {
            return Ok(self.follow_with(heard, options, &mut |_| ()));
        };
        let failed = |source| RunError::Latencies {
            path: path.clone(),
            source,
        };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let mut serializer = IntervalLog::serializer();
        let mut log = IntervalLog::begin(&mut file, &mut serializer).map_err(failed)?;
        let mut written = Ok(());
        let figures = self.follow_with(heard, options, &mut |line| {
            if written.is_ok() {
                written = log.write(line.from, line.to, &line.latency);
            }
        });
        drop(log);
        written.and_then(|()| file.flush()).map_err(failed)?;
        Ok(figures)
    }

    fn follow_with(&self, heard: &Receiver<Event>, options: &RunOptions, log: &mut dyn FnMut(&Line)) -> Figures {
        let mut figures = Figures::default();
        let mut view = View::new(&options.profile, options.tui);
        let (mut last, mut asked) = (Instant::now(), Instant::now());
        loop {
            match heard.recv_timeout(if view.is_live() { FRAME } else { SILENCE }) {
                Ok(Event::Line(line)) => {
                    last = Instant::now();
                    log(&line);
                    figures.note_second(&line);
                    view.second(&moment(&figures, &line));
                }
                Ok(Event::Begun) => figures.steps.push(StepReadings {
                    begun: self.read(options),
                    ended: None,
                }),
                Ok(Event::Ended) => {
                    let reading = self.read(options);
                    if let Some(step) = figures.steps.last_mut() {
                        step.ended = reading;
                    }
                }
                Err(RecvTimeoutError::Timeout) if last.elapsed() < SILENCE => view.frame(),
                Ok(Event::Done) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => break,
            }
            if view.is_live() && asked.elapsed() >= ASK {
                asked = Instant::now();
                view.hub(options.admin.and_then(|admin| status::fetch(admin).ok()));
            }
        }
        view.finish();
        figures.after = options.admin.and_then(settled);
        figures
    }

    /// A hub that does not answer any more has more to complain of than its status.
    fn read(&self, options: &RunOptions) -> Option<Reading> {
        let status = status::fetch(options.admin?).ok()?;
        let answered = self.answered.load(Ordering::Relaxed);
        Some(Reading { status, answered })
    }
}

/// How often a hub is asked whether it has come to rest, and for how long.
const REST_ASK: Duration = Duration::from_millis(150);
const REST_MAX: Duration = Duration::from_secs(60);
/// So many answers that are alike are rest.
const REST_ALIKE: u32 = 3;

/// The hub once it has worked off what it was sent: the last acks are not waited for one by one, and a state that is told before
/// them is not the one that it leaves on its disk.
fn settled(admin: SocketAddr) -> Option<Status> {
    let began = Instant::now();
    let mut status = status::fetch(admin).ok()?;
    let mut alike = 1;
    while alike < REST_ALIKE && began.elapsed() < REST_MAX {
        thread::sleep(REST_ASK);
        let next = status::fetch(admin).ok()?;
        let same = (next.inputs, &next.state_root) == (status.inputs, &status.state_root);
        alike = if same { alike + 1 } else { 1 };
        status = next;
    }
    Some(status)
}

impl Figures {
    fn note_second(&mut self, line: &Line) {
        let micros = |quantile| line.latency.value_at_quantile(quantile) as f64 / 1e3;
        let second = u32::try_from(self.series.len() + 1).expect("a run is no century");
        self.series.push(SecondFigures {
            second,
            warm_up: line.warming_up,
            delivered: line.answered,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: micros(1.0),
            in_flight: line.in_flight as u64,
        });
    }
}

fn moment<'a>(figures: &'a Figures, line: &'a Line) -> Moment<'a> {
    Moment {
        second: figures.series.last().expect("one was just noted"),
        rate: line.rate,
        latency: &line.latency,
        failed: line.failed,
        refused: line.refused,
        errors: line.errors,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    /// A hub that still works: its state is another at each of the first answers.
    #[test]
    fn a_hub_that_still_works_is_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let admin = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            for number in 0..7_u32 {
                let (mut stream, _) = listener.accept().expect("a request");
                let _read = stream.read(&mut [0; 512]).expect("readable");
                let inputs = number.min(4);
                let body = format!(
                    r#"{{"backend":"b","state_root":"{inputs}","cpu_s":1,"rss_bytes_max":7,"batches":1,"batch_p50":2,
                    "syncs":3,"log_bytes":4,"signatures":5,"acks":6,"value_held":"9","value_capacity":"9","inputs":{inputs}}}"#
                );
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").expect("written");
            }
        });
        let status = settled(admin).expect("it answers");
        assert_eq!((status.inputs, status.state_root.as_str()), (4, "4"));
        server.join().expect("asked seven times");
    }
}

//! What this process uses of the processor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds of this process, all threads.
pub(super) fn process_cpu_s() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// CPU seconds of the calling thread.
pub(super) fn thread_cpu_s() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

/// CPU and time between two moments on one thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    process: f64,
    thread: f64,
    wall: f64,
    /// CPU seconds of the process in the span.
    pub(super) process_s: f64,
    /// CPU seconds of the calling thread in the span.
    pub(super) thread_s: f64,
    /// Its length in seconds.
    pub(super) wall_s: f64,
}

impl Span {
    pub(super) fn begin(&mut self) {
        self.process = process_cpu_s();
        self.thread = thread_cpu_s();
        self.wall = seconds(ClockId::Monotonic);
    }

    pub(super) fn end(&mut self) {
        self.process_s = process_cpu_s() - self.process;
        self.thread_s = thread_cpu_s() - self.thread;
        self.wall_s = seconds(ClockId::Monotonic) - self.wall;
    }
}

/// Raises the limit of open files to `count` where the system lets it; a connection that finds none left says so itself.
pub(super) fn allow_descriptors(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let current = Some(limit.maximum.map_or(count, |most| most.min(count)));
        let _refused = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    }
}

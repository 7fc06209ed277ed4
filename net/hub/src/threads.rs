//! What each kind of thread of this process has cost: `/proc/self/task/*/{comm,schedstat}`.
//!
//! Threads are named for what they do (`reactor`, `sequencer`, `verify-0`, …), so that their processor time says where the
//! time of a payment goes, in production as in a benchmark, and at no cost to either.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// CPU seconds by the name of threads that run now, numbers left out: `verify-0` and `verify-1` are `verify`. Nothing where
/// the kernel does not tell.
pub(crate) fn cpu_seconds() -> BTreeMap<String, f64> {
    in_folder(Path::new("/proc/self/task"))
}

fn in_folder(tasks: &Path) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
        // A thread may end between two reads.
        if let Some((name, seconds)) = of_task(&task.path()) {
            *sums.entry(name).or_insert(0.0) += seconds;
        }
    }
    sums
}

/// The kind of a thread and its seconds: the first figure of `schedstat` is nanoseconds on a processor (kernel:
/// Documentation/scheduler/sched-stats.rst).
fn of_task(task: &Path) -> Option<(String, f64)> {
    let comm = fs::read_to_string(task.join("comm")).ok()?;
    let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
    let nanos: u64 = schedstat.split_whitespace().next()?.parse().ok()?;
    let kind = comm.trim_end().trim_end_matches(|c: char| c.is_ascii_digit());
    Some((kind.trim_end_matches('-').to_owned(), nanos as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_kind_are_summed() {
        let place = tempfile::tempdir().expect("a folder");
        for (id, comm, schedstat) in [
            ("1", "tidegate\n", "500000000 7 3\n"),
            ("2", "verify-0\n", "1000000000 1 1\n"),
            ("3", "verify-11\n", "250000000 1 1\n"),
            ("4", "gone\n", ""),
        ] {
            let task = place.path().join(id);
            fs::create_dir(&task).expect("made");
            fs::write(task.join("comm"), comm).expect("written");
            fs::write(task.join("schedstat"), schedstat).expect("written");
        }
        let expected = BTreeMap::from([("tidegate".to_owned(), 0.5), ("verify".to_owned(), 1.25)]);
        assert_eq!(in_folder(place.path()), expected);
        assert!(in_folder(&place.path().join("nowhere")).is_empty());
    }

    #[test]
    fn a_thread_that_works_is_told() {
        let worker = std::thread::Builder::new().name("worker-7".to_owned());
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel::<()>();
        let worker = worker.spawn(move || {
            let mut number = 1_u64;
            (0..5_000_000).for_each(|n| number = std::hint::black_box(number.wrapping_mul(31) ^ n));
            ready.send(()).expect("heard");
            let _ended = stopped.recv();
        });
        is_ready.recv().expect("worked");
        let told = cpu_seconds();
        drop(stop);
        worker.expect("started").join().expect("no panic");
        // A kernel without this statistic tells of no thread.
        assert!(told.is_empty() || told["worker"] > 0.0, "{told:?}");
    }
}

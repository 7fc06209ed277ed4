//! How a hub ends, whatever has become of whoever read its words.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::support::{Place, signal};

/// A collector of logs that has died must not keep the hub from its checkpoint, nor end it.
#[test]
fn a_hub_whose_words_nobody_reads_ends_in_order() {
    let place = Place::new();
    place.good(&["format", "--data", "hub"]);
    let words = "start --data hub --dev --json --listen 127.0.0.1:0 --admin 127.0.0.1:0";
    let mut command = place.command(&words.split(' ').collect::<Vec<_>>());
    // Every thread has something to say.
    command.env("TIDEGATE_LOG", "trace");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program runs");
    let out = child.stdout.take().expect("piped");
    drop(child.stderr.take());
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).expect("readable output");
    assert!(line.contains("\"address\""), "{line}");
    sleep(Duration::from_millis(700));
    assert_eq!(child.try_wait().expect("a child"), None, "it serves");
    signal(&child, Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("a child");
            panic!("it does not end");
        }
        sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
    place.good(&["verify", "--data", "hub"]);
}

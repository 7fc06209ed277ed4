//! The network layer alone: an echo over encrypted connections on loopback, beside the same echo on tokio.
//!
//! ```text
//! load (one thread, our reactor) ─▶ server (one thread): ours, or tokio's with the same sessions and framing
//! every connection keeps `batch` messages of `BODY` bytes in flight; CPU time is the server thread's alone
//! ```
//!
//! The rows of `sessions` say what sessions and framing alone cost: the same bytes sealed and opened without a socket.

mod echo;
pub mod load;
mod sessions;

use std::path::Path;

use super::{Suite, SuiteError};
use crate::{
    measure::{Bench, OWN},
    peers,
    report::Row,
};
use load::{Load, Outcome};

/// The network layer.
#[derive(Debug)]
pub(super) struct Net;

/// Bytes of a message's body: about a `Pay` and about its answer.
pub const BODY: usize = 300;
/// How long one load runs, in milliseconds.
const MILLIS: usize = 2_000;

/// What is measured, by us and by peers: connections, and messages that each keeps in flight. Both ends of a connection are in one
/// process, so that 9 000 of them are what 20 000 descriptors allow.
pub const SHAPES: [(usize, usize); 5] = [(1, 256), (64, 64), (64, 1), (1_000, 1), (9_000, 1)];
/// The same for a run that only shows that it works.
pub const SHAPES_TINY: [(usize, usize); 2] = [(1, 4), (8, 1)];

impl Suite for Net {
    fn name(&self) -> &'static str {
        "net"
    }

    fn about(&self) -> &'static str {
        "sessions and messages without sockets; then an echo through the reactor, beside tokio with the same sessions"
    }

    fn run(&self, bench: &mut Bench, _folder: &Path) -> Result<(), SuiteError> {
        sessions::measure(bench);
        if !bench.wants("reactor::echo_cpu") {
            return Ok(());
        }
        let millis = bench.size("millis", MILLIS, 50) as u64;
        let tiny = bench.scale() == crate::measure::Scale::Tiny;
        let shapes: &[(usize, usize)] = if tiny { &SHAPES_TINY } else { &SHAPES };
        for &(connections, batch) in shapes {
            let load = Load {
                connections,
                batch,
                body: BODY,
                millis,
            };
            let outcome = echo::run(&load)?;
            rows_of(OWN, &load, &outcome)
                .into_iter()
                .for_each(|row| bench.adopt(row));
        }
        let words = millis.to_string();
        peers::run_as(bench, "tokio", "peer-tokio-echo", &["net", "--millis", &words]);
        for &(connections, batch) in shapes {
            let at = format!("connections={connections},batch={batch},body={BODY}");
            let name = format!("tokio cpu / own, {connections} connections, batches of {batch}");
            bench.ratio_to_peer(
                &name,
                &format!("tokio::echo_cpu/{at}"),
                &format!("reactor::echo_cpu/{at}"),
            );
        }
        let (first, last) = (shapes[0], shapes[shapes.len() - 1]);
        let row = |(connections, batch): (usize, usize)| {
            format!("reactor::echo_cpu/connections={connections},batch={batch},body={BODY}")
        };
        bench.ratio("cpu of one message alone / in batches", &row(last), &row(first));
        Ok(())
    }
}

/// The rows of one load: CPU time of the server for one message that comes and goes, and how many there were in a second.
#[must_use]
pub fn rows_of(system: &str, load: &Load, outcome: &Outcome) -> Vec<Row> {
    let module = if system == OWN { "reactor" } else { system };
    let at = format!(
        "connections={},batch={},body={}",
        load.connections, load.batch, load.body
    );
    let count = outcome.messages.max(1);
    let row = |operation: &str, value: f64, unit: &str| {
        let name = format!("{module}::{operation}/{at}");
        Row::counted(system, &name, unit, value, count)
    };
    let messages = count as f64;
    vec![
        row("echo_cpu", outcome.server_cpu_s * 1e6 / messages, "us"),
        row("echo_rate", messages / outcome.seconds, "/s"),
    ]
}

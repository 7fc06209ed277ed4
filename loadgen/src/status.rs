//! The hub's own account of itself: `GET /status` at its admin address.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;

const PATIENCE: Duration = Duration::from_secs(10);
/// No status is longer.
const LENGTH_MAX: u64 = 1 << 20;

/// The part of a status that results and views need.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Status {
    pub(crate) backend: String,
    pub(crate) state_root: String,
    pub(crate) cpu_s: f64,
    pub(crate) rss_bytes_max: u64,
    pub(crate) batches: u64,
    pub(crate) batch_p50: f64,
    pub(crate) syncs: u64,
    pub(crate) log_bytes: u64,
    pub(crate) signatures: u64,
    pub(crate) acks: u64,
    /// Sum of all balances, locks and credits, and of all capacities: decimal, since they may be beyond 2⁵³.
    pub(crate) value_held: String,
    pub(crate) value_capacity: String,
    // A hub that does not tell them can be measured all the same.
    #[serde(default)]
    pub(crate) threads_cpu_s: BTreeMap<String, f64>,
    #[serde(default)]
    pub(crate) rss_bytes: u64,
    #[serde(default)]
    pub(crate) inputs: u64,
    /// Median and 99th percentile of what a batch takes in each stage, µs.
    #[serde(default)]
    pub(crate) verify_us: [u64; 2],
    #[serde(default)]
    pub(crate) execute_us: [u64; 2],
    #[serde(default)]
    pub(crate) sync_us: [u64; 2],
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Nobody answers there, or not in time.
    #[error("no answer from {admin}: {source}")]
    Io {
        /// The admin address.
        admin: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The answer is no status.
    #[error("{admin} does not answer with a hub's status: {what}")]
    Answer {
        /// The admin address.
        admin: SocketAddr,
        /// What is wrong.
        what: String,
    },
}

/// Asks the hub at `admin`.
pub(crate) fn fetch(admin: SocketAddr) -> Result<Status, StatusError> {
    let text = request(admin).map_err(|source| StatusError::Io { admin, source })?;
    let bad = |what: String| StatusError::Answer { admin, what };
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| bad("no HTTP".to_owned()))?;
    let first = head.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        return Err(bad(first.to_owned()));
    }
    serde_json::from_str(body).map_err(|error| bad(error.to_string()))
}

fn request(admin: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: a server that answers the first line alone would reset the connection over the others.
    let request = format!("GET /status HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.take(LENGTH_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answer(text: &'static str) -> Result<Status, StatusError> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let admin = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a request");
            let mut request = [0; 512];
            let read = stream.read(&mut request).expect("readable");
            assert!(request[..read].starts_with(b"GET /status HTTP/1.1\r\n"));
            stream.write_all(text.as_bytes()).expect("written");
        });
        let status = fetch(admin);
        server.join().expect("no panic");
        status
    }

    #[test]
    fn a_status_is_read_and_anything_else_told() {
        let body = r#"{"backend":"b","state_root":"00","cpu_s":1.5,"rss_bytes_max":7,"batches":1,"batch_p50":2,"syncs":3,
            "log_bytes":4,"signatures":5,"acks":6,"value_held":"9","value_capacity":"9","more":[]}"#;
        let text: &'static str = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").leak();
        let status = answer(text).expect("a status");
        assert_eq!((status.rss_bytes_max, status.value_held.as_str()), (7, "9"));
        assert!(matches!(
            answer("HTTP/1.1 503 no\r\n\r\n"),
            Err(StatusError::Answer { .. })
        ));
        assert!(matches!(
            answer("HTTP/1.1 200 OK\r\n\r\n{}"),
            Err(StatusError::Answer { .. })
        ));
        assert!(matches!(answer("nonsense"), Err(StatusError::Answer { .. })));
    }
}

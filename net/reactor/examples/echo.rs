//! CPU time per message of an encrypted echo over loopback: `echo [connections] [seconds] [body bytes] [batch]`.
//!
//! Two threads, each with a reactor: a hub that echoes, and a client that keeps `batch` messages of `body` bytes in flight on
//! every connection. The hub's CPU time is that of its thread, handshakes excluded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor};
use tidegate_session::{ClientConfig, Limits, Millis, NoiseSecret, PublicKey, SecretKey, ServerConfig};
use tidegate_types::LedgerId;
use tidegate_wire::frame::Header;

struct Echo;

impl Handler for Echo {
    fn on_ready(&mut self, _: ConnId, _: &PublicKey, _: &mut Outbox<'_>) {}

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        if let Err(error) = out.message(conn, header.kind, header.request, |to| to.extend_from_slice(body)) {
            println!("{conn:?}: {error}");
        }
    }

    fn on_closed(&mut self, _: ConnId, _: &CloseReason, _: &mut Outbox<'_>) {}
}

/// Keeps a batch in flight: a new one goes out when the last answer of the one before is there.
struct Batches {
    body: Vec<u8>,
    batch: usize,
    missing: Vec<usize>,
    until: u64,
}

impl Batches {
    fn send(&mut self, conn: ConnId, out: &mut Outbox<'_>) {
        if out.now() >= Millis::new(self.until) {
            out.close(conn);
            return;
        }
        self.missing[conn.slot()] = self.batch;
        for request in 0..self.batch as u64 {
            if let Err(error) = out.message(conn, 1, request, |to| to.extend_from_slice(&self.body)) {
                println!("{conn:?}: {error}");
            }
        }
    }
}

impl Handler for Batches {
    fn on_ready(&mut self, conn: ConnId, _: &PublicKey, out: &mut Outbox<'_>) {
        self.send(conn, out);
    }

    fn on_message(&mut self, conn: ConnId, _: Header, _: &[u8], out: &mut Outbox<'_>) {
        self.missing[conn.slot()] -= 1;
        if self.missing[conn.slot()] == 0 {
            self.send(conn, out);
        }
    }

    fn on_closed(&mut self, conn: ConnId, reason: &CloseReason, _: &mut Outbox<'_>) {
        if !matches!(reason, CloseReason::Closed | CloseReason::Stopped) {
            println!("{conn:?}: {reason}");
        }
    }
}

/// CPU seconds of the calling thread: user and system time, from the kernel's accounting in 10 ms steps.
fn thread_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The name in parentheses may hold spaces; fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u32>().ok())
            .unwrap_or(0)
    };
    f64::from(ticks(11) + ticks(12)) / 100.0
}

/// Both ends, with keys for nothing but this.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let ledger = LedgerId::ZERO;
    let hub_noise = NoiseSecret::from_bytes([1; 32]);
    let hub_identity = SecretKey::from_seed([2; 32]);
    let client_config = Arc::new(ClientConfig {
        ledger,
        noise: NoiseSecret::from_bytes([3; 32]),
        identity: SecretKey::from_seed([4; 32]),
        hub_noise: hub_noise.public(),
        hub_identity: hub_identity.public(),
        limits: Limits::default(),
    });
    let server_config = Arc::new(ServerConfig {
        ledger,
        noise: hub_noise,
        identity: hub_identity,
        links: false,
        limits: Limits::default(),
    });
    (server_config, client_config)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let argument = |index: usize, default: usize| arguments.get(index).copied().unwrap_or(default);
    let (connections, seconds) = (argument(0, 16), argument(1, 3));
    let (body, batch) = (argument(2, 200), argument(3, 256));

    let (server_config, client_config) = configs();
    let mut hub = Reactor::new(Config::default())?;
    let address = hub.listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), server_config)?;
    let (hub_sender, hub_stats) = (hub.sender(), hub.stats());
    let hub_thread = std::thread::spawn(move || {
        let result = hub.run(&mut Echo);
        (result, thread_cpu_seconds())
    });

    let mut client = Reactor::new(Config::default())?;
    for _ in 0..connections {
        client.connect(address, Arc::clone(&client_config))?;
    }
    let client_sender = client.sender();
    let millis = seconds as u64 * 1000;
    let client_thread = std::thread::spawn(move || {
        let mut batches = Batches {
            body: vec![7; body],
            batch,
            missing: vec![0; connections],
            until: millis,
        };
        let result = client.run(&mut batches);
        (result, thread_cpu_seconds())
    });
    std::thread::sleep(Duration::from_millis(millis + 300));
    client_sender.stop(1000)?;
    hub_sender.stop(1000)?;
    let (client_result, client_cpu) = client_thread.join().map_err(|_| "the client's thread has panicked")?;
    let (hub_result, hub_cpu) = hub_thread.join().map_err(|_| "the hub's thread has panicked")?;
    client_result?;
    hub_result?;

    let messages = u32::try_from(hub_stats.messages_in.get())?;
    let per_message =
        |count: u64| u32::try_from(count).map_or(f64::NAN, |count| f64::from(count) / f64::from(messages));
    println!("{connections} connections, {body} B bodies, batches of {batch}");
    println!(
        "{messages} messages, {:.0}/s",
        f64::from(messages) / f64::from(u32::try_from(seconds)?)
    );
    println!("hub    {:.3} CPU-us per message", hub_cpu * 1e6 / f64::from(messages));
    println!(
        "client {:.3} CPU-us per message",
        client_cpu * 1e6 / f64::from(messages)
    );
    println!(
        "hub    {:.4} syscalls per message",
        per_message(hub_stats.syscalls.get())
    );
    println!(
        "hub    {:.4} frames in, {:.4} frames out per message",
        per_message(hub_stats.frames_in.get()),
        per_message(hub_stats.frames_out.get())
    );
    Ok(())
}

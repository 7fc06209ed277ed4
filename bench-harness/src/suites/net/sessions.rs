//! The session and the message stream without sockets: what a payment's bytes cost between the kernel and the sequencer.

use std::hint::black_box;
use std::sync::Arc;

use tidegate_crypto::keys::SecretKey;
use tidegate_session::{Buffer, ClientConfig, Limits, Millis, NoiseSecret, ServerConfig, Session, SessionError};
use tidegate_types::LedgerId;
use tidegate_wire::frame::{MAX_BODY, MessageReader, write_message};

use crate::measure::{Bench, Unit};

/// A lone payment's message, and a full frame of many.
const SIZES: [usize; 2] = [256, 16_000];
/// Bytes of a payment with one operation, about.
const MESSAGE: usize = 330;
const NOW: Millis = Millis::new(0);

/// Handshakes, frames sealed and opened, messages written and found in a stream; no sockets.
pub(super) fn measure(bench: &mut Bench) {
    handshakes(bench);
    for bytes in SIZES {
        frames(bench, bytes);
    }
    messages(bench);
    let [small, large] = SIZES.map(|bytes| format!("session::seal/bytes={bytes}"));
    bench.ratio("seal 16 000 bytes / 256 bytes", &large, &small);
}

/// Two ends that are to meet.
struct Ends {
    client: Session,
    hub: Session,
    plain: Buffer,
    to_hub: Buffer,
    to_client: Buffer,
}

impl Ends {
    /// Through the handshake: what a new connection costs both processes together.
    fn meet(client: &Arc<ClientConfig>, hub: &Arc<ServerConfig>) -> Result<Self, SessionError> {
        let mut to_hub = Buffer::new();
        let mut ends = Self {
            client: Session::client(Arc::clone(client), NOW, &mut to_hub)?,
            hub: Session::server(Arc::clone(hub), None, NOW),
            plain: Buffer::new(),
            to_hub,
            to_client: Buffer::new(),
        };
        while !ends.to_hub.is_empty() || !ends.to_client.is_empty() {
            let taken = ends
                .hub
                .receive(NOW, ends.to_hub.bytes(), &mut ends.plain, &mut ends.to_client)?;
            ends.to_hub.consume(taken);
            let taken = ends
                .client
                .receive(NOW, ends.to_client.bytes(), &mut ends.plain, &mut ends.to_hub)?;
            ends.to_client.consume(taken);
        }
        assert!(
            ends.client.is_ready() && ends.hub.is_ready(),
            "both ends know each other"
        );
        Ok(ends)
    }

    fn new() -> Self {
        let (client, hub) = configurations();
        Self::meet(&client, &hub).expect("two good ends meet")
    }
}

fn configurations() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let (hub_noise, hub_identity) = (NoiseSecret::from_bytes([21; 32]), SecretKey::from_seed([22; 32]));
    let ledger = LedgerId::from_bytes([0xad; 32]);
    let client = ClientConfig {
        ledger,
        noise: NoiseSecret::from_bytes([11; 32]),
        identity: SecretKey::from_seed([12; 32]),
        hub_noise: hub_noise.public(),
        hub_identity: hub_identity.public(),
        limits: Limits::default(),
    };
    let hub = ServerConfig {
        ledger,
        noise: hub_noise,
        identity: hub_identity,
        links: false,
        limits: Limits::default(),
    };
    (Arc::new(client), Arc::new(hub))
}

fn handshakes(bench: &mut Bench) {
    let (client, hub) = configurations();
    bench.measure("session::handshake/ends=both", Unit::Micros, 1, || {
        black_box(Ends::meet(&client, &hub).expect("two good ends meet"));
    });
}

fn frames(bench: &mut Bench, bytes: usize) {
    let count = bench.scale().pick(64, 2);
    let plain = vec![0xa5; bytes];
    let mut ends = Ends::new();
    bench.measure(&format!("session::seal/bytes={bytes}"), Unit::Nanos, count, || {
        for _ in 0..count {
            ends.to_client.clear();
            ends.hub
                .send(black_box(&plain), &mut ends.to_client)
                .expect("the session is open");
        }
    });
    // Opening needs frames of its own, each once and in order: both together, and the difference is to be seen.
    let mut ends = Ends::new();
    let both = format!("session::seal_open/bytes={bytes}");
    bench.measure(&both, Unit::Nanos, count, || {
        for _ in 0..count {
            ends.to_client.clear();
            ends.hub
                .send(black_box(&plain), &mut ends.to_client)
                .expect("the session is open");
            let input = ends.to_client.bytes();
            let taken = ends.client.receive(NOW, input, &mut ends.plain, &mut ends.to_hub);
            assert_eq!(taken.expect("a good frame"), input.len());
            ends.plain.clear();
            ends.client.grant(bytes as u64);
        }
    });
}

fn messages(bench: &mut Bench) {
    let count = bench.scale().pick(1_024, 8);
    let body = vec![7; MESSAGE];
    let mut stream = Vec::new();
    bench.measure(
        &format!("frame::write_message/bytes={MESSAGE}"),
        Unit::Nanos,
        count,
        || {
            stream.clear();
            for request in 0..count as u64 {
                write_message(&mut stream, 1, request, |out| out.extend_from_slice(black_box(&body))).expect("short");
            }
        },
    );
    // As the session hands them over: slices of 16 KiB, which messages straddle.
    let mut reader = MessageReader::new(MAX_BODY);
    let mut found = 0;
    bench.measure(
        &format!("frame::MessageReader::next/bytes={MESSAGE}"),
        Unit::Nanos,
        count,
        || {
            found = 0;
            for slice in stream.chunks(16 << 10) {
                let mut input = black_box(slice);
                while let Some((_, body)) = reader.next(&mut input).expect("good messages") {
                    black_box(body);
                    found += 1;
                }
            }
        },
    );
    assert!(
        found == count || !bench.wants("frame::MessageReader"),
        "every message is found"
    );
}

//! The session's state machine, driven by scripts: two honest ends, and whatever a network may do between them.
//!
//! An input is a list of steps of two bytes, an action and its argument. Whatever the script, neither end panics, what an end
//! delivers is a prefix of what the other sent, and the peer that it names is the one that is there.

use std::sync::{Arc, LazyLock};

use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_session::{
    Buffer, ClientConfig, Cookies, Event, Limits, LinkConfig, Millis, NoiseSecret, RekeyLimits, ServerConfig, Session,
    SessionError,
};
use tidegate_types::LedgerId;

const LEDGER: LedgerId = LedgerId::from_bytes([0xad; 32]);

/// Small bounds, so that short scripts reach them.
const LIMITS: Limits = Limits {
    handshake_millis: 5_000,
    window: 16 * 1024,
    rekey: RekeyLimits {
        frames: 5,
        bytes: 40_000,
    },
};

/// Steps that are carried out; the rest of an input is not looked at.
const STEPS_MAX: usize = 64;

struct Configs {
    client: Arc<ClientConfig>,
    /// Another hub, with the client's keys.
    link: Arc<LinkConfig>,
    hub: Arc<ServerConfig>,
}

static CONFIGS: LazyLock<Configs> = LazyLock::new(|| {
    let (noise, identity) = ([21; 32], SecretKey::from_seed([22; 32]));
    Configs {
        client: Arc::new(ClientConfig {
            ledger: LEDGER,
            noise: NoiseSecret::from_bytes([11; 32]),
            identity: SecretKey::from_seed([12; 32]),
            hub_noise: NoiseSecret::from_bytes(noise).public(),
            hub_identity: identity.public(),
            limits: LIMITS,
        }),
        link: Arc::new(LinkConfig {
            own: Arc::new(ServerConfig {
                ledger: LEDGER,
                noise: NoiseSecret::from_bytes([11; 32]),
                identity: SecretKey::from_seed([12; 32]),
                links: true,
                limits: LIMITS,
            }),
            peer: identity.public(),
        }),
        hub: Arc::new(ServerConfig {
            ledger: LEDGER,
            noise: NoiseSecret::from_bytes(noise),
            identity,
            links: true,
            limits: LIMITS,
        }),
    }
});

/// One end, what is on its way to it, and what it said and was told.
struct End {
    session: Session,
    /// Bytes that the network holds for it.
    wire: Vec<u8>,
    /// Bytes that it has and could not take yet.
    inbox: Vec<u8>,
    plain: Buffer,
    out: Buffer,
    sent: Vec<u8>,
    failed: bool,
}

impl End {
    fn new(session: Session, out: Buffer) -> Self {
        Self {
            session,
            wire: Vec::new(),
            inbox: Vec::new(),
            plain: Buffer::new(),
            out,
            sent: Vec::new(),
            failed: false,
        }
    }

    /// The network hands over `count` bytes at most.
    fn take(&mut self, count: usize, now: Millis) {
        let count = count.min(self.wire.len());
        self.inbox.extend(self.wire.drain(..count));
        if self.failed {
            return;
        }
        match self.session.receive(now, &self.inbox, &mut self.plain, &mut self.out) {
            Ok(taken) => drop(self.inbox.drain(..taken)),
            Err(_) => self.failed = true,
        }
        let credits = self.session.credits();
        assert!(
            credits.outstanding() <= LIMITS.window,
            "more was delivered than the window"
        );
    }

    fn say(&mut self, count: usize) {
        let begin = self.sent.len();
        let text: Vec<u8> = (begin..begin + count).map(|at| at.to_le_bytes()[0]).collect();
        if self.session.send(&text, &mut self.out).is_ok() {
            self.sent.extend(text);
        }
    }

    /// What the socket of the other end gets.
    fn flush_to(&mut self, other: &mut Self) {
        other.wire.extend_from_slice(self.out.bytes());
        self.out.clear();
    }

    fn check(&mut self, other: &Self, expected: PublicKey) {
        assert!(other.sent.starts_with(self.plain.bytes()), "bytes that nobody sent");
        if let Some(Event::Ready { peer }) = self.session.poll_event() {
            assert!(peer == expected, "another peer than the one that is there");
        }
        assert!(
            self.plain.is_empty() || self.session.peer() == Some(&expected),
            "a byte of a peer that is not known"
        );
    }
}

/// When scripts begin.
const START: Millis = Millis::new(1_000_000);

/// Carries out a script between a client and a hub; true if it brought both ends to know each other and nothing failed.
#[must_use]
pub fn drive_session(data: &[u8]) -> bool {
    let mut first = Buffer::new();
    let client = Session::client(Arc::clone(&CONFIGS.client), START, &mut first).expect("the keys are good");
    drive(data, client, first)
}

/// As [`drive_session`], between two hubs.
#[must_use]
pub fn drive_link(data: &[u8]) -> bool {
    let mut first = Buffer::new();
    let near = Session::link(Arc::clone(&CONFIGS.link), None, START, &mut first).expect("the keys are good");
    drive(data, near, first)
}

fn drive(data: &[u8], client: Session, first: Buffer) -> bool {
    let mut now = START;
    let hub = Session::server(Arc::clone(&CONFIGS.hub), None, now);
    let (mut client, mut hub) = (End::new(client, first), End::new(hub, Buffer::new()));
    let (client_key, hub_key) = (CONFIGS.client.identity.public(), CONFIGS.hub.identity.public());
    for step in data.chunks_exact(2).take(STEPS_MAX) {
        let (action, argument) = (step[0] % 16, usize::from(step[1]));
        let (near, far) = match action & 1 {
            0 => (&mut client, &mut hub),
            _ => (&mut hub, &mut client),
        };
        near.flush_to(far);
        far.flush_to(near);
        match action >> 1 {
            0 => near.take(usize::MAX, now),
            1 => near.take(argument, now),
            2 => near.say(argument * 97),
            3 => near.session.grant(near.session.credits().outstanding()),
            4 => change(&mut near.wire, argument),
            5 => repeat(&mut near.wire, argument),
            6 => near.wire.truncate(argument),
            _ => now = now.after(argument as u64 * 40),
        }
        client.check(&hub, hub_key);
        hub.check(&client, client_key);
    }
    let good = |end: &End| end.session.is_ready() && !end.failed;
    good(&client) && good(&hub)
}

/// Flips one bit on the way.
fn change(wire: &mut [u8], argument: usize) {
    let len = wire.len().max(1);
    if let Some(byte) = wire.get_mut(argument * 7 % len) {
        *byte ^= 1 << (argument % 8);
    }
}

/// Shows a stretch twice: a frame again, or part of one.
fn repeat(wire: &mut Vec<u8>, argument: usize) {
    let stretch = wire[..wire.len().min(argument)].to_vec();
    wire.splice(..0, stretch);
}

/// Scripts of an undisturbed session: the handshake, then both ends speak, more than the window and over a change of keys.
pub(crate) fn scripts() -> Vec<Vec<u8>> {
    const TAKE: [u8; 2] = [0, 1];
    const SAY: [u8; 2] = [4, 5];
    const GRANT: [u8; 2] = [6, 7];
    let handshake = [TAKE[1], 0, TAKE[0], 0, TAKE[1], 0, TAKE[0], 0, TAKE[1], 0].to_vec();
    let mut talk = handshake.clone();
    for length in [1, 90, 180, 3, 255, 255] {
        talk.extend([SAY[0], length, TAKE[1], 0, GRANT[1], 0, SAY[1], length, TAKE[0], 0]);
    }
    vec![handshake, talk]
}

/// Bytes of a stranger, as they are: a hub's session takes or refuses them, and answers none but a handshake.
#[must_use]
pub fn greet_hub(data: &[u8]) -> bool {
    let now = Millis::new(0);
    let challenge = Cookies::new(&CONFIGS.hub.noise).challenge([7; 16], now);
    // Under load, and not: nothing was refused if the bytes may yet become a handshake.
    let taken = [Some(challenge), None].map(|challenge| {
        let mut hub = Session::server(Arc::clone(&CONFIGS.hub), challenge, now);
        let (mut plain, mut out) = (Buffer::new(), Buffer::new());
        let taken = hub.receive(now, data, &mut plain, &mut out);
        assert!(
            plain.is_empty() && !hub.is_ready(),
            "a stranger proved something by chance"
        );
        taken
    });
    taken[1].is_ok()
}

/// What may be a hub's first bytes, read by a client. They prove nothing: nothing is delivered, and the client is not ready.
#[must_use]
pub fn greet_client(data: &[u8]) -> bool {
    let now = Millis::new(0);
    let (mut plain, mut out) = (Buffer::new(), Buffer::new());
    let mut client = Session::client(Arc::clone(&CONFIGS.client), now, &mut out).expect("the keys are good");
    let taken = client.receive(now, data, &mut plain, &mut out);
    assert!(
        plain.is_empty() && !client.is_ready(),
        "a stranger proved something by chance"
    );
    // It may yet become a handshake, or it asks for another attempt.
    matches!(taken, Ok(_) | Err(SessionError::Retry(_)))
}

/// First messages of both ends, whole and cut; those of a hub under load too. Ephemeral keys are drawn anew for each run.
pub(crate) fn greetings() -> Vec<Vec<u8>> {
    let (mut first, mut other) = (Buffer::new(), Buffer::new());
    let now = Millis::new(0);
    let _client = Session::client(Arc::clone(&CONFIGS.client), now, &mut first).expect("the keys are good");
    let _link = Session::link(Arc::clone(&CONFIGS.link), None, now, &mut other).expect("the keys are good");
    let cuts = |bytes: &[u8]| [0, 1, 2, 33, bytes.len() - 1, bytes.len()].map(|len| bytes[..len].to_vec());
    // Length, milliseconds, zeros, cookie.
    let retry = [&[40, 0, 1, 0, 0, 0, 0, 0, 0, 0][..], &[7; 32]].concat();
    let shown = [&[128, 0][..], &[7; 32], &first.bytes()[2..]].concat();
    [cuts(first.bytes()), cuts(other.bytes()), cuts(&shown), cuts(&retry)].concat()
}

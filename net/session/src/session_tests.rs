//! Two ends of a session over byte vectors, and everything that may go wrong between them.

use tidegate_types::LedgerId;

use super::*;
use crate::cookie::Cookies;
use crate::frame::{FrameLength, PLAIN_MAX};
use crate::identity::IdentityError;
use crate::noise::{NoiseKey, NoiseSecret};
use crate::rekey::RekeyLimits;

const START: Millis = Millis::new(1_000_000);
const LEDGER: LedgerId = LedgerId::from_bytes([0xad; 32]);

fn client_config(limits: Limits) -> ClientConfig {
    ClientConfig {
        ledger: LEDGER,
        noise: NoiseSecret::from_bytes([11; 32]),
        identity: SecretKey::from_seed([12; 32]),
        hub_noise: NoiseSecret::from_bytes([21; 32]).public(),
        hub_identity: SecretKey::from_seed([22; 32]).public(),
        limits,
    }
}

fn server_config(limits: Limits) -> ServerConfig {
    ServerConfig {
        ledger: LEDGER,
        noise: NoiseSecret::from_bytes([21; 32]),
        identity: SecretKey::from_seed([22; 32]),
        links: false,
        limits,
    }
}

/// One end with its buffers.
struct End {
    session: Session,
    inbox: Vec<u8>,
    plain: Buffer,
    out: Buffer,
}

impl End {
    fn client(config: ClientConfig) -> Self {
        let mut out = Buffer::new();
        let session = Session::client(Arc::new(config), START, &mut out).unwrap();
        Self::new(session, out)
    }

    fn hub(config: ServerConfig) -> Self {
        Self::new(Session::server(Arc::new(config), None, START), Buffer::new())
    }

    fn new(session: Session, out: Buffer) -> Self {
        Self {
            session,
            inbox: Vec::new(),
            plain: Buffer::new(),
            out,
        }
    }

    fn take_out(&mut self) -> Vec<u8> {
        let bytes = self.out.bytes().to_vec();
        self.out.clear();
        bytes
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.inbox.extend_from_slice(bytes);
        let taken = self
            .session
            .receive(START, &self.inbox, &mut self.plain, &mut self.out)?;
        self.inbox.drain(..taken);
        Ok(())
    }

    /// What is sealed for `plaintext`, alone.
    fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        assert!(self.out.is_empty());
        self.session.send(plaintext, &mut self.out).unwrap();
        self.take_out()
    }
}

fn pump(client: &mut End, hub: &mut End) -> Result<(), SessionError> {
    while !client.out.is_empty() || !hub.out.is_empty() {
        hub.feed(&client.take_out())?;
        client.feed(&hub.take_out())?;
    }
    Ok(())
}

fn ends(limits: Limits) -> (End, End) {
    (End::client(client_config(limits)), End::hub(server_config(limits)))
}

fn ready(limits: Limits) -> (End, End) {
    let (mut client, mut hub) = ends(limits);
    pump(&mut client, &mut hub).unwrap();
    (client, hub)
}

#[test]
fn both_ends_learn_the_proved_identity_of_the_other() {
    let (mut client, mut hub) = ready(Limits::default());
    let hub_key = SecretKey::from_seed([22; 32]).public();
    let client_key = SecretKey::from_seed([12; 32]).public();
    assert_eq!(client.session.poll_event(), Some(Event::Ready { peer: hub_key }));
    assert_eq!(hub.session.poll_event(), Some(Event::Ready { peer: client_key }));
    assert_eq!((client.session.poll_event(), hub.session.poll_event()), (None, None));
    assert_eq!(
        (client.session.peer(), hub.session.peer()),
        (Some(&hub_key), Some(&client_key))
    );
    assert_eq!((client.session.deadline(), hub.session.deadline()), (None, None));
    assert!(client.plain.is_empty() && hub.plain.is_empty());
}

#[test]
fn plaintext_arrives_in_order_over_frames_of_any_fill() {
    let (mut client, mut hub) = ready(Limits::default());
    let mut sent = Vec::new();
    for len in [1, 16, PLAIN_MAX - 1, PLAIN_MAX, PLAIN_MAX + 1, 3 * PLAIN_MAX + 5] {
        let part: Vec<u8> = (0..len).map(|i| (i * 7 + len).to_le_bytes()[0]).collect();
        let sealed = client.seal(&part);
        assert_eq!(sealed.len(), len + len.div_ceil(PLAIN_MAX) * 18);
        hub.feed(&sealed).unwrap();
        sent.extend(part);
    }
    assert_eq!(hub.plain.bytes(), sent);
    let answer = hub.seal(b"and back");
    client.feed(&answer).unwrap();
    assert_eq!(client.plain.bytes(), b"and back");
}

#[test]
fn every_cut_of_the_stream_gives_the_same_session() {
    // The lengths do not depend on the keys: 98 and then 114, 5 + 18 and 9 + 18 bytes.
    for cut in 0..=98 + 114 + 23 + 27 {
        let (mut client, mut hub) = ends(Limits::default());
        let first = client.take_out();
        let (a, b) = first.split_at(cut.min(first.len()));
        hub.feed(a).unwrap();
        hub.feed(b).unwrap();
        let answer = hub.take_out();
        let (a, b) = answer.split_at(cut.min(answer.len()));
        client.feed(a).unwrap();
        client.feed(b).unwrap();
        let mut rest = client.take_out();
        rest.extend(client.seal(b"hello"));
        rest.extend(client.seal(b"greetings"));
        let (a, b) = rest.split_at(cut.saturating_sub(98).min(rest.len()));
        hub.feed(a).unwrap();
        hub.feed(b).unwrap();
        assert_eq!(hub.plain.bytes(), b"hellogreetings", "cut at {cut}");
    }
}

#[test]
fn byte_by_byte_gives_the_same_session() {
    let (mut client, mut hub) = ends(Limits::default());
    while !client.session.is_ready() {
        for byte in client.take_out() {
            hub.feed(&[byte]).unwrap();
        }
        for byte in hub.take_out() {
            client.feed(&[byte]).unwrap();
        }
    }
    for byte in client.take_out() {
        hub.feed(&[byte]).unwrap();
    }
    for byte in client.seal(b"slowly") {
        hub.feed(&[byte]).unwrap();
    }
    assert_eq!(hub.plain.bytes(), b"slowly");
}

/// Runs a session whose bytes from the client (or the hub) have the byte at `at` changed; true if that was noticed.
fn tampered(from_client: bool, at: usize) -> bool {
    let (mut client, mut hub) = ends(Limits::default());
    let mut position = 0;
    let mut deliver = |to: &mut End, mut bytes: Vec<u8>, victim: bool| {
        if victim {
            if let Some(byte) = at.checked_sub(position).and_then(|i| bytes.get_mut(i)) {
                *byte ^= 0x10;
            }
            position += bytes.len();
        }
        to.feed(&bytes)
    };
    let mut script = || -> Result<bool, SessionError> {
        for _ in 0..2 {
            let bytes = client.take_out();
            deliver(&mut hub, bytes, from_client)?;
            let bytes = hub.take_out();
            deliver(&mut client, bytes, !from_client)?;
        }
        if !client.session.is_ready() || !hub.session.is_ready() {
            return Ok(true);
        }
        let bytes = client.seal(b"twelve bytes");
        deliver(&mut hub, bytes, from_client)?;
        let bytes = hub.seal(b"twelve bytes");
        deliver(&mut client, bytes, !from_client)?;
        // A longer prefix on the last frame waits for bytes that never come: nothing is delivered either.
        Ok(client.plain.is_empty() || hub.plain.is_empty())
    };
    script().unwrap_or(true)
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let total = |parts: &[usize]| parts.iter().map(|len| len + 2).sum::<usize>();
    for at in 0..total(&[IK_FIRST_LEN, PROOF_LEN + TAG_LEN, 12 + TAG_LEN]) {
        assert!(tampered(true, at), "byte {at} from the client");
    }
    for at in 0..total(&[IK_SECOND_LEN, PROOF_LEN + TAG_LEN, 12 + TAG_LEN]) {
        assert!(tampered(false, at), "byte {at} from the hub");
    }
    assert!(!tampered(true, usize::MAX), "the script itself is sound");
}

#[test]
fn another_hub_key_or_ledger_fails_at_the_first_message() {
    let other_key = ClientConfig {
        hub_noise: NoiseSecret::from_bytes([99; 32]).public(),
        ..client_config(Limits::default())
    };
    let other_ledger = ClientConfig {
        ledger: LedgerId::from_bytes([0xae; 32]),
        ..client_config(Limits::default())
    };
    for config in [other_key, other_ledger] {
        let (mut client, mut hub) = (End::client(config), End::hub(server_config(Limits::default())));
        let refused = hub.feed(&client.take_out());
        assert_eq!(refused, Err(SessionError::Handshake(snow::Error::Decrypt)));
        assert!(hub.out.is_empty(), "a stranger learns nothing");
        assert_eq!(hub.feed(&[]), Err(SessionError::Failed));
    }
}

#[test]
fn a_hub_key_of_small_order_starts_no_session() {
    let config = ClientConfig {
        hub_noise: NoiseKey::from_bytes([0; 32]),
        ..client_config(Limits::default())
    };
    let started = Session::client(Arc::new(config), START, &mut Buffer::new());
    assert_eq!(started.err(), Some(SessionError::Local(snow::Error::Dh)));
}

#[test]
fn the_hub_must_be_the_one_in_the_address() {
    let mut client = End::client(client_config(Limits::default()));
    let mut hub = End::hub(ServerConfig {
        identity: SecretKey::from_seed([77; 32]),
        ..server_config(Limits::default())
    });
    hub.feed(&client.take_out()).unwrap();
    let refused = client.feed(&hub.take_out()).unwrap_err();
    assert_eq!(
        refused.other_hub(),
        Some(SecretKey::from_seed([77; 32]).public().bytes())
    );
    assert!(!client.session.is_ready());
    assert_eq!(client.session.send(b"x", &mut client.out), Err(SendError::NotReady));
}

/// A client whose handshake is right and whose first frame is whatever `proof` makes of the binding.
fn with_proof(proof: impl FnOnce(&Binding) -> Vec<u8>) -> (Result<(), SessionError>, End) {
    let config = client_config(Limits::default());
    let mut hub = End::hub(server_config(Limits::default()));
    let mut handshake = noise::initiator(&LEDGER, &config.noise, &config.hub_noise).unwrap();
    let mut out = Buffer::new();
    write_handshake(&mut handshake, &[], IK_FIRST_LEN, &mut out).unwrap();
    hub.feed(out.bytes()).unwrap();
    let answer = hub.take_out();
    handshake.read_message(&answer[2..2 + IK_SECOND_LEN], &mut []).unwrap();
    let binding = Config::Client(Arc::new(config)).binding(&handshake);
    let mut transport = Transport::new(handshake.into_transport_mode().unwrap(), RekeyLimits::default());
    let mut out = Buffer::new();
    transport.seal(&proof(&binding), &mut out).unwrap();
    (hub.feed(out.bytes()), hub)
}

#[test]
fn only_a_proof_for_this_session_role_and_key_counts() {
    let secret = SecretKey::from_seed([12; 32]);
    let bad = Err(SessionError::Identity(IdentityError::Signature));
    let (taken, hub) = with_proof(|binding| binding.prove(Role::Client, &secret).to_vec());
    assert_eq!((taken, hub.session.is_ready()), (Ok(()), true));

    let (refused, _) = with_proof(|binding| binding.prove(Role::Hub, &secret).to_vec());
    assert_eq!(refused, bad, "the other role");
    let (refused, _) = with_proof(|binding| {
        let mut other = *binding;
        other.handshake_hash[31] ^= 1;
        other.prove(Role::Client, &secret).to_vec()
    });
    assert_eq!(refused, bad, "another session");
    let (refused, _) = with_proof(|binding| {
        let other = Binding {
            ledger: LedgerId::ZERO,
            ..*binding
        };
        other.prove(Role::Client, &secret).to_vec()
    });
    assert_eq!(refused, bad, "another ledger");
    let (refused, _) = with_proof(|binding| {
        let mut proof = binding.prove(Role::Client, &SecretKey::from_seed([13; 32]));
        proof[..32].copy_from_slice(secret.public().bytes().as_bytes());
        proof.to_vec()
    });
    assert_eq!(refused, bad, "a signature by another key");
    let (refused, hub) = with_proof(|binding| {
        let mut proof = binding.prove(Role::Client, &secret);
        proof[..32].fill(0);
        proof.to_vec()
    });
    assert!(
        matches!(refused, Err(SessionError::Identity(IdentityError::Key(_)))),
        "a key of small order"
    );
    assert!(hub.session.peer().is_none() && !hub.session.is_ready());
}

#[test]
fn nothing_is_delivered_before_the_proof() {
    // A message where the proof belongs, shorter, longer, and of exactly its length.
    for len in [1, PROOF_LEN - 1, PROOF_LEN + 1, PLAIN_MAX] {
        let (refused, hub) = with_proof(|_| vec![7; len]);
        let frame_len = FrameLength {
            len: len + TAG_LEN,
            min: PROOF_LEN + TAG_LEN,
            max: PROOF_LEN + TAG_LEN,
        };
        assert_eq!(refused, Err(SessionError::Length(frame_len)));
        assert!(hub.plain.is_empty());
    }
    let (refused, hub) = with_proof(|_| vec![7; PROOF_LEN]);
    assert!(matches!(refused, Err(SessionError::Identity(_))));
    assert!(hub.plain.is_empty());
    let (mut client, _) = ends(Limits::default());
    assert_eq!(client.session.send(b"early", &mut client.out), Err(SendError::NotReady));
}

#[test]
fn replayed_lost_and_swapped_frames_end_the_session() {
    let scripts: [&[usize]; 3] = [&[0, 0], &[1], &[1, 0]];
    for order in scripts {
        let (mut client, mut hub) = ready(Limits::default());
        let frames = [client.seal(b"first"), client.seal(b"second")];
        let last = order.iter().map(|&i| hub.feed(&frames[i])).find(Result::is_err);
        assert_eq!(last, Some(Err(SessionError::Frame(snow::Error::Decrypt))), "{order:?}");
        assert_eq!(hub.feed(&frames[1]), Err(SessionError::Failed));
    }
}

#[test]
fn a_handshake_of_another_session_opens_nothing() {
    let (mut client, mut hub) = ends(Limits::default());
    let first = client.take_out();
    hub.feed(&first).unwrap();
    let mut replayed = End::hub(server_config(Limits::default()));
    replayed.feed(&first).unwrap();
    client.feed(&hub.take_out()).unwrap();
    let proof = client.take_out();
    assert_eq!(replayed.feed(&proof), Err(SessionError::Frame(snow::Error::Decrypt)));
}

#[test]
fn wrong_lengths_are_refused_at_the_second_byte() {
    let good = [IK_FIRST_LEN, IK_COOKIE_LEN];
    for len in (0..=u16::MAX).filter(|&len| !good.contains(&usize::from(len))) {
        let mut hub = End::hub(server_config(Limits::default()));
        let refused = hub.feed(&len.to_le_bytes());
        assert!(matches!(refused, Err(SessionError::Length(_))), "{len}");
    }
    let sealed_max = u16::try_from(SEALED_MAX).unwrap();
    for len in [0, 15, 16, sealed_max + 1, u16::MAX] {
        let (_, mut hub) = ready(Limits::default());
        assert!(
            matches!(hub.feed(&len.to_le_bytes()), Err(SessionError::Length(_))),
            "{len}"
        );
    }
}

#[test]
fn a_peer_that_is_not_known_in_time_is_given_up() {
    let limits = Limits::default();
    let (mut client, mut hub) = ends(limits);
    let deadline = START.after(limits.handshake_millis);
    assert_eq!(hub.session.deadline(), Some(deadline));
    assert_eq!(hub.session.check_deadline(Millis::new(deadline.get() - 1)), Ok(()));
    let late = hub
        .session
        .receive(deadline, &client.take_out(), &mut hub.plain, &mut hub.out);
    assert_eq!(late, Err(SessionError::HandshakeTimeout { millis: 5_000 }));
    let (mut client, mut hub) = ready(limits);
    let sealed = client.seal(b"a known peer may be slow");
    assert!(
        hub.session
            .receive(deadline, &sealed, &mut hub.plain, &mut hub.out)
            .is_ok()
    );
}

#[test]
fn keys_change_at_the_same_frame_on_both_sides() {
    for rekey in [
        RekeyLimits {
            frames: 3,
            bytes: 1 << 30,
        },
        RekeyLimits {
            frames: 1 << 20,
            bytes: 40,
        },
    ] {
        let limits = Limits {
            rekey,
            ..Limits::default()
        };
        let (mut client, mut hub) = ready(limits);
        for i in 0..100u8 {
            let sealed = client.seal(&[i; 10]);
            hub.feed(&sealed).unwrap();
            let sealed = hub.seal(&[i; 13]);
            client.feed(&sealed).unwrap();
        }
        assert_eq!((hub.plain.len(), client.plain.len()), (1000, 1300));
        // An end that counts otherwise is out of step when the first key ends.
        let other = RekeyLimits {
            frames: rekey.frames + 1,
            bytes: rekey.bytes + 10,
        };
        let mut client = End::client(client_config(Limits { rekey: other, ..limits }));
        let mut hub = End::hub(server_config(limits));
        pump(&mut client, &mut hub).unwrap();
        let failed = (0..10).map(|_| hub.feed(&client.seal(&[0; 10]))).find(Result::is_err);
        assert_eq!(failed, Some(Err(SessionError::Frame(snow::Error::Decrypt))));
    }
}

#[test]
fn without_credit_frames_stay_outside() {
    let limits = Limits {
        window: PLAIN_MAX as u64 + 100,
        ..Limits::default()
    };
    let (mut client, mut hub) = ready(limits);
    let sealed = client.seal(&vec![3; 2 * PLAIN_MAX]);
    hub.feed(&sealed).unwrap();
    assert_eq!(hub.plain.len(), PLAIN_MAX);
    assert_eq!(hub.inbox.len(), sealed.len() / 2);
    hub.session.grant(PLAIN_MAX as u64);
    hub.feed(&[]).unwrap();
    assert_eq!((hub.plain.len(), hub.inbox.len()), (2 * PLAIN_MAX, 0));
    assert_eq!(hub.session.credits().outstanding(), PLAIN_MAX as u64);
}

/// A hub that asks for cookies, and what it asks of the stranger at `address`.
fn challenged(address: u8) -> (End, Challenge) {
    let challenge = Cookies::new(&NoiseSecret::from_bytes([21; 32])).challenge([address; 16], START);
    let session = Session::server(Arc::new(server_config(Limits::default())), Some(challenge), START);
    (End::new(session, Buffer::new()), challenge)
}

#[test]
fn a_stranger_comes_again_with_the_cookie_and_is_let_in() {
    let mut client = End::client(client_config(Limits::default()));
    let (mut hub, challenge) = challenged(1);
    let first = client.take_out();
    hub.feed(&first).unwrap();
    assert_eq!(hub.session.poll_event(), Some(Event::SentAway));
    hub.feed(&first).unwrap();
    assert!(
        !hub.session.is_ready() && hub.session.poll_event().is_none(),
        "it computes nothing more"
    );
    let answer = hub.take_out();
    assert_eq!(answer.len(), 42);
    let Err(SessionError::Retry(retry)) = client.feed(&answer) else {
        panic!("the client is asked to come again");
    };
    assert!(challenge.admits(&retry.cookie));

    for (address, let_in) in [(1, true), (2, false)] {
        let (mut hub, _) = challenged(address);
        let mut out = Buffer::new();
        let config = Arc::new(client_config(Limits::default()));
        let session = Session::client_again(config, &retry.cookie, START, &mut out).unwrap();
        let mut client = End::new(session, out);
        let pumped = pump(&mut client, &mut hub);
        assert_eq!(
            (pumped.is_ok(), hub.session.is_ready()),
            (let_in, let_in),
            "address {address}"
        );
    }
}

#[test]
fn a_cookie_is_taken_where_none_is_asked_for() {
    let mut out = Buffer::new();
    let config = Arc::new(client_config(Limits::default()));
    let session = Session::client_again(config, &Cookie::from_bytes([9; 32]), START, &mut out).unwrap();
    let (mut client, mut hub) = (End::new(session, out), End::hub(server_config(Limits::default())));
    pump(&mut client, &mut hub).unwrap();
    assert!(hub.session.is_ready());
}

/// Whoever stands between, or has the hub's Noise key and not its identity, does not learn who the client is.
#[test]
fn a_client_proves_who_it_is_only_to_the_hub_that_it_means() {
    let (mut client, mut hub) = ends(Limits::default());
    hub.feed(&client.take_out()).unwrap();
    let answer = hub.take_out();
    let (handshake, proof) = answer.split_at(PREFIX_LEN + IK_SECOND_LEN);
    client.feed(handshake).unwrap();
    assert!(client.out.is_empty(), "nothing before the hub's proof");
    client.feed(proof).unwrap();
    assert_eq!(client.out.len(), PREFIX_LEN + PROOF_LEN + TAG_LEN);
}

#[path = "link_tests.rs"]
mod links;

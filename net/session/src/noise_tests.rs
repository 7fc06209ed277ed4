//! Which primitives really ran, and the published vectors of the patterns in use.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use super::*;

/// Counts the calls that reach the ciphers of one resolver.
struct Counting<R> {
    inner: R,
    cipher_calls: Arc<AtomicU64>,
}

impl<R> Counting<R> {
    fn of(inner: R) -> (Self, Arc<AtomicU64>) {
        let cipher_calls = Arc::new(AtomicU64::new(0));
        let calls = Arc::clone(&cipher_calls);
        (Self { inner, cipher_calls }, calls)
    }
}

impl<R: CryptoResolver> CryptoResolver for Counting<R> {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        self.inner.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        self.inner.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        self.inner.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let inner = self.inner.resolve_cipher(choice)?;
        let calls = Arc::clone(&self.cipher_calls);
        Some(Box::new(CountingCipher { inner, calls }))
    }
}

struct CountingCipher {
    inner: Box<dyn Cipher>,
    calls: Arc<AtomicU64>,
}

impl Cipher for CountingCipher {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.inner.set(key);
    }

    fn encrypt(&self, nonce: u64, ad: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.encrypt(nonce, ad, plain, out)
    }

    fn decrypt(&self, nonce: u64, ad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<usize, snow::Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.decrypt(nonce, ad, sealed, out)
    }
}

/// The types say that ring is the preferred source; the counts, that each frame really went there.
#[test]
fn every_frame_is_sealed_and_opened_by_ring() {
    let (preferred, fallback): (RingResolver, DefaultResolver) = sources();
    let (ring, ring_calls) = Counting::of(preferred);
    let (other, other_calls) = Counting::of(fallback);
    let hub = NoiseSecret::from_bytes([3; 32]);
    let mut client = Builder::with_resolver(params(Pattern::Ik), layered((ring, other)))
        .local_private_key(&[5; 32])
        .and_then(|b| b.remote_public_key(&hub.public().0)?.build_initiator())
        .unwrap();
    let mut server = Builder::with_resolver(params(Pattern::Ik), resolver())
        .local_private_key(&*hub.0)
        .and_then(Builder::build_responder)
        .unwrap();
    let (mut sealed, mut plain) = ([0; 200], [0; 200]);
    let n = client.write_message(&[], &mut sealed).unwrap();
    server.read_message(&sealed[..n], &mut plain).unwrap();
    let n = server.write_message(&[], &mut sealed).unwrap();
    client.read_message(&sealed[..n], &mut plain).unwrap();
    let mut client = client.into_transport_mode().unwrap();
    let before = ring_calls.load(Ordering::Relaxed);
    for _ in 0..10 {
        client.write_message(b"ten frames", &mut sealed).unwrap();
    }
    assert_eq!(ring_calls.load(Ordering::Relaxed), before + 10);
    assert_eq!(other_calls.load(Ordering::Relaxed), 0);
}

#[test]
fn points_of_small_order_agree_on_nothing() {
    let low_order = [
        [0; 32],
        {
            let mut one = [0; 32];
            one[0] = 1;
            one
        },
        hex32("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex32("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        hex32("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ];
    let mut dh = resolver().resolve_dh(&DHChoice::Curve25519).unwrap();
    dh.set(&[7; 32]);
    for point in low_order {
        assert_eq!(dh.dh(&point, &mut [0; 56]), Err(snow::Error::Dh), "{point:02x?}");
    }
    assert_eq!(
        dh.dh(&NoiseSecret::from_bytes([9; 32]).public().0, &mut [0; 56]),
        Ok(())
    );
}

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    protocol_name: String,
    init_prologue: String,
    init_static: Option<String>,
    init_ephemeral: String,
    init_remote_static: Option<String>,
    resp_prologue: String,
    resp_static: Option<String>,
    resp_ephemeral: Option<String>,
    handshake_hash: Option<String>,
    messages: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    payload: String,
    ciphertext: String,
}

#[test]
fn the_published_vectors_pass() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/noise_cacophony.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no ../shared/data");
        return;
    };
    let all: Vectors = serde_json::from_str(&text).unwrap();
    for name in [PATTERN_IK, PATTERN_XX] {
        let mut found = 0;
        for vector in all.vectors.iter().filter(|v| v.protocol_name == name) {
            run_vector(vector);
            found += 1;
        }
        assert!(found > 0, "vectors of {name}");
    }
}

fn run_vector(vector: &Vector) {
    let mut init = half(vector, true);
    let mut resp = half(vector, false);
    let mut messages = vector.messages.iter();
    let (mut sealed, mut plain) = (vec![0; 1024], vec![0; 1024]);
    let mut turn = true;
    while !init.is_handshake_finished() {
        let message = messages.next().unwrap();
        let (from, to) = if turn {
            (&mut init, &mut resp)
        } else {
            (&mut resp, &mut init)
        };
        let n = from.write_message(&unhex(&message.payload), &mut sealed).unwrap();
        assert_eq!(hex::encode(&sealed[..n]), message.ciphertext);
        let n = to.read_message(&sealed[..n], &mut plain).unwrap();
        assert_eq!(hex::encode(&plain[..n]), message.payload);
        turn = !turn;
    }
    let hash = vector.handshake_hash.as_deref().unwrap();
    assert_eq!(hex::encode(init.get_handshake_hash()), hash);
    assert_eq!(hex::encode(resp.get_handshake_hash()), hash);
    let mut init = init.into_transport_mode().unwrap();
    let mut resp = resp.into_transport_mode().unwrap();
    for message in messages {
        let (from, to) = if turn {
            (&mut init, &mut resp)
        } else {
            (&mut resp, &mut init)
        };
        let n = from.write_message(&unhex(&message.payload), &mut sealed).unwrap();
        assert_eq!(hex::encode(&sealed[..n]), message.ciphertext);
        let n = to.read_message(&sealed[..n], &mut plain).unwrap();
        assert_eq!(hex::encode(&plain[..n]), message.payload);
        turn = !turn;
    }
}

fn half(vector: &Vector, init: bool) -> HandshakeState {
    let (prologue, local, ephemeral) = if init {
        (&vector.init_prologue, &vector.init_static, Some(&vector.init_ephemeral))
    } else {
        (
            &vector.resp_prologue,
            &vector.resp_static,
            vector.resp_ephemeral.as_ref(),
        )
    };
    let prologue = unhex(prologue);
    let local = local.as_deref().map(unhex).unwrap();
    let ephemeral = unhex(ephemeral.unwrap());
    let remote = vector.init_remote_static.as_deref().filter(|_| init).map(unhex);
    let mut builder = Builder::with_resolver(vector.protocol_name.parse().unwrap(), resolver())
        .prologue(&prologue)
        .and_then(|b| b.local_private_key(&local))
        .unwrap()
        .fixed_ephemeral_key_for_testing_only(&ephemeral);
    if let Some(remote) = &remote {
        builder = builder.remote_public_key(remote).unwrap();
    }
    if init {
        builder.build_initiator()
    } else {
        builder.build_responder()
    }
    .unwrap()
}

fn unhex(text: impl AsRef<str>) -> Vec<u8> {
    hex::decode(text.as_ref()).unwrap()
}

fn hex32(text: &str) -> [u8; 32] {
    unhex(text).try_into().unwrap()
}

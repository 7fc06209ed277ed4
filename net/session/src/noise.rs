//! Where the Noise primitives come from, and the static keys.
//!
//! AES-256-GCM, SHA-256 and random bytes come from ring, X25519 (which ring's resolver has not) from snow's default
//! resolver, whose own ciphers are 3 to 14 times slower. The ephemeral keys of a handshake are drawn by ring's
//! `SystemRandom`: that is the only randomness in this crate.
//!
//! X25519 here refuses a result of all zeros (RFC 7748, 6.1): snow leaves that to its user, and a peer that names a point
//! of small order would otherwise choose part of the key.

use core::fmt;

use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{BoxedCryptoResolver, CryptoResolver, DefaultResolver, FallbackResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use tidegate_types::LedgerId;
use zeroize::{Zeroize as _, Zeroizing};

/// Clients know the hub's static key, and send their own.
pub const PATTERN_IK: &str = "Noise_IK_25519_AESGCM_SHA256";

/// Hubs learn each other's static keys on the way; who they are is proved behind it.
pub const PATTERN_XX: &str = "Noise_XX_25519_AESGCM_SHA256";

/// The prologue is this, then the ledger id: a handshake for another version or another ledger fails.
pub const PROLOGUE_TAG: &[u8; 10] = b"tidegate/1";

const PROLOGUE_LEN: usize = PROLOGUE_TAG.len() + size_of::<LedgerId>();

/// An X25519 public key, the second half of a hub's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoiseKey([u8; 32]);

impl NoiseKey {
    /// The key of these bytes. X25519 takes any; those of small order fail in the handshake.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for NoiseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoiseKey(")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        write!(f, ")")
    }
}

/// An X25519 secret key. Wiped when dropped; never shown. It is never an Ed25519 key in another dress.
pub struct NoiseSecret(Zeroizing<[u8; 32]>);

impl NoiseSecret {
    /// The secret of 32 bytes that the caller drew at random.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let secret = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        secret
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> NoiseKey {
        let mut dh = DefaultResolver
            .resolve_dh(&DHChoice::Curve25519)
            .expect("snow is built with curve25519");
        dh.set(&*self.0);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(dh.pubkey());
        NoiseKey(bytes)
    }
}

impl fmt::Debug for NoiseSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoiseSecret(of {:?})", self.public())
    }
}

/// Which handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// A client with a hub.
    Ik,
    /// A hub with a hub.
    Xx,
}

/// The client's half of an IK handshake.
pub(crate) fn initiator(ledger: &LedgerId, local: &NoiseSecret, hub: &NoiseKey) -> Result<HandshakeState, snow::Error> {
    let prologue = prologue(ledger);
    Builder::with_resolver(params(Pattern::Ik), resolver())
        .prologue(&prologue)?
        .local_private_key(&*local.0)?
        .remote_public_key(&hub.0)?
        .build_initiator()
}

/// The half of an XX handshake that begins it.
pub(crate) fn link_initiator(ledger: &LedgerId, local: &NoiseSecret) -> Result<HandshakeState, snow::Error> {
    let prologue = prologue(ledger);
    Builder::with_resolver(params(Pattern::Xx), resolver())
        .prologue(&prologue)?
        .local_private_key(&*local.0)?
        .build_initiator()
}

/// The half of a handshake that answers.
pub(crate) fn responder(
    pattern: Pattern,
    ledger: &LedgerId,
    local: &NoiseSecret,
) -> Result<HandshakeState, snow::Error> {
    let prologue = prologue(ledger);
    Builder::with_resolver(params(pattern), resolver())
        .prologue(&prologue)?
        .local_private_key(&*local.0)?
        .build_responder()
}

fn params(pattern: Pattern) -> NoiseParams {
    let name = match pattern {
        Pattern::Ik => PATTERN_IK,
        Pattern::Xx => PATTERN_XX,
    };
    name.parse().expect("a pattern that snow knows")
}

fn prologue(ledger: &LedgerId) -> [u8; PROLOGUE_LEN] {
    let mut bytes = [0; PROLOGUE_LEN];
    let (tag, id) = bytes.split_at_mut(PROLOGUE_TAG.len());
    tag.copy_from_slice(PROLOGUE_TAG);
    id.copy_from_slice(ledger.as_bytes());
    bytes
}

/// The one resolver of this crate.
fn resolver() -> BoxedCryptoResolver {
    layered(sources())
}

/// Where primitives come from, the preferred source first.
fn sources() -> (RingResolver, DefaultResolver) {
    (RingResolver, DefaultResolver)
}

/// `preferred` where it has a primitive, else `fallback`; X25519 made contributory.
fn layered<P, F>((preferred, fallback): (P, F)) -> BoxedCryptoResolver
where
    P: CryptoResolver + Send + 'static,
    F: CryptoResolver + Send + 'static,
{
    let inner = FallbackResolver::new(Box::new(preferred), Box::new(fallback));
    Box::new(ContributoryDh(inner))
}

struct ContributoryDh(FallbackResolver);

impl CryptoResolver for ContributoryDh {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        self.0.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let dh = self.0.resolve_dh(choice)?;
        Some(Box::new(Contributory(dh)))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        self.0.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        self.0.resolve_cipher(choice)
    }
}

struct Contributory(Box<dyn Dh>);

impl Dh for Contributory {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pub_len(&self) -> usize {
        self.0.pub_len()
    }

    fn priv_len(&self) -> usize {
        self.0.priv_len()
    }

    fn set(&mut self, privkey: &[u8]) {
        self.0.set(privkey);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        self.0.generate(rng)
    }

    fn pubkey(&self) -> &[u8] {
        self.0.pubkey()
    }

    fn privkey(&self) -> &[u8] {
        self.0.privkey()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        self.0.dh(pubkey, out)?;
        let shared = out.get(..self.dh_len()).ok_or(snow::Error::Dh)?;
        // All bytes are looked at whatever they are, so that the time says nothing of the secret.
        if shared.iter().fold(0, |or, byte| or | byte) == 0 {
            return Err(snow::Error::Dh);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "noise_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "example_tests.rs"]
mod example;

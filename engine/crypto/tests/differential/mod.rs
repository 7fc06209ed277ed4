//! Signatures that are good, bent, or made to sit at the edges of rule 4, by the thousand and cheaply: the nonces of one
//! batch follow each other, so that all R of it are encoded with one inversion, and each signature has its own.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;
use sha2::{Digest as _, Sha512};
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{KeyBytes, SignatureBytes};

use crate::reference;

/// splitmix64.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).expect("below a usize")
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }

    fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.bytes())
    }
}

/// A key whose secret scalar is known, so that signatures can be made for any R.
pub(crate) struct Signer {
    secret: Scalar,
    pub(crate) public: PublicKey,
    /// For the reference.
    pub(crate) powers: reference::Powers,
}

impl Signer {
    fn new(secret: Scalar) -> Self {
        let bytes = EdwardsPoint::mul_base(&secret).compress().0;
        let public = PublicKey::register(KeyBytes::from_bytes(bytes)).expect("a multiple of the base point");
        Self {
            secret,
            public,
            powers: reference::Powers::of(&bytes),
        }
    }

    /// The S that fits these bytes of R, whose point without its torsion is `[r]B`.
    fn finish(&self, r: Scalar, r_bytes: [u8; 32], message: &[u8]) -> [u8; 64] {
        let hash = Sha512::new()
            .chain_update(r_bytes)
            .chain_update(self.public.bytes().as_bytes())
            .chain_update(message);
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        join(r_bytes, (r + challenge * self.secret).to_bytes())
    }
}

/// Keys: B, −B, 2B, and others at random.
pub(crate) fn signers(count: usize, numbers: &mut Numbers) -> Vec<Signer> {
    let edges = [Scalar::ONE, -Scalar::ONE, Scalar::from(2_u8)];
    let others = core::iter::from_fn(|| Some(numbers.scalar()));
    edges.into_iter().chain(others).take(count).map(Signer::new).collect()
}

fn join(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r);
    bytes[32..].copy_from_slice(&s);
    bytes
}

/// `s + L·times` as bytes, wrapping at 2^256.
fn raised(s: &[u8; 32], times: u8) -> [u8; 32] {
    let l = reference::order() * times + reference::number(s);
    reference::bytes(&(l % (num_bigint::BigUint::from(1_u8) << 256)))
}

/// What is made of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    /// One bit wrong anywhere.
    Bit,
    /// S at and above L, to the same residue.
    RaisedS,
    /// S a multiple of L.
    MultipleOfL,
    /// S anything.
    RandomS,
    /// S = 0, 1, L − 1: the edges of the digits.
    EdgeS,
    /// R the identity, with an S that fits.
    Identity,
    /// The same in the forms that are not canonical.
    IdentityForm,
    /// R of small order: the cofactored equation holds.
    SmallOrder,
    /// R of mixed order, likewise.
    MixedOrder,
    /// The sign of x turned.
    Sign,
    /// R random bytes, mostly no point.
    RandomR,
    /// R at the edges of y: near 0, p and 2^255, either sign, with an S that fits if `y = 1`.
    EdgeR,
    /// The message changed after signing.
    Message,
    /// Another's signature.
    Stranger,
}

/// Good ones stand twice: the verdict of most others is the same.
pub(crate) const KINDS: [Kind; 16] = [
    Kind::Good,
    Kind::Good,
    Kind::Bit,
    Kind::RaisedS,
    Kind::MultipleOfL,
    Kind::RandomS,
    Kind::EdgeS,
    Kind::Identity,
    Kind::IdentityForm,
    Kind::SmallOrder,
    Kind::MixedOrder,
    Kind::Sign,
    Kind::RandomR,
    Kind::EdgeR,
    Kind::Message,
    Kind::Stranger,
];

/// A signature, and what may be known of it.
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) signer: usize,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: SignatureBytes,
}

/// Signatures of these kinds, each with its own key, message and nonce. Some keys are used much more than others.
pub(crate) fn draw(kinds: &[Kind], signers: &[Signer], numbers: &mut Numbers) -> Vec<Case> {
    let few = 1 + numbers.below(signers.len());
    // Some batches begin at the smallest nonces: R = identity, B, 2B, …
    let mut r = if numbers.below(8) == 0 {
        Scalar::ZERO
    } else {
        numbers.scalar()
    };
    let mut point = EdwardsPoint::mul_base(&r);
    let (mut nonces, mut points) = (Vec::new(), Vec::new());
    for kind in kinds {
        let torsion = EIGHT_TORSION[1 + numbers.below(7)];
        let (nonce, of_kind) = match kind {
            Kind::Identity | Kind::IdentityForm => (Scalar::ZERO, EdwardsPoint::identity()),
            Kind::SmallOrder => (Scalar::ZERO, torsion),
            Kind::MixedOrder => (r, point + torsion),
            _ => (r, point),
        };
        nonces.push(nonce);
        points.push(of_kind);
        r += Scalar::ONE;
        point += ED25519_BASEPOINT_POINT;
    }
    let encodings = EdwardsPoint::compress_batch_alloc(&points);
    let drafts = kinds.iter().zip(nonces.into_iter().zip(encodings));
    drafts
        .map(|(kind, (r, encoding))| make(*kind, signers, numbers.below(few), (r, encoding.0), numbers))
        .collect()
}

fn make(
    kind: Kind,
    signers: &[Signer],
    signer: usize,
    (r, r_bytes): (Scalar, [u8; 32]),
    numbers: &mut Numbers,
) -> Case {
    let mut message = vec![0; numbers.below(300)];
    for chunk in message.chunks_mut(8) {
        chunk.copy_from_slice(&numbers.next().to_le_bytes()[..chunk.len()]);
    }
    let author = if kind == Kind::Stranger {
        numbers.below(signers.len())
    } else {
        signer
    };
    let r_bytes = match kind {
        Kind::IdentityForm => {
            let forms = reference::identity_forms();
            forms[numbers.below(forms.len())]
        }
        Kind::RandomR => numbers.bytes(),
        Kind::EdgeR => edge_of_y(numbers),
        _ => r_bytes,
    };
    let good = signers[author].finish(r, r_bytes, &message);
    let signature = SignatureBytes::from_bytes(bend(kind, good, numbers));
    if kind == Kind::Message {
        match numbers.below(message.len() + 1).checked_sub(1) {
            Some(at) => message[at] ^= 1 << numbers.below(8),
            None => message.push(0),
        }
    }
    Case {
        kind,
        signer,
        message,
        signature,
    }
}

/// y near 0, p or 2^255, either sign of x.
fn edge_of_y(numbers: &mut Numbers) -> [u8; 32] {
    let near = [
        reference::number(&[]),
        reference::prime() - 4_u8,
        reference::number(&[0xff; 32]) >> 1,
    ];
    let y = (&near[numbers.below(3)] + numbers.below(8)) % (num_bigint::BigUint::from(1_u8) << 255);
    let mut bytes = reference::bytes(&y);
    bytes[31] |= 0x80 * u8::from(numbers.below(2) == 1);
    bytes
}

/// The changes to a finished signature.
fn bend(kind: Kind, good: [u8; 64], numbers: &mut Numbers) -> [u8; 64] {
    let (r, s): ([u8; 32], [u8; 32]) = (*good.first_chunk().expect("64"), *good.last_chunk().expect("64"));
    let mut bent = good;
    match kind {
        Kind::Bit => bent[numbers.below(64)] ^= 1 << numbers.below(8),
        Kind::Sign => bent[31] ^= 0x80,
        Kind::RaisedS => bent = join(r, raised(&s, 1)),
        Kind::MultipleOfL => bent = join(r, raised(&[0; 32], 1 + numbers.next().to_le_bytes()[0] % 15)),
        Kind::RandomS => bent = join(r, numbers.bytes()),
        Kind::EdgeS => {
            let edges = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE];
            bent = join(r, edges[numbers.below(3)].to_bytes());
        }
        _ => {}
    }
    bent
}

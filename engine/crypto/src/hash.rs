//! Tagged hashing: BLAKE3 keyed with one key per [`Domain`].
//!
//! ```text
//! key(domain)         = BLAKE3 derive_key(context = "tidegate v1 <name>", material = "")
//! hash(domain, bytes) = BLAKE3 keyed_hash(key(domain), bytes)
//! ```
//!
//! Two domains never give the same digest for any input, so a digest made for one purpose proves nothing for another.
//! [`hash_many`] gives exactly the digests of [`hash`], up to 16 messages at a time on one core: 64-byte messages cost a
//! tenth of what they cost singly, which is why a batch hashes level by level across channels.
//!
//! `hash_many` goes through `blake3::platform`, which the crate hides and may change in any release: the version is
//! pinned in the workspace, and the tests below hold both paths to `blake3::keyed_hash`.
//!
//! Nothing here hashes without a domain.

use std::sync::LazyLock;

use blake3::IncrementCounter;
use blake3::platform::Platform;
use tidegate_types::Digest;

/// Flag bits of BLAKE3 (section 2.2 of its paper).
const CHUNK_START: u8 = 1 << 0;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const KEYED_HASH: u8 = 1 << 4;

/// The longest message of one chunk; beyond it BLAKE3 builds a tree, which the many-lane path does not.
const CHUNK_LEN: usize = 1024;
const BLOCK_LEN: usize = 64;

/// The most messages that one call of the vector code takes at a time.
const LANES: usize = blake3::platform::MAX_SIMD_DEGREE;

macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident => $context:literal,)*) => {
        /// What a digest is for. Names and contexts are frozen: domains are only ever added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Domain {
            $($(#[$doc])* $name,)*
        }

        impl Domain {
            /// Every domain, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The context string that the domain's key is derived from.
            #[must_use]
            pub const fn context(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("tidegate v1 ", $context),)*
                }
            }
        }
    };
}

domains! {
    /// The genesis, giving the ledger's name.
    LedgerId => "ledger id",
    /// The bytes of a genesis file.
    Genesis => "genesis",
    /// Funding outpoint and parameters of a channel, giving its name.
    ChannelId => "channel id",
    /// A transaction without its witnesses.
    Txid => "txid",
    /// A block's header.
    Block => "block",
    /// A leaf of a block's transaction tree.
    TransactionLeaf => "transaction leaf",
    /// A node of a block's transaction tree.
    TransactionNode => "transaction node",
    /// The root of a block's transaction tree, over count and top.
    Transactions => "transactions",
    /// One unspent output in the tree of all.
    UtxoLeaf => "utxo leaf",
    /// A node of the tree of unspent outputs.
    UtxoNode => "utxo node",
    /// The root of the tree of unspent outputs, over count and top.
    UtxoSet => "utxo set",
    /// The client state `C`.
    ClientState => "client state",
    /// The operations of a client state.
    Ops => "operations",
    /// The name of a lock.
    LockId => "lock id",
    /// The content of an open lock: a leaf of the lock tree.
    LockLeaf => "lock leaf",
    /// A node of the lock tree.
    LockNode => "lock node",
    /// The private part of a hub state `H` (rule 12).
    LeafPrivate => "leaf private",
    /// The public part of a hub state `H` (rule 12).
    LeafPublic => "leaf public",
    /// The digest of a hub state `H`: node of private and public part.
    Leaf => "leaf",
    /// One operation's outcome in a leaf.
    Outcome => "outcome",
    /// A node of the tree of outcomes.
    OutcomeNode => "outcome node",
    /// The root of the tree of outcomes, over count and top.
    OutcomeRoot => "outcome root",
    /// The salt of a leaf's credits.
    CreditSalt => "credit salt",
    /// A salted lock id in the lists credited and failed.
    CreditEntry => "credit entry",
    /// A leaf of a small list that has no domain of its own.
    ListLeaf => "list leaf",
    /// A node of a small list.
    ListNode => "list node",
    /// The root of a small list, over count and top.
    ListRoot => "list root",
    /// A leaf of a batch's receipt tree: channel and leaf digest.
    ReceiptLeaf => "receipt leaf",
    /// A node of a batch's receipt tree.
    ReceiptNode => "receipt node",
    /// The root of a batch's receipt tree, over count and top.
    ReceiptRoot => "receipt root",
    /// A batch header (rule 17).
    Header => "header",
    /// All outcomes of a batch, named by its header.
    OutcomeDigest => "outcome digest",
    /// One slot in the state tree.
    StateLeaf => "state leaf",
    /// A node of the state tree.
    StateNode => "state node",
    /// The root of the state tree, over count and top.
    StateRoot => "state root",
    /// The terms of a channel's final leaf.
    FinalTerms => "final terms",
    /// What both ends of a session sign.
    Session => "session",
    /// The threshold and keys of a `Multi` condition.
    MultiKeys => "multi keys",
    /// The place of a record among the ledger's entries.
    LedgerRecord => "ledger record",
    /// What a mandate of a channel's side allows.
    Mandate => "mandate",
    /// A fault report that is to come, with the key that is to be rewarded.
    FaultCommitment => "fault commitment",
    /// What a hub under load sends a stranger away with.
    Cookie => "cookie",
    /// The channels that a client lends to a session.
    Attach => "attach",
    /// Which bucket a hub's address stands in.
    PeerBucket => "peer bucket",
    /// A kept table of hubs' addresses.
    PeerTable => "peer table",
    /// Which hub is dialled or told of next.
    PeerRandom => "peer random",
}

/// A domain's key, as `keyed_hash` takes it and as the vector code does.
struct Key {
    bytes: [u8; 32],
    words: [u32; 8],
}

impl Key {
    fn of(domain: Domain) -> Self {
        let bytes = blake3::derive_key(domain.context(), b"");
        let words = blake3::platform::words_from_le_bytes_32(&bytes);
        Self { bytes, words }
    }
}

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| Domain::ALL.iter().map(|&d| Key::of(d)).collect());
static PLATFORM: LazyLock<Platform> = LazyLock::new(Platform::detect);

fn key(domain: Domain) -> &'static Key {
    &KEYS[domain as usize]
}

/// The digest of `bytes` in `domain`.
///
/// ```
/// use tidegate_crypto::hash::{Domain, hash};
/// assert_ne!(hash(Domain::Txid, b"same bytes"), hash(Domain::Block, b"same bytes"));
/// ```
#[must_use]
pub fn hash(domain: Domain, bytes: &[u8]) -> Digest {
    Digest::from_bytes(*blake3::keyed_hash(&key(domain).bytes, bytes).as_bytes())
}

/// A digest whose bytes come piece by piece: what is hashed need not be in memory at once.
///
/// ```
/// use tidegate_crypto::hash::{Domain, Hasher, hash};
/// let mut hasher = Hasher::new(Domain::LedgerId);
/// hasher.update(b"some ");
/// hasher.update(b"bytes");
/// assert_eq!(hasher.finish(), hash(Domain::LedgerId, b"some bytes"));
/// ```
#[derive(Clone, Debug)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Over no bytes yet.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        Self(blake3::Hasher::new_keyed(&key(domain).bytes))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest that [`hash`] gives of all of them.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}

/// The payment hash that a preimage meets: its SHA-256, as every network of hash locks has it (BOLT 4).
///
/// ```
/// use tidegate_crypto::hash::payment_hash;
/// assert_eq!(payment_hash(&[0; 32])[..4], [0x66, 0x68, 0x7a, 0xad]);
/// ```
#[must_use]
pub fn payment_hash(preimage: &[u8; 32]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(preimage).into()
}

/// The digests of many messages of one width: `out[i] = hash(domain, &inputs[i])`.
///
/// `N` is a multiple of 64, at least 64 and at most 1024; other widths do not compile.
///
/// ```
/// use tidegate_crypto::hash::{Domain, hash, hash_many};
/// use tidegate_types::Digest;
/// let inputs = [[1_u8; 64], [2; 64]];
/// let mut out = [Digest::ZERO; 2];
/// hash_many(Domain::StateLeaf, &inputs, &mut out);
/// assert_eq!(out[1], hash(Domain::StateLeaf, &inputs[1]));
/// ```
///
/// # Panics
/// If `inputs` and `out` differ in length.
pub fn hash_many<const N: usize>(domain: Domain, inputs: &[[u8; N]], out: &mut [Digest]) {
    assert_eq!(inputs.len(), out.len(), "one digest per message");
    let lanes = PLATFORM.simd_degree();
    for (inputs, out) in inputs.chunks(lanes).zip(out.chunks_mut(lanes)) {
        let mut refs = [&inputs[0]; LANES];
        refs.iter_mut().zip(inputs).for_each(|(r, input)| *r = input);
        hash_padded(domain, &refs, out);
    }
}

/// Appends the digests of messages that are made one by one, as many at a time as there are lanes.
///
/// ```
/// use tidegate_crypto::hash::{Domain, hash, hash_each};
/// let mut out = Vec::new();
/// hash_each(Domain::StateLeaf, (0..20).map(|i| [i; 64]), &mut out);
/// assert_eq!(out[19], hash(Domain::StateLeaf, &[19; 64]));
/// ```
pub fn hash_each<const N: usize>(domain: Domain, inputs: impl IntoIterator<Item = [u8; N]>, out: &mut Vec<Digest>) {
    let mut lanes = [[0; N]; LANES];
    let mut inputs = inputs.into_iter();
    loop {
        let mut count = 0;
        for (lane, input) in lanes.iter_mut().zip(&mut inputs) {
            *lane = input;
            count += 1;
        }
        let start = out.len();
        out.resize(start + count, Digest::ZERO);
        hash_many(domain, &lanes[..count], &mut out[start..]);
        if count < LANES {
            return;
        }
    }
}

/// As [`hash_many`], for messages that do not lie side by side.
///
/// # Panics
/// If `inputs` and `out` differ in length.
pub fn hash_many_refs<const N: usize>(domain: Domain, inputs: &[&[u8; N]], out: &mut [Digest]) {
    assert_eq!(inputs.len(), out.len(), "one digest per message");
    let lanes = PLATFORM.simd_degree();
    for (inputs, out) in inputs.chunks(lanes).zip(out.chunks_mut(lanes)) {
        let mut refs = [inputs[0]; LANES];
        refs[..inputs.len()].copy_from_slice(inputs);
        hash_padded(domain, &refs, out);
    }
}

/// Hashes the first `out.len()` of `refs`, all of which are messages.
///
/// The vector code takes what does not fill 16, 8 or 4 lanes one at a time, so that 15 messages cost three times what 16
/// do. Idle lanes are filled with messages whose digests are thrown away.
fn hash_padded<const N: usize>(domain: Domain, refs: &[&[u8; N]; LANES], out: &mut [Digest]) {
    let count = out.len();
    let lanes = count.next_power_of_two().max(4);
    if count == 1 || count == lanes || lanes > PLATFORM.simd_degree() {
        hash_lanes(domain, &refs[..count], out);
    } else {
        let mut all = [Digest::ZERO; LANES];
        hash_lanes(domain, &refs[..lanes], &mut all[..lanes]);
        out.copy_from_slice(&all[..count]);
    }
}

fn hash_lanes<const N: usize>(domain: Domain, inputs: &[&[u8; N]], out: &mut [Digest]) {
    const {
        assert!(N > 0 && N.is_multiple_of(BLOCK_LEN), "whole blocks");
        assert!(N <= CHUNK_LEN, "one chunk");
    }
    PLATFORM.hash_many(
        inputs,
        &key(domain).words,
        0,
        IncrementCounter::No,
        KEYED_HASH,
        CHUNK_START,
        CHUNK_END | ROOT,
        bytemuck::cast_slice_mut(out),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Every count from none to past three vector widths, contiguous and gathered, against the single path.
    fn agrees<const N: usize>(domain: Domain, seed: &[u8; 32], count: usize) {
        let mut bytes = vec![0; N * count];
        blake3::Hasher::new_keyed(seed).finalize_xof().fill(&mut bytes);
        let inputs: Vec<[u8; N]> = bytes.as_chunks::<N>().0.to_vec();
        let expected: Vec<_> = inputs.iter().map(|m| hash(domain, m)).collect();
        let mut many = vec![Digest::ZERO; count];
        hash_many(domain, &inputs, &mut many);
        assert_eq!(many, expected, "hash_many, N = {N}, {count} messages");
        let refs: Vec<&[u8; N]> = inputs.iter().rev().collect();
        hash_many_refs(domain, &refs, &mut many);
        many.reverse();
        assert_eq!(many, expected, "hash_many_refs, N = {N}, {count} messages");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn many_lanes_give_the_digests_of_one(
            seed: [u8; 32],
            domain in prop::sample::select(Domain::ALL),
            count in 0_usize..53,
        ) {
            agrees::<64>(domain, &seed, count);
            agrees::<128>(domain, &seed, count);
            agrees::<192>(domain, &seed, count);
            agrees::<512>(domain, &seed, count);
            agrees::<1024>(domain, &seed, count);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_give_the_digest_of_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..5_000),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut hasher = Hasher::new(Domain::LedgerId);
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                hasher.update(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(hasher.finish(), hash(Domain::LedgerId, &bytes));
        }
    }

    #[test]
    fn a_digest_is_the_keyed_hash_under_the_derived_key() {
        let key = blake3::derive_key("tidegate v1 txid", b"");
        let expected = blake3::keyed_hash(&key, b"body");
        assert_eq!(hash(Domain::Txid, b"body").as_bytes(), expected.as_bytes());
    }

    #[test]
    fn no_two_domains_share_a_context_or_a_digest() {
        let contexts: BTreeSet<_> = Domain::ALL.iter().map(|d| d.context()).collect();
        let digests: BTreeSet<_> = Domain::ALL.iter().map(|&d| hash(d, b"")).collect();
        assert_eq!(contexts.len(), Domain::ALL.len());
        assert_eq!(digests.len(), Domain::ALL.len());
    }
}

//! A small ledger to test with: keys by number, a genesis, spends, and the evidence of a close.

#![allow(dead_code, reason = "each test file uses its part")]

use tidegate_channel::{
    BatchHeader, ChannelTerms, FinalTerms, LeafKind, LeafPrivate, LeafPublic, leaf_digest, opening_leaf,
};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::merkle::{RECEIPTS, Tree};
use tidegate_ledger::{
    Chain, ChannelClose, Genesis, GenesisHeader, GenesisWriter, LedgerParams, MemoryStore, NetworkName, Output, Solo,
    Transaction, TransactionBody, Trust, Witness,
};
use tidegate_types::{
    Age, Amount, BatchNumber, Digest, Height, HubCounter, KeyBytes, LedgerId, OutPoint, SignatureBytes, Txid,
    UnixMillis,
};

pub(crate) const VALIDATOR: u8 = 250;
pub(crate) const HUB: u8 = 251;
pub(crate) const HUB_PAYOUT: u8 = 252;

/// The secret key number `n`.
pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// The public key number `n`.
pub(crate) fn key(n: u8) -> KeyBytes {
    secret(n).public().bytes()
}

pub(crate) fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("a test amount is in range")
}

/// Terms of a channel of client `client`, which is paid out to the key one above.
pub(crate) fn terms(client: u8, capacity: u64, share: u64) -> ChannelTerms {
    ChannelTerms {
        client: key(client),
        hub: key(HUB),
        client_payout: key(client + 1),
        hub_payout: key(HUB_PAYOUT),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(capacity),
        opening_share: sat(share),
        client_reserve: Amount::ZERO,
        hub_reserve: Amount::ZERO,
        dispute_window: Age::new(144),
        evidence_grace: Age::new(12),
        expiry: Height::new(100_000),
        nonce: 0,
    }
}

pub(crate) fn genesis_bytes(params: LedgerParams, outputs: &[Output]) -> Vec<u8> {
    let mut writer = GenesisWriter::new(&GenesisHeader {
        params,
        time: UnixMillis::new(1_600_000_000_000),
        validator: key(VALIDATOR),
        network: NetworkName::new("test-1").expect("a name"),
    });
    for output in outputs {
        writer.push(output);
    }
    writer.finish()
}

/// A chain on a genesis of these outputs, whose outpoints have the txid returned.
pub(crate) fn chain(params: LedgerParams, outputs: &[Output]) -> (Chain<MemoryStore>, Txid) {
    let bytes = genesis_bytes(params, outputs);
    let genesis = Genesis::parse(&bytes).expect("the genesis parses");
    let mut txid = Txid::ZERO;
    let chain = Chain::from_genesis(&genesis, Trust::Nothing, MemoryStore::new(), |o, _| txid = o.txid);
    (chain.expect("the genesis holds"), txid)
}

pub(crate) fn solo() -> Solo {
    Solo::new(secret(VALIDATOR))
}

/// A transaction that spends outputs of keys.
pub(crate) fn spend(ledger: LedgerId, inputs: &[(OutPoint, u8)], outputs: Vec<Output>) -> Transaction {
    let keys: Vec<_> = inputs.iter().map(|&(_, n)| secret(n)).collect();
    let body = TransactionBody::plain(inputs.iter().map(|&(o, _)| o).collect(), outputs);
    body.sign_all(&ledger, &keys.iter().collect::<Vec<_>>())
}

/// What the two ends of a channel would show to close it, every piece open to change before it is signed.
pub(crate) struct CloseKit {
    pub(crate) ledger: LedgerId,
    pub(crate) outpoint: OutPoint,
    pub(crate) channel: ChannelTerms,
    pub(crate) private: LeafPrivate,
    pub(crate) public: LeafPublic,
    pub(crate) terms: FinalTerms,
    pub(crate) hub: u8,
    pub(crate) client: u8,
    pub(crate) header_hub: KeyBytes,
    pub(crate) fee: Amount,
}

impl CloseKit {
    pub(crate) fn new(
        ledger: LedgerId,
        outpoint: OutPoint,
        client: u8,
        channel: ChannelTerms,
        share: u64,
        fee: u64,
    ) -> Self {
        let id = channel.channel_id(&outpoint);
        let (private, public) = opening_leaf(id);
        let terms = FinalTerms {
            channel: id,
            client_payout: sat(share - fee),
            hub_payout: sat(channel.capacity.to_sat() - share),
            fee: sat(fee),
            successor: OutPoint {
                txid: Txid::ZERO,
                vout: 0,
            },
        };
        let private = LeafPrivate {
            counter: HubCounter::new(7),
            kind: LeafKind::Final,
            terms: terms.digest(),
            ..private
        };
        Self {
            ledger,
            outpoint,
            channel,
            private,
            public,
            terms,
            hub: HUB,
            client,
            header_hub: key(HUB),
            fee: sat(fee),
        }
    }

    /// The transaction, signed by both, in a batch of five leaves.
    pub(crate) fn transaction(&self) -> Transaction {
        let leaf = leaf_digest(&self.private.digest(), &self.public.digest());
        let mut leaves = [Digest::from_bytes([9; 32]); 5];
        leaves[3] = leaf;
        let tree = Tree::build(RECEIPTS, &leaves);
        let header = BatchHeader {
            hub: self.header_hub,
            number: BatchNumber::new(44),
            previous: Digest::from_bytes([3; 32]),
            leaf_count: 5,
            height: Height::new(1),
            leaves_root: tree.root(),
            outcomes: Digest::from_bytes([4; 32]),
            block: Digest::from_bytes([5; 32]),
            time: UnixMillis::new(6),
        };
        let payouts = (self.terms.client_payout, self.terms.hub_payout);
        let body = ChannelClose::body(self.outpoint, &self.channel, payouts.0, payouts.1);
        let close = ChannelClose {
            header: header.sign(&self.ledger, &secret(self.hub)),
            index: 3,
            path: tree.path(3).collect(),
            private: self.private,
            public: self.public,
            terms: self.terms,
            signature: body.sign(&self.ledger, &secret(self.client)),
        };
        Transaction {
            body,
            witnesses: vec![Witness::ChannelClose(Box::new(close))],
        }
    }
}

/// The close within a transaction made by [`CloseKit`].
pub(crate) fn close_of(transaction: &mut Transaction) -> &mut ChannelClose {
    match &mut transaction.witnesses[0] {
        Witness::ChannelClose(close) => close,
        _ => panic!("the transaction closes a channel"),
    }
}

pub(crate) fn flip(signature: &mut SignatureBytes, bit: usize) {
    let mut bytes = *signature.as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    *signature = SignatureBytes::from_bytes(bytes);
}

/// The close within a transaction made by [`CloseKit`], taken out.
pub(crate) fn take_close(transaction: &mut Transaction) -> Box<ChannelClose> {
    match transaction.witnesses.remove(0) {
        Witness::ChannelClose(close) => close,
        _ => panic!("the transaction closes a channel"),
    }
}

/// The splice within a transaction.
pub(crate) fn splice_of(transaction: &mut Transaction) -> &mut ChannelClose {
    match &mut transaction.witnesses[0] {
        Witness::ChannelSplice(close) => close,
        _ => panic!("the transaction splices a channel"),
    }
}

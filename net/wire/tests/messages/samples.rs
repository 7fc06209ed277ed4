//! One or two of each message, with every optional part once there and once not.

use tidegate_types::{
    Age, Amount, ChannelId, ClientCounter, Digest, Height, HubCounter, KeyBytes, LedgerId, LockId, OutPoint, PaymentId,
    SignatureBytes, Txid,
};
use tidegate_wire::frame::{Header, MAX_BODY, MessageReader};
use tidegate_wire::lengths::LOCK_TERMS_LEN;
use tidegate_wire::messages::*;
use tidegate_wire::{ErrorCode, Items, ToClient, ToHub, ToPeer, WireError};

/// Which way a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToHub,
    ToClient,
    OnLink,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::ToHub, Self::ToClient, Self::OnLink];
}

/// One message as it travels.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) bytes: Vec<u8>,
}

impl Sample {
    pub(crate) fn parts(&self) -> (Header, Vec<u8>) {
        let mut input = &self.bytes[..];
        let mut reader = MessageReader::new(MAX_BODY);
        let (header, body) = reader.next(&mut input).unwrap().unwrap();
        assert!(input.is_empty());
        (header, body.to_vec())
    }
}

/// Decodes a body and encodes what was read.
pub(crate) fn again(way: Way, header: &Header, body: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    match way {
        Way::ToHub => ToHub::decode(header, body)?.append(header.request, &mut out).unwrap(),
        Way::ToClient => ToClient::decode(header, body)?
            .append(header.request, &mut out)
            .unwrap(),
        Way::OnLink => ToPeer::decode(header, body)?.append(header.request, &mut out).unwrap(),
    }
    Ok(out)
}

/// Bytes that differ from place to place, so that no two fields of a sample are equal.
pub(crate) const fn fill<const N: usize>(seed: u8) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut at, mut step) = (0, 0);
    while at < N {
        bytes[at] = seed.wrapping_add(step);
        at += 1;
        step = (step + 1) % 7;
    }
    bytes
}

pub(crate) fn sat(n: u64) -> Amount {
    Amount::from_sat(n).unwrap()
}

const fn outpoint(seed: u8, vout: u32) -> OutPoint {
    OutPoint {
        txid: Txid::from_bytes(fill(seed)),
        vout,
    }
}

const CHANNEL: ChannelId = ChannelId::from_bytes(fill(0x11));
const LOCK: LockId = LockId::from_bytes(fill(0x21));
const STATE: [u8; 160] = fill(0x31);
const SIGNATURE: SignatureBytes = SignatureBytes::from_bytes(fill(0x41));
const HEADER: [u8; 248] = fill(0x51);
const PRIVATE: [u8; 216] = fill(0x61);
const PUBLIC: [u8; 96] = fill(0x71);
const PATH: [Digest; 2] = [Digest::from_bytes(fill(0x81)), Digest::from_bytes(fill(0x82))];
const CREDITS: [[u8; 80]; 2] = [fill(0x91), fill(0x92)];
const OUTCOMES: [[u8; 96]; 1] = [fill(0xa1)];
const IN_CHANGES: [[u8; 104]; 2] = [fill(0xe1), fill(0xe2)];
const TERMS: [u8; 96] = fill(0xb1);
const ACK: [u8; 72] = fill(0xc1);
const STORED: StoredAnswer = StoredAnswer {
    payment_id: PaymentId::from_bytes(fill(0xd1)),
    lock: LOCK,
    counter: ClientCounter::new(9),
    outcome: [4, 7],
};
const ANSWERS: [Answer; 2] = [
    Answer {
        request: 77,
        counter: ClientCounter::new(5),
    },
    Answer {
        request: 78,
        counter: ClientCounter::new(6),
    },
];

/// A leaf with one of everything.
pub(crate) fn entry() -> ReceiptEntry<'static> {
    ReceiptEntry {
        index: 3,
        private: &PRIVATE,
        public: &PUBLIC,
        path: &PATH,
        shared: false,
        credits: &CREDITS,
        outcomes: &OUTCOMES,
        answers: (&ANSWERS[..]).into(),
        in_changes: &[],
        final_terms: Some(&TERMS),
    }
}

/// A leaf with no lists at all.
pub(crate) fn bare_entry() -> ReceiptEntry<'static> {
    ReceiptEntry {
        index: 0,
        path: &[],
        credits: &[],
        outcomes: &[],
        answers: (&[][..]).into(),
        final_terms: None,
        ..entry()
    }
}

/// Every sample, in the order of the codes.
pub(crate) fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    hello_and_open(&mut samples);
    pay_and_receipt(&mut samples);
    acks(&mut samples);
    syncs(&mut samples);
    closes(&mut samples);
    ledger(&mut samples);
    control(&mut samples);
    following(&mut samples);
    hash_locks(&mut samples);
    attaches(&mut samples);
    towers(&mut samples);
    links(&mut samples);
    shared_paths(&mut samples);
    lock_outputs(&mut samples);
    tower_reveals(&mut samples);
    splices(&mut samples);
    samples
}

fn to_hub<'a>(samples: &mut Vec<Sample>, name: &'static str, body: &impl Body<'a>) {
    add(samples, name, Way::ToHub, body);
}

fn to_client<'a>(samples: &mut Vec<Sample>, name: &'static str, body: &impl Body<'a>) {
    add(samples, name, Way::ToClient, body);
}

fn add<'a>(samples: &mut Vec<Sample>, name: &'static str, way: Way, body: &impl Body<'a>) {
    let mut bytes = Vec::new();
    body.append(0x0807_0605_0403_0201, &mut bytes).unwrap();
    samples.push(Sample { name, way, bytes });
}

fn to_peer<'a>(samples: &mut Vec<Sample>, name: &'static str, body: &impl Body<'a>) {
    add(samples, name, Way::OnLink, body);
}

fn hello_and_open(samples: &mut Vec<Sample>) {
    to_hub(
        samples,
        "hello",
        &Hello {
            version: PROTOCOL_VERSION,
            push_ack_proofs: true,
            share_paths: false,
        },
    );
    to_client(
        samples,
        "hello-answer",
        &HelloAnswer {
            ledger: LedgerId::from_bytes(fill(0x01)),
            hub: KeyBytes::from_bytes(fill(0x02)),
            height: Height::new(3),
            margin: Age::new(4),
            ack_interval_ms: 5,
            max_lock: Age::new(6),
            dispute_window: Age::new(7),
            evidence_grace: Age::new(8),
            client_reserve: sat(9),
            hub_reserve: sat(10),
            min_amount: sat(11),
            fee_base: sat(12),
            fee_ppm: 13,
            block_interval_ms: 14,
            max_capacity: sat(15),
            channel_count: 16,
        },
    );
    let inputs = [outpoint(0x12, 1), outpoint(0x13, 2)];
    let propose = OpenPropose {
        terms: &TERMS,
        inputs: (&inputs[..]).into(),
        change: Some((sat(1234), KeyBytes::from_bytes(fill(0x14)))),
    };
    to_hub(samples, "open-propose", &propose);
    to_hub(
        samples,
        "open-propose-without-change",
        &OpenPropose {
            change: None,
            ..propose
        },
    );
    to_client(
        samples,
        "open-accept",
        &OpenAccept {
            channel: CHANNEL,
            transaction: b"a transaction",
        },
    );
}

fn pay_and_receipt(samples: &mut Vec<Sample>) {
    let pay = Pay {
        state: &STATE,
        signature: &SIGNATURE,
        operations: &TERMS[..8],
    };
    to_hub(samples, "pay", &pay);
    to_hub(samples, "pay-nothing", &Pay { operations: &[], ..pay });
    let answer = PayAnswer {
        channel: CHANNEL,
        counter: ClientCounter::new(5),
        refusal: 4,
        newest_state: ClientCounter::new(6),
        newest_leaf: HubCounter::new(7),
        stored: Some(STORED),
    };
    to_client(samples, "pay-answer", &answer);
    to_client(
        samples,
        "pay-answer-without-stored",
        &PayAnswer { stored: None, ..answer },
    );
    let entries = [entry(), bare_entry()];
    to_client(
        samples,
        "receipt",
        &Receipt {
            header: &HEADER,
            entries: (&entries[..]).into(),
        },
    );
}

fn acks(samples: &mut Vec<Sample>) {
    to_hub(
        samples,
        "ack",
        &Ack {
            ack: &ACK,
            signature: &SIGNATURE,
        },
    );
    to_hub(
        samples,
        "ack-proof-query",
        &AckProofQuery {
            channel: CHANNEL,
            lock: LOCK,
        },
    );
    let links = [1, 2].map(|seed| Link {
        public: fill(seed),
        private: Digest::from_bytes(fill(seed + 2)),
    });
    let proof = Proof {
        payee: KeyBytes::from_bytes(fill(0x15)),
        ack: &ACK,
        signature: &SIGNATURE,
        salt: &fill(0x16),
        index: 1,
        count: 2,
        path: &PATH,
        links: &links,
    };
    let answer = AckProof {
        channel: CHANNEL,
        lock: LOCK,
        proof: Some(proof),
    };
    to_client(samples, "ack-proof", &answer);
    to_client(samples, "ack-proof-not-found", &AckProof { proof: None, ..answer });
}

fn syncs(samples: &mut Vec<Sample>) {
    to_hub(
        samples,
        "sync",
        &Sync {
            channel: CHANNEL,
            state: ClientCounter::new(5),
            leaf: HubCounter::new(6),
        },
    );
    let held = SyncLeaf {
        private: &PRIVATE,
        public: &PUBLIC,
        credits: Some(&CREDITS),
        outcomes: Some(&OUTCOMES),
        in_changes: &[],
        final_terms: Some(&TERMS),
    };
    let bare = SyncLeaf {
        credits: None,
        outcomes: None,
        final_terms: None,
        ..held
    };
    let lock = HeldLock {
        added: ClientCounter::new(3),
        add: fill(0x17),
    };
    let (locks, leaves, stored) = ([lock], [held, bare], [STORED]);
    let answer = SyncAnswer {
        channel: CHANNEL,
        status: ChannelStatus::Active,
        funding: outpoint(0x18, 0),
        terms: &TERMS,
        state: Some(HeldState {
            state: &STATE,
            signature: &SIGNATURE,
        }),
        operations: &TERMS[..8],
        locks: (&locks[..]).into(),
        leaves: (&leaves[..]).into(),
        answers: (&stored[..]).into(),
        fresh: Some(FreshReceipt {
            header: &HEADER,
            entry: entry(),
        }),
        in_locks: &[],
    };
    to_client(samples, "sync-answer", &answer);
    let nothing = SyncAnswer {
        status: ChannelStatus::Opening,
        state: None,
        operations: &[],
        locks: (&[][..]).into(),
        leaves: (&[][..]).into(),
        answers: (&[][..]).into(),
        fresh: None,
        ..answer
    };
    to_client(samples, "sync-answer-with-nothing", &nothing);
    to_hub(samples, "refresh", &Refresh { channel: CHANNEL });
}

fn closes(samples: &mut Vec<Sample>) {
    to_hub(
        samples,
        "close-request",
        &CloseRequest {
            channel: CHANNEL,
            fee: sat(100),
        },
    );
    to_hub(
        samples,
        "close-final",
        &CloseFinal {
            channel: CHANNEL,
            transaction: b"the last transaction",
        },
    );
    to_client(
        samples,
        "close-done",
        &CloseDone {
            channel: CHANNEL,
            txid: Txid::from_bytes(fill(0x19)),
        },
    );
}

fn ledger(samples: &mut Vec<Sample>) {
    to_hub(samples, "query-tip", &LedgerQuery::Tip);
    to_hub(
        samples,
        "query-utxos",
        &LedgerQuery::UtxosOf(KeyBytes::from_bytes(fill(0x1a))),
    );
    to_hub(
        samples,
        "query-transaction",
        &LedgerQuery::Transaction(Txid::from_bytes(fill(0x1b))),
    );
    to_hub(samples, "query-channel", &LedgerQuery::Channel(CHANNEL));
    let answer = |result| LedgerAnswer {
        height: Height::new(44),
        tip: Digest::from_bytes(fill(0x1c)),
        result,
    };
    let utxo = Utxo {
        outpoint: outpoint(0x1d, 5),
        kind: OutputKind::Key,
        amount: sat(999),
    };
    let channel = LedgerChannel {
        outpoint: outpoint(0x1e, 0),
        status: OutputStatus::Unspent,
        amount: sat(1000),
        terms: &TERMS,
    };
    let outputs = [utxo, utxo];
    let results = [
        ("answer-tip", LedgerResult::Tip),
        (
            "answer-utxos",
            LedgerResult::Utxos {
                outputs: (&outputs[..]).into(),
                more: true,
            },
        ),
        (
            "answer-transaction-unknown",
            LedgerResult::Transaction(TxStatus::Unknown),
        ),
        ("answer-transaction-waits", LedgerResult::Transaction(TxStatus::Mempool)),
        (
            "answer-transaction-final",
            LedgerResult::Transaction(TxStatus::Final(Height::new(43))),
        ),
        ("answer-channel", LedgerResult::Channel(Some(channel))),
        ("answer-no-channel", LedgerResult::Channel(None)),
        ("answer-accepted", LedgerResult::Accepted(Txid::from_bytes(fill(0x1f)))),
    ];
    for (name, result) in results {
        to_client(samples, name, &answer(result));
    }
    to_hub(samples, "submit-tx", &SubmitTx { transaction: b"tx" });
}

/// What a follower of the ledger asks and is told. Added later: it stands last.
fn following(samples: &mut Vec<Sample>) {
    let query = LedgerQuery::Blocks {
        from: Height::new(45),
        offset: 46,
        wait_ms: 47,
    };
    to_hub(samples, "query-blocks", &query);
    to_hub(
        samples,
        "query-channels-of",
        &LedgerQuery::ChannelsOf(KeyBytes::from_bytes(fill(0x21))),
    );
    let channels = [CHANNEL, ChannelId::from_bytes(fill(0x22))];
    let answer = LedgerAnswer {
        height: Height::new(44),
        tip: Digest::from_bytes(fill(0x1c)),
        result: LedgerResult::Channels {
            channels: (&channels[..]).into(),
            more: true,
        },
    };
    to_client(samples, "answer-channels", &answer);
    let blocks = [BlockBytes(b"the first block"), BlockBytes(b"the second")];
    let page = BlockPage {
        tip: Height::new(48),
        from: Height::new(45),
        offset: 0,
        left: 0,
        blocks: (&blocks[..]).into(),
    };
    let piece = BlockPage {
        offset: 46,
        left: 49,
        blocks: (&blocks[1..]).into(),
        ..page
    };
    for (name, page) in [("answer-blocks", page), ("answer-piece-of-a-block", piece)] {
        let answer = LedgerAnswer {
            height: Height::new(44),
            tip: Digest::from_bytes(fill(0x1c)),
            result: LedgerResult::Blocks(page),
        };
        to_client(samples, name, &answer);
    }
}

/// What a watchtower is given and tells. Added later: it stands last.
fn towers(samples: &mut Vec<Sample>) {
    let package = TowerPackage {
        channel: CHANNEL,
        funding: outpoint(0x23, 1),
        side: 1,
        mandate: &SignatureBytes::from_bytes(fill(0x24)),
        terms: &TERMS,
        pair: b"a pair",
        reveals: Items::default(),
    };
    to_hub(samples, "tower-package", &package);
    let kept = TowerKept {
        channel: CHANNEL,
        state: ClientCounter::new(50),
        leaf: HubCounter::new(51),
    };
    to_client(samples, "tower-kept", &kept);
    let notice = DisputeNotice {
        channel: CHANNEL,
        started: Height::new(52),
        deadline: Height::new(53),
        state: ClientCounter::new(54),
        leaf: HubCounter::new(55),
    };
    to_client(samples, "dispute-notice", &notice);
    to_hub(samples, "query-close", &LedgerQuery::Close(CHANNEL));
    let answer = LedgerAnswer {
        height: Height::new(44),
        tip: Digest::from_bytes(fill(0x1c)),
        result: LedgerResult::Close(b"the record of a close"),
    };
    to_client(samples, "answer-close", &answer);
}

fn control(samples: &mut Vec<Sample>) {
    let ping = Ping {
        answer: false,
        token: fill(0x20),
    };
    to_hub(samples, "ping", &ping);
    to_client(samples, "pong", &Ping { answer: true, ..ping });
    to_client(samples, "busy", &Busy { retry_after_ms: 250 });
    to_client(
        samples,
        "error",
        &Error {
            code: ErrorCode::NotAttached,
            text: "größer als erlaubt",
        },
    );
}

/// Added later, so they stand at the end: golden lines are only ever added.
fn hash_locks(samples: &mut Vec<Sample>) {
    let fulfill = Fulfill {
        channel: CHANNEL,
        lock: LOCK,
        preimage: fill(0x2a),
    };
    to_hub(samples, "fulfill", &fulfill);
    to_client(samples, "preimage", &fulfill);
    to_hub(
        samples,
        "release",
        &Release {
            channel: CHANNEL,
            lock: LOCK,
            signature: SIGNATURE,
        },
    );
    let entries = [ReceiptEntry {
        in_changes: &IN_CHANGES,
        ..entry()
    }];
    to_client(
        samples,
        "receipt-with-in-locks",
        &Receipt {
            header: &HEADER,
            entries: (&entries[..]).into(),
        },
    );
    let leaves = [SyncLeaf {
        private: &PRIVATE,
        public: &PUBLIC,
        credits: Some(&[]),
        outcomes: None,
        in_changes: &IN_CHANGES,
        final_terms: None,
    }];
    to_client(
        samples,
        "sync-answer-with-in-locks",
        &SyncAnswer {
            channel: CHANNEL,
            status: ChannelStatus::Active,
            funding: outpoint(0x18, 0),
            terms: &TERMS,
            state: None,
            operations: &[],
            locks: (&[][..]).into(),
            leaves: (&leaves[..]).into(),
            answers: (&[][..]).into(),
            fresh: None,
            in_locks: &IN_CHANGES,
        },
    );
}

fn attaches(samples: &mut Vec<Sample>) {
    let channels = [CHANNEL, ChannelId::from_bytes(fill(0xc1))];
    let attach = Attach {
        client: KeyBytes::from_bytes(fill(0xc2)),
        identity: KeyBytes::from_bytes(fill(0xc3)),
        expiry: Height::new(0x0c04),
        signature: &SIGNATURE,
        channels: &channels,
    };
    to_hub(samples, "attach", &attach);
    to_client(samples, "attached", &Attached { channels: 2 });
}

fn links(samples: &mut Vec<Sample>) {
    let greeting = Peers::Greeting {
        version: LINK_VERSION,
        port: 0x1cf3,
    };
    to_peer(samples, "link-greeting", &greeting);
    to_peer(samples, "link-ask", &Peers::Ask { most: 0x0102 });
    let v4 = [198, 51, 100, 7].into();
    let v6 = [0x2001, 0x0db8, 1, 2, 3, 4, 5, 6].into();
    let entries = [
        PeerEntry::new(KeyBytes::from_bytes(fill(0xd1)), v4, 7411, 0x0d02_0304),
        PeerEntry::new(KeyBytes::from_bytes(fill(0xd5)), v6, 7412, 0x0d06_0708),
    ];
    to_peer(samples, "link-addresses", &Peers::Addresses(&entries));
    let state = Peers::State {
        height: Height::new(0x0d09),
        block: Digest::from_bytes(fill(0xda)),
        headers: &[HEADER],
    };
    to_peer(samples, "link-state", &state);
    let ping = Ping {
        answer: false,
        token: fill(0xdb),
    };
    to_peer(samples, "link-ping", &ping);
    to_peer(samples, "link-busy", &Busy { retry_after_ms: 13 });
    let error = Error {
        code: ErrorCode::UnsupportedVersion,
        text: "version 1",
    };
    to_peer(samples, "link-error", &error);
}

fn shared_paths(samples: &mut Vec<Sample>) {
    let entries = [
        bare_entry(),
        ReceiptEntry {
            path: &PATH[..1],
            shared: true,
            final_terms: None,
            ..entry()
        },
    ];
    to_client(
        samples,
        "receipt-with-shared-paths",
        &Receipt {
            header: &HEADER,
            entries: (&entries[..]).into(),
        },
    );
    to_hub(
        samples,
        "hello-sharing-paths",
        &Hello {
            version: PROTOCOL_VERSION,
            push_ack_proofs: false,
            share_paths: true,
        },
    );
}

fn tower_reveals(samples: &mut Vec<Sample>) {
    let ack = TowerReveal {
        what: 1,
        slot: 0,
        preimage: [0; 32],
        mandate: SignatureBytes::from_bytes(fill(0xf1)),
    };
    let preimage = TowerReveal {
        what: 2,
        slot: 63,
        preimage: fill(0xf2),
        mandate: SignatureBytes::from_bytes(fill(0xf3)),
    };
    let reveals = [ack, preimage];
    let package = TowerPackage {
        channel: CHANNEL,
        funding: outpoint(0xf4, 1),
        side: 1,
        mandate: &SignatureBytes::from_bytes(fill(0xf5)),
        terms: &TERMS,
        pair: b"a pair",
        reveals: (&reveals[..]).into(),
    };
    to_hub(samples, "tower-package-with-reveals", &package);
}

fn lock_outputs(samples: &mut Vec<Sample>) {
    to_hub(
        samples,
        "query-locks",
        &LedgerQuery::LocksOf(KeyBytes::from_bytes(fill(0xe1))),
    );
    let lock = |vout, revealed| LockOutput {
        outpoint: outpoint(0xe2, vout),
        amount: sat(0x0e03),
        terms: [0xe4; LOCK_TERMS_LEN],
        revealed: Height::new(revealed),
        preimage: if revealed == 0 { [0; 32] } else { fill(0xe5) },
    };
    let locks = [lock(0, 0), lock(1, 0x0e06)];
    let answer = LedgerAnswer {
        height: Height::new(0x0e07),
        tip: Digest::from_bytes(fill(0xe8)),
        result: LedgerResult::Locks {
            locks: (&locks[..]).into(),
            more: true,
        },
    };
    to_client(samples, "answer-locks", &answer);
}

fn splices(samples: &mut Vec<Sample>) {
    let coins = [outpoint(0xb1, 0x0b02), outpoint(0xb3, 1)];
    let request = SpliceRequest {
        channel: CHANNEL,
        fee: sat(0x0b04),
        terms: &TERMS,
        coins: (&coins[..]).into(),
        change: Some((sat(0x0b05), KeyBytes::from_bytes(fill(0xb6)))),
    };
    to_hub(samples, "splice-request", &request);
    let bare = SpliceRequest {
        coins: (&[][..]).into(),
        change: None,
        ..request
    };
    to_hub(samples, "splice-request-without-coins", &bare);
    let last = SpliceFinal {
        channel: CHANNEL,
        transaction: b"the splice",
    };
    to_hub(samples, "splice-final", &last);
    let done = SpliceDone {
        channel: CHANNEL,
        txid: Txid::from_bytes(fill(0xb7)),
    };
    to_client(samples, "splice-done", &done);
}

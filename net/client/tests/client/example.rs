//! The messages in `net/README.md`, section 7: made here from fixed keys by the rules' own functions, and compared.

use core::fmt::Write as _;

use tidegate_channel::ChannelTerms;
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{Output, Transaction, TransactionBody, Witness};
use tidegate_types::{Fixed as _, Height, KeyBytes, OutPoint, SignatureBytes, Txid};
use tidegate_wire::messages::{Body, CloseFinal, CloseRequest, OpenAccept, OpenPropose, SubmitTx};

use crate::played::{LEDGER, PlayedHub, client, lock, opened, sat, terms};

const DOCUMENT: &str = include_str!("../../../README.md");
const HEIGHT: Height = Height::new(100);
/// What the client brings, and what of it comes back.
const COIN: u64 = 1_000;
const CHANGE: u64 = 395;

struct Text(String);

impl Text {
    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        writeln!(self.0, "    {name}, {} bytes", bytes.len()).unwrap();
        for line in bytes.chunks(48) {
            writeln!(self.0, "        {}", hex::encode(line)).unwrap();
        }
    }

    /// A whole message.
    fn message<'a>(&mut self, name: &str, request: u64, body: &impl Body<'a>) {
        let mut bytes = Vec::new();
        body.append(request, &mut bytes).unwrap();
        self.bytes(name, &bytes);
    }
}

/// The funding transaction, with its inputs signed or not.
fn funding(proposed: &ChannelTerms, signature: SignatureBytes) -> Transaction {
    let coin = |seed| OutPoint {
        txid: Txid::from_bytes([seed; 32]),
        vout: 0,
    };
    Transaction {
        body: TransactionBody::plain(
            vec![coin(0xc1)],
            vec![
                Output::to_channel(proposed),
                Output::to_key(sat(CHANGE), proposed.client),
            ],
        ),
        witnesses: vec![Witness::Key(signature)],
    }
}

fn open(text: &mut Text, hub: &PlayedHub, key: &SecretKey) {
    let accepted = terms(hub, 1);
    let proposed = ChannelTerms {
        hub_payout: KeyBytes::ZERO,
        ..accepted
    };
    let unsigned = funding(&accepted, SignatureBytes::ZERO);
    let outpoint = OutPoint {
        txid: unsigned.txid(),
        vout: 0,
    };
    let change = (sat(CHANGE), proposed.client);
    let propose = OpenPropose {
        terms: &proposed.to_vec(),
        inputs: unsigned.body.inputs[..].into(),
        change: Some(change),
    };
    assert_eq!(COIN, 600 + CHANGE + 5, "a share of 600 and a fee of 5");
    text.message("`OpenPropose`, request 2", 2, &propose);
    let accept = OpenAccept {
        channel: accepted.channel_id(&outpoint),
        transaction: &unsigned.encode(),
    };
    text.message("`OpenAccept`, request 2", 2, &accept);
    let signed = funding(&accepted, unsigned.body.sign(&LEDGER, key));
    text.bytes("its txid", unsigned.txid().as_bytes());
    let submit = SubmitTx {
        transaction: &signed.encode(),
    };
    text.message("`SubmitTx`, request 3", 3, &submit);
}

/// The messages as the document has them.
fn messages() -> String {
    let mut text = Text(String::new());
    let mut hub = PlayedHub::new();
    let (mut payer, mut payee) = (client(&hub, 1, 0), client(&hub, 2, 0));
    let (from, to) = (opened(&hub, 1, 0).channel, opened(&hub, 2, 0).channel);
    text.bytes("ledger id", LEDGER.as_bytes());
    text.bytes("hub's signing key", hub.key.public().bytes().as_bytes());
    open(&mut text, &hub, &payer.signer().key);
    text.bytes("payer's channel", from.as_bytes());
    text.bytes("payee's channel", to.as_bytes());
    let paid = lock(&hub, 2, 50, 7);
    let state = payer.pay(&from, &[paid], HEIGHT).unwrap();
    text.message("`Pay`, request 4: a lock of 50 with a fee of 1", 4, &state.message());
    text.bytes("digest of the state", state.state.digest().as_bytes());
    let batch = hub.deliver(&state, to);
    payer.accept_receipt(&batch.receipt()).unwrap();
    payee.accept_receipt(&batch.receipt()).unwrap();
    text.message("`Receipt`: the payer's leaf, the payee's leaf", 0, &batch.receipt());
    let ack = payee.ack(&to, HEIGHT).unwrap().expect("a credit waits for its ack");
    text.message("`Ack`, request 2, by the payee", 2, &ack.message());
    hub.take_ack(&ack);
    text.message("`AckProof`, request 5, to the payer", 5, &hub.proof(from, 0).message());
    assert!(payer.prove(&hub.proof(from, 0).message()).unwrap());
    let settled = payer.settle(&from, HEIGHT).unwrap().expect("a proved lock is settled");
    text.message("`Pay`, request 6: the lock is settled", 6, &settled.message());
    let batch = hub.settle(&settled);
    payer.accept_receipt(&batch.receipt()).unwrap();
    let request = CloseRequest {
        channel: from,
        fee: sat(5),
    };
    text.message("`CloseRequest`, request 7", 7, &request);
    let last = hub.close(from, settled.state.debit, sat(5));
    payer.accept_receipt(&last.receipt()).unwrap();
    text.message("`Receipt`: the last leaf", 0, &last.receipt());
    let transaction = payer.close_transaction(&from, sat(5)).unwrap();
    let close = CloseFinal {
        channel: from,
        transaction: &transaction.encode(),
    };
    text.message("`CloseFinal`, request 8", 8, &close);
    text.0
}

#[test]
fn the_messages_in_the_document_are_what_these_keys_make() {
    let text = messages();
    assert!(
        DOCUMENT.contains(&text),
        "section 7 of net/README.md should have:\n{text}"
    );
}

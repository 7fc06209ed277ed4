//! The first inputs of a target: encodings that it accepts, found by trying. Nothing is stored that a change of layout
//! would make stale.
//!
//! Zeros of the right length are an encoding of most types. Where a byte may not be zero (it chooses a variant), small
//! numbers are tried in the places where such bytes stand. A message gets the header that fits its body. What has too many
//! such places, transactions and blocks, is built as values instead.

use tidegate_batch::{BlockInput, Input, PayInput};
use tidegate_channel::{FinalTerms, Operation, SignedHeader, opening_leaf};
use tidegate_client::{HubAddress, PaymentRequest, RequestCondition};
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{
    Block, BlockHeader, ChannelClose, GenesisHeader, GenesisWriter, LedgerParams, NetworkName, Output, Transaction,
    TransactionBody, Witness,
};
use tidegate_peers::{Kept, Minute, Moment, Offence, Place};
use tidegate_session::NoiseKey;
use tidegate_types::{Age, Amount, ChannelId, Digest, Fixed, Height, KeyBytes, LedgerId, OutPoint, SignatureBytes};
use tidegate_wire::{
    Body, Kind,
    frame::{Header, VERSION},
    messages::{Attach, PeerEntry, Peers},
};

use crate::targets::{Form, Target};
use crate::{disputes, messages, outputs, session};

/// The longest body that is tried, in bytes.
const BODY_MAX: usize = 640;

/// Bytes that choose a variant stand before this place.
const TAG_PLACES: usize = 48;

/// The highest number tried in such a byte.
const TAG_MAX: u8 = 5;

/// Inputs that the target accepts: for each kind of message, or for the type alone, one of each length that it takes.
#[must_use]
pub fn seeds(target: Target) -> Vec<Vec<u8>> {
    let prefixes = |len: usize| -> Vec<Vec<u8>> {
        let bears_leaves = |kind: &&Kind| matches!(kind, Kind::Receipt | Kind::SyncAnswer);
        let kinds = Kind::ALL
            .iter()
            .filter(|kind| target.form != Form::Leaves || bears_leaves(kind));
        let headers = kinds.map(|kind| {
            let len = u32::try_from(len).expect("a short body");
            Header {
                len,
                kind: kind.code(),
                version: VERSION,
                request: 7,
            }
            .encode()
        });
        match target.form {
            Form::Plain | Form::Text | Form::Table | Form::Signature | Form::Script | Form::Greeting => {
                vec![Vec::new()]
            }
            Form::Message | Form::Leaves => headers.map(|header| header.to_vec()).collect(),
            Form::Stream => headers.map(|header| [&[4], &header[..]].concat()).collect(),
        }
    };
    let telling = |examples: Vec<Vec<u8>>| examples.into_iter().filter(|example| (target.run)(example)).collect();
    // A handshake for every guess would take minutes, and no guess is one.
    match target.form {
        Form::Script => return session::scripts(),
        Form::Greeting => return telling(session::greetings()),
        // No guess has the checksum of its text, and none finds the count of a table.
        Form::Text | Form::Table => return telling(built()),
        Form::Plain | Form::Message | Form::Leaves | Form::Stream | Form::Signature => {}
    }
    let found = (0..=BODY_MAX).flat_map(|len| prefixes(len).into_iter().filter_map(move |p| accepted(target, p, len)));
    // A stream's first byte says how it is cut.
    let cut: &[u8] = if target.form == Form::Stream { &[4] } else { &[] };
    let examples = built().into_iter().map(|example| [cut, &example].concat());
    found.chain(examples.filter(|example| (target.run)(example))).collect()
}

/// The value whose encoding is all zeros.
fn zero<T: Fixed>() -> T {
    T::decode(&vec![0; T::LEN]).expect("zeros are a value of this type")
}

/// A transaction with each kind of output and witness, and blocks that hold none and two of it.
fn built() -> Vec<Vec<u8>> {
    let (private, public) = opening_leaf(ChannelId::ZERO);
    let close = ChannelClose {
        header: zero::<SignedHeader>(),
        index: 1,
        path: vec![Digest::ZERO; 3],
        private,
        public,
        terms: zero::<FinalTerms>(),
        signature: SignatureBytes::ZERO,
    };
    let outputs = vec![
        Output::to_key(Amount::ZERO, KeyBytes::ZERO),
        Output::to_channel(&zero()),
    ];
    let transaction = Transaction {
        body: TransactionBody::plain(vec![zero::<OutPoint>(); 2], outputs),
        witnesses: vec![
            Witness::Key(SignatureBytes::ZERO),
            Witness::ChannelClose(Box::new(close)),
        ],
    };
    let block = |count: u32| Block {
        header: BlockHeader { count, ..zero() },
        signature: SignatureBytes::ZERO,
        transactions: (0..count).map(|_| transaction.clone()).collect(),
    };
    let mut all = vec![
        transaction.encode(),
        block(0).encode(),
        block(2).encode(),
        genesis(),
        inputs(),
        attach(),
    ];
    all.extend(disputes::built());
    all.extend(outputs::built());
    all.extend(messages::built());
    all.push(peer_table());
    all.extend(link_messages());
    let by_hash = RequestCondition::Hash(Digest::ZERO);
    let requests = [RequestCondition::Ack, by_hash].map(|condition| (request(condition), "tgr1"));
    for (text, prefix) in [(address(), "tg1")].into_iter().chain(requests) {
        all.extend([bytes_of(&text, prefix), text]);
    }
    all
}

/// An `Attach` of one channel: it bears their number, which must fit its length.
fn attach() -> Vec<u8> {
    let mut message = Vec::new();
    let attach = Attach {
        client: KeyBytes::ZERO,
        identity: KeyBytes::ZERO,
        expiry: Height::new(7),
        signature: &SignatureBytes::ZERO,
        channels: &[ChannelId::ZERO],
    };
    attach.append(7, &mut message).expect("a short message");
    message
}

/// What is kept of two hubs, one of them banned and the other nearly so, without its digest.
fn peer_table() -> Vec<u8> {
    let mut kept = Kept::new([7; 32]);
    let (moment, now) = (Moment::new(0), Minute::new(30_000_000));
    for (number, ip) in [(1, [9, 8, 7, 6]), (2, [11, 12, 13, 14])] {
        let place = Place::new(KeyBytes::from_bytes([number; 32]), ip.into(), 7411);
        kept.table.add(place, now, [1, 2, 3, number].into(), now);
        kept.table.answered(&place, now);
    }
    kept.scores
        .note(KeyBytes::from_bytes([1; 32]), Offence::Malformed, moment, now);
    kept.scores
        .note(KeyBytes::from_bytes([2; 32]), Offence::OutOfOrder, moment, now);
    let mut bytes = kept.encode((moment, now));
    bytes.truncate(bytes.len() - 32);
    bytes
}

/// What bears a count that must fit: addresses and headers of hubs.
fn link_messages() -> Vec<Vec<u8>> {
    let entry = PeerEntry::new(KeyBytes::ZERO, [9, 8, 7, 6].into(), 7411, 30_000_000);
    let state = Peers::State {
        height: Height::ZERO,
        block: Digest::ZERO,
        headers: &[[0; 248]],
    };
    let bodies = [Peers::Addresses(&[entry, entry]), state, Peers::Ask { most: 9 }];
    let message = |body: Peers<'_>| {
        let mut message = Vec::new();
        body.append(7, &mut message).expect("a short message");
        message
    };
    bodies.map(message).to_vec()
}

/// A text with the bytes of its bech32m string in their place.
fn bytes_of(text: &[u8], prefix: &str) -> Vec<u8> {
    let text = std::str::from_utf8(text).expect("ASCII");
    let (coded, rest) = text.split_at(text.find('@').unwrap_or(text.len()));
    let (hrp, mut bytes) = bech32::decode(coded).expect("made by the encoder");
    assert_eq!(hrp.as_str(), &prefix[..prefix.len() - 1]);
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// A hub's address.
fn address() -> Vec<u8> {
    let address = HubAddress {
        identity: SecretKey::from_seed([22; 32]).public(),
        noise: NoiseKey::from_bytes([33; 32]),
        host: "hub.example".to_owned(),
        port: 7411,
    };
    address.to_string().into_bytes()
}

/// A request for a payment.
fn request(condition: RequestCondition) -> Vec<u8> {
    let request = PaymentRequest {
        ledger: LedgerId::ZERO,
        hub: KeyBytes::ZERO,
        payee: SecretKey::from_seed([3; 32]).public().bytes(),
        channel: ChannelId::ZERO,
        amount: None,
        condition,
        expires: None,
    };
    request.to_string().into_bytes()
}

/// A genesis with each kind of output.
fn genesis() -> Vec<u8> {
    let params = LedgerParams {
        block_cost_max: 1,
        block_interval_ms: 1,
        dispute_window_min: Age::new(1),
        block_bytes_max: 1 << 20,
        ..zero()
    };
    let mut writer = GenesisWriter::new(&GenesisHeader {
        params,
        time: zero(),
        validator: KeyBytes::ZERO,
        network: NetworkName::new("fuzz").expect("a short name"),
    });
    writer.push(&Output::to_key(Amount::ZERO, KeyBytes::ZERO));
    writer.push(&Output::to_channel(&zero()));
    writer.finish()
}

/// One input of each kind.
fn inputs() -> Vec<u8> {
    let operations = vec![Operation::Settle { slot: zero() }];
    let pay = PayInput {
        state: zero(),
        signature: SignatureBytes::ZERO,
        operations,
    };
    let block = BlockInput {
        height: Height::ZERO,
        hash: Digest::ZERO,
        opened: vec![(zero(), zero())],
        closing: vec![ChannelId::ZERO],
        closed: vec![ChannelId::ZERO],
        revealed: vec![zero()],
        acked: vec![zero()],
    };
    let all = [
        Input::Pay(pay),
        Input::Ack(zero()),
        Input::Block(block),
        Input::Close(zero()),
        Input::Refresh(ChannelId::ZERO),
        Input::Policy(zero()),
        Input::Splice(zero()),
    ];
    let mut out = Vec::new();
    all.iter().for_each(|input| input.append_to(&mut out));
    out
}

/// The first body of that length which the target accepts behind `prefix`.
fn accepted(target: Target, prefix: Vec<u8>, len: usize) -> Option<Vec<u8>> {
    let begin = prefix.len();
    let mut input = prefix;
    input.resize(begin + len, 0);
    if (target.run)(&input) {
        return Some(input);
    }
    let places = begin..begin + len.min(TAG_PLACES);
    for at in places.clone() {
        for tag in 1..=TAG_MAX {
            input[at] = tag;
            if (target.run)(&input) {
                return Some(input);
            }
        }
        // Two variants in one value: only where a header does not multiply the cost.
        for other in (at + 1..places.end).take_while(|_| target.form == Form::Plain) {
            (input[at], input[other]) = (1, 1);
            if (target.run)(&input) {
                return Some(input);
            }
            input[other] = 0;
        }
        input[at] = 0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets;

    #[test]
    fn every_target_has_seeds_that_it_accepts() {
        for target in targets::ALL {
            let seeds = seeds(*target);
            assert!(!seeds.is_empty(), "{}: no input is accepted", target.name);
            assert!(seeds.iter().all(|seed| (target.run)(seed)), "{}", target.name);
        }
    }

    /// An example that no target accepts would be left out in silence.
    #[test]
    fn every_example_is_accepted_somewhere() {
        let decoders = || {
            let forms = [Form::Plain, Form::Text, Form::Message, Form::Leaves, Form::Table];
            targets::ALL.iter().filter(move |target| forms.contains(&target.form))
        };
        for example in built() {
            let accepted = decoders().any(|target| (target.run)(&example));
            assert!(accepted, "{example:02x?}");
        }
    }

    /// Every kind that a side reads has a seed, so that no message is left out in silence.
    #[test]
    fn every_kind_of_message_has_a_seed() {
        let kinds = |name: &str| -> Vec<Kind> {
            let target = targets::ALL
                .iter()
                .find(|target| target.name == name)
                .expect("a target");
            let codes = seeds(*target)
                .into_iter()
                .map(|seed| u16::from_le_bytes([seed[4], seed[5]]));
            let mut kinds: Vec<Kind> = codes.filter_map(Kind::from_code).collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds
        };
        let read = |decode: &dyn Fn(&Header) -> bool| -> Vec<Kind> {
            let header = |kind: &Kind| Header {
                len: 0,
                kind: kind.code(),
                version: VERSION,
                request: 7,
            };
            Kind::ALL.iter().copied().filter(|kind| decode(&header(kind))).collect()
        };
        let unsupported = |error: &tidegate_wire::WireError| matches!(error, tidegate_wire::WireError::Unsupported(_));
        let to_hub = read(&|header| !tidegate_wire::ToHub::decode(header, &[]).is_err_and(|e| unsupported(&e)));
        let to_client = read(&|header| !tidegate_wire::ToClient::decode(header, &[]).is_err_and(|e| unsupported(&e)));
        assert_eq!(kinds("decode_to_hub"), to_hub);
        assert_eq!(kinds("decode_to_client"), to_client);
        let to_peer = read(&|header| !tidegate_wire::ToPeer::decode(header, &[]).is_err_and(|e| unsupported(&e)));
        assert_eq!(kinds("decode_to_peer"), to_peer);
    }
}

//! The handshake in `net/README.md`, section 7: made here from fixed keys, and compared.

use core::fmt::Write as _;

use snow::{Builder, HandshakeState};
use tidegate_crypto::keys::SecretKey;
use tidegate_types::{Fixed as _, LedgerId};
use tidegate_wire::messages::{Body as _, Hello, PROTOCOL_VERSION};

use super::{NoiseSecret, Pattern, params, prologue, resolver};
use crate::buffer::Buffer;
use crate::identity::{Binding, Role};
use crate::rekey::RekeyLimits;
use crate::transport::Transport;

const DOCUMENT: &str = include_str!("../../README.md");
const LEDGER: LedgerId = LedgerId::from_bytes([0xad; 32]);

fn handshake(secret: [u8; 32], remote: Option<[u8; 32]>, ephemeral: [u8; 32]) -> HandshakeState {
    let prologue = prologue(&LEDGER);
    let builder = Builder::with_resolver(params(Pattern::Ik), resolver());
    let builder = builder.prologue(&prologue).unwrap();
    let builder = builder
        .local_private_key(&secret)
        .unwrap()
        .fixed_ephemeral_key_for_testing_only(&ephemeral);
    match &remote {
        Some(key) => builder.remote_public_key(key).unwrap().build_initiator().unwrap(),
        None => builder.build_responder().unwrap(),
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = crate::frame::prefix(message.len()).to_vec();
    frame.extend_from_slice(message);
    frame
}

fn sealed(transport: &mut Transport, plain: &[u8]) -> Vec<u8> {
    let mut out = Buffer::new();
    transport.seal(plain, &mut out).unwrap();
    out.bytes().to_vec()
}

struct Text(String);

impl Text {
    fn line(&mut self, name: &str, bytes: &[u8]) {
        let mut rest = bytes;
        writeln!(self.0, "    {name}, {} bytes", bytes.len()).unwrap();
        while !rest.is_empty() {
            let (line, behind) = rest.split_at(rest.len().min(48));
            writeln!(self.0, "        {}", hex::encode(line)).unwrap();
            rest = behind;
        }
    }
}

/// The transcript as the document has it.
fn transcript() -> String {
    let (client_secret, hub_secret) = ([11; 32], [21; 32]);
    let (client_key, hub_key) = (SecretKey::from_seed([12; 32]), SecretKey::from_seed([22; 32]));
    let hub_noise = *NoiseSecret::from_bytes(hub_secret).public().as_bytes();
    let mut client = handshake(client_secret, Some(hub_noise), [31; 32]);
    let mut hub = handshake(hub_secret, None, [32; 32]);
    let mut text = Text(String::new());
    text.line("prologue", &prologue(&LEDGER));
    text.line("hub's Noise key", &hub_noise);
    text.line("hub's identity", &hub_key.public().bytes().to_vec());
    text.line("client's identity", &client_key.public().bytes().to_vec());
    let (mut message, mut nothing) = ([0; 96], [0; 0]);
    assert_eq!(client.write_message(&[], &mut message).unwrap(), 96);
    hub.read_message(&message, &mut nothing).unwrap();
    text.line("client → hub", &framed(&message));
    let mut message = [0; 48];
    assert_eq!(hub.write_message(&[], &mut message).unwrap(), 48);
    client.read_message(&message, &mut nothing).unwrap();
    text.line("hub → client", &framed(&message));
    let mut handshake_hash = [0; 32];
    handshake_hash.copy_from_slice(client.get_handshake_hash());
    text.line("handshake hash", &handshake_hash);
    let binding = Binding {
        ledger: LEDGER,
        handshake_hash,
    };
    let mut ends = [client, hub].map(|state| {
        let noise = state.into_transport_mode().unwrap();
        Transport::new(noise, RekeyLimits::default())
    });
    let proofs = [
        ("hub → client", 1, Role::Hub, &hub_key),
        ("client → hub", 0, Role::Client, &client_key),
    ];
    for (way, end, role, key) in proofs {
        let proof = binding.prove(role, key);
        text.line("a proof", &proof);
        text.line(way, &sealed(&mut ends[end], &proof));
    }
    let mut hello = Vec::new();
    let body = Hello {
        version: PROTOCOL_VERSION,
        push_ack_proofs: false,
        share_paths: false,
    };
    body.append(1, &mut hello).unwrap();
    text.line("`Hello`, request 1", &hello);
    text.line("client → hub", &sealed(&mut ends[0], &hello));
    text.0
}

#[test]
fn the_handshake_in_the_document_is_what_these_keys_make() {
    let text = transcript();
    assert!(
        DOCUMENT.contains(&text),
        "section 7 of net/README.md should have:\n{text}"
    );
}

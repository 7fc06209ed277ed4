//! The small signed objects of a close.

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{
    BatchNumber, ChannelId, ClientCounter, DecodeError, Digest, Fixed, HubCounter, LedgerId, LockId, Reader,
    SignatureBytes, Writer, fixed_struct,
};

use super::LeafNote;
use crate::codec::Canonical;
use crate::{Ack, ClientState, LeafRef, StateRef};

macro_rules! fixed_enum {
    ($name:ident, $field:literal { $($variant:ident = $code:literal),* $(,)? }) => {
        impl Fixed for $name {
            const LEN: usize = 1;

            fn write(&self, w: &mut Writer<'_>) {
                let code: u8 = match self { $(Self::$variant => $code),* };
                code.write(w);
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match u8::read(r)? {
                    $($code => Ok(Self::$variant),)*
                    other => Err(DecodeError::UnknownValue { field: $field, value: other.into() }),
                }
            }
        }
    };
}

/// One end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The wallet.
    Client,
    /// The hub.
    Hub,
}
fixed_enum!(Side, "side" { Client = 1, Hub = 2 });

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Hub,
            Self::Hub => Self::Client,
        }
    }
}

/// Who starts a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opener {
    /// The client, by its key.
    Client,
    /// The hub, by its key.
    Hub,
    /// The client, by its emergency key: this can be signed long before.
    Emergency,
    /// Whoever comes, from the channel's expiry on. Nothing is signed.
    Anyone,
}
fixed_enum!(Opener, "opener" { Client = 1, Hub = 2, Emergency = 3, Anyone = 4 });

impl Opener {
    /// Whose side bears the close; `None` after the channel's expiry, when both do.
    #[must_use]
    pub const fn side(self) -> Option<Side> {
        match self {
            Self::Client | Self::Emergency => Some(Side::Client),
            Self::Hub => Some(Side::Hub),
            Self::Anyone => None,
        }
    }
}

/// A client state with the client's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedState {
    /// The state.
    pub state: ClientState,
    /// The client's signature.
    pub signature: SignatureBytes,
}
fixed_struct!(SignedState {
    state: ClientState,
    signature: SignatureBytes
});

/// "I have accepted this client state", by the hub: names a `C` where no leaf does (rule 25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateNote {
    /// The channel.
    pub channel: ChannelId,
    /// The state.
    pub state: StateRef,
}
fixed_struct!(StateNote {
    channel: ChannelId,
    state: StateRef
});

/// The start of a close, as its opener signs it (rule 24).
///
/// It does not name the evidence itself, only the counters of it: those are what an opener answers for (rule 27). Nothing
/// in it depends on a height or a fee, so that it can be signed long before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartClose {
    /// The channel.
    pub channel: ChannelId,
    /// Who starts it.
    pub opener: Opener,
    /// Whether evidence comes with it. Without any it is an emergency closure: `client` and `hub` are zero.
    pub has_evidence: bool,
    /// The hub's last batch; zero unless the hub starts the close.
    pub batch: BatchNumber,
    /// The counter of the client state in the evidence.
    pub client: ClientCounter,
    /// The counter of the leaf in the evidence.
    pub hub: HubCounter,
}

impl Fixed for StartClose {
    const LEN: usize = ChannelId::LEN + 8 + BatchNumber::LEN + ClientCounter::LEN + HubCounter::LEN;

    fn write(&self, w: &mut Writer<'_>) {
        self.channel.write(w);
        self.opener.write(w);
        u8::from(self.has_evidence).write(w);
        w.pad(6);
        self.batch.write(w);
        self.client.write(w);
        self.hub.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (channel, opener) = (ChannelId::read(r)?, Opener::read(r)?);
        let has_evidence = match u8::read(r)? {
            0 => false,
            1 => true,
            other => {
                return Err(DecodeError::UnknownValue {
                    field: "evidence flag",
                    value: other.into(),
                });
            }
        };
        r.pad(6)?;
        let (batch, client, hub) = (BatchNumber::read(r)?, ClientCounter::read(r)?, HubCounter::read(r)?);
        let bare = client == ClientCounter::ZERO && hub == HubCounter::ZERO;
        if (!has_evidence && !bare) || (opener != Opener::Hub && batch != BatchNumber::ZERO) {
            return Err(DecodeError::OutOfRange {
                field: "start of a close",
            });
        }
        Ok(Self {
            channel,
            opener,
            has_evidence,
            batch,
            client,
            hub,
        })
    }
}

/// A start with its opener's signature; zero if anyone may start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedStart {
    /// The start.
    pub start: StartClose,
    /// The signature.
    pub signature: SignatureBytes,
}
fixed_struct!(SignedStart {
    start: StartClose,
    signature: SignatureBytes
});

/// What a mandate allows to be put on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MandateSubject {
    /// A pair of these counters.
    Pair(ClientCounter, HubCounter),
    /// Evidence against this lock, or the reveal of its preimage.
    Lock(LockId),
    /// The ack of the leaf of this counter.
    Ack(HubCounter),
}

impl MandateSubject {
    const BYTES: usize = 64;

    fn digest(&self) -> Digest {
        let mut bytes = [0; Self::BYTES];
        match self {
            Self::Pair(c, h) => {
                bytes[0] = 1;
                bytes[8..16].copy_from_slice(&c.get().to_le_bytes());
                bytes[16..24].copy_from_slice(&h.get().to_le_bytes());
            }
            Self::Lock(lock) => {
                bytes[0] = 2;
                bytes[32..].copy_from_slice(lock.as_bytes());
            }
            Self::Ack(h) => {
                bytes[0] = 3;
                bytes[16..24].copy_from_slice(&h.get().to_le_bytes());
            }
        }
        hash(Domain::Mandate, &bytes)
    }
}

/// "The fee of this evidence may be charged to my side of the channel": what lets a tower without keys and coins put it on
/// the ledger. Signed by the side that pays, so that nobody spends another's money; bound to its subject, so that it cannot
/// be used for older evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mandate {
    /// The channel.
    pub channel: ChannelId,
    /// Who pays, and signs.
    pub side: Side,
    /// For what.
    pub subject: MandateSubject,
}

impl Mandate {
    /// The byte string that the side signs: channel 32 | side 1 | 0 × 7 | subject 32.
    #[must_use]
    pub fn message(&self, ledger: &LedgerId) -> SignedMessage {
        let mut body = [0; ChannelId::LEN + 8 + Digest::LEN];
        let mut w = Writer::new(&mut body);
        self.channel.write(&mut w);
        self.side.write(&mut w);
        w.pad(7);
        self.subject.digest().write(&mut w);
        signed_message(ledger, SignedKind::Mandate, &body)
    }
}

macro_rules! signed_object {
    ($($name:ident => $kind:ident),* $(,)?) => {$(
        impl $name {
            /// The byte string that is signed.
            #[must_use]
            pub fn message(&self, ledger: &LedgerId) -> SignedMessage {
                let mut body = [0; Self::LEN];
                self.encode_into(&mut body);
                signed_message(ledger, SignedKind::$kind, &body)
            }
        }
    )*};
}
signed_object!(StateNote => StateNote, StartClose => StartClose, LeafNote => LeafNote);

macro_rules! signing {
    ($($name:ident),* $(,)?) => {$(
        impl $name {
            /// The signature.
            #[must_use]
            pub fn sign(&self, ledger: &LedgerId, key: &SecretKey) -> SignatureBytes {
                key.sign(self.message(ledger).as_slice())
            }

            /// The verdict of rule 4 on a signature.
            #[must_use]
            pub fn verify(&self, ledger: &LedgerId, key: &PublicKey, signature: &SignatureBytes) -> Verdict {
                verify(key, self.message(ledger).as_slice(), signature)
            }
        }
    )*};
}
signing!(StateNote, StartClose, Mandate, LeafNote);

/// The client's word that it holds a leaf: an ack, or a state that names the leaf.
///
/// ```text
/// ack (1)     ack 72 | signature 64
/// state (2)   state 160 | signature 64
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// An ack.
    ByAck(Ack, SignatureBytes),
    /// A state.
    ByState(SignedState),
}

impl Acknowledged {
    /// The channel.
    #[must_use]
    pub const fn channel(&self) -> ChannelId {
        match self {
            Self::ByAck(ack, _) => ack.channel,
            Self::ByState(signed) => signed.state.channel,
        }
    }

    /// The leaf.
    #[must_use]
    pub const fn leaf(&self) -> LeafRef {
        match self {
            Self::ByAck(ack, _) => ack.leaf,
            Self::ByState(signed) => signed.state.ack,
        }
    }

    /// The verdict of rule 4 on the client's signature.
    #[must_use]
    pub fn verify(&self, ledger: &LedgerId, client: &PublicKey) -> Verdict {
        match self {
            Self::ByAck(ack, signature) => ack.verify(ledger, client, signature),
            Self::ByState(signed) => signed.verify(ledger, client),
        }
    }
}

impl Canonical for Acknowledged {
    const LEN_MIN: usize = 1 + Ack::LEN + SignatureBytes::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ByAck(ack, signature) => {
                out.push(1);
                ack.append_to(out);
                signature.append_to(out);
            }
            Self::ByState(signed) => {
                out.push(2);
                signed.append_to(out);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            1 => Ok(Self::ByAck(Ack::read(r)?, SignatureBytes::read(r)?)),
            2 => SignedState::read(r).map(Self::ByState),
            other => Err(DecodeError::UnknownValue {
                field: "acknowledgement",
                value: other.into(),
            }),
        }
    }
}

impl SignedState {
    /// The verdict of rule 4 on the client's signature.
    #[must_use]
    pub fn verify(&self, ledger: &LedgerId, client: &PublicKey) -> Verdict {
        self.state.verify(ledger, client, &self.signature)
    }
}

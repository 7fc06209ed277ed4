//! Actions: what a transaction does beside moving money. At most one in a transaction, under its txid.
//!
//! ```text
//! StartClose (1)      start 128 | pair follows 1 | pair
//! Evidence (2)        channel 32 | payer | pair
//! LockEvidence (3)    channel 32 | side 1 | slot 1 | payer | evidence
//! Settle (4)          channel 32
//! RevealPreimage (5)  preimage 32 | place 1 (0 none, 1 channel 32, side 1, slot 1) | payer
//! RevealAck (6)       funding outpoint 36 | acknowledgement: an ack or a state of the client | payer
//! Unbond (7)          hub 32 | signature 64
//! Commit (8)          digest 32
//! ReportFault (9)     hub 32 | reward key 32, zero for nobody | fault
//! Forfeit (10)        channel 32 | fault
//! ClaimStake (11)     channel 32 | hub 32 | fault
//! Distribute (12)     hub 32
//! payer               kind 1 (0 coins) | for 1 client, 2 hub: mandate's signature 64
//! ```
//!
//! The first input of an action that concerns a channel is the channel's funding outpoint, which stays the same while the
//! channel is closing: evidence of two sides never competes for an outpoint. That input needs no witness of its own
//! ([`crate::Witness::Action`]); the action speaks for it.

use tidegate_channel::evidence::{Acknowledged, Fault, LockEvidence, Pair, Side, SignedStart};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::signed::{SignedKind, SignedMessage, sign, signed_message};
use tidegate_types::{
    ChannelId, DecodeError, Digest, Fixed, KeyBytes, LedgerId, LockSlot, OutPoint, Reader, SignatureBytes,
};

use crate::codec::Canonical;
use crate::condition::unknown;

/// Who pays the fee of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    /// The transaction's other inputs.
    Coins,
    /// A side of the channel that is closing, out of what it will be paid, by its mandate.
    Side(Side, SignatureBytes),
}

/// One lock of a channel that is closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockPlace {
    /// The channel.
    pub channel: ChannelId,
    /// Who owes it.
    pub side: Side,
    /// Where it stands.
    pub slot: LockSlot,
}
tidegate_types::fixed_struct!(LockPlace {
    channel: ChannelId,
    side: Side,
    slot: LockSlot
});

/// What a transaction does beside moving money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Starts the close of a channel (rule 24).
    StartClose {
        /// Who, with what counters, signed.
        start: SignedStart,
        /// The evidence, if the start says that it has some.
        pair: Option<Box<Pair>>,
    },
    /// Shows a pair (rule 25).
    Evidence {
        /// The channel.
        channel: ChannelId,
        /// Who pays.
        payer: Payer,
        /// The pair.
        pair: Box<Pair>,
    },
    /// Refunds one open lock (rule 25).
    LockEvidence {
        /// Which.
        place: LockPlace,
        /// Who pays.
        payer: Payer,
        /// Why.
        evidence: Box<LockEvidence>,
    },
    /// Pays both sides of a close (rule 26).
    Settle {
        /// The channel.
        channel: ChannelId,
    },
    /// Reveals a preimage (rule 26).
    RevealPreimage {
        /// The preimage.
        preimage: [u8; 32],
        /// A lock of a closing channel that it meets, if a side of that channel pays.
        place: Option<LockPlace>,
        /// Who pays.
        payer: Payer,
    },
    /// Reveals an ack, or a client state that stands for one (rule 26).
    RevealAck {
        /// The channel's funding output.
        funding: OutPoint,
        /// The client's word.
        word: Box<Acknowledged>,
        /// Who pays.
        payer: Payer,
    },
    /// Begins the unbonding of a stake.
    Unbond {
        /// The hub.
        hub: KeyBytes,
        /// Its signature.
        signature: SignatureBytes,
    },
    /// Announces a fault report without showing it.
    Commit {
        /// [`Fault::commitment`].
        digest: Digest,
    },
    /// Slashes a hub's stake (rule 27).
    ReportFault {
        /// The hub.
        hub: KeyBytes,
        /// Who is rewarded, if the commitment to it is final; zero for nobody.
        reward: KeyBytes,
        /// What the hub did.
        fault: Box<Fault>,
    },
    /// Gives a channel's whole output to its client (rule 27).
    Forfeit {
        /// The channel.
        channel: ChannelId,
        /// What the hub did in it.
        fault: Box<Fault>,
    },
    /// Pays a client out of a slashed stake for a channel that has ended (rule 27).
    ClaimStake {
        /// The channel.
        channel: ChannelId,
        /// The hub.
        hub: KeyBytes,
        /// What the hub did in it.
        fault: Box<Fault>,
    },
    /// Pays the reward out of a slashed stake and burns the rest (rule 27).
    Distribute {
        /// The hub.
        hub: KeyBytes,
    },
}

impl Action {
    /// What a signature, a path and the rest of a pair cost at most, in units of a block.
    const PAIR_COST: u64 = 3_000;
    /// What one opened lock costs: its bytes here, its record, and the output that it becomes.
    pub const LOCK_COST: u64 = 500;

    /// What the action takes of a block beside the bytes of inputs and outputs, whatever its own bytes.
    #[must_use]
    pub fn cost(&self) -> u64 {
        let pair_cost = |pair: &Pair| Self::PAIR_COST + pair.lock_count() as u64 * Self::LOCK_COST;
        match self {
            Self::StartClose { pair, .. } => 400 + pair.as_deref().map_or(0, pair_cost),
            Self::Evidence { pair, .. } => 200 + pair_cost(pair),
            Self::LockEvidence { .. } => 2_000,
            Self::Settle { .. } => 300,
            Self::RevealPreimage { .. } => 600,
            Self::RevealAck { .. } => 800,
            Self::Unbond { .. } | Self::Commit { .. } => 400,
            Self::ReportFault { .. } | Self::Forfeit { .. } | Self::ClaimStake { .. } => 4_000,
            Self::Distribute { .. } => 300,
        }
    }

    /// Whether blocks keep room for it (rule 15): all that a dispute needs.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        !matches!(
            self,
            Self::Unbond { .. } | Self::Commit { .. } | Self::Distribute { .. }
        )
    }

    /// The channel that it concerns, if it is one of a channel.
    #[must_use]
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::StartClose { start, .. } => Some(start.start.channel),
            Self::Evidence { channel, .. }
            | Self::Settle { channel }
            | Self::Forfeit { channel, .. }
            | Self::ClaimStake { channel, .. } => Some(*channel),
            Self::LockEvidence { place, .. } => Some(place.channel),
            Self::RevealPreimage { place, .. } => place.map(|place| place.channel),
            Self::RevealAck { word, .. } => Some(word.channel()),
            Self::Unbond { .. } | Self::Commit { .. } | Self::ReportFault { .. } | Self::Distribute { .. } => None,
        }
    }

    /// The byte string by which a hub ends its stake: stake outpoint 36.
    #[must_use]
    pub fn unbond_message(stake: &OutPoint, ledger: &LedgerId) -> SignedMessage {
        signed_message(ledger, SignedKind::Unbond, &stake.to_vec())
    }

    /// The end of the stake at `stake`, signed by its hub.
    #[must_use]
    pub fn unbond(stake: &OutPoint, ledger: &LedgerId, hub: &SecretKey) -> Self {
        Self::Unbond {
            hub: hub.public().bytes(),
            signature: sign(hub, ledger, SignedKind::Unbond, &stake.to_vec()),
        }
    }
}

impl Canonical for Payer {
    const LEN_MIN: usize = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Coins => out.push(0),
            Self::Side(side, signature) => {
                side.append_to(out);
                signature.append_to(out);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            0 => Ok(Self::Coins),
            1 => SignatureBytes::read(r).map(|signature| Self::Side(Side::Client, signature)),
            2 => SignatureBytes::read(r).map(|signature| Self::Side(Side::Hub, signature)),
            other => Err(unknown("payer", other)),
        }
    }
}

impl Action {
    const fn kind(&self) -> u8 {
        match self {
            Self::StartClose { .. } => 1,
            Self::Evidence { .. } => 2,
            Self::LockEvidence { .. } => 3,
            Self::Settle { .. } => 4,
            Self::RevealPreimage { .. } => 5,
            Self::RevealAck { .. } => 6,
            Self::Unbond { .. } => 7,
            Self::Commit { .. } => 8,
            Self::ReportFault { .. } => 9,
            Self::Forfeit { .. } => 10,
            Self::ClaimStake { .. } => 11,
            Self::Distribute { .. } => 12,
        }
    }
}

impl Canonical for Action {
    const LEN_MIN: usize = 1 + 32;

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        match self {
            Self::StartClose { start, pair } => {
                start.append_to(out);
                write_option(pair.as_deref(), out, Canonical::encode);
            }
            Self::Evidence { channel, payer, pair } => {
                channel.append_to(out);
                payer.encode(out);
                pair.encode(out);
            }
            Self::LockEvidence { place, payer, evidence } => {
                place.append_to(out);
                payer.encode(out);
                evidence.encode(out);
            }
            Self::Settle { channel } => channel.append_to(out),
            Self::RevealPreimage { preimage, place, payer } => {
                preimage.append_to(out);
                write_option(place.as_ref(), out, Fixed::append_to);
                payer.encode(out);
            }
            Self::RevealAck { funding, word, payer } => {
                funding.append_to(out);
                word.encode(out);
                payer.encode(out);
            }
            Self::Unbond { hub, signature } => {
                hub.append_to(out);
                signature.append_to(out);
            }
            Self::Commit { digest } => digest.append_to(out),
            Self::ReportFault { hub, reward, fault } => {
                hub.append_to(out);
                reward.append_to(out);
                fault.encode(out);
            }
            Self::Forfeit { channel, fault } => {
                channel.append_to(out);
                fault.encode(out);
            }
            Self::ClaimStake { channel, hub, fault } => {
                channel.append_to(out);
                hub.append_to(out);
                fault.encode(out);
            }
            Self::Distribute { hub } => hub.append_to(out),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            kind @ 1..=6 => read_of_channel(kind, r),
            7 => Ok(Self::Unbond {
                hub: KeyBytes::read(r)?,
                signature: SignatureBytes::read(r)?,
            }),
            8 => Ok(Self::Commit {
                digest: Digest::read(r)?,
            }),
            9 => Ok(Self::ReportFault {
                hub: KeyBytes::read(r)?,
                reward: KeyBytes::read(r)?,
                fault: Box::new(Fault::read(r)?),
            }),
            10 => Ok(Self::Forfeit {
                channel: ChannelId::read(r)?,
                fault: Box::new(Fault::read(r)?),
            }),
            11 => Ok(Self::ClaimStake {
                channel: ChannelId::read(r)?,
                hub: KeyBytes::read(r)?,
                fault: Box::new(Fault::read(r)?),
            }),
            12 => Ok(Self::Distribute {
                hub: KeyBytes::read(r)?,
            }),
            other => Err(unknown("action", other)),
        }
    }
}

fn read_of_channel(kind: u8, r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    match kind {
        1 => {
            let start = SignedStart::read(r)?;
            let pair = read_option(r, |r| Pair::read(r).map(Box::new))?;
            if pair.is_some() != start.start.has_evidence {
                return Err(DecodeError::OutOfRange { field: "evidence flag" });
            }
            Ok(Action::StartClose { start, pair })
        }
        2 => Ok(Action::Evidence {
            channel: ChannelId::read(r)?,
            payer: Payer::read(r)?,
            pair: Box::new(Pair::read(r)?),
        }),
        3 => Ok(Action::LockEvidence {
            place: LockPlace::read(r)?,
            payer: Payer::read(r)?,
            evidence: Box::new(LockEvidence::read(r)?),
        }),
        4 => Ok(Action::Settle {
            channel: ChannelId::read(r)?,
        }),
        5 => Ok(Action::RevealPreimage {
            preimage: r.array()?,
            place: read_option(r, LockPlace::read)?,
            payer: Payer::read(r)?,
        }),
        _ => Ok(Action::RevealAck {
            funding: OutPoint::read(r)?,
            word: Box::new(Acknowledged::read(r)?),
            payer: Payer::read(r)?,
        }),
    }
}

fn write_option<T>(value: Option<&T>, out: &mut Vec<u8>, write: impl FnOnce(&T, &mut Vec<u8>)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        write(value, out);
    }
}

fn read_option<T>(
    r: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match u8::read(r)? {
        0 => Ok(None),
        1 => read(r).map(Some),
        other => Err(unknown("option", other)),
    }
}

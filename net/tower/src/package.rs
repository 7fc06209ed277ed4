//! What a party gives a tower: a pair, and the leave to charge its fee to the party's side.
//!
//! ```text
//! package   channel 32 | funding outpoint 36 | side 1 | reveals 1 | 0 × 2 | mandate 64 | terms length 4 | pair length 4 | terms | pair
//!           | reveals
//! ```

use tidegate_channel::codec::Canonical as _;
use tidegate_channel::evidence::{Acknowledged, LeafNaming, Mandate, MandateSubject, Pair, PairError, Side};
use tidegate_channel::{Ack, ChannelTerms};
use tidegate_client::{ClientChannel, Signer};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_ledger::{Action, LockPlace, Payer, Transaction, TransactionBody, Witness};
use tidegate_types::{
    ChannelId, ClientCounter, DecodeError, Fixed, Height, HubCounter, KeyBytes, LedgerId, LockSlot, OutPoint,
    SignatureBytes,
};
use tidegate_wire::messages::{TowerPackage, TowerReveal};

/// One channel's best evidence, for one of its sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The channel.
    pub channel: ChannelId,
    /// Its funding output.
    pub funding: OutPoint,
    /// Its terms.
    pub terms: ChannelTerms,
    /// Whose evidence it is: who pays for showing it.
    pub side: Side,
    /// The pair.
    pub pair: Pair,
    /// That side's signature under the mandate for this pair: the tower has neither keys nor coins.
    pub mandate: SignatureBytes,
    /// What goes to the ledger once the pair's leaf stands there.
    pub reveals: Vec<Reveal>,
}

/// What makes more of a leaf on the ledger (rule 26), each with the client's signature under the mandate to pay for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// The word by which the pair names its leaf: the credits that wait in it count by that.
    Ack(SignatureBytes),
    /// The preimage of a lock in the leaf.
    Preimage {
        /// Where the lock stands.
        slot: LockSlot,
        /// The preimage.
        preimage: [u8; 32],
        /// The mandate.
        mandate: SignatureBytes,
    },
}

/// A reveal that is to be brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueReveal {
    /// By what it is known again on the ledger: the hash of the preimage, or the digest of the leaf.
    pub name: [u8; 32],
    /// The last height at which it counts.
    pub last: Height,
    /// What brings it.
    pub transaction: Transaction,
}

/// Why a package would be of no use on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// It does not decode.
    #[error("the package does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// The channel's name does not follow from terms and funding output.
    #[error("the channel's name is not that of its terms and funding output")]
    OtherName,
    /// A key of the terms is none that counts.
    #[error("a key of the channel is not valid: {0}")]
    Key(#[from] KeyError),
    /// The pair does not stand.
    #[error("the pair does not stand: {0}")]
    Pair(#[from] PairError),
    /// The mandate is not signed by the side.
    #[error("the mandate is not signed by the side that is to pay")]
    Mandate,
    /// A reveal has nothing to do with the pair, or comes from a hub, which has coins of its own.
    #[error("reveal {0} does not belong to the pair's leaf")]
    Reveal(usize),
}

impl Package {
    /// What a client gives its tower for a pair of a channel: with the ack of the pair's leaf, if it has signed one.
    #[must_use]
    pub fn of_client(own: &ClientChannel, signer: &Signer, pair: Pair) -> Self {
        Self {
            channel: own.id(),
            funding: own.opened().funding,
            terms: own.opened().terms,
            side: Side::Client,
            mandate: own.mandate(signer, &pair),
            reveals: own.ack_mandate(signer).map(Reveal::Ack).into_iter().collect(),
            pair,
        }
    }

    /// Reads a package as it travels.
    ///
    /// # Errors
    /// [`PackageError::Decode`].
    pub fn decode(message: &TowerPackage<'_>) -> Result<Self, PackageError> {
        Ok(Self {
            channel: message.channel,
            funding: message.funding,
            terms: ChannelTerms::decode(message.terms)?,
            side: Side::decode(&[message.side])?,
            pair: Pair::decode(message.pair)?,
            mandate: *message.mandate,
            reveals: message
                .reveals
                .iter()
                .map(|told| Reveal::of(&told))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The parts of the message that brings it: its terms, its pair and its reveals.
    #[must_use]
    pub fn parts(&self) -> Parts {
        Parts {
            terms: self.terms.to_vec(),
            pair: self.pair.to_bytes(),
            reveals: self.reveals.iter().map(Reveal::told).collect(),
        }
    }

    /// The message that brings it, over its [`Package::parts`].
    #[must_use]
    pub fn message<'a>(&'a self, parts: &'a Parts) -> TowerPackage<'a> {
        TowerPackage {
            channel: self.channel,
            funding: self.funding,
            side: self.side.to_vec()[0],
            mandate: &self.mandate,
            terms: &parts.terms,
            pair: &parts.pair,
            reveals: parts.reveals.as_slice().into(),
        }
    }

    /// The counters of both halves.
    #[must_use]
    pub fn counters(&self) -> (ClientCounter, HubCounter) {
        self.pair.counters()
    }

    /// Whose package it is.
    #[must_use]
    pub const fn owner(&self) -> KeyBytes {
        match self.side {
            Side::Client => self.terms.client,
            Side::Hub => self.terms.hub,
        }
    }

    /// What the side signs so that the fee is charged to it.
    #[must_use]
    pub fn subject(&self) -> Mandate {
        let (client, hub) = self.counters();
        Mandate {
            channel: self.channel,
            side: self.side,
            subject: MandateSubject::Pair(client, hub),
        }
    }

    /// Checks everything that the ledger will check of it.
    ///
    /// # Errors
    /// [`PackageError`], the first that applies.
    pub fn check(&self, ledger: &LedgerId) -> Result<(), PackageError> {
        if self.terms.channel_id(&self.funding) != self.channel {
            return Err(PackageError::OtherName);
        }
        let (client, hub) = (
            PublicKey::register(self.terms.client)?,
            PublicKey::register(self.terms.hub)?,
        );
        self.pair.check(ledger, &self.channel, &self.terms, (&client, &hub))?;
        let payer = match self.side {
            Side::Client => &client,
            Side::Hub => &hub,
        };
        if !self.subject().verify(ledger, payer, &self.mandate).is_valid() {
            return Err(PackageError::Mandate);
        }
        for (at, reveal) in self.reveals.iter().enumerate() {
            let wrong = PackageError::Reveal(at);
            let subject = self.subject_of(reveal).ok_or(wrong)?;
            if !self
                .mandate_for(subject)
                .verify(ledger, &client, reveal.mandate())
                .is_valid()
            {
                return Err(wrong);
            }
        }
        Ok(())
    }

    /// What the mandate of a reveal is about; `None` if the reveal does not belong to the pair's leaf.
    fn subject_of(&self, reveal: &Reveal) -> Option<MandateSubject> {
        let half = self.pair.hub.as_ref().filter(|_| self.side == Side::Client)?;
        match reveal {
            Reveal::Ack(_) => Some(MandateSubject::Ack(half.leaf.private.counter)),
            Reveal::Preimage { slot, preimage, .. } => {
                let open = half.locks.iter().find(|open| open.slot == *slot)?;
                let meets = open.lock.hash == payment_hash(preimage);
                meets.then_some(MandateSubject::Lock(open.lock.lock))
            }
        }
    }

    /// Takes over the preimages of locks that wait in this package as in the one before it.
    pub(crate) fn inherit(&mut self, older: &Self) {
        for reveal in &older.reveals {
            let Reveal::Preimage { slot, .. } = reveal else {
                continue;
            };
            let has_one = |own: &Reveal| matches!(own, Reveal::Preimage { slot: at, .. } if at == slot);
            let same = self.subject_of(reveal).is_some() && self.subject_of(reveal) == older.subject_of(reveal);
            if same && self.side == older.side && !self.reveals.iter().any(has_one) {
                self.reveals.push(*reveal);
            }
        }
    }

    const fn mandate_for(&self, subject: MandateSubject) -> Mandate {
        Mandate {
            channel: self.channel,
            side: self.side,
            subject,
        }
    }

    /// What is to be revealed of the pair's leaf once it stands in a close whose grace ends at this height.
    #[must_use]
    pub fn due_reveals(&self, grace_end: Height) -> Vec<DueReveal> {
        let reveals = self.reveals.iter();
        reveals
            .filter_map(|reveal| self.due_reveal(reveal, grace_end))
            .collect()
    }

    fn due_reveal(&self, reveal: &Reveal, grace_end: Height) -> Option<DueReveal> {
        let half = self.pair.hub.as_ref()?;
        let payer = Payer::Side(self.side, *reveal.mandate());
        let (name, last, action) = match reveal {
            Reveal::Ack(_) => {
                let (leaf, word) = (half.leaf.reference(), self.word()?);
                let action = Action::RevealAck {
                    funding: self.funding,
                    word: Box::new(word),
                    payer,
                };
                (*leaf.digest.as_bytes(), half.leaf.private.ack_by.min(grace_end), action)
            }
            Reveal::Preimage { slot, preimage, .. } => {
                let open = half.locks.iter().find(|open| open.slot == *slot)?;
                let place = LockPlace {
                    channel: self.channel,
                    side: Side::Hub,
                    slot: *slot,
                };
                let action = Action::RevealPreimage {
                    preimage: *preimage,
                    place: Some(place),
                    payer,
                };
                (open.lock.hash, open.lock.expiry, action)
            }
        };
        Some(DueReveal {
            name,
            last,
            transaction: self.of_action(action),
        })
    }

    /// The client's word by which the pair names its leaf.
    fn word(&self) -> Option<Acknowledged> {
        let half = self.pair.hub.as_ref()?;
        let leaf = half.leaf.reference();
        Some(match &half.named {
            LeafNaming::ByState => Acknowledged::ByState(self.pair.client.as_ref()?.signed),
            LeafNaming::ByOtherState(signed) => Acknowledged::ByState(**signed),
            LeafNaming::ByAck(signature) => {
                let channel = self.channel;
                Acknowledged::ByAck(Ack { channel, leaf }, *signature)
            }
        })
    }

    /// The transaction that shows the pair on the ledger.
    #[must_use]
    pub fn transaction(&self) -> Transaction {
        let action = Action::Evidence {
            channel: self.channel,
            payer: Payer::Side(self.side, self.mandate),
            pair: Box::new(self.pair.clone()),
        };
        self.of_action(action)
    }

    fn of_action(&self, action: Action) -> Transaction {
        Transaction {
            body: TransactionBody::of_action(vec![self.funding], Vec::new(), action),
            witnesses: vec![Witness::Action],
        }
    }
}

/// The bytes that a package's message borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    terms: Vec<u8>,
    pair: Vec<u8>,
    reveals: Vec<TowerReveal>,
}

impl Reveal {
    const ACK: u8 = 1;
    const PREIMAGE: u8 = 2;

    const fn mandate(&self) -> &SignatureBytes {
        match self {
            Self::Ack(mandate) | Self::Preimage { mandate, .. } => mandate,
        }
    }

    fn of(told: &TowerReveal) -> Result<Self, DecodeError> {
        match told.what {
            Self::ACK if told.slot == 0 && told.preimage == [0; 32] => Ok(Self::Ack(told.mandate)),
            Self::ACK => Err(DecodeError::NonZeroPadding),
            Self::PREIMAGE => Ok(Self::Preimage {
                slot: LockSlot::new(told.slot).ok_or(DecodeError::UnknownValue {
                    field: "lock slot",
                    value: told.slot.into(),
                })?,
                preimage: told.preimage,
                mandate: told.mandate,
            }),
            other => Err(DecodeError::UnknownValue {
                field: "reveal",
                value: other.into(),
            }),
        }
    }

    fn told(&self) -> TowerReveal {
        match self {
            Self::Ack(mandate) => TowerReveal {
                what: Self::ACK,
                slot: 0,
                preimage: [0; 32],
                mandate: *mandate,
            },
            Self::Preimage {
                slot,
                preimage,
                mandate,
            } => TowerReveal {
                what: Self::PREIMAGE,
                slot: u8::try_from(slot.index()).expect("a page has 64 slots"),
                preimage: *preimage,
                mandate: *mandate,
            },
        }
    }
}

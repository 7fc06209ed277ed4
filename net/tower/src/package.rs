//! One channel's evidence: a pair of halves that fit each other (rule 25).

use tidegate_channel::{Ack, ClientState, HeaderError, LeafPrivate, LeafPublic, SignedHeader, leaf_digest};
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{ClientCounter, Digest, HubCounter, LedgerId, SignatureBytes};

/// The hub's half with its proof.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The batch's header, signed.
    pub header: SignedHeader,
    /// The leaf's place.
    pub index: u32,
    /// The path to the header's root.
    pub path: Vec<Digest>,
    /// The leaf's private part.
    pub private: LeafPrivate,
    /// Its public part.
    pub public: LeafPublic,
}

/// An ack of the leaf, where the state does not name it.
#[derive(Clone, Copy, Debug)]
pub struct NamedAck {
    /// The ack.
    pub ack: Ack,
    /// The client's signature.
    pub signature: SignatureBytes,
}

/// A pair (C, H), each half named by the other party.
#[derive(Clone, Debug)]
pub struct Package {
    /// The client's half.
    pub state: ClientState,
    /// The client's signature over it.
    pub signature: SignatureBytes,
    /// The hub's half.
    pub leaf: Proof,
    /// An ack of the leaf, where the state names an older one.
    pub ack: Option<NamedAck>,
}

/// Why a package would not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// The halves belong to different channels.
    #[error("the halves belong to different channels")]
    OtherChannel,
    /// The state's signature is not the client's.
    #[error("the state is not signed by the client")]
    StateSignature,
    /// The ack's signature is not the client's, or it names another leaf.
    #[error("the ack is not the client's, or not of this leaf")]
    Ack,
    /// The leaf is not in a batch that the hub signed.
    #[error("the leaf does not stand: {0}")]
    Leaf(#[from] HeaderError),
    /// The leaf acknowledges another state, or the client never acknowledged the leaf: what only its signer vouches for
    /// counts for nothing.
    #[error("the halves do not name each other")]
    NotNamed,
}

impl Package {
    /// The counters of both halves.
    #[must_use]
    pub const fn counters(&self) -> (ClientCounter, HubCounter) {
        (self.state.counter, self.leaf.private.counter)
    }

    /// Checks everything that a dispute will check of the two halves.
    ///
    /// # Errors
    /// [`PackageError`], the first that applies.
    pub fn check(&self, ledger: &LedgerId, hub: &PublicKey, client: &PublicKey) -> Result<(), PackageError> {
        let leaf = &self.leaf;
        if leaf.private.channel != self.state.channel {
            return Err(PackageError::OtherChannel);
        }
        if !self.state.verify(ledger, client, &self.signature).is_valid() {
            return Err(PackageError::StateSignature);
        }
        let digest = leaf_digest(&leaf.private.digest(), &leaf.public.digest());
        leaf.header.verify(ledger, hub)?;
        leaf.header.check_path(&digest, leaf.index, &leaf.path)?;
        if leaf.private.ack.counter != self.state.counter || leaf.private.ack.digest != self.state.digest() {
            return Err(PackageError::NotNamed);
        }
        let by_state = self.state.ack.digest == digest;
        match &self.ack {
            None if by_state => Ok(()),
            None => Err(PackageError::NotNamed),
            Some(NamedAck { ack, signature }) => {
                let named = ack.leaf.digest == digest && ack.channel == self.state.channel;
                let signed = ack.verify(ledger, client, signature).is_valid();
                if named && signed {
                    Ok(())
                } else {
                    Err(PackageError::Ack)
                }
            }
        }
    }
}

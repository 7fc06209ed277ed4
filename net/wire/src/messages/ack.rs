//! `Ack`, `AckProof`: a client has checked a leaf, and a payer is shown that its payee has.

use bytemuck::{Pod, Zeroable};
use tidegate_types::{ChannelId, Digest, Fixed, KeyBytes, LockId, SignatureBytes, fixed_struct};

use super::Body;
use super::pay::read_bool;
use crate::cursor::{Put, Take};
use crate::lengths::{ACK_LEN, LEAF_PUBLIC_LEN, MAX_LEAVES, MAX_PATH, SALT_LEN};
use crate::{Kind, Reader, WireError};

/// A client has checked a leaf and all before it: `ack 72 | signature 64`.
///
/// It is answered only if it is refused (`Error`); one that makes credit firm leads to a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The ack.
    pub ack: &'a [u8; ACK_LEN],
    /// The client's signature over it.
    pub signature: &'a SignatureBytes,
}

impl<'a> Body<'a> for Ack<'a> {
    const KIND: Kind = Kind::Ack;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            ack: r.view()?,
            signature: r.view()?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.list(self.ack);
        out.put(self.signature);
    }
}

/// A payer asks for its payee's ack: `payer's channel 32 | lock 32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckProofQuery {
    /// The payer's channel.
    pub channel: ChannelId,
    /// The payment's lock.
    pub lock: LockId,
}
fixed_struct!(AckProofQuery {
    channel: ChannelId,
    lock: LockId
});

impl<'a> Body<'a> for AckProofQuery {
    const KIND: Kind = Kind::AckProof;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(<Self as Fixed>::read(r)?)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }
}

/// A leaf of the payee's channel as a payer sees it: `public part 96 | digest of the private part 32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Link {
    /// The public part.
    pub public: [u8; LEAF_PUBLIC_LEN],
    /// The digest of the rest.
    pub private: Digest,
}

/// What proves that the payee has acknowledged a payment (rule 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The payee's key.
    pub payee: KeyBytes,
    /// Its ack.
    pub ack: &'a [u8; ACK_LEN],
    /// Its signature over the ack.
    pub signature: &'a SignatureBytes,
    /// The lock's salt under the credited root.
    pub salt: &'a [u8; SALT_LEN],
    /// The lock's place under the credited root.
    pub index: u32,
    /// How many locks stand under it.
    pub count: u32,
    /// From the lock's entry to the credited root.
    pub path: &'a [Digest],
    /// The leaves from the one that credits to the one that the ack names; without one nothing is proved.
    pub links: &'a [Link],
}

/// A payee's ack, or that there is none yet. Pushed, it has the request id zero.
///
/// ```text
/// found 1 | 0 × 7 | payer's channel 32 | lock 32                                              nothing follows if not found
/// payee 32 | ack 72 | signature 64 | salt 16 | index u32 | count u32 | path u32 | links u32 | path × 32 | links × 128
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckProof<'a> {
    /// The payer's channel.
    pub channel: ChannelId,
    /// The payment's lock.
    pub lock: LockId,
    /// The proof, if the payee has acknowledged.
    pub proof: Option<Proof<'a>>,
}

impl<'a> Proof<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let payee = KeyBytes::read(r)?;
        let (ack, signature, salt) = (r.view()?, r.view()?, r.view()?);
        let (index, count, path, links) = (u32::read(r)?, u32::read(r)?, u32::read(r)?, u32::read(r)?);
        Ok(Self {
            payee,
            ack,
            signature,
            salt,
            index,
            count,
            path: r.list(path, "path digests", MAX_PATH)?,
            links: r.list(links, "links", MAX_LEAVES)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.payee);
        out.list(self.ack);
        out.put(self.signature);
        out.list(self.salt);
        out.put(&self.index);
        out.put(&self.count);
        out.count(self.path.len(), "path digests", MAX_PATH);
        out.count(self.links.len(), "links", MAX_LEAVES);
        out.list(self.path);
        out.list(self.links);
    }
}

impl<'a> Body<'a> for AckProof<'a> {
    const KIND: Kind = Kind::AckProof;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let found = read_bool(r, "found")?;
        r.pad(7)?;
        Ok(Self {
            channel: ChannelId::read(r)?,
            lock: LockId::read(r)?,
            proof: found.then(|| Proof::read(r)).transpose()?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&u8::from(self.proof.is_some()));
        out.pad(7);
        out.put(&self.channel);
        out.put(&self.lock);
        if let Some(proof) = &self.proof {
            proof.put(out);
        }
    }
}

//! `Peers`: what hubs tell each other of themselves and of others.

use core::net::{IpAddr, Ipv6Addr};

use bytemuck::{Pod, Zeroable};
use tidegate_types::{DecodeError, Digest, Fixed, Height, KeyBytes};

use super::Body;
use crate::cursor::{Put, Take};
use crate::lengths::{MAX_PEER_HEADERS, MAX_PEERS, SIGNED_HEADER_LEN};
use crate::{Kind, Reader, WireError};

/// The version of what travels on a link.
pub const LINK_VERSION: u32 = 1;

/// One hub that the sender knows of: `identity 32 | address 16, IPv6 or IPv4 within it | port u16 | seen u32, in minutes of Unix time`.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PeerEntry {
    identity: [u8; 32],
    ip: [u8; 16],
    port: [u8; 2],
    seen: [u8; 4],
}

impl PeerEntry {
    /// A hub that was last said to be there in that minute of Unix time.
    #[must_use]
    pub const fn new(identity: KeyBytes, ip: IpAddr, port: u16, seen_minutes: u32) -> Self {
        let ip = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Self {
            identity: *identity.as_bytes(),
            ip: ip.octets(),
            port: port.to_le_bytes(),
            seen: seen_minutes.to_le_bytes(),
        }
    }

    /// The hub's identity.
    #[must_use]
    pub const fn identity(&self) -> KeyBytes {
        KeyBytes::from_bytes(self.identity)
    }

    /// Its address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_octets(self.ip)).to_canonical()
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        u16::from_le_bytes(self.port)
    }

    /// When it was last said to be there, in minutes of Unix time.
    #[must_use]
    pub const fn seen_minutes(&self) -> u32 {
        u32::from_le_bytes(self.seen)
    }
}

impl core::fmt::Debug for PeerEntry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{}@{}:{} seen {}",
            self.identity(),
            self.ip(),
            self.port(),
            self.seen_minutes()
        )
    }
}

/// What hubs tell each other: `what u8 | 0 × 7 | …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers<'a> {
    /// 1, the first message of both ends: `version u32 | port u16 | 0 × 2`.
    Greeting {
        /// The version of what travels on the link, [`LINK_VERSION`].
        version: u32,
        /// Where the sender listens; 0 if it takes no links.
        port: u16,
    },
    /// 2, asks for addresses: `most u32 | 0 × 4`.
    Ask {
        /// How many at most.
        most: u32,
    },
    /// 3, the answer: `count u32 | 0 × 4 | count × entry 54`.
    Addresses(&'a [PeerEntry]),
    /// 4, what the sender's ledger and the newest batches are: `height u32 | count u32 | block hash 32 | count × signed header 248`.
    State {
        /// The height of its newest final block.
        height: Height,
        /// The hash of that block.
        block: Digest,
        /// Its own newest batch header, then those that it has seen of others.
        headers: &'a [[u8; SIGNED_HEADER_LEN]],
    },
}

const GREETING: u8 = 1;
const ASK: u8 = 2;
const ADDRESSES: u8 = 3;
const STATE: u8 = 4;

impl<'a> Body<'a> for Peers<'a> {
    const KIND: Kind = Kind::Peers;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let what = u8::read(r)?;
        r.pad(7)?;
        Ok(match what {
            GREETING => {
                let (version, port) = (u32::read(r)?, u16::read(r)?);
                r.pad(2)?;
                Self::Greeting { version, port }
            }
            ASK => {
                let most = u32::read(r)?;
                r.pad(4)?;
                Self::Ask { most }
            }
            ADDRESSES => {
                let count = u32::read(r)?;
                r.pad(4)?;
                Self::Addresses(r.list(count, "addresses", MAX_PEERS)?)
            }
            STATE => {
                let (height, count) = (Height::read(r)?, u32::read(r)?);
                Self::State {
                    height,
                    block: Digest::read(r)?,
                    headers: r.list(count, "headers", MAX_PEER_HEADERS)?,
                }
            }
            other => {
                return Err(DecodeError::UnknownValue {
                    field: "word between hubs",
                    value: other.into(),
                }
                .into());
            }
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        let what = |out: &mut Vec<u8>, what: u8| {
            out.put(&what);
            out.pad(7);
        };
        match self {
            Self::Greeting { version, port } => {
                what(out, GREETING);
                out.put(version);
                out.put(port);
                out.pad(2);
            }
            Self::Ask { most } => {
                what(out, ASK);
                out.put(most);
                out.pad(4);
            }
            Self::Addresses(entries) => {
                what(out, ADDRESSES);
                out.count(entries.len(), "addresses", MAX_PEERS);
                out.pad(4);
                out.list(entries);
            }
            Self::State { height, block, headers } => {
                what(out, STATE);
                out.put(height);
                out.count(headers.len(), "headers", MAX_PEER_HEADERS);
                out.put(block);
                out.list(headers);
            }
        }
    }
}

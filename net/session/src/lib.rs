//! Sessions: who the peer is, and secrecy and order of what it says.
//!
//! A session is a Noise handshake, IK of a client and XX between hubs ([`noise`]), an Ed25519 identity on each side bound to it ([`identity`]), and frames of
//! up to 16 KiB ([`frame`]) whose keys change now and then ([`rekey`]). [`Session`] is a state machine: bytes from the
//! socket and the time go in, plaintext and bytes for the socket come out. The plaintext is a stream of messages, which
//! `tidegate_wire::frame` finds.
//!
//! Nothing here does I/O, reads a clock or starts a thread, and no byte of a peer that is not known is ever delivered. The
//! end of the stream is not signed: a peer that vanishes and one that is cut off look alike, and nothing may rest on it.

pub mod buffer;
pub mod config;
pub mod cookie;
pub mod credits;
pub mod error;
pub mod frame;
pub mod identity;
pub mod noise;
pub mod rekey;
mod session;
mod transport;

pub use buffer::Buffer;
pub use config::{ClientConfig, Limits, LinkConfig, Millis, ServerConfig};
pub use cookie::{Challenge, Cookie, Cookies, Retry};
pub use credits::{Credits, NoCredit};
pub use error::{SendError, SessionError};
pub use frame::{FrameLength, PLAIN_MAX, SEALED_MAX};
pub use identity::{IdentityError, Role};
pub use noise::{NoiseKey, NoiseSecret};
pub use rekey::RekeyLimits;
pub use session::{Event, Frames, Session};
/// The identities that a configuration is made of.
pub use tidegate_crypto::keys::{PublicKey, SecretKey};

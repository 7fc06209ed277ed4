//! The state machine.
//!
//! ```text
//!            client                                   hub
//!  e, es, s, ss            ------------------------>            96 bytes, behind a cookie of 32 if one was asked for
//!                          <------------------------  e, ee, se 48 bytes
//!                          <------------------------  proof of the hub's identity, the first frame
//!  proof of the client's   ------------------------>            the first frame
//!  (ready)                                            (ready)
//!
//!            hub that begins a link                   hub
//!  e                       ------------------------>            32 bytes, behind a cookie of 32 if one was asked for
//!                          <------------------------  e, ee, s, es 96 bytes
//!  s, se                   ------------------------>            64 bytes; proofs as above
//! ```
//!
//! A hub keeps nothing for a stranger before the first message is there, and under load answers it with a cookie instead
//! (`cookie`). Whoever connects proves who it is only to whom it meant to reach. It is ready as soon as it has seen the other's
//! proof, and may send messages right behind its own; the hub delivers none of them before it has checked that proof.

use std::sync::Arc;

use snow::HandshakeState;
use tidegate_crypto::keys::{PublicKey, SecretKey};

use crate::buffer::Buffer;
use crate::config::{ClientConfig, Limits, LinkConfig, Millis, ServerConfig};
use crate::cookie::{COOKIE_LEN, Challenge, Cookie, Retry};
use crate::credits::Credits;
use crate::error::{SendError, SessionError};
use crate::frame::{
    IK_COOKIE_LEN, IK_FIRST_LEN, IK_SECOND_LEN, Lengths, PREFIX_LEN, SEALED_MAX, TAG_LEN, XX_COOKIE_LEN, XX_FIRST_LEN,
    XX_SECOND_LEN, XX_THIRD_LEN, first_frame, prefix,
};
use crate::identity::{Binding, PROOF_LEN, Role};
use crate::noise::{self, Pattern};
use crate::transport::Transport;

/// What [`Session::poll_event`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is made for each session, and looked at where it is made"
)]
pub enum Event {
    /// The peer is known; plaintext may be sent, and what is delivered comes from it.
    Ready {
        /// The peer's identity, proved for this session.
        peer: PublicKey,
    },
    /// The peer was asked to come again with a cookie. Once that is sent there is nothing more to do with this session.
    SentAway,
}

/// Milliseconds that a stranger is asked to wait before it comes again.
const RETRY_MILLIS: u32 = 250;

/// How many frames each direction has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Frames opened.
    pub received: u64,
    /// Frames sealed.
    pub sent: u64,
}

/// One end of one session. It owns no socket, no clock and no buffer: bytes and the time are arguments.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    config: Config,
    deadline: Millis,
    pattern: Pattern,
    peer: Option<PublicKey>,
    event: Option<Event>,
    credits: Credits,
}

#[derive(Debug)]
enum Phase {
    /// A hub's end: the first message is to come, and nothing was computed yet. With a challenge it must bear a cookie.
    Greeting(Option<Challenge>),
    /// A hub's end: the peer was asked to come again.
    SentAway,
    /// The end that connected: the hub's handshake message is to come.
    Handshake(Box<HandshakeState>),
    /// A hub's end of a link: the third message is to come.
    Confirm(Box<HandshakeState>),
    /// The peer's proof is to come.
    Identify(Transport, Binding),
    /// The peer is known.
    Ready(Transport),
    /// An error was returned.
    Failed,
}

#[derive(Debug)]
enum Config {
    Client(Arc<ClientConfig>),
    Link(Arc<LinkConfig>),
    Hub(Arc<ServerConfig>),
}

impl Config {
    fn role(&self) -> Role {
        match self {
            Self::Client(_) | Self::Link(_) => Role::Client,
            Self::Hub(_) => Role::Hub,
        }
    }

    fn limits(&self) -> &Limits {
        match self {
            Self::Client(config) => &config.limits,
            Self::Link(config) => &config.own.limits,
            Self::Hub(config) => &config.limits,
        }
    }

    fn identity(&self) -> &SecretKey {
        match self {
            Self::Client(config) => &config.identity,
            Self::Link(config) => &config.own.identity,
            Self::Hub(config) => &config.identity,
        }
    }

    fn binding(&self, handshake: &HandshakeState) -> Binding {
        let ledger = match self {
            Self::Client(config) => config.ledger,
            Self::Link(config) => config.own.ledger,
            Self::Hub(config) => config.ledger,
        };
        let mut handshake_hash = [0; 32];
        handshake_hash.copy_from_slice(handshake.get_handshake_hash());
        Binding { ledger, handshake_hash }
    }

    /// The identity that the peer must prove, if only one will do.
    fn expected_peer(&self) -> Option<&PublicKey> {
        match self {
            Self::Client(config) => Some(&config.hub_identity),
            Self::Link(config) => Some(&config.peer),
            Self::Hub(_) => None,
        }
    }
}

impl Session {
    /// The connecting end, a client's. Appends the first handshake message to `out`.
    ///
    /// # Errors
    /// [`SessionError::Local`] if the configuration's keys make no handshake (a hub key of small order).
    pub fn client(config: Arc<ClientConfig>, now: Millis, out: &mut Buffer) -> Result<Self, SessionError> {
        Self::connecting(Config::Client(config), None, now, out)
    }

    /// As [`Session::client`], on a new connection after [`SessionError::Retry`].
    ///
    /// # Errors
    /// As [`Session::client`].
    pub fn client_again(
        config: Arc<ClientConfig>,
        cookie: &Cookie,
        now: Millis,
        out: &mut Buffer,
    ) -> Result<Self, SessionError> {
        Self::connecting(Config::Client(config), Some(cookie), now, out)
    }

    /// The connecting end, a hub's; with the cookie of [`SessionError::Retry`] on a new connection after it.
    ///
    /// # Errors
    /// As [`Session::client`].
    pub fn link(
        config: Arc<LinkConfig>,
        cookie: Option<&Cookie>,
        now: Millis,
        out: &mut Buffer,
    ) -> Result<Self, SessionError> {
        Self::connecting(Config::Link(config), cookie, now, out)
    }

    fn connecting(
        config: Config,
        cookie: Option<&Cookie>,
        now: Millis,
        out: &mut Buffer,
    ) -> Result<Self, SessionError> {
        let (pattern, len, handshake) = match &config {
            Config::Client(config) => {
                let handshake = noise::initiator(&config.ledger, &config.noise, &config.hub_noise);
                (Pattern::Ik, IK_FIRST_LEN, handshake)
            }
            Config::Link(config) => {
                let handshake = noise::link_initiator(&config.own.ledger, &config.own.noise);
                (Pattern::Xx, XX_FIRST_LEN, handshake)
            }
            Config::Hub(_) => return Err(SessionError::Failed),
        };
        let mut handshake = handshake.map_err(SessionError::Local)?;
        let cookie = cookie.map_or(&[][..], |cookie| cookie.as_bytes());
        write_handshake(&mut handshake, cookie, len, out).map_err(SessionError::Local)?;
        Ok(Self {
            pattern,
            ..Self::new(Phase::Handshake(Box::new(handshake)), config, now)
        })
    }

    /// The end that was connected to. With a challenge, a stranger without one of its cookies is sent away.
    #[must_use]
    pub fn server(config: Arc<ServerConfig>, challenge: Option<Challenge>, now: Millis) -> Self {
        Self::new(Phase::Greeting(challenge), Config::Hub(config), now)
    }

    fn new(phase: Phase, config: Config, now: Millis) -> Self {
        let limits = *config.limits();
        Self {
            phase,
            config,
            deadline: now.after(limits.handshake_millis),
            pattern: Pattern::Ik,
            peer: None,
            event: None,
            credits: Credits::new(limits.window()),
        }
    }

    /// Takes whole frames off the front of `input` and returns how many bytes that were; the caller keeps the rest and
    /// shows it again, with more behind it. Plaintext is appended to `plain`, answers of the handshake to `out`.
    ///
    /// Frames are left in `input` when the credit is used up: see [`Session::grant`].
    ///
    /// # Errors
    /// [`SessionError`]: the session is over. Plaintext of frames before the bad one has been delivered; what is in `out`
    /// need not be sent.
    pub fn receive(
        &mut self,
        now: Millis,
        input: &[u8],
        plain: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<usize, SessionError> {
        let result = self.receive_frames(now, input, plain, out);
        if result.is_err() {
            self.phase = Phase::Failed;
        }
        result
    }

    fn receive_frames(
        &mut self,
        now: Millis,
        input: &[u8],
        plain: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<usize, SessionError> {
        self.check_deadline(now)?;
        let mut rest = input;
        while !matches!(self.phase, Phase::SentAway)
            && let Some(frame) = first_frame(rest, self.allowed_len()?)?
        {
            if !self.receive_frame(frame, plain, out)? {
                break;
            }
            rest = rest.get(PREFIX_LEN + frame.len()..).unwrap_or_default();
        }
        Ok(input.len() - rest.len())
    }

    /// The lengths of the frame that may come next.
    fn allowed_len(&self) -> Result<Lengths, SessionError> {
        match (&self.phase, self.pattern) {
            (Phase::Greeting(_), _) => Ok(Lengths::OneOf(match &self.config {
                Config::Hub(config) if config.links => &[XX_FIRST_LEN, XX_COOKIE_LEN, IK_FIRST_LEN, IK_COOKIE_LEN],
                _ => &[IK_FIRST_LEN, IK_COOKIE_LEN],
            })),
            (Phase::Handshake(_), Pattern::Ik) => Ok(Lengths::OneOf(&[Retry::LEN, IK_SECOND_LEN])),
            (Phase::Handshake(_), Pattern::Xx) => Ok(Lengths::OneOf(&[Retry::LEN, XX_SECOND_LEN])),
            (Phase::Confirm(_), _) => Ok(Lengths::OneOf(&[XX_THIRD_LEN])),
            (Phase::Identify(..), _) => Ok(Lengths::OneOf(&[PROOF_LEN + TAG_LEN])),
            // A frame of no plaintext would be work for nothing.
            (Phase::Ready(_), _) => Ok(Lengths::Between(TAG_LEN + 1, SEALED_MAX)),
            (Phase::SentAway | Phase::Failed, _) => Err(SessionError::Failed),
        }
    }

    /// False if the frame must wait for credit.
    fn receive_frame(&mut self, frame: &[u8], plain: &mut Buffer, out: &mut Buffer) -> Result<bool, SessionError> {
        match core::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Greeting(challenge) => self.phase = self.receive_greeting(challenge, frame, out)?,
            Phase::Handshake(handshake) => self.phase = self.receive_answer(handshake, frame, out)?,
            Phase::Confirm(handshake) => self.phase = self.receive_confirmation(handshake, frame, out)?,
            Phase::Identify(transport, binding) => self.phase = self.receive_proof(transport, &binding, frame, out)?,
            Phase::Ready(mut transport) => {
                let opened = self.credits.take((frame.len() - TAG_LEN) as u64).is_ok();
                if opened {
                    transport.open(frame, plain)?;
                }
                self.phase = Phase::Ready(transport);
                return Ok(opened);
            }
            Phase::SentAway | Phase::Failed => return Err(SessionError::Failed),
        }
        Ok(true)
    }

    /// Reads a stranger's first message, or sends the stranger away before anything is computed for it.
    fn receive_greeting(
        &mut self,
        challenge: Option<Challenge>,
        frame: &[u8],
        out: &mut Buffer,
    ) -> Result<Phase, SessionError> {
        let cookie_len = match frame.len() {
            IK_COOKIE_LEN | XX_COOKIE_LEN => COOKIE_LEN,
            _ => 0,
        };
        let (shown, message) = frame.split_at(cookie_len);
        if let Some(challenge) = challenge
            && !<[u8; COOKIE_LEN]>::try_from(shown).is_ok_and(|bytes| challenge.admits(&Cookie::from_bytes(bytes)))
        {
            let retry = Retry {
                after_millis: RETRY_MILLIS,
                cookie: *challenge.fresh(),
            };
            out.extend(&prefix(Retry::LEN));
            out.extend(&retry.encode());
            self.event = Some(Event::SentAway);
            return Ok(Phase::SentAway);
        }
        self.answer_greeting(message, out)
    }

    /// Reads a handshake's first message, whose length says of which pattern, and answers it.
    fn answer_greeting(&mut self, message: &[u8], out: &mut Buffer) -> Result<Phase, SessionError> {
        let Config::Hub(config) = &self.config else {
            return Err(SessionError::Failed);
        };
        let (pattern, answer_len) = match message.len() {
            XX_FIRST_LEN => (Pattern::Xx, XX_SECOND_LEN),
            _ => (Pattern::Ik, IK_SECOND_LEN),
        };
        self.pattern = pattern;
        let handshake = noise::responder(pattern, &config.ledger, &config.noise);
        let mut handshake = Box::new(handshake.map_err(SessionError::Local)?);
        read_handshake(&mut handshake, message)?;
        write_handshake(&mut handshake, &[], answer_len, out).map_err(SessionError::Handshake)?;
        match pattern {
            Pattern::Ik => self.finish_handshake(handshake, out),
            Pattern::Xx => Ok(Phase::Confirm(handshake)),
        }
    }

    /// Reads the hub's handshake message; in XX one more goes out.
    fn receive_answer(
        &self,
        mut handshake: Box<HandshakeState>,
        frame: &[u8],
        out: &mut Buffer,
    ) -> Result<Phase, SessionError> {
        if frame.len() == Retry::LEN {
            let retry = Retry::decode(frame).ok_or(SessionError::MalformedRetry)?;
            return Err(SessionError::Retry(retry));
        }
        read_handshake(&mut handshake, frame)?;
        if self.pattern == Pattern::Xx {
            write_handshake(&mut handshake, &[], XX_THIRD_LEN, out).map_err(SessionError::Handshake)?;
        }
        self.finish_handshake(handshake, out)
    }

    /// Reads the third message of a link.
    fn receive_confirmation(
        &self,
        mut handshake: Box<HandshakeState>,
        frame: &[u8],
        out: &mut Buffer,
    ) -> Result<Phase, SessionError> {
        read_handshake(&mut handshake, frame)?;
        self.finish_handshake(handshake, out)
    }

    /// The keys are there. The end that was connected to proves itself first.
    fn finish_handshake(&self, handshake: Box<HandshakeState>, out: &mut Buffer) -> Result<Phase, SessionError> {
        let binding = self.config.binding(&handshake);
        let noise = handshake.into_transport_mode().map_err(SessionError::Handshake)?;
        let mut transport = Transport::new(noise, self.config.limits().rekey);
        if self.config.role() == Role::Hub {
            self.prove(&mut transport, &binding, out);
        }
        Ok(Phase::Identify(transport, binding))
    }

    fn prove(&self, transport: &mut Transport, binding: &Binding, out: &mut Buffer) {
        let proof = binding.prove(self.config.role(), self.config.identity());
        transport
            .seal(&proof, out)
            .expect("the first frame of a session has the first number");
    }

    fn receive_proof(
        &mut self,
        mut transport: Transport,
        binding: &Binding,
        frame: &[u8],
        out: &mut Buffer,
    ) -> Result<Phase, SessionError> {
        let mut proof = Buffer::new();
        transport.open(frame, &mut proof)?;
        let theirs = self.config.role().other();
        let peer = binding.check(theirs, self.config.expected_peer(), proof.bytes())?;
        if self.config.role() == Role::Client {
            self.prove(&mut transport, binding, out);
        }
        self.peer = Some(peer);
        self.event = Some(Event::Ready { peer });
        Ok(Phase::Ready(transport))
    }

    /// Seals `plaintext` into frames of up to 16 KiB and appends them to `out`. Gather much and call once: each frame costs
    /// 18 bytes and a fixed amount of work.
    ///
    /// # Errors
    /// [`SendError`]; after [`SendError::Seal`] the session can send no more.
    pub fn send(&mut self, plaintext: &[u8], out: &mut Buffer) -> Result<(), SendError> {
        match &mut self.phase {
            Phase::Ready(transport) => transport.seal(plaintext, out),
            _ => Err(SendError::NotReady),
        }
    }

    /// What has happened since the last call.
    pub const fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// Until when the peer must be known; `None` once it is.
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        match self.phase {
            Phase::Greeting(_) | Phase::SentAway | Phase::Handshake(_) | Phase::Confirm(_) | Phase::Identify(..) => {
                Some(self.deadline)
            }
            Phase::Ready(_) | Phase::Failed => None,
        }
    }

    /// Ends a session whose peer is not known in time.
    ///
    /// # Errors
    /// [`SessionError::HandshakeTimeout`] if `now` is at or past [`Session::deadline`].
    pub fn check_deadline(&mut self, now: Millis) -> Result<(), SessionError> {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.phase = Phase::Failed;
            return Err(SessionError::HandshakeTimeout {
                millis: self.config.limits().handshake_millis,
            });
        }
        Ok(())
    }

    /// The peer's identity, once it is proved.
    #[must_use]
    pub const fn peer(&self) -> Option<&PublicKey> {
        self.peer.as_ref()
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.config.role()
    }

    /// True if this is a link between hubs, once that is known.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.pattern == Pattern::Xx
    }

    /// True from the moment that the peer is known until the session fails.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready(_))
    }

    /// True while a hub's end has neither got a whole message nor computed anything.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        matches!(self.phase, Phase::Greeting(_))
    }

    /// Frames opened and frames sealed since the handshake, the proofs included.
    #[must_use]
    pub fn frames(&self) -> Frames {
        match &self.phase {
            Phase::Identify(transport, _) | Phase::Ready(transport) => transport.frames(),
            _ => Frames::default(),
        }
    }

    /// The credit of the receiving direction.
    #[must_use]
    pub const fn credits(&self) -> &Credits {
        &self.credits
    }

    /// Gives credit back for `bytes` of plaintext that were processed.
    ///
    /// # Panics
    /// If more is given back than was delivered.
    pub const fn grant(&mut self, bytes: u64) {
        self.credits.grant(bytes);
    }
}

/// Reads a handshake message. The lengths leave no room for a payload.
fn read_handshake(handshake: &mut HandshakeState, message: &[u8]) -> Result<(), SessionError> {
    handshake
        .read_message(message, &mut [])
        .map_err(SessionError::Handshake)?;
    Ok(())
}

/// Appends the handshake message that is due, with an empty payload, behind `front`.
fn write_handshake(
    handshake: &mut HandshakeState,
    front: &[u8],
    len: usize,
    out: &mut Buffer,
) -> Result<(), snow::Error> {
    let whole = front.len() + len;
    // snow wants room for a tag behind any message, also behind the one of XX that has none yet.
    let space = out.space(PREFIX_LEN + whole + TAG_LEN);
    let (head, body) = space.split_at_mut(PREFIX_LEN);
    let (before, message) = body.split_at_mut(front.len());
    before.copy_from_slice(front);
    let written = handshake.write_message(&[], message)?;
    assert_eq!(written, len, "the pattern fixes the length");
    head.copy_from_slice(&prefix(whole));
    out.advance(PREFIX_LEN + whole);
    Ok(())
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

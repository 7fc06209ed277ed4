//! The reactor's handler: decodes messages and hands them on in groups.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam::channel::{Sender, TrySendError};
use hashbrown::HashMap;
use tidegate_batch::{AckInput, CloseInput, FulfilInput, PayInput, ReleaseInput};
use tidegate_channel::{Ack, Release};
use tidegate_crypto::keys::PublicKey;
use tidegate_reactor::{CloseReason, ConnId, Handler, Outbox};
use tidegate_session::Millis;
use tidegate_types::{Fixed, KeyBytes};
use tidegate_wire::frame::Header;
use tidegate_wire::messages::{Body, Busy, Error, PROTOCOL_VERSION, Ping, ToHub};
use tidegate_wire::{ErrorCode, WireError};

use super::credits::Credits;
use super::flow::Flow;
use super::known::Known;
use super::ledger::LedgerWork;
use super::links::Links;
use super::probes;
use super::queue;
use super::unread::Unread;
use super::work::{AttachRequest, Group, Origin, Request, Work};

/// Messages that one group holds at most.
const GROUP_MAX: usize = 1024;
/// When a request may come again for which the ledger has no room, in milliseconds.
const LEDGER_RETRY_MS: u32 = 250;

pub(crate) struct Front {
    groups: queue::Sender<Group>,
    ledger: Sender<LedgerWork>,
    /// True while something is paused; the sequencer wakes the reactor then.
    waiting: Arc<AtomicBool>,
    gathered: Group,
    /// All reading is paused because the sequencer's queue is full.
    stuck: bool,
    sessions: HashMap<ConnId, Session>,
    credits: Credits,
    known: Known,
    unread: Unread,
    links: Option<Links>,
}

struct Session {
    identity: KeyBytes,
    greeted: bool,
}

impl Front {
    pub(crate) fn new(
        groups: queue::Sender<Group>,
        ledger: Sender<LedgerWork>,
        waiting: Arc<AtomicBool>,
        flow: Flow,
        links: Option<Links>,
    ) -> Self {
        Self {
            groups,
            ledger,
            waiting,
            gathered: Vec::new(),
            stuck: false,
            sessions: HashMap::new(),
            credits: Credits::new(flow.messages_max, flow.processed),
            known: flow.known,
            unread: Unread::default(),
            links,
        }
    }

    /// Hands on what was gathered, pauses all reading if there is no room, and gives credit back for what was processed.
    fn hand_on(&mut self, out: &mut Outbox<'_>) {
        self.push_on(out);
        self.credits.regain(out);
        let waits = self.stuck || self.credits.holds_anyone();
        if self.waiting.swap(waits, Ordering::SeqCst) || waits {
            // The sequencer may have gone on before it could see that someone waits; then nobody would wake us.
            self.push_on(out);
            self.credits.regain(out);
        }
    }

    fn push_on(&mut self, out: &mut Outbox<'_>) {
        let handed = self.gathered.is_empty() || self.try_hand_on();
        if handed && std::mem::take(&mut self.stuck) {
            out.resume_all();
        } else if !handed && !std::mem::replace(&mut self.stuck, true) {
            out.pause_all();
        }
    }

    fn try_hand_on(&mut self) -> bool {
        self.gathered.extend(self.credits.mark().map(Work::Processed));
        match self.groups.try_send(std::mem::take(&mut self.gathered)) {
            Ok(()) => true,
            Err(TrySendError::Full(group)) => {
                self.gathered = group;
                false
            }
            // The hub is ending; nobody is answered any more, so nothing is taken.
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    fn take(
        &mut self,
        origin: Origin,
        message: &ToHub<'_>,
        bytes: usize,
        out: &mut Outbox<'_>,
    ) -> Result<(), ErrorCode> {
        let session = self.sessions.get_mut(&origin.conn).ok_or(ErrorCode::HelloFirst)?;
        if let ToHub::Hello(hello) = message {
            if hello.version != PROTOCOL_VERSION {
                return Err(ErrorCode::UnsupportedVersion);
            }
            if session.greeted {
                return Err(ErrorCode::Malformed);
            }
            if let Some(away) = self.unread.away(&session.identity, Instant::now()) {
                let busy = Busy {
                    retry_after_ms: u32::try_from(away.as_millis()).unwrap_or(u32::MAX),
                };
                reply(&busy, origin, out);
                out.close(origin.conn);
                return Ok(());
            }
            session.greeted = true;
            self.gathered.push(Work::Hello {
                origin,
                identity: session.identity,
                share_paths: hello.share_paths,
            });
            return Ok(());
        }
        if !session.greeted {
            return Err(ErrorCode::HelloFirst);
        }
        if let ToHub::Attach(attach) = message {
            self.gathered.push(Work::Attach {
                origin,
                identity: session.identity,
                request: Box::new(AttachRequest {
                    client: attach.client,
                    identity: attach.identity,
                    expiry: attach.expiry,
                    channels: attach.channels.to_vec(),
                    signature: *attach.signature,
                }),
            });
            self.credits.take(origin.conn, bytes, out);
            return Ok(());
        }
        if let Some(request) = request_of(message)? {
            self.gathered.push(Work::Request(origin, request));
            self.credits.take(origin.conn, bytes, out);
            if self.gathered.len() >= GROUP_MAX {
                self.hand_on(out);
            }
            return Ok(());
        }
        if let ToHub::Ping(ping) = message {
            if !ping.answer {
                let pong = Ping { answer: true, ..*ping };
                reply(&pong, origin, out);
            }
            return Ok(());
        }
        let work = LedgerWork::of(origin, session.identity, message)?;
        match self.ledger.try_send(work) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                let busy = Busy {
                    retry_after_ms: LEDGER_RETRY_MS,
                };
                reply(&busy, origin, out);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(ErrorCode::ShuttingDown),
        }
    }
}

/// The request about one channel that a message makes, if it makes one.
fn request_of(message: &ToHub<'_>) -> Result<Option<Request>, ErrorCode> {
    let malformed = ErrorCode::Malformed;
    Ok(Some(match message {
        ToHub::Pay(pay) => {
            let input = PayInput::from_parts(pay.state, *pay.signature, pay.operations);
            Request::Pay(input.map_err(|_| malformed)?)
        }
        ToHub::Ack(ack) => {
            let signature = *ack.signature;
            Request::Ack(AckInput {
                ack: Ack::decode(ack.ack).map_err(|_| malformed)?,
                signature,
            })
        }
        ToHub::CloseRequest(close) => Request::Close(CloseInput {
            channel: close.channel,
            fee: close.fee,
        }),
        ToHub::Fulfill(shown) => Request::Fulfil(FulfilInput {
            channel: shown.channel,
            lock: shown.lock,
            preimage: shown.preimage,
        }),
        ToHub::Release(message) => Request::Release(ReleaseInput {
            release: Release {
                channel: message.channel,
                lock: message.lock,
            },
            signature: message.signature,
        }),
        ToHub::Refresh(refresh) => Request::Refresh(refresh.channel),
        ToHub::Sync(sync) => Request::Sync {
            channel: sync.channel,
            leaf: sync.leaf,
        },
        ToHub::AckProof(query) => Request::Proof {
            channel: query.channel,
            lock: query.lock,
        },
        ToHub::Hello(_)
        | ToHub::Attach(_)
        | ToHub::OpenPropose(_)
        | ToHub::CloseFinal(_)
        | ToHub::SpliceRequest(_)
        | ToHub::SpliceFinal(_)
        | ToHub::LedgerQuery(_)
        | ToHub::SubmitTx(_)
        | ToHub::TowerPackage(_)
        | ToHub::Ping(_) => return Ok(None),
    }))
}

fn reply<'a>(body: &impl Body<'a>, origin: Origin, out: &mut Outbox<'_>) {
    let mut bytes = Vec::new();
    if body.append(origin.request, &mut bytes).is_ok() {
        // A connection that is gone, or takes no more, needs no answer.
        let _gone = out.send(origin.conn, &bytes);
    }
}

pub(crate) fn error_message(origin: Origin, code: ErrorCode, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Error { code, text }
        .append(origin.request, &mut bytes)
        .expect("an error is short");
    bytes
}

impl Handler for Front {
    fn on_ready(&mut self, conn: ConnId, peer: &PublicKey, _out: &mut Outbox<'_>) {
        self.sessions.insert(
            conn,
            Session {
                identity: peer.bytes(),
                greeted: false,
            },
        );
    }

    fn on_link_ready(&mut self, conn: ConnId, peer: &PublicKey, from: IpAddr, out: &mut Outbox<'_>) {
        match &mut self.links {
            Some(links) => links.opened(conn, peer, from, out),
            None => out.close(conn),
        }
    }

    fn has_place(&mut self, peer: &PublicKey) -> bool {
        self.known.contains(&peer.bytes())
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        if let Some(links) = self.links.as_mut().filter(|links| links.holds(conn)) {
            return links.received(conn, &header, body, out);
        }
        let origin = Origin {
            conn,
            request: header.request,
        };
        probes::frame_in(conn, header.kind, body.len());
        let taken = match ToHub::decode(&header, body) {
            Ok(message) => self
                .take(origin, &message, body.len(), out)
                .map_err(|code| (code, String::new())),
            Err(error) => Err((WireError::code(&error), error.to_string())),
        };
        if let Err((code, text)) = taken {
            let _gone = out.send(conn, &error_message(origin, code, &text));
            // Whoever does not speak the protocol is not listened to any longer.
            if !matches!(code, ErrorCode::ShuttingDown | ErrorCode::Unsupported) {
                out.close(conn);
            }
        }
    }

    fn on_closed(&mut self, conn: ConnId, reason: &CloseReason, out: &mut Outbox<'_>) {
        if let Some(links) = &mut self.links {
            links.closed(conn, out);
        }
        self.credits.forget(conn);
        if let Some(session) = self.sessions.remove(&conn) {
            if matches!(reason, CloseReason::SendQueueFull) {
                self.unread.note(session.identity, Instant::now());
            }
            self.gathered.push(Work::Gone(conn));
        }
    }

    fn on_tick(&mut self, _: Millis, out: &mut Outbox<'_>) {
        if let Some(links) = &mut self.links {
            links.tick(out);
        }
    }

    fn on_wake(&mut self, out: &mut Outbox<'_>) {
        self.hand_on(out);
    }

    fn on_turn_end(&mut self, out: &mut Outbox<'_>) {
        self.hand_on(out);
    }
}

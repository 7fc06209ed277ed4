//! The reactor's handler: decodes messages and hands them on in groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::channel::{Sender, TrySendError};
use hashbrown::HashMap;
use tidegate_batch::{AckInput, CloseInput, FulfilInput, PayInput, ReleaseInput};
use tidegate_channel::{Ack, Release};
use tidegate_crypto::keys::PublicKey;
use tidegate_reactor::{CloseReason, ConnId, Handler, Outbox};
use tidegate_types::{Fixed, KeyBytes};
use tidegate_wire::frame::Header;
use tidegate_wire::messages::{Body, Error, Ping, ToHub};
use tidegate_wire::{ErrorCode, WireError};

use super::ledger::LedgerWork;
use super::probes;
use super::work::{Group, Origin, Request, Work};

/// Messages that one group holds at most.
const GROUP_MAX: usize = 1024;

pub(crate) struct Front {
    groups: Sender<Group>,
    ledger: Sender<LedgerWork>,
    /// True while reading is paused because the sequencer's queue is full; the sequencer wakes the reactor then.
    waiting: Arc<AtomicBool>,
    gathered: Group,
    sessions: HashMap<ConnId, Session>,
}

struct Session {
    identity: KeyBytes,
    greeted: bool,
}

impl Front {
    pub(crate) fn new(groups: Sender<Group>, ledger: Sender<LedgerWork>, waiting: Arc<AtomicBool>) -> Self {
        Self {
            groups,
            ledger,
            waiting,
            gathered: Vec::new(),
            sessions: HashMap::new(),
        }
    }

    /// Hands on what was gathered; pauses all reading if there is no room.
    fn hand_on(&mut self, out: &mut Outbox<'_>) {
        if self.gathered.is_empty() {
            return;
        }
        if self.try_hand_on() {
            self.resume(out);
            return;
        }
        self.waiting.store(true, Ordering::SeqCst);
        out.pause_all();
        // The queue may have been emptied before the sequencer could see that someone waits; then nobody would wake us.
        if self.try_hand_on() {
            self.resume(out);
        }
    }

    fn try_hand_on(&mut self) -> bool {
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

    fn resume(&self, out: &mut Outbox<'_>) {
        if self.waiting.swap(false, Ordering::SeqCst) {
            out.resume_all();
        }
    }

    fn take(&mut self, origin: Origin, message: &ToHub<'_>, out: &mut Outbox<'_>) -> Result<(), ErrorCode> {
        let session = self.sessions.get_mut(&origin.conn).ok_or(ErrorCode::HelloFirst)?;
        if let ToHub::Hello(_) = message {
            if session.greeted {
                return Err(ErrorCode::Malformed);
            }
            session.greeted = true;
            self.gathered.push(Work::Hello {
                origin,
                identity: session.identity,
            });
            return Ok(());
        }
        if !session.greeted {
            return Err(ErrorCode::HelloFirst);
        }
        if let Some(request) = request_of(message)? {
            self.gathered.push(Work::Request(origin, request));
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
        self.ledger.try_send(work).map_err(|_| ErrorCode::Internal)
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
        | ToHub::OpenPropose(_)
        | ToHub::CloseFinal(_)
        | ToHub::LedgerQuery(_)
        | ToHub::SubmitTx(_)
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

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        let origin = Origin {
            conn,
            request: header.request,
        };
        probes::frame_in(conn, header.kind, body.len());
        let taken = match ToHub::decode(&header, body) {
            Ok(message) => self.take(origin, &message, out).map_err(|code| (code, String::new())),
            Err(error) => Err((WireError::code(&error), error.to_string())),
        };
        if let Err((code, text)) = taken {
            let _gone = out.send(conn, &error_message(origin, code, &text));
            // Whoever does not speak the protocol is not listened to any longer.
            if !matches!(code, ErrorCode::Internal | ErrorCode::Unsupported) {
                out.close(conn);
            }
        }
    }

    fn on_closed(&mut self, conn: ConnId, _reason: &CloseReason, _out: &mut Outbox<'_>) {
        if self.sessions.remove(&conn).is_some() {
            self.gathered.push(Work::Gone(conn));
        }
    }

    fn on_wake(&mut self, out: &mut Outbox<'_>) {
        self.hand_on(out);
    }

    fn on_turn_end(&mut self, out: &mut Outbox<'_>) {
        self.hand_on(out);
    }
}

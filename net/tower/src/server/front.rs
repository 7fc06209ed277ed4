//! The reactor's handler of a tower.

use crossbeam::channel::{Sender, TrySendError};
use hashbrown::HashMap;
use tidegate_crypto::keys::PublicKey;
use tidegate_reactor::{CloseReason, ConnId, Handler, Outbox};
use tidegate_types::{Age, Amount, Height, KeyBytes, LedgerId};
use tidegate_wire::frame::Header;
use tidegate_wire::messages::{Body, Busy, Error, HelloAnswer, Ping, ToHub};
use tidegate_wire::{ErrorCode, WireError};

use super::{Origin, Work};
use crate::Package;

/// When a peer that found the queue full may come again, in milliseconds.
const RETRY_MILLIS: u32 = 100;

pub(super) struct Front {
    ledger: LedgerId,
    queue: Sender<Work>,
    sessions: HashMap<ConnId, Session>,
}

struct Session {
    identity: KeyBytes,
    greeted: bool,
}

impl Front {
    pub(super) fn new(ledger: LedgerId, queue: Sender<Work>) -> Self {
        Self {
            ledger,
            queue,
            sessions: HashMap::new(),
        }
    }

    fn take(&mut self, origin: Origin, message: &ToHub<'_>, out: &mut Outbox<'_>) -> Result<(), (ErrorCode, String)> {
        let plain = |code| (code, String::new());
        let session = self
            .sessions
            .get_mut(&origin.conn)
            .ok_or(plain(ErrorCode::HelloFirst))?;
        match message {
            ToHub::Hello(_) if session.greeted => return Err(plain(ErrorCode::Malformed)),
            ToHub::Hello(_) => {
                session.greeted = true;
                reply(&greeting(self.ledger), origin, out);
                let identity = session.identity;
                return self.hand_on(Work::Ready(origin.conn, identity), origin, out);
            }
            _ if !session.greeted => return Err(plain(ErrorCode::HelloFirst)),
            _ => {}
        }
        match message {
            ToHub::TowerPackage(package) => {
                let identity = session.identity;
                let package = Package::decode(package).map_err(|error| (ErrorCode::Malformed, error.to_string()))?;
                self.hand_on(Work::Package(origin, identity, Box::new(package)), origin, out)
            }
            ToHub::Ping(ping) => {
                if !ping.answer {
                    reply(&Ping { answer: true, ..*ping }, origin, out);
                }
                Ok(())
            }
            _ => Err(plain(ErrorCode::Unsupported)),
        }
    }

    fn hand_on(&self, work: Work, origin: Origin, out: &mut Outbox<'_>) -> Result<(), (ErrorCode, String)> {
        match self.queue.try_send(work) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                let busy = Busy {
                    retry_after_ms: RETRY_MILLIS,
                };
                reply(&busy, origin, out);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err((ErrorCode::ShuttingDown, String::new())),
        }
    }
}

/// What a tower says of itself: of the terms of business, which it has none of, nothing.
const fn greeting(ledger: LedgerId) -> HelloAnswer {
    HelloAnswer {
        ledger,
        hub: KeyBytes::ZERO,
        height: Height::ZERO,
        margin: Age::ZERO,
        ack_interval_ms: 0,
        max_lock: Age::ZERO,
        dispute_window: Age::ZERO,
        evidence_grace: Age::ZERO,
        client_reserve: Amount::ZERO,
        hub_reserve: Amount::ZERO,
        min_amount: Amount::ZERO,
        fee_base: Amount::ZERO,
        fee_ppm: 0,
        block_interval_ms: 0,
        max_capacity: Amount::ZERO,
        channel_count: 0,
    }
}

fn reply<'a>(body: &impl Body<'a>, origin: Origin, out: &mut Outbox<'_>) {
    let mut bytes = Vec::new();
    if body.append(origin.request, &mut bytes).is_ok() {
        // A connection that is gone, or takes no more, needs no answer.
        let _gone = out.send(origin.conn, &bytes);
    }
}

impl Handler for Front {
    fn on_ready(&mut self, conn: ConnId, peer: &PublicKey, _out: &mut Outbox<'_>) {
        let session = Session {
            identity: peer.bytes(),
            greeted: false,
        };
        self.sessions.insert(conn, session);
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        let origin = Origin {
            conn,
            request: header.request,
        };
        let taken = match ToHub::decode(&header, body) {
            Ok(message) => self.take(origin, &message, out),
            Err(error) => Err((WireError::code(&error), error.to_string())),
        };
        if let Err((code, text)) = taken {
            reply(&Error { code, text: &text }, origin, out);
            // Whoever does not speak the protocol is not listened to any longer.
            if !matches!(code, ErrorCode::Unsupported | ErrorCode::ShuttingDown) {
                out.close(conn);
            }
        }
    }

    fn on_closed(&mut self, conn: ConnId, _reason: &CloseReason, _out: &mut Outbox<'_>) {
        if self.sessions.remove(&conn).is_some() {
            // A full queue forgets it: a notice to a connection that is gone reaches nobody.
            let _full = self.queue.try_send(Work::Gone(conn));
        }
    }
}

//! The reactor's handler of a ledger's endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam::channel::{Sender, TrySendError};
use hashbrown::HashMap;
use tidegate_crypto::keys::PublicKey;
use tidegate_reactor::{CloseReason, ConnId, Handler, Outbox};
use tidegate_types::{Age, Amount, Height};
use tidegate_wire::frame::Header;
use tidegate_wire::messages::{Body, Busy, HelloAnswer, Ping, ToHub};
use tidegate_wire::{ErrorCode, WireError};

use super::{Origin, Work};
use crate::Node;
use crate::answer::refusal;

/// When a peer that found the queue full may come again, in milliseconds.
pub(super) const RETRY_MILLIS: u32 = 50;

pub(super) struct Front {
    queue: Sender<Work>,
    hello: HelloAnswer,
    /// Height of the newest final block.
    height: Arc<AtomicU32>,
    /// Whether each peer has said `Hello`.
    greeted: HashMap<ConnId, bool>,
}

impl Front {
    pub(super) fn new(node: &Node, queue: Sender<Work>, height: Arc<AtomicU32>) -> Self {
        Self {
            queue,
            hello: greeting(node),
            height,
            greeted: HashMap::new(),
        }
    }

    fn take(&mut self, origin: Origin, message: &ToHub<'_>, out: &mut Outbox<'_>) -> Result<(), ErrorCode> {
        let greeted = self.greeted.get_mut(&origin.conn).ok_or(ErrorCode::HelloFirst)?;
        match message {
            ToHub::Hello(_) if *greeted => return Err(ErrorCode::Malformed),
            ToHub::Hello(_) => {
                *greeted = true;
                let height = Height::new(self.height.load(Ordering::Relaxed));
                reply(&HelloAnswer { height, ..self.hello }, origin, out);
                return Ok(());
            }
            _ if !*greeted => return Err(ErrorCode::HelloFirst),
            _ => {}
        }
        let work = match message {
            ToHub::LedgerQuery(query) => Work::Query(origin, *query),
            ToHub::SubmitTx(submit) => Work::Submit(origin, submit.transaction.to_vec()),
            ToHub::Ping(ping) => {
                if !ping.answer {
                    reply(&Ping { answer: true, ..*ping }, origin, out);
                }
                return Ok(());
            }
            _ => return Err(ErrorCode::Unsupported),
        };
        match self.queue.try_send(work) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => reply(
                &Busy {
                    retry_after_ms: RETRY_MILLIS,
                },
                origin,
                out,
            ),
            Err(TrySendError::Disconnected(_)) => return Err(ErrorCode::ShuttingDown),
        }
        Ok(())
    }
}

/// What a ledger says of itself: of the terms of business, which it has none of, nothing.
fn greeting(node: &Node) -> HelloAnswer {
    HelloAnswer {
        ledger: node.ledger(),
        hub: node.validator(),
        height: node.tip().final_height,
        margin: Age::ZERO,
        ack_interval_ms: 0,
        max_lock: Age::ZERO,
        dispute_window: node.params().dispute_window_min,
        evidence_grace: Age::ZERO,
        client_reserve: Amount::ZERO,
        hub_reserve: Amount::ZERO,
        min_amount: Amount::ZERO,
        fee_base: Amount::ZERO,
        fee_ppm: 0,
        block_interval_ms: node.params().block_interval_ms,
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
    fn on_ready(&mut self, conn: ConnId, _peer: &PublicKey, _out: &mut Outbox<'_>) {
        self.greeted.insert(conn, false);
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        let origin = Origin {
            conn,
            request: header.request,
        };
        let taken = match ToHub::decode(&header, body) {
            Ok(message) => self.take(origin, &message, out).map_err(|code| (code, String::new())),
            Err(error) => Err((WireError::code(&error), error.to_string())),
        };
        if let Err((code, text)) = taken {
            let _gone = out.send(conn, &refusal(code, &text, header.request));
            // Whoever does not speak the protocol is not listened to any longer.
            if !matches!(code, ErrorCode::Unsupported | ErrorCode::ShuttingDown) {
                out.close(conn);
            }
        }
    }

    fn on_closed(&mut self, conn: ConnId, _reason: &CloseReason, _out: &mut Outbox<'_>) {
        if self.greeted.remove(&conn).is_some() {
            // A full queue forgets it: what waits for a connection that is gone is answered to nobody, in time.
            let _full = self.queue.try_send(Work::Gone(conn));
        }
    }
}

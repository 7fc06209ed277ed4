//! Signatures of a batch, checked together; inputs that do not hold never reach the engine.

use std::sync::Arc;
use std::time::Instant;

use tidegate_batch::Input;
use tidegate_channel::RefuseReason;
use tidegate_crypto::signed::SignedMessage;
use tidegate_crypto::verify::{Item, Verdict};
use tidegate_types::LedgerId;
use tidegate_wire::ErrorCode;

use super::gather::{Gathered, Source};
use super::{Sequencer, micros};
use crate::pipeline::front::error_message;
use crate::pipeline::stats::add;
use crate::pipeline::work::{Job, Origin};

/// Up to this many signatures are checked where they are: to wake workers costs more than it saves, in latency too. The
/// verifier makes one task of as many. (Measured with 32 clients that each wait for their answer, batches of 19: 44 µs of hub
/// CPU per payment with workers, of which 12 were theirs, spinning.)
const WORTH_WAKING: usize = 64;

/// What is checked of a batch, and what came of it. Its memory is used again.
#[derive(Default)]
pub(super) struct Checks {
    /// What was signed, by input.
    messages: Vec<(usize, SignedMessage)>,
    verdicts: Vec<Verdict>,
}

impl Sequencer {
    /// Lists what is to be checked of a batch.
    pub(super) fn list_checks(&self, gathered: &Gathered, checks: &mut Checks) {
        let ledger = self.hello.ledger;
        checks.messages.clear();
        checks.messages.extend(
            gathered
                .inputs
                .iter()
                .enumerate()
                .filter_map(|(at, input)| message_of(input, &ledger).map(|m| (at, m))),
        );
        checks.verdicts.clear();
        checks.verdicts.resize(checks.messages.len(), Verdict::Invalid);
        add(&self.stats.signatures, checks.messages.len() as u64);
    }

    /// Checks what was listed, here or by the workers.
    pub(super) fn check(&self, gathered: &Gathered, checks: &mut Checks) {
        let Checks { messages, verdicts } = checks;
        let items = self.items(gathered, messages);
        if items.len() <= WORTH_WAKING {
            self.verifier.verify_batch(&items, verdicts);
        } else {
            self.pool.install(|| self.verifier.verify_batch(&items, verdicts));
        }
    }

    /// Has the workers check what was listed while `meanwhile` is done here; what that came to.
    pub(super) fn check_beside<T>(
        &mut self,
        gathered: &Gathered,
        checks: &mut Checks,
        meanwhile: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let Checks { messages, verdicts } = checks;
        let items = self.items(gathered, messages);
        let (pool, verifier) = (Arc::clone(&self.pool), Arc::clone(&self.verifier));
        pool.in_place_scope(|scope| {
            scope.spawn(|_| verifier.verify_batch(&items, verdicts));
            meanwhile(self)
        })
    }

    /// Takes out of a batch whatever has a signature that does not hold, and refuses it.
    pub(super) fn sort_out(&mut self, gathered: &mut Gathered, checks: &Checks, job: &mut Job) {
        let Checks { messages, verdicts } = checks;
        // From the back, so that the indices in front stay what they are.
        for ((at, _), verdict) in messages.iter().zip(verdicts).rev() {
            let Source { origin, slot, .. } = gathered.sources[*at].expect("signed inputs come from someone");
            if verdict.is_valid() {
                self.suspects.note_good(slot);
                continue;
            }
            let input = gathered.inputs.remove(*at);
            gathered.sources.remove(*at);
            self.suspects.note_bad(origin.conn, slot);
            self.refuse_signature(&input, origin, slot, job);
        }
        self.rest_suspects();
    }

    fn items<'a>(&self, gathered: &'a Gathered, messages: &'a [(usize, SignedMessage)]) -> Vec<Item<'a>> {
        let items = messages.iter();
        items.map(|(at, message)| self.item(gathered, *at, message)).collect()
    }

    fn item<'a>(&self, gathered: &'a Gathered, at: usize, message: &'a SignedMessage) -> Item<'a> {
        let slot = gathered.sources[at].expect("signed inputs come from someone").slot;
        let signature = match &gathered.inputs[at] {
            Input::Pay(pay) => &pay.signature,
            Input::Ack(ack) => &ack.signature,
            Input::Release(message) => &message.signature,
            Input::Block(_)
            | Input::Close(_)
            | Input::Refresh(_)
            | Input::Policy(_)
            | Input::Fulfil(_)
            | Input::Freeze(_)
            | Input::Splice(_)
            | Input::Forward(_) => {
                unreachable!("these are not signed")
            }
        };
        Item {
            key: self.sessions.key(slot),
            message: message.as_slice(),
            signature,
        }
    }

    fn rest_suspects(&mut self) {
        let reactor = &self.reactor;
        self.suspects.settle(Instant::now(), |conn, wait| {
            // If the reactor has ended, so will we.
            let _ended = reactor.rest(conn, micros(wait).div_ceil(1_000));
        });
    }

    fn refuse_signature(&self, input: &Input, origin: Origin, slot: u32, job: &mut Job) {
        if let Input::Pay(pay) = input {
            self.refuse_state(origin, slot, pay.state.counter, RefuseReason::BadSignature, job);
        } else {
            add(&self.stats.refused, 1);
            let text = RefuseReason::BadSignature.to_string();
            let code = if matches!(input, Input::Ack(_)) {
                ErrorCode::AckRefused
            } else {
                ErrorCode::Refused
            };
            job.replies.push((origin.conn, error_message(origin, code, &text)));
        }
    }
}

fn message_of(input: &Input, ledger: &LedgerId) -> Option<SignedMessage> {
    match input {
        Input::Pay(pay) => Some(pay.state.message(ledger)),
        Input::Ack(ack) => Some(ack.ack.message(ledger)),
        Input::Release(message) => Some(message.release.message(ledger)),
        Input::Block(_)
        | Input::Close(_)
        | Input::Refresh(_)
        | Input::Policy(_)
        | Input::Fulfil(_)
        | Input::Freeze(_)
        | Input::Splice(_)
        | Input::Forward(_) => None,
    }
}

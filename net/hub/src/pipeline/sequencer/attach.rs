//! `Attach`: a session of another key may carry a client's channels for a while.

use tidegate_channel::Delegation;
use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::verify::Verdict;
use tidegate_types::KeyBytes;
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{Attached, Body as _};

use super::Sequencer;
use crate::pipeline::front::error_message;
use crate::pipeline::work::{AttachRequest, Origin};

/// Why a session carries nothing more, in a code and in words.
type Refusal = (ErrorCode, &'static str);

impl Sequencer {
    pub(super) fn attach(&mut self, origin: Origin, identity: KeyBytes, request: &AttachRequest) -> Vec<u8> {
        match self.try_attach(origin, identity, request) {
            Ok(channels) => {
                let mut bytes = Vec::new();
                let answer = Attached { channels };
                answer.append(origin.request, &mut bytes).expect("it is short");
                bytes
            }
            Err((code, text)) => error_message(origin, code, text),
        }
    }

    /// Everything that is cheap is checked before the signature.
    fn try_attach(&mut self, origin: Origin, identity: KeyBytes, request: &AttachRequest) -> Result<u32, Refusal> {
        if request.identity != identity {
            return Err((ErrorCode::Refused, "the delegation is to another identity"));
        }
        if request.expiry < self.hello.height {
            return Err((ErrorCode::Refused, "the delegation has expired"));
        }
        let of_client = |channel| {
            let slot = self.engine.channel(channel)?;
            (self.engine.parties(slot).0 == request.client).then_some(slot)
        };
        let slots: Option<Vec<u32>> = request.channels.iter().map(of_client).collect();
        let slots = slots.ok_or((ErrorCode::NotAttached, ""))?;
        // It is the key of a channel, which the ledger has checked.
        let key = PublicKey::from_registered(request.client).map_err(|_| (ErrorCode::NotAttached, ""))?;
        let delegation = Delegation::new(identity, request.expiry, &request.channels);
        if delegation.verify(&self.hello.ledger, &key, &request.signature) == Verdict::Invalid {
            return Err((ErrorCode::Refused, "the signature is not the client's"));
        }
        let attached = self.sessions.attach(origin.conn, &slots, request.expiry, &self.engine);
        attached.ok_or((ErrorCode::TooLarge, "the session carries too many lent channels"))
    }
}

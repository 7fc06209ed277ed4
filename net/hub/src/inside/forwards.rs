//! Payments that wait for other hubs.

use serde::{Deserialize, Serialize};
use tidegate_batch::Forwarded;
use tidegate_types::Height;

use crate::forward::payment_id;
use crate::state::HubEngine;

/// What waits for other hubs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardRows {
    /// The newest final block that the state has taken.
    pub height: u32,
    /// Each lock.
    pub waiting: Vec<ForwardRow>,
}

/// One lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardRow {
    /// The payer's channel.
    pub payer: String,
    /// The lock.
    pub lock: String,
    /// The payment id under which it is forwarded: by it the lock is found at the next hub.
    pub forwarded_as: String,
    /// The payee's key.
    pub payee: String,
    /// The payee's channel.
    pub payee_channel: String,
    /// What the payee is to receive.
    pub amount_sat: u64,
    /// What the hubs on the way keep.
    pub fee_sat: u64,
    /// The expiry.
    pub expiry: u32,
    /// The payment hash.
    pub hash: String,
}

impl ForwardRow {
    fn of(lock: &Forwarded) -> Self {
        Self {
            payer: lock.payer.to_string(),
            lock: lock.lock.to_string(),
            forwarded_as: payment_id(&lock.lock).to_string(),
            payee: lock.payee.to_string(),
            payee_channel: lock.payee_channel.to_string(),
            amount_sat: lock.amount.to_sat(),
            fee_sat: lock.fee.to_sat(),
            expiry: lock.expiry.get(),
            hash: hex::encode(lock.hash),
        }
    }
}

impl ForwardRows {
    /// Of what waits at this height.
    #[must_use]
    pub fn of(height: Height, waiting: &[Forwarded]) -> Self {
        Self {
            height: height.get(),
            waiting: waiting.iter().map(ForwardRow::of).collect(),
        }
    }

    /// Of an engine.
    #[must_use]
    pub fn of_engine(engine: &HubEngine) -> Self {
        Self::of(engine.opened().height, &engine.forwards())
    }
}

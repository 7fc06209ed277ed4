//! Paying: a state goes out, its leaf comes back.

use std::time::{Duration, Instant};

use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Condition, FailReason, Lock, RefuseReason};
use tidegate_types::{Age, Amount, ChannelId, Height, KeyBytes, LockId, PaymentId};
use tidegate_wire::ToClient;
use tidegate_wire::messages::{AckProofQuery, PayAnswer};

use super::{Client, ClientError};
use crate::channel::SignedState;
use crate::connection::{ConnectionError, fail_if_refused};
use crate::key_file::KeyFileError;
use crate::store::WalletStore;

/// One payment to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The payee's key.
    pub payee: KeyBytes,
    /// The payee's channel.
    pub payee_channel: ChannelId,
    /// What the payee receives.
    pub amount: Amount,
    /// What the hub keeps; `None` for what it asks for.
    pub fee: Option<Amount>,
    /// The idempotency key; `None` for a random one.
    pub payment_id: Option<PaymentId>,
    /// Pays whoever shows the preimage of this; `None` for a payment that the payee's ack completes.
    pub hash: Option<HashLock>,
}

/// What a payment waits for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashLock {
    /// The SHA-256 of the preimage.
    pub hash: [u8; 32],
    /// Blocks from now to the lock's expiry; `None` for 144, or what the hub allows.
    pub blocks: Option<Age>,
}

/// How long a hash lock waits unless said otherwise: at half a second a block a little more than a minute.
const HASH_LOCK_BLOCKS: u32 = 144;

/// What became of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidLock {
    /// Its lock.
    pub lock: LockId,
    /// Its name.
    pub payment_id: PaymentId,
    /// Amount and fee.
    pub total: Amount,
    /// What the hub's signed leaf says.
    pub status: LockStatus,
}

impl PaidLock {
    /// Why it failed, if it did.
    #[must_use]
    pub const fn failure(&self) -> Option<FailReason> {
        match self.status {
            LockStatus::Failed(reason) => Some(reason),
            LockStatus::Sent
            | LockStatus::Pending
            | LockStatus::Delivered
            | LockStatus::Proved
            | LockStatus::Fulfilled(_) => None,
        }
    }
}

impl<S: WalletStore> Client<S> {
    /// Pays, all payments under one signature, and waits for the leaf that tells what became of them.
    ///
    /// # Errors
    /// [`ClientError`]. After an error of the connection the state may have been accepted; [`Client::sync`] brings it again.
    pub fn pay(&mut self, channel: &ChannelId, payments: &[Payment]) -> Result<Vec<PaidLock>, ClientError> {
        self.ensure_synced(channel)?;
        let locks = payments
            .iter()
            .map(|p| self.lock_for(p))
            .collect::<Result<Vec<_>, _>>()?;
        let state = self.channels.pay(channel, &locks, self.height)?;
        let paid = self.paid_locks(channel, &locks);
        self.bring(channel, &state)?;
        Ok(paid.into_iter().map(|lock| self.with_status(channel, lock)).collect())
    }

    /// The lock of a payment.
    fn lock_for(&self, payment: &Payment) -> Result<Lock, ClientError> {
        let payment_id = match payment.payment_id {
            Some(id) => id,
            None => random_payment_id()?,
        };
        let fee = payment.fee.or_else(|| self.hello().fee(payment.amount));
        Ok(Lock {
            payment_id,
            amount: payment.amount,
            fee: fee.ok_or(ClientError::Range("the fee"))?,
            payee: payment.payee,
            payee_channel: payment.payee_channel,
            expiry: match payment.hash {
                Some(lock) => self.hash_expiry(lock.blocks)?,
                None => self.expiry()?,
            },
            condition: payment.hash.map_or(Condition::Ack, |lock| Condition::Hash(lock.hash)),
        })
    }

    /// The expiry of a hash lock: what was asked for, else long enough for a payee to find its preimage.
    fn hash_expiry(&self, blocks: Option<Age>) -> Result<Height, ClientError> {
        let hello = self.hello();
        let usual = HASH_LOCK_BLOCKS.max(hello.margin.get().saturating_mul(4));
        let blocks = blocks.map_or_else(|| usual.min(hello.max_lock.get()), Age::get);
        self.height
            .plus(Age::new(blocks))
            .ok_or(ClientError::Range("the expiry"))
    }

    /// The expiry of a lock that is sent now: the least that rule 9 allows and half of that again, since heights move while
    /// the state travels, but never beyond the hub's longest.
    fn expiry(&self) -> Result<Height, ClientError> {
        let hello = self.hello();
        let ack_blocks = hello.ack_interval_ms.div_ceil(hello.block_interval_ms.max(1));
        let least = hello
            .margin
            .get()
            .saturating_mul(3)
            .saturating_add(ack_blocks.saturating_mul(2));
        let blocks = least
            .saturating_add(least / 2)
            .saturating_add(1)
            .min(hello.max_lock.get());
        self.height
            .plus(Age::new(blocks))
            .ok_or(ClientError::Range("the expiry"))
    }

    fn paid_locks(&self, channel: &ChannelId, locks: &[Lock]) -> Vec<PaidLock> {
        let wallet = self.channels.get(channel).map(|c| c.wallet());
        let open = wallet.into_iter().flat_map(|wallet| wallet.locks());
        open.filter(|(open, _)| locks.contains(&open.lock))
            .map(|(open, status)| PaidLock {
                lock: open.id,
                payment_id: open.lock.payment_id,
                total: open.lock.total().unwrap_or(Amount::MAX),
                status,
            })
            .collect()
    }

    fn with_status(&self, channel: &ChannelId, paid: PaidLock) -> PaidLock {
        let wallet = self.channels.get(channel).map(|c| c.wallet());
        let found = wallet.and_then(|w| {
            w.locks()
                .find(|(open, _)| open.id == paid.lock)
                .map(|(_, status)| status)
        });
        PaidLock {
            status: found.unwrap_or(paid.status),
            ..paid
        }
    }

    /// Sends a state, again and again while the hub is busy, until a leaf acknowledges it.
    pub(super) fn bring(&mut self, channel: &ChannelId, state: &SignedState) -> Result<(), ClientError> {
        let timeout = self.connection.timeout();
        let deadline = Instant::now() + timeout;
        let mut request = self.connection.send(&state.message())?;
        while self.is_unanswered(channel, state) {
            let incoming = self.connection.wait_until(deadline, timeout, |_| true)?;
            if incoming.header.request != request {
                self.take(&incoming)?;
                continue;
            }
            match incoming.message()? {
                ToClient::PayAnswer(answer) => return Err(refused(&answer)),
                ToClient::Busy(busy) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(busy.retry_after_ms.into()));
                    request = self.connection.send(&state.message())?;
                }
                _ => fail_if_refused(&incoming)?,
            }
        }
        Ok(())
    }

    fn is_unanswered(&self, channel: &ChannelId, state: &SignedState) -> bool {
        let channel = self.channels.get(channel);
        channel.is_some_and(|c| c.wallet().hub().leaf().ack.counter < state.state.counter)
    }

    /// Settles what is owed and takes back what failed or expired: asks for the payees' acks and preimages, then signs one state, if
    /// there is anything to do. Returns how many locks are still open.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn settle(&mut self, channel: &ChannelId) -> Result<usize, ClientError> {
        self.fetch_proofs(channel)?;
        if let Some(state) = self.channels.settle(channel, self.height)? {
            self.bring(channel, &state)?;
        }
        Ok(self
            .channels
            .get(channel)
            .map_or(0, |c| c.wallet().client().locks().len()))
    }

    /// Asks for the payees' acks and preimages of the open locks that wait for them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn fetch_proofs(&mut self, channel: &ChannelId) -> Result<(), ClientError> {
        self.ensure_synced(channel)?;
        let wallet = self.channels.get(channel).map(|c| c.wallet());
        let delivered: Vec<LockId> = wallet
            .into_iter()
            .flat_map(|wallet| wallet.locks())
            .filter(|(_, status)| matches!(status, LockStatus::Delivered | LockStatus::Pending))
            .map(|(open, _)| open.id)
            .collect();
        for lock in delivered {
            let channel = *channel;
            let incoming = self.connection.request(&AckProofQuery { channel, lock })?;
            match incoming.message()? {
                ToClient::AckProof(answer) => drop(self.channels.prove(&answer)?),
                ToClient::Fulfill(shown) => self.channels.prove_preimage(&shown)?,
                other => return Err(ConnectionError::Unexpected(other.kind()).into()),
            }
        }
        Ok(())
    }
}

fn refused(answer: &PayAnswer) -> ClientError {
    match RefuseReason::from_code(answer.refusal) {
        Ok(reason) => ClientError::Refused {
            counter: answer.counter,
            reason,
        },
        Err(error) => ClientError::RefusedOther(error),
    }
}

fn random_payment_id() -> Result<PaymentId, ClientError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(KeyFileError::Random)?;
    Ok(PaymentId::from_bytes(bytes))
}

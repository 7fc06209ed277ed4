//! Everything that can be asked: a hub with payments under way, its ledger, a tower, and wallets.

use std::collections::BTreeSet;

use tidegate_batch::{Input, PayInput};
use tidegate_channel::{Condition, Lock};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::signed::SignedMessage;
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_ledger::Transaction;
use tidegate_types::{ChannelId, Digest, Height, KeyBytes, LedgerId, LockId, PaymentId, SignatureBytes};

use super::{Door, Entry};
use crate::old_states::story::Story;
use crate::old_states::{AMOUNT, Dice, Guard, Plan, Trouble, Up, sat};

/// The payer and the payee of what is under way.
pub(super) const PAYER: usize = 0;
/// See [`PAYER`].
pub(super) const PAYEE: usize = 1;
/// The last height of what is under way.
const EXPIRY: Height = Height::new(40);
/// What meets the hash lock.
pub(super) const PREIMAGE: [u8; 32] = [0x77; 32];

/// The house.
#[derive(Debug)]
pub struct House {
    /// Hub, ledger, clients.
    pub story: Story,
    /// Others, of whom one channel has its final leaf and the other that of a splice.
    pub ending: Story,
    /// Locks of the payer: one that the payee has acknowledged, one that waits for its preimage, and one that waits in vain.
    pub locks: [LockId; 3],
    /// The payer's next state, which nobody has seen.
    pub next: Option<PayInput>,
    payments: u8,
}

fn story() -> Story {
    let plan = Plan {
        guard: Guard::Wallet,
        trouble: Trouble {
            restarts: false,
            reorgs: false,
        },
        up: Up::Early,
        depth: 0,
        start_after: 0,
        missed: 0,
    };
    Story::open(Dice::new(1), &plan)
}

impl Default for House {
    fn default() -> Self {
        Self::new()
    }
}

impl House {
    /// A house with payments under way.
    ///
    /// # Panics
    /// Never: all that happens here is honest.
    #[must_use]
    pub fn new() -> Self {
        let mut house = Self {
            story: story(),
            ending: story(),
            locks: [LockId::ZERO; 3],
            next: None,
            payments: 0,
        };
        // Of a lock that is settled nobody needs a proof any more.
        let (payer, none) = (&mut house.story.parties[PAYER], Some(BTreeSet::new()));
        let channel = payer.channel;
        payer.channels().settle_only(&channel, none).expect("its own channel");
        let by_ack = house.lock(Condition::Ack);
        let by_hash = house.lock(Condition::Hash(payment_hash(&PREIMAGE)));
        let in_vain = house.lock(Condition::Hash([7; 32]));
        let state = house.story.parties[PAYER].pay(&[by_ack, by_hash, in_vain], Height::ZERO);
        house.story.batch(state.expect("it has the money"));
        let ack = house.story.parties[PAYEE].ack(Height::ZERO);
        house.story.batch(ack.expect("it was credited"));
        let own = house.story.parties[PAYER].own();
        let open = own.wallet().client().locks();
        house.locks = [open[0].id, open[1].id, open[2].id];
        // One more leaf that the payee has not acknowledged.
        let later = house.lock(Condition::Ack);
        let state = house.story.parties[PAYER].pay(&[later], Height::ZERO);
        house.story.batch(state.expect("it has the money"));
        house
    }

    /// A lock of the payer for the payee that nobody has seen.
    pub fn lock(&mut self, condition: Condition) -> Lock {
        self.payments += 1;
        let payee = &self.story.parties[PAYEE];
        Lock {
            payment_id: PaymentId::from_bytes([self.payments; 16]),
            amount: sat(AMOUNT),
            fee: sat(0),
            payee: payee.terms.client,
            payee_channel: payee.channel,
            expiry: EXPIRY,
            condition,
        }
    }

    /// The ledger's name.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        *self.story.parties[PAYER].ledger()
    }

    /// The key of a client.
    #[must_use]
    pub const fn secret(&self, who: usize) -> &SecretKey {
        &self.story.parties[who].signer().key
    }

    /// All that a message could change.
    #[must_use]
    pub fn state(&self) -> (Digest, Digest, u64) {
        let burned = self.story.ledger.burned() + self.ending.ledger.burned();
        (self.story.hub.state_root(), self.ending.hub.state_root(), burned)
    }

    /// Brings a message to a door.
    pub fn open(&mut self, door: &Door, bytes: &[u8]) -> Entry {
        (door.open)(self, bytes)
    }

    /// What the hub does with a signed request of the session of `who`.
    pub fn signed(
        &mut self,
        who: usize,
        (channel, message, signature): (ChannelId, &SignedMessage, &SignatureBytes),
        input: Input,
    ) -> Entry {
        let identity = self.story.parties[who].terms.client;
        if self.story.hub.client_of(&channel) != Some(identity) {
            return Entry::Stranger;
        }
        if verify(&key(identity), message.as_slice(), signature) != Verdict::Valid {
            return Entry::Unsigned;
        }
        self.unsigned(who, channel, input)
    }

    /// What the hub does with a request of the session of `who` that is not signed.
    pub fn unsigned(&mut self, who: usize, channel: ChannelId, input: Input) -> Entry {
        let identity = self.story.parties[who].terms.client;
        if self.story.hub.client_of(&channel) != Some(identity) {
            return Entry::Stranger;
        }
        if self.story.hub.accepts(input) {
            Entry::Accepted
        } else {
            Entry::Refused
        }
    }
}

/// A key of a channel.
pub(super) fn key(bytes: KeyBytes) -> PublicKey {
    PublicKey::register(bytes).expect("a client's key")
}

/// What the ledger of a story does with a transaction.
pub(super) fn check(story: &mut Story, bytes: &[u8]) -> Entry {
    let Ok(transaction) = Transaction::decode(bytes) else {
        return Entry::Unreadable;
    };
    match story.ledger.chain.check(transaction) {
        Ok(_) => Entry::Accepted,
        Err(_) => Entry::Refused,
    }
}

/// The state of an input that pays.
pub(super) fn paying(input: Input) -> PayInput {
    match input {
        Input::Pay(pay) => pay,
        other => unreachable!("{other:?} is no state"),
    }
}

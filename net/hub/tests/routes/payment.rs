//! One payment from A to B, whatever is killed meanwhile, and the audit behind it.

use std::time::{Duration, Instant};

use tidegate_channel::wallet::LockStatus;
use tidegate_client::{ClientError, HashLock, Payment};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::{Age, ChannelId, PaymentId};

use super::world::{HUBS, KEEPS, MARGIN, PATIENCE, World, sat};

/// What B does with what it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payee {
    Fulfils,
    Releases,
    /// It does nothing, until everything has expired.
    Sleeps,
}

/// How a payment ended, the same on every hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    PaidThrough,
    RefundedThrough,
}

/// What each hop's channel has moved so far.
pub(crate) type Books = [u64; HUBS + 1];

/// One payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) amount: u64,
    pub(crate) fee: u64,
    pub(crate) to: ChannelId,
    pub(crate) payee: Payee,
    pub(crate) blocks: Option<u32>,
    pub(crate) preimage: [u8; 32],
}

/// Blocks of a lock that is to expire: long enough for every hop, and over soon.
pub(crate) const SHORT: u32 = 3 * MARGIN + 12;

impl Trial {
    pub(crate) fn new(world: &World, number: u64, payee: Payee) -> Self {
        let mut preimage = [7; 32];
        preimage[..8].copy_from_slice(&number.to_le_bytes());
        Self {
            amount: 1_000 + number,
            fee: KEEPS.iter().sum(),
            to: world.payee.channel,
            payee,
            blocks: (payee == Payee::Sleeps).then_some(SHORT),
            preimage,
        }
    }

    fn payment_id(&self) -> PaymentId {
        PaymentId::from_bytes(*self.preimage.first_chunk().expect("32 bytes"))
    }

    /// What each hop moves if it is paid: the amount, and what hubs further on keep.
    pub(crate) fn moved(&self) -> Books {
        let mut left = self.amount + self.fee;
        let mut moved = [0; HUBS + 1];
        for (hop, keeps) in KEEPS.iter().chain(&[0, 0]).enumerate().take(HUBS) {
            moved[hop] = left;
            left -= keeps;
        }
        moved[HUBS] = self.amount;
        moved
    }

    /// Pays, and goes on until every hop has ended it.
    pub(crate) fn run(&self, world: &mut World) -> End {
        let before = books(world);
        self.run_on(world, before)
    }

    /// Pays, and goes on until B is offered the lock, which it does not touch.
    pub(crate) fn run_until_offered(&self, world: &mut World) {
        let asleep = Self {
            payee: Payee::Sleeps,
            ..*self
        };
        World::wait("B is offered the lock", || {
            let paid = self.step_payer(world);
            assert_ne!(paid.ok(), Some(true), "nothing has ended");
            asleep.step_payee(world).is_ok_and(|gone| !gone)
        });
    }

    /// B shows the preimage, and is credited; nobody else does anything.
    pub(crate) fn fulfil(&self, world: &mut World) {
        World::wait("B is credited", || self.step_payee(world).is_ok_and(|gone| gone));
    }

    /// Pays, and goes on while something holds.
    pub(crate) fn run_while(&self, world: &mut World, holds: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while holds(world) {
            assert!(Instant::now() < deadline, "not in time: {self:?}");
            // What fails now is tried again.
            let _failed = (self.step_payer(world), self.step_payee(world));
        }
    }

    /// As [`Trial::run`], of a payment that was begun when the books said `before`.
    pub(crate) fn run_on(&self, world: &mut World, before: Books) -> End {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(
                Instant::now() < deadline,
                "not in time: {self:?}, {:?}",
                standing(world)
            );
            let paid = self.step_payer(world);
            let asleep = self.step_payee(world);
            // The two ends may have ended before the hops between them have.
            if matches!((paid, asleep), (Ok(true), Ok(true))) && is_over(world) {
                break;
            }
        }
        self.audit(before, books(world))
    }

    /// A brings its payment, and settles or drops it; true if nothing is open any more.
    pub(crate) fn step_payer(&self, world: &mut World) -> Result<bool, ClientError> {
        let payment = Payment {
            payee: world.payee.key(),
            payee_channel: self.to,
            amount: sat(self.amount),
            fee: Some(sat(self.fee)),
            payment_id: Some(self.payment_id()),
            hash: Some(HashLock {
                hash: payment_hash(&self.preimage),
                blocks: self.blocks.map(Age::new),
            }),
        };
        let id = self.payment_id();
        let was_open = world.open_once.contains(&id);
        let open_once = &mut world.open_once;
        world.payer.with(|client, channel| {
            let own = client.channels().get(&channel).expect("opened");
            let open = own.wallet().locks().find(|(open, _)| open.lock.payment_id == id);
            let status = open.map(|(_, status)| status);
            if status.is_some() {
                open_once.insert(id);
            }
            match status {
                None if was_open => return Ok(true),
                None => {
                    if self.blocks.is_some() {
                        // A wallet that has slept counts blocks from too low a height.
                        client.sync(&channel)?;
                    }
                    client.pay(&channel, &[payment])?;
                }
                Some(LockStatus::Fulfilled(_) | LockStatus::Failed(_)) => {
                    client.settle(&channel)?;
                    return Ok(true);
                }
                Some(_) => {
                    let news = client.poll(Duration::from_millis(20))?;
                    if news.is_empty() && self.payee == Payee::Sleeps {
                        // A fresh leaf tells that the lock has expired.
                        client.sync(&channel)?;
                        client.settle(&channel)?;
                    }
                }
            }
            Ok(false)
        })
    }

    /// B takes what it was offered, or not; true if nothing waits for it.
    fn step_payee(&self, world: &mut World) -> Result<bool, ClientError> {
        let hash = payment_hash(&self.preimage);
        let (payee, preimage) = (self.payee, self.preimage);
        world.payee.with(|client, channel| {
            let Some(lock) = client.find_in_lock(&channel, &hash)? else {
                client.poll(Duration::from_millis(5))?;
                return Ok(true);
            };
            match payee {
                Payee::Fulfils => client.fulfil(&channel, &lock, &preimage)?,
                Payee::Releases => client.release(&channel, &lock)?,
                Payee::Sleeps => {
                    client.poll(Duration::from_millis(20))?;
                    client.sync(&channel)?;
                }
            }
            Ok(client.find_in_lock(&channel, &hash)?.is_none())
        })
    }

    /// Either every hop has moved what this payment moves, or none has moved anything.
    fn audit(&self, before: Books, after: Books) -> End {
        let moved: Vec<u64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
        if moved == self.moved() {
            End::PaidThrough
        } else if moved == [0; HUBS + 1] {
            End::RefundedThrough
        } else {
            panic!(
                "a lock was lost between channels: the hops moved {moved:?}, not {:?} and not nothing: {self:?}",
                self.moved()
            )
        }
    }
}

fn number(value: &serde_json::Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// What each payer on the way has paid for good, and what B has received.
pub(crate) fn books(world: &World) -> Books {
    let mut books = [0; HUBS + 1];
    for (hop, moved) in books.iter_mut().enumerate() {
        let key = if hop == HUBS { "firm_credit_sat" } else { "debit_sat" };
        World::wait("a hub answers", || world.channel(hop).is_some());
        *moved = number(&world.channel(hop).expect("just there"), key);
    }
    books
}

/// True if no lock is open on any hop.
pub(crate) fn is_over(world: &World) -> bool {
    let is_empty =
        |value: serde_json::Value| number(&value, "out_locks_sat") == 0 && number(&value, "in_locks_sat") == 0;
    (0..=HUBS).all(|hop| world.channel(hop).is_some_and(is_empty))
}

fn standing(world: &World) -> Vec<Option<String>> {
    let short = |value: serde_json::Value| {
        format!(
            "{} locks {} in-locks {}",
            value["status"], value["locks"], value["in_locks"]
        )
    };
    (0..=HUBS).map(|hop| world.channel(hop).map(short)).collect()
}

//! What clients and the ledger do, at random.

use proptest::prelude::*;
use tidegate_batch::{
    AckInput, BlockInput, ForwardEnd, ForwardInput, Forwarded, Input, PayInput, Policy, ReleaseInput, Reveal,
};
use tidegate_channel::FailReason;
use tidegate_types::{ClientCounter, Digest, Height, LockId};

use super::{Rig, policy, sat};

/// One thing that a client, or the ledger, does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Pay(usize, usize, u64),
    Ack(usize),
    Refresh(usize),
    Close(usize),
    /// A close begins on the ledger.
    StartClose(usize),
    Settle(usize),
    Mine(u32),
    /// So many locks under one signature, each to the next payee.
    PayMany(usize, usize, u64),
    /// A lock on one of few secrets.
    PayHash(usize, usize, u8),
    /// The preimage, right or wrong, of one of the locks that wait for a client.
    Fulfil(usize, usize, u8),
    Release(usize, usize),
    Freeze(usize),
    /// A channel asks for a successor, with so much added.
    Splice(usize, u64),
    /// A block that reveals a secret.
    Reveal(u8),
    /// An input of an earlier batch once more.
    Again(usize),
    /// A state of an earlier batch with another counter, which is not what its operations lead to.
    Bent(usize),
    /// The fee of every payment from now on.
    Fee(u64),
    /// A lock on one of few secrets, for a payee at another hub.
    PayAway(usize, u8),
    /// The end of one of the locks that wait for other hubs: met by a secret, or failed, or expired.
    End(usize, u8),
}

pub(crate) const CLIENTS: usize = 9;

pub(crate) fn act() -> impl Strategy<Value = Act> {
    let client = || 0..CLIENTS;
    prop_oneof![
        8 => (client(), client(), 1_u64..5_000).prop_map(|(a, b, n)| Act::Pay(a, b, n)),
        4 => client().prop_map(Act::Ack),
        1 => client().prop_map(Act::Refresh),
        1 => client().prop_map(Act::Close),
        1 => client().prop_map(Act::StartClose),
        1 => client().prop_map(Act::Settle),
        1 => (1_u32..40).prop_map(Act::Mine),
    ]
}

/// Acts of every kind that a log can hold, those among them that are refused.
pub(crate) fn any_act() -> impl Strategy<Value = Act> {
    let client = || 0..CLIENTS;
    prop_oneof![
        16 => (client(), client(), 1_u64..5_000).prop_map(|(a, b, n)| Act::Pay(a, b, n)),
        10 => client().prop_map(Act::Ack),
        2 => (1_u32..20).prop_map(Act::Mine),
        8 => act(),
        4 => (client(), client(), 1_u64..17).prop_map(|(a, b, n)| Act::PayMany(a, b, n)),
        8 => (client(), client(), 0..SECRETS).prop_map(|(a, b, n)| Act::PayHash(a, b, n)),
        8 => (client(), any::<usize>(), 0..SECRETS).prop_map(|(c, which, n)| Act::Fulfil(c, which, n)),
        4 => (client(), any::<usize>()).prop_map(|(c, which)| Act::Release(c, which)),
        1 => client().prop_map(Act::Freeze),
        4 => (client(), 0_u64..3).prop_map(|(c, n)| Act::Splice(c, n)),
        1 => (0..SECRETS).prop_map(Act::Reveal),
        3 => any::<usize>().prop_map(Act::Again),
        2 => any::<usize>().prop_map(Act::Bent),
        1 => (0_u64..2).prop_map(Act::Fee),
        4 => (client(), 0..SECRETS).prop_map(|(a, n)| Act::PayAway(a, n)),
        5 => (any::<usize>(), 0..SECRETS + 2).prop_map(|(which, n)| Act::End(which, n)),
    ]
}

const SECRETS: u8 = 2;

const fn preimage(secret: u8) -> [u8; 32] {
    [secret + 1; 32]
}

/// One of the locks that wait for a client.
fn in_lock(rig: &Rig, client: usize, which: usize) -> Option<LockId> {
    let open = rig.view(client).in_locks;
    let at = which.checked_rem(open.len())?;
    Some(open[at].lock.lock)
}

/// The input that ends a lock that waits for another hub.
pub(crate) const fn end_of(waiting: &Forwarded, end: ForwardEnd) -> Input {
    Input::Forward(ForwardInput {
        payer: waiting.payer,
        lock: waiting.lock,
        end,
    })
}

/// One of all inputs so far that a client has signed, or the ledger has shown.
fn earlier(rig: &Rig, which: usize, wanted: impl Fn(&Input) -> bool) -> Option<Input> {
    let all: Vec<&Input> = rig.history.iter().flatten().filter(|input| wanted(input)).collect();
    Some(all[which.checked_rem(all.len())?].clone())
}

/// The input that an act of a client leads to, if the client's own wallet lets it.
fn client_input(rig: &mut Rig, act: Act) -> Option<Input> {
    let height = Height::new(rig.height);
    match act {
        Act::PayMany(payer, payee, count) => {
            let count = usize::try_from(count).expect("few");
            let locks: Vec<_> = (0..count)
                .map(|n| rig.lock((payee + n) % CLIENTS, 1 + n as u64))
                .collect();
            let (state, operations) = rig.clients[payer].wallet.pay(&locks, height).ok()?;
            Some(rig.sign(payer, state, operations))
        }
        Act::PayHash(payer, payee, secret) => {
            let lock = rig.hash_lock(payee, 7, &preimage(secret));
            let (state, operations) = rig.clients[payer].wallet.pay(&[lock], height).ok()?;
            Some(rig.sign(payer, state, operations))
        }
        Act::Fulfil(client, which, secret) => {
            let lock = in_lock(rig, client, which)?;
            Some(rig.fulfil(client, lock, preimage(secret)))
        }
        Act::Release(client, which) => {
            let lock = in_lock(rig, client, which)?;
            let release = rig.clients[client].wallet.release(&lock).ok()?;
            let signature = release.sign(&rig.ledger, &rig.clients[client].key);
            Some(Input::Release(ReleaseInput { release, signature }))
        }
        Act::Splice(client, coins) => Some(Input::Splice(rig.splice(client, coins, 0, 0))),
        Act::Freeze(client) => Some(Input::Freeze(rig.clients[client].id)),
        Act::PayAway(payer, secret) => {
            let lock = rig.away_lock(7, &preimage(secret));
            let (state, operations) = rig.clients[payer].wallet.pay(&[lock], height).ok()?;
            Some(rig.sign(payer, state, operations))
        }
        Act::End(which, how) => {
            let waiting = rig.engine.forwards();
            let at = which.checked_rem(waiting.len())?;
            Some(end_of(
                &waiting[at],
                match how {
                    secret if secret < SECRETS => ForwardEnd::Met(preimage(secret)),
                    SECRETS => ForwardEnd::Failed(FailReason::Released),
                    _ => ForwardEnd::Expired,
                },
            ))
        }
        Act::Again(which) => earlier(rig, which, |_| true),
        Act::Bent(which) => {
            let Input::Pay(pay) = earlier(rig, which, |input| matches!(input, Input::Pay(_)))? else {
                unreachable!("only states were wanted")
            };
            let mut state = pay.state;
            state.counter = ClientCounter::new(state.counter.get() + 100);
            state.locks_root = Digest::ZERO;
            Some(Input::Pay(PayInput { state, ..pay }))
        }
        Act::Fee(fee) => Some(Input::Policy(Policy {
            fee_base: sat(fee),
            ..policy()
        })),
        other => input(rig, other),
    }
}

/// The input that an act leads to, if the client's own wallet lets it.
fn input(rig: &mut Rig, act: Act) -> Option<Input> {
    let height = Height::new(rig.height);
    match act {
        Act::Pay(payer, payee, amount) => {
            let lock = rig.lock(payee, amount);
            let (state, operations) = rig.clients[payer].wallet.pay(&[lock], height).ok()?;
            Some(rig.sign(payer, state, operations))
        }
        Act::Ack(client) => {
            let ack = rig.clients[client].wallet.ack(height)?;
            let signature = ack.sign(&rig.ledger, &rig.clients[client].key);
            Some(Input::Ack(AckInput { ack, signature }))
        }
        Act::Refresh(client) => Some(Input::Refresh(rig.clients[client].id)),
        Act::Close(client) => Some(rig.close(client, 7)),
        Act::StartClose(client) => {
            let mined = rig.mine(1);
            let Input::Block(block) = mined else { return Some(mined) };
            Some(Input::Block(BlockInput {
                closing: vec![rig.clients[client].id],
                ..block
            }))
        }
        Act::Settle(client) => {
            let mined = rig.mine(1);
            let Input::Block(block) = mined else { return Some(mined) };
            Some(Input::Block(BlockInput {
                closed: vec![rig.clients[client].id],
                ..block
            }))
        }
        Act::Mine(blocks) => Some(rig.mine(blocks)),
        Act::Reveal(secret) => {
            let mined = rig.mine(1);
            let Input::Block(block) = mined else { return Some(mined) };
            let reveal = Reveal {
                height: Height::new(rig.height),
                preimage: preimage(secret),
            };
            Some(Input::Block(BlockInput {
                revealed: vec![reveal],
                ..block
            }))
        }
        other => unreachable!("{other:?} is a client's"),
    }
}

/// The inputs that some acts lead to.
///
/// One act of each client: a wallet signs its next state when it has seen the answer to the one before. One block, which is
/// the first input, as a hub has it.
pub(crate) fn inputs(rig: &mut Rig, acts: Vec<Act>) -> Vec<Input> {
    let (mut busy, mut mined) = ([false; CLIENTS], false);
    let acts = acts.into_iter().filter(|act| match *act {
        Act::Pay(c, ..)
        | Act::Ack(c)
        | Act::Refresh(c)
        | Act::Close(c)
        | Act::Splice(c, ..)
        | Act::PayMany(c, ..)
        | Act::PayHash(c, ..)
        | Act::PayAway(c, _)
        | Act::Fulfil(c, ..)
        | Act::Release(c, ..) => !core::mem::replace(&mut busy[c], true),
        Act::StartClose(_) | Act::Settle(_) | Act::Mine(_) | Act::Reveal(_) => !core::mem::replace(&mut mined, true),
        Act::Freeze(_) | Act::Again(_) | Act::Bent(_) | Act::Fee(_) | Act::End(..) => true,
    });
    let mut acts: Vec<_> = acts.collect();
    let is_block = |act: &Act| matches!(act, Act::StartClose(_) | Act::Settle(_) | Act::Mine(_) | Act::Reveal(_));
    acts.sort_by_key(|act| !is_block(act));
    acts.into_iter().filter_map(|act| client_input(rig, act)).collect()
}

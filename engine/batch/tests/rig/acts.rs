//! What clients and the ledger do, at random.

use proptest::prelude::*;
use tidegate_batch::{AckInput, BlockInput, Input};
use tidegate_types::Height;

use super::Rig;

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
    }
}

/// The inputs that some acts lead to.
///
/// One act of each client: a wallet signs its next state when it has seen the answer to the one before. One block, which is
/// the first input, as a hub has it.
pub(crate) fn inputs(rig: &mut Rig, acts: Vec<Act>) -> Vec<Input> {
    let (mut busy, mut mined) = ([false; CLIENTS], false);
    let acts = acts.into_iter().filter(|act| match *act {
        Act::Pay(c, ..) | Act::Ack(c) | Act::Refresh(c) | Act::Close(c) => !core::mem::replace(&mut busy[c], true),
        Act::StartClose(_) | Act::Settle(_) | Act::Mine(_) => !core::mem::replace(&mut mined, true),
    });
    let mut acts: Vec<_> = acts.collect();
    acts.sort_by_key(|act| !matches!(act, Act::Settle(_) | Act::Mine(_)));
    acts.into_iter().filter_map(|act| input(rig, act)).collect()
}

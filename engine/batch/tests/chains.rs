//! Many states of one channel in one batch, with refused ones among them: what was hashed ahead of judging them must not
//! show.

mod rig;

use proptest::prelude::*;
use rig::Rig;
use tidegate_batch::{Input, PayInput};
use tidegate_channel::ClientState;
use tidegate_crypto::merkle::LockTree;
use tidegate_types::Digest;

/// What a client does in a batch.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// Its next state.
    Pay { adds: usize },
    /// Its next state with one thing bent, then the state itself.
    Bend { what: u8 },
    /// Its next state twice.
    Repeat,
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (1_usize..4).prop_map(|adds| Move::Pay { adds }),
        1 => (0_u8..4).prop_map(|what| Move::Bend { what }),
        1 => Just(Move::Repeat),
    ]
}

fn bent(pay: &PayInput, what: u8) -> Input {
    let state = pay.state;
    let state = match what {
        0 => ClientState {
            locks_root: Digest::ZERO,
            ..state
        },
        1 => ClientState {
            debit: rig::sat(999_999),
            ..state
        },
        2 => ClientState {
            operations: Digest::ZERO,
            ..state
        },
        _ => ClientState {
            ack: tidegate_channel::LeafRef {
                digest: Digest::ZERO,
                ..state.ack
            },
            ..state
        },
    };
    Input::Pay(PayInput { state, ..pay.clone() })
}

/// The inputs of one batch, and which of them change nothing.
fn inputs(rig: &mut Rig, moves: &[(usize, Move)]) -> (Vec<Input>, Vec<u32>) {
    let (mut inputs, mut idle) = (Vec::new(), Vec::new());
    for &(client, what) in moves {
        let adds = if let Move::Pay { adds } = what { adds } else { 1 };
        let payee = (client + 1) % rig.clients.len();
        let locks: Vec<_> = (0..adds).map(|_| rig.lock(payee, 3)).collect();
        let Input::Pay(pay) = rig.pay(client, &locks) else {
            unreachable!()
        };
        let mut push = |input, changes: bool| {
            if !changes {
                idle.push(u32::try_from(inputs.len()).expect("few inputs"));
            }
            inputs.push(input);
        };
        if let Move::Bend { what } = what {
            push(bent(&pay, what), false);
        }
        push(Input::Pay(pay.clone()), true);
        if let Move::Repeat = what {
            push(Input::Pay(pay), false);
        }
    }
    (inputs, idle)
}

fn check(rig: &Rig) {
    for client in 0..rig.clients.len() {
        let view = rig.view(client);
        let mut slots = [Digest::ZERO; 64];
        for lock in &view.locks {
            slots[lock.slot.index()] = Digest::from_bytes(*lock.id.as_bytes());
        }
        assert_eq!(view.state.locks_root, LockTree::root_of(&slots), "client {client}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn states_of_one_channel_follow_each_other_whatever_is_between(
        batches in prop::collection::vec(prop::collection::vec((0_usize..3, a_move()), 1..14), 1..8),
    ) {
        let mut rig = Rig::new(3);
        for moves in batches {
            let (inputs, idle) = inputs(&mut rig, &moves);
            rig.batch(inputs);
            let refused: Vec<u32> = rig.out.refusals.iter().map(|refusal| refusal.input).collect();
            prop_assert_eq!(refused, idle);
            check(&rig);
        }
        rig.replay();
    }
}

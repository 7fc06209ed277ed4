//! The state machine of a channel on the ledger, as a table: in each state exactly the actions that it names are taken.

use tidegate_channel::evidence::{EntryPath, Fault, LockEvidence, MandateSubject, Opener, Side};
use tidegate_channel::{Condition as LockTerms, Credit, credited_root};
use tidegate_ledger::{Action, LockPlace, Output, Payer, Transaction};
use tidegate_types::{ChannelId, LockSlot};

use crate::common::{CloseKit, sat};
use crate::world::{Channel, GRACE, WINDOW, World, alone, out_lock};

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its output is `Channel`.
    Active,
    /// Its output is `Closing`, up to the deadline.
    Disputed,
    /// Above the deadline, up to the end of the grace.
    Grace,
    /// Above both.
    Resolved,
    /// Its output is spent.
    Settled,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    CooperativeClose,
    Splice,
    Start,
    Evidence,
    LockEvidence,
    Settle,
    RevealAck,
    Forfeit,
}

use State::{Active, Disputed, Grace, Resolved, Settled};
use Try::{CooperativeClose, Evidence, Forfeit, RevealAck, Settle, Splice, Start};

/// The table: what each state takes, and where it leads. What is not in it is refused.
const TABLE: [(State, Try, State); 21] = [
    (Active, CooperativeClose, Settled),
    (Active, Splice, Settled),
    (Active, Start, Disputed),
    (Active, RevealAck, Active),
    (Active, Forfeit, Settled),
    (Disputed, CooperativeClose, Settled),
    (Disputed, Splice, Settled),
    (Disputed, Evidence, Disputed),
    (Disputed, Try::LockEvidence, Disputed),
    (Disputed, RevealAck, Disputed),
    (Disputed, Forfeit, Settled),
    (Grace, CooperativeClose, Settled),
    (Grace, Splice, Settled),
    (Grace, Try::LockEvidence, Grace),
    (Grace, RevealAck, Grace),
    (Grace, Forfeit, Settled),
    (Resolved, CooperativeClose, Settled),
    (Resolved, Splice, Settled),
    (Resolved, Settle, Settled),
    (Resolved, RevealAck, Resolved),
    (Resolved, Forfeit, Settled),
];

const STATES: [State; 5] = [Active, Disputed, Grace, Resolved, Settled];
const TRIES: [Try; 8] = [
    CooperativeClose,
    Splice,
    Start,
    Evidence,
    Try::LockEvidence,
    Settle,
    RevealAck,
    Forfeit,
];

fn state_of(world: &World, channel: &Channel) -> State {
    let next = world.height() + 1;
    match world.chain.close_of(&channel.outpoint) {
        Some((close, _)) if next <= close.deadline.get() => Disputed,
        Some((close, _)) if next <= close.grace_end.get() => Grace,
        Some(_) => Resolved,
        None if world.chain.store().iter().any(|(o, _)| *o == channel.outpoint) => Active,
        None => Settled,
    }
}

/// A world in which channel 0 stands in a state.
fn reach(state: State) -> (World, Channel) {
    let mut world = World::new();
    let channel = world.channel(0);
    if state != Active {
        let mut c = channel.c(2, 0);
        c.locks
            .push(out_lock(5, LockTerms::Hash([5; 32]), ChannelId::ZERO, 300));
        world.put(channel.start(Opener::Client, Some(channel.pair(&c, &channel.h(2, 0)))));
        let blocks = match state {
            Active | Disputed => 0,
            Grace => WINDOW,
            Resolved | Settled => WINDOW + GRACE,
        };
        let height = world.height() + blocks;
        world.until(height);
    }
    if state == Settled {
        world.settle(&channel);
    }
    assert_eq!(state_of(&world, &channel), state);
    (world, channel)
}

fn attempt(world: &World, channel: &Channel, what: Try) -> Transaction {
    match what {
        CooperativeClose => {
            let kit = CloseKit::new(
                world.ledger,
                channel.outpoint,
                channel.client,
                channel.terms,
                550_000,
                400,
            );
            let mut close = kit.transaction();
            if let Some((state, _)) = world.chain.close_of(&channel.outpoint) {
                for (output, drawn) in close.body.outputs.iter_mut().zip([state.drawn_client, state.drawn_hub]) {
                    output.amount = output.amount.sub(drawn).expect("more");
                }
            }
            close
        }
        // Its fee of 1 000 bears what the close drew.
        Splice => crate::closes::splice(world, 3),
        Start => channel.start(Opener::Hub, None),
        Evidence => channel.evidence(Side::Hub, channel.pair(&channel.c(9, 5), &channel.h(9, 0))),
        Try::LockEvidence => lock_evidence(channel),
        Settle => match world.chain.settlement(&channel.outpoint) {
            Ok(transaction) => transaction,
            Err(_) => alone(channel.outpoint, Action::Settle { channel: channel.id }),
        },
        RevealAck => {
            let (ack, signature) = channel.ack(channel.leaf(&channel.h(1, 0)).reference());
            let action = Action::RevealAck {
                funding: channel.outpoint,
                word: Box::new(tidegate_channel::evidence::Acknowledged::ByAck(ack, signature)),
                payer: Payer::Coins,
            };
            world.by_coin(4, None, action)
        }
        Forfeit => {
            let fault = Fault::in_leaves(&channel.leaf(&channel.h(4, 1)), &channel.leaf(&channel.h(4, 2)));
            let action = Action::Forfeit {
                channel: channel.id,
                fault: Box::new(fault.expect("two leaves of one counter")),
            };
            let mut forfeit = alone(channel.outpoint, action);
            let found = world.chain.store().iter().find(|(o, _)| **o == channel.outpoint);
            let amount = found.map_or(sat(50_000), |(_, utxo)| utxo.output.amount);
            forfeit.body.outputs = vec![Output::to_key(amount, channel.terms.client_payout)];
            let fee = world.chain.params().fee_min(forfeit.cost());
            forfeit.body.outputs[0].amount = amount.sub(fee).expect("more");
            forfeit
        }
    }
}

fn lock_evidence(channel: &Channel) -> Transaction {
    let lock = out_lock(5, LockTerms::Hash([5; 32]), ChannelId::ZERO, 300);
    let id = lock.id(&channel.id);
    let credit = Credit {
        lock: id,
        salt: [1; 16],
        payment_id: lock.lock.payment_id,
        amount: lock.lock.amount,
        expiry: lock.lock.expiry,
    };
    let mut failing = channel.h(9, 0);
    failing.failed = credited_root(&[credit]);
    let evidence = LockEvidence::Failed {
        leaf: Box::new(channel.leaf(&failing)),
        entry: EntryPath {
            index: 0,
            count: 1,
            salt: [1; 16],
            path: Vec::new(),
        },
    };
    let place = LockPlace {
        channel: channel.id,
        side: Side::Client,
        slot: LockSlot::new(5).expect("below 64"),
    };
    let action = Action::LockEvidence {
        place,
        payer: channel.payer(Side::Client, MandateSubject::Lock(id)),
        evidence: Box::new(evidence),
    };
    alone(channel.outpoint, action)
}

#[test]
fn each_state_takes_what_the_table_names_and_nothing_else() {
    for state in STATES {
        for what in TRIES {
            let (mut world, channel) = reach(state);
            let transaction = attempt(&world, &channel, what);
            let taken = world.submit(transaction);
            match TABLE.iter().find(|row| (row.0, row.1) == (state, what)) {
                Some(&(_, _, next)) => {
                    assert_eq!(taken, Ok(()), "{what:?} in {state:?}");
                    world.seal();
                    let found = state_of(&world, &channel);
                    // The block that took it may have been the last of its kind.
                    let later = STATES.iter().position(|s| *s == found) >= STATES.iter().position(|s| *s == next);
                    assert!(
                        later && (found == Settled) == (next == Settled),
                        "{what:?} in {state:?}: {found:?}"
                    );
                }
                None => assert!(taken.is_err(), "{what:?} in {state:?} was taken"),
            }
        }
    }
}

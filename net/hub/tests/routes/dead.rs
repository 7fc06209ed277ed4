//! A hub that is away while the preimage comes, for longer than the lock lives, or that keeps it back: whoever holds the preimage
//! puts it on the ledger in time, and every lock on its hash is met there (trace 18).

use tidegate_ledger::{Action, Output, Payer, Transaction, TransactionBody, Witness};

use super::payment::{End, Payee, SHORT, Trial, books};
use super::world::{HUBS, PATIENCE, World, sat};

#[test]
fn a_hub_that_slept_over_the_expiry_is_paid_and_pays_by_the_ledger() {
    let mut world = World::new();
    for (number, dead) in (0_u64..).zip(0..HUBS - 1) {
        let trial = Trial {
            blocks: Some(SHORT),
            ..Trial::new(&world, number, Payee::Fulfils)
        };
        let before = books(&world);
        trial.run_until_offered(&mut world);
        let expired = world.height(HUBS - 1) + u64::from(SHORT) + 2;
        world.hubs[dead].kill();
        trial.fulfil(&mut world);
        World::wait("the lock has expired", || world.height(HUBS - 1) > expired);
        world.hubs[dead].start();
        assert_eq!(
            trial.run_on(&mut world, before),
            End::PaidThrough,
            "while {dead} was away"
        );
    }
}

/// The same for a payee that never shows it: whoever was away, nobody has paid.
#[test]
fn a_hub_that_slept_over_the_expiry_gives_back_what_nobody_claimed() {
    let mut world = World::new();
    for (number, dead) in (0_u64..).zip(0..HUBS) {
        let trial = Trial::new(&world, number, Payee::Sleeps);
        let before = books(&world);
        trial.run_until_offered(&mut world);
        let living = (dead + 1) % HUBS;
        let expired = world.height(living) + u64::from(SHORT) + 2;
        world.hubs[dead].kill();
        World::wait("the lock has expired", || world.height(living) > expired);
        world.hubs[dead].start();
        assert_eq!(
            trial.run_on(&mut world, before),
            End::RefundedThrough,
            "while {dead} was away"
        );
    }
}

/// The last hub answers nobody any more. B puts its preimage on the ledger, and all hops before are paid while that hub is away.
#[test]
fn a_preimage_on_the_ledger_pays_every_hop_though_the_last_hub_is_silent() {
    let mut world = World::new();
    let trial = Trial {
        blocks: Some(SHORT),
        ..Trial::new(&world, 0, Payee::Fulfils)
    };
    let before = books(&world);
    trial.run_until_offered(&mut world);
    let expired = world.height(0) + u64::from(SHORT) + 2;
    world.hubs[HUBS - 1].kill();
    world.payee.leave();
    reveal(&world, trial.preimage);
    let moved = trial.moved();
    World::wait("A has paid", || {
        let _away = trial.step_payer(&mut world);
        let paid = world.channel(0).and_then(|channel| channel["debit_sat"].as_u64());
        paid == Some(before[0] + moved[0])
    });
    World::wait("the first hub has paid the second", || {
        let paid = world.channel(1).and_then(|channel| channel["debit_sat"].as_u64());
        paid == Some(before[1] + moved[1])
    });
    World::wait("the lock has expired", || world.height(0) > expired);
    world.hubs[HUBS - 1].start();
    assert_eq!(trial.run_on(&mut world, before), End::PaidThrough);
}

/// B's coins pay for a reveal, which the first hub brings: any way to the ledger is as good.
fn reveal(world: &World, preimage: [u8; 32]) {
    let (mut client, key) = world.payee.at(&world.payer);
    let coin = client.funds().expect("the hub answers")[0];
    let action = Action::RevealPreimage {
        preimage,
        place: None,
        payer: Payer::Coins,
    };
    let change = Output::to_key(coin.amount.sub(sat(2_000)).expect("a large coin"), client.key());
    let body = TransactionBody::of_action(vec![coin.outpoint], vec![change], action);
    let witnesses = vec![Witness::Key(body.sign(&world.payer.options.ledger, &key))];
    let transaction = Transaction { body, witnesses };
    client.submit(&transaction).expect("the ledger takes it");
    client.wait_final(transaction.txid(), PATIENCE).expect("it is final");
}

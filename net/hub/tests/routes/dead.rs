//! A hub that is away while the preimage comes, for longer than the lock lives: the next hub puts the preimage on the ledger in
//! time, and every lock on its hash is met there (trace 18).

use super::payment::{End, Payee, SHORT, Trial, books};
use super::world::{HUBS, World};

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

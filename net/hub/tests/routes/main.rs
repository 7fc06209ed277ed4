//! Payments over three hubs on loopback, each a process of its own: paid through, refunded through, and nothing between.

mod kills;
mod payment;
mod proxy;
mod world;

use payment::{End, Payee, Trial};
use world::World;

#[test]
fn a_payment_goes_through_or_comes_back() {
    let mut world = World::new();
    let paid = Trial::new(&world, 1, Payee::Fulfils);
    assert_eq!(paid.run(&mut world), End::PaidThrough);
    let released = Trial::new(&world, 2, Payee::Releases);
    assert_eq!(released.run(&mut world), End::RefundedThrough);
}

//! Payments over three hubs on loopback, each a process of its own: paid through, refunded through, and nothing between.

mod backup;
mod dead;
mod kills;
mod payment;
mod proxy;
mod stale;
mod verbs;
mod world;

use payment::{End, Payee, Trial};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::ChannelId;
use world::{HUBS, KEEPS, MARGIN, World};

/// All ways in which a payment ends while nobody is killed, one after the other over one world.
#[test]
fn a_payment_goes_through_or_comes_back() {
    let mut world = World::new();
    let paid = Trial::new(&world, 1, Payee::Fulfils);
    assert_eq!(paid.run(&mut world), End::PaidThrough);
    let released = Trial::new(&world, 2, Payee::Releases);
    assert_eq!(released.run(&mut world), End::RefundedThrough);
    // The last hub knows no such channel, and has no way to another.
    let unknown = Trial {
        to: ChannelId::from_bytes([9; 32]),
        ..Trial::new(&world, 3, Payee::Fulfils)
    };
    assert_eq!(unknown.run(&mut world), End::RefundedThrough);
    let poor = Trial {
        fee: KEEPS[0],
        ..Trial::new(&world, 4, Payee::Fulfils)
    };
    assert_eq!(
        poor.run(&mut world),
        End::RefundedThrough,
        "the second hub asks for more"
    );
    let near = Trial {
        blocks: Some(3 * MARGIN - 1),
        ..Trial::new(&world, 5, Payee::Fulfils)
    };
    assert_eq!(near.run(&mut world), End::RefundedThrough);
    // More than the channel between the hubs can carry, and not more than A has.
    let much = Trial {
        amount: 1_100_000,
        ..Trial::new(&world, 6, Payee::Fulfils)
    };
    assert_eq!(much.run(&mut world), End::RefundedThrough);

    for hub in &world.hubs[..HUBS - 1] {
        World::wait("nothing waits", || hub.metric("tidegate_forwards_waiting") == Some(0));
        assert_eq!(hub.metric("tidegate_forwards_met_total"), Some(1));
        assert!(hub.metric("tidegate_forwards_failed_total") >= Some(2));
    }
    // All but the two that the first hub failed by itself went on, once each.
    assert_eq!(world.hubs[0].metric("tidegate_forwards_sent_total"), Some(4));

    let asleep = Trial::new(&world, 7, Payee::Sleeps);
    let before = payment::books(&world);
    asleep.run_until_offered(&mut world);
    for hub in &world.hubs[..HUBS - 1] {
        World::wait("the hub says what waits", || {
            hub.metric("tidegate_forwards_waiting") == Some(1)
        });
        let rows = hub.get("/forwards").expect("it lives");
        assert!(rows.contains(&hex(&payment_hash(&asleep.preimage))), "{rows}");
    }
    // A route stays as long as payments are under way there.
    world.hubs[1].stop();
    let told = world.hubs[1].start_without_routes();
    assert!(
        told.contains("TG-0401") && told.contains("1 payments are under way"),
        "{told}"
    );
    world.hubs[1].start();
    assert_eq!(asleep.run_on(&mut world, before), End::RefundedThrough);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

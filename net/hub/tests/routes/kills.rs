//! Each hub is killed at each message: for every frame of every link, of both ways, each hub in its turn gets SIGKILL while
//! that frame is on its way, and is started again. The frame is delivered all the same, or lost.
//!
//! The short form takes some of these points, spread evenly over all of them; `TIDEGATE_ROUTE_KILLS=all` takes every one, a number
//! so many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::payment::{End, Payee, Trial};
use super::proxy::{Proxy, Way};
use super::world::{HUBS, World};

/// Points of the short form.
const FEW: usize = 16;
/// How long a hub stays dead: the others notice.
const DEAD: Duration = Duration::from_millis(20);

/// Where a hub is killed.
#[derive(Clone, Copy, Debug)]
struct Point {
    payee: Payee,
    hub: usize,
    link: usize,
    way: Way,
    frame: u64,
    is_lost: bool,
}

/// Points of a payment that expires, which takes seconds each: so many at most.
const EXPIRING: usize = 36;

/// The frames of each link and way that an undisturbed payment takes.
fn frames(world: &mut World, number: &mut u64, payee: Payee) -> Vec<[u64; 2]> {
    // The very first one finds connections that are not there yet.
    for _ in 0..if *number == 0 { 2 } else { 1 } {
        world.links.iter().for_each(Proxy::forget);
        *number += 1;
        Trial::new(world, *number, payee).run(world);
    }
    world.links.iter().map(Proxy::take_counts).collect()
}

fn points(payee: Payee, frames: &[[u64; 2]]) -> Vec<Point> {
    let mut points = Vec::new();
    for hub in 0..HUBS {
        for (link, counts) in frames.iter().enumerate() {
            for (way, &count) in [Way::Up, Way::Down].into_iter().zip(counts) {
                let both = (0..2 * count).map(|nth| (nth / 2, nth % 2 == 1));
                points.extend(both.map(|(frame, is_lost)| Point {
                    payee,
                    hub,
                    link,
                    way,
                    frame,
                    is_lost,
                }));
            }
        }
    }
    points
}

/// So many of them, spread evenly: the last of each equal part.
fn spread(points: &[Point], count: usize) -> Vec<Point> {
    let count = count.min(points.len());
    (0..count)
        .map(|nth| points[(nth + 1) * points.len() / count - 1])
        .collect()
}

fn wanted(all: usize) -> usize {
    match std::env::var("TIDEGATE_ROUTE_KILLS").as_deref() {
        Ok("all") => all,
        Ok(text) => text.parse().expect("TIDEGATE_ROUTE_KILLS is a number, or all"),
        Err(_) => FEW,
    }
}

/// Kills a hub at one frame, and has it started again.
fn arm(world: &World, point: Point) {
    let hub = Arc::clone(&world.hubs[point.hub]);
    let again = Arc::clone(&hub);
    world.links[point.link].arm((point.way, point.frame, point.is_lost), move || {
        hub.kill();
        std::thread::spawn(move || {
            std::thread::sleep(DEAD);
            again.start();
        });
    });
}

/// The first hub is killed as its message to the next one leaves, and A's wallet is then what it was before it paid: A brings
/// nothing again. What went on must have been durable.
#[test]
fn what_was_sent_on_is_held_though_its_payer_has_forgotten_it() {
    let mut world = World::new();
    let mut number = 0;
    let counts = frames(&mut world, &mut number, Payee::Fulfils);
    for frame in 0..counts[1][Way::Up as usize] {
        number += 1;
        let trial = Trial::new(&world, number, Payee::Fulfils);
        let before = super::payment::books(&world);
        let copy = world.payer.copy_wallet();
        arm(
            &world,
            Point {
                payee: Payee::Fulfils,
                hub: 0,
                link: 1,
                way: Way::Up,
                frame,
                is_lost: false,
            },
        );
        trial.run_while(&mut world, |world| !world.links[1].is_sprung());
        world.payer.restore_wallet(&copy);
        assert_eq!(trial.run_on(&mut world, before), End::PaidThrough, "frame {frame}");
    }
}

#[test]
fn no_lock_is_lost_between_channels_whichever_hub_is_killed_at_whichever_message() {
    let began = Instant::now();
    let mut world = World::new();
    let mut number = 0;
    let mut all = Vec::new();
    for payee in [Payee::Fulfils, Payee::Releases] {
        let counts = frames(&mut world, &mut number, payee);
        all.extend(points(payee, &counts));
    }
    let counts = frames(&mut world, &mut number, Payee::Sleeps);
    all.extend(spread(&points(Payee::Sleeps, &counts), EXPIRING));
    let chosen = spread(&all, wanted(all.len()));
    let (mut paid, mut refunded, mut sprung) = (0_u32, 0_u32, 0_u32);
    for &point in &chosen {
        number += 1;
        arm(&world, point);
        let trial = Trial::new(&world, number, point.payee);
        let end = trial.run(&mut world);
        if !world.links[point.link].disarm() {
            sprung += 1;
        }
        match (point.payee, end) {
            (Payee::Fulfils, End::PaidThrough) => paid += 1,
            (Payee::Releases | Payee::Sleeps, End::RefundedThrough) => refunded += 1,
            other => panic!("{point:?}: {other:?}"),
        }
    }
    println!(
        "{} of {} points: {sprung} kills, {paid} paid through, {refunded} refunded through, 0 lost; {:.1} s",
        chosen.len(),
        all.len(),
        began.elapsed().as_secs_f64()
    );
    assert!(sprung as usize * 2 > chosen.len(), "most of the points were reached");
}

//! The table under whoever tells it most, and over a restart.

use proptest::prelude::*;
use tidegate_types::KeyBytes;

use super::*;

const NOW: Minute = Minute::new(30_000_000);

fn ip(group: u16, host: u16) -> IpAddr {
    let ([a, b], [c, d]) = (group.to_be_bytes(), host.to_be_bytes());
    IpAddr::from([a.max(1), b, c, d])
}

fn place(group: u16, host: u16) -> Place {
    let mut identity = [0; 32];
    identity[..2].copy_from_slice(&group.to_le_bytes());
    identity[2..4].copy_from_slice(&host.to_le_bytes());
    Place::new(KeyBytes::from_bytes(identity), ip(group, host), 7411)
}

fn table() -> Table {
    Table::new([5; 32])
}

/// One operator tells of 60 000 addresses in 1 000 groups: it fills 16 buckets at most, and no honest address leaves.
#[test]
fn one_source_group_fills_a_sixteenth_of_the_table_and_moves_nobody() {
    let mut table = table();
    let honest: Vec<Place> = (0..200).map(|n| place(0x0900 + n, 1)).collect();
    let known: Vec<Place> = honest
        .iter()
        .enumerate()
        .filter(|(n, place)| table.add(**place, NOW, ip(0x2000 + u16::try_from(n % 50).unwrap(), 1), NOW))
        .map(|(_, place)| *place)
        .collect();
    assert!(known.len() > 190, "{}", known.len());
    let before = table.len();
    for n in 0..60_000_u32 {
        let [a, b, ..] = n.to_le_bytes();
        let told = place(0x4000 + u16::try_from(n % 1_000).unwrap(), u16::from_le_bytes([a, b]));
        table.add(told, NOW, ip(0x6666, u16::from_le_bytes([b, a])), NOW);
    }
    let grown = table.len() - before;
    assert!((512..=16 * BUCKET).contains(&grown), "{grown}");
    assert!(known.iter().all(|place| table.knows(place)));
}

/// One group of addresses has answered ten thousand times under other identities: it holds 4 buckets of 64.
#[test]
fn one_address_group_holds_a_sixteenth_of_those_that_have_answered() {
    let mut table = table();
    for n in 0..10_000_u16 {
        let place = place(0x0909, n);
        table.add(place, NOW, ip(n, 1), NOW);
        table.answered(&place, NOW);
    }
    assert!((128..=4 * BUCKET).contains(&table.tried()), "{}", table.tried());
}

#[test]
fn who_has_answered_gives_way_only_after_it_failed() {
    let mut table = table();
    let mut groups = 0x0100..0xdf00_u16;
    // Two places of one slot among the tried.
    let mut by_slot = HashMap::new();
    let (first, second) = loop {
        let place = place(groups.next().unwrap(), 1);
        if let Some(other) = by_slot.insert(table.tried_slot(&place), place) {
            break (other, place);
        }
    };
    for place in [first, second] {
        assert!(table.add(place, NOW, place.address.ip(), NOW));
        table.answered(&place, NOW);
    }
    assert_eq!(table.tried(), 1);
    assert!(
        table.knows(&first) && table.knows(&second),
        "the other stays among the new"
    );
    table.attempt(&first, NOW);
    let later = Minute::new(NOW.get() + 60);
    table.answered(&second, later);
    assert_eq!(table.tried(), 1);
    let mut random = Random::new([1; 32]);
    let tried = |place: &Place| *place == second || *place == first;
    let drawn: Vec<Place> = (0..200)
        .filter_map(|_| table.select(&mut random, later, tried))
        .collect();
    assert!(drawn.contains(&second));
}

#[test]
fn what_never_answers_is_given_up_and_its_slot_is_free() {
    let mut table = table();
    let lost = place(0x0909, 7);
    assert!(table.add(lost, NOW, ip(1, 1), NOW));
    let mut random = Random::new([2; 32]);
    let mut minute = NOW;
    for _ in 0..ATTEMPTS_NEVER {
        assert_eq!(table.select(&mut random, minute, |_| true), Some(lost));
        table.attempt(&lost, minute);
        minute = Minute::new(minute.get() + FRESH);
    }
    assert_eq!(table.select(&mut random, minute, |_| true), None);
    assert!(table.sample(&mut random, 100, minute, |_| true).is_empty());
}

#[test]
fn times_in_the_future_gain_nothing() {
    let mut table = table();
    let (liar, honest) = (place(0x0909, 1), place(0x0909, 2));
    let ahead = Minute::new(u32::MAX);
    table.add(liar, ahead, ip(1, 1), NOW);
    table.add(honest, NOW, ip(1, 1), NOW);
    let mut random = Random::new([3; 32]);
    let told: Vec<(Place, Minute)> = (0..50)
        .flat_map(|_| table.sample(&mut random, 100, NOW, Place::is_public))
        .collect();
    let seen = |place: Place| told.iter().find(|(told, _)| *told == place).unwrap().1;
    assert!(seen(liar) < seen(honest));
    assert!(told.iter().all(|(_, seen)| *seen <= NOW));
}

#[test]
fn a_quarter_at_most_is_told_and_nothing_that_is_local() {
    let mut table = table();
    for n in 0..400 {
        table.add(place(0x0900 + n, n), NOW, ip(0x1000 + n, 1), NOW);
        table.add(
            Place::new(KeyBytes::ZERO, IpAddr::from([10, 0, 0, 1]), 1 + n),
            NOW,
            ip(n, 1),
            NOW,
        );
    }
    let told = table.sample(&mut Random::new([4; 32]), 1_000, NOW, Place::is_public);
    assert!(
        told.len() <= table.len() * 23 / 100 + 1 && told.len() > 100,
        "{}",
        told.len()
    );
    assert!(told.iter().all(|(place, _)| place.is_public()));
    assert_eq!(
        table.sample(&mut Random::new([4; 32]), 7, NOW, Place::is_public).len(),
        7
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is told and tried, in any order: the index finds exactly what stands in the slots, each place stands where its
    /// bucket has it, and the table reads back.
    #[test]
    fn index_and_slots_agree(steps in prop::collection::vec((0..4_u8, 0..40_u16, 0..4_u16, 0..200_000_u32), 1..300)) {
        let mut table = table();
        for (what, group, host, later) in steps {
            let (place, now) = (place(0x0900 + group, host), Minute::new(NOW.get() + later));
            match what {
                0 | 1 => drop(table.add(place, now, ip(0x3000 + group % 3, 1), now)),
                2 => table.attempt(&place, now),
                _ => table.answered(&place, now),
            }
            prop_assert_eq!(table.slots.iter().flatten().count(), table.len());
            prop_assert_eq!(table.slots.iter().flatten().filter(|entry| entry.tried).count(), table.tried());
        }
        for (place, at) in &table.index {
            let entry = table.slots[*at].unwrap();
            prop_assert_eq!(entry.place, *place);
            let expected = if entry.tried { table.tried_slot(place) } else { table.new_slot(place, entry.source) };
            prop_assert_eq!(*at, expected);
        }
        let mut kept = Vec::new();
        table.append_to(&mut kept);
        let mut again = Table::new([5; 32]);
        prop_assert!(kept.as_chunks::<ENTRY>().0.iter().all(|entry| again.take_kept(entry)));
        prop_assert_eq!(&again.slots, &table.slots);
    }
}

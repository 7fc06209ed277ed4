//! R11, short: an old state never wins. The long form is `scripts/old-states`.

use tidegate_test_sim::old_states::{Dice, Plan, Tally, trial};

const TRIALS: u64 = 400;

#[test]
fn an_old_state_never_wins() {
    let mut tally = Tally::default();
    for seed in 1..=TRIALS {
        tally.note(seed, &Plan::draw(&mut Dice::new(seed)), &trial(seed));
    }
    println!("{tally}");
    assert_eq!(tally.losses(), []);
    assert!(tally.corrected() > TRIALS / 3, "{tally}");
}

#[test]
fn a_seed_names_a_close() {
    assert!((1..40).all(|seed| trial(seed) == trial(seed)));
}

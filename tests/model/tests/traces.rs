//! The rules hold in every state of the small models, and each fault of a draft is found as soon as it is put back.

use tidegate_test_model::suite::{home, short};
use tidegate_test_model::was::{Rules, Was};

#[test]
fn the_rules_hold_in_every_state() {
    for (name, subject) in short() {
        let report = subject.run(Rules::WHOLE);
        assert_eq!(report.refuted, None, "{name}");
        assert!(report.missing.is_empty(), "{name}: never {:?}", report.missing);
        // A model that has lost its moves would hold anything.
        assert!(report.states > 400, "{name}: {} states", report.states);
    }
}

/// One test for each trace: the fault that it used, put back, is refuted; whole, the same model holds.
fn refuted(trace: Option<u8>) {
    let faults = Was::ALL.into_iter().filter(|fault| fault.trace() == trace);
    let mut count = 0;
    for fault in faults {
        count += 1;
        let report = home(fault).run(Rules::with(fault));
        assert!(
            report.refuted.is_some(),
            "{fault:?} passes {} states unseen",
            report.states
        );
    }
    assert!(count > 0, "no fault for this trace");
}

macro_rules! traces {
    ($($name:ident = $number:expr;)*) => {
        $(#[test]
        fn $name() {
            refuted($number);
        })*

        /// Trace 19 is about keys, which a model has none of: `tests/conformance` has it.
        #[test]
        fn every_trace_is_here_but_19() {
            let mut here: Vec<u8> = [$($number),*].into_iter().flatten().collect();
            here.sort_unstable();
            let all: Vec<u8> = (1..=26).filter(|trace| *trace != 19).collect();
            assert_eq!(here, all);
        }
    };
}

traces! {
    trace_01_forged_halves = Some(1);
    trace_02_halves_without_their_pair = Some(2);
    trace_03_locks_that_expire_before_the_deadline = Some(3);
    trace_04_failed_without_release = Some(4);
    trace_05_credited_without_acknowledgement = Some(5);
    trace_06_close_kept_back = Some(6);
    trace_07_crash_after_release_and_close_in_the_mempool = Some(7);
    trace_08_failed_lock_claimed_later = Some(8);
    trace_09_one_proof_for_two_locks = Some(9);
    trace_10_no_bond_dust_and_hidden_locks = Some(10);
    trace_11_restored_backup = Some(11);
    trace_12_channel_outlives_the_stake = Some(12);
    trace_13_acknowledgements_between_and_unchecked = Some(13);
    trace_14_refused_state_and_its_replacement = Some(14);
    trace_15_slots_filled = Some(15);
    trace_16_fee_outside_the_lock = Some(16);
    trace_17_disjoint_equivocation_and_rewards = Some(17);
    trace_18_congestion = Some(18);
    trace_20_ledger_that_is_a_party = Some(20);
    trace_21_at_before_until_after = Some(21);
    trace_22_spent_before_it_is_firm = Some(22);
    trace_23_acknowledged_too_late = Some(23);
    trace_24_void_credit_in_a_total = Some(24);
    trace_25_pruned_record = Some(25);
    trace_26_restored_hub = Some(26);
    found_by_this_model = None;
}

//! A workload reads back as it was planned, and no damage goes unnoticed.

use std::fs;

use tempfile::TempDir;
use tidegate_channel::{ChannelTerms, ClientState, Operation, decode_operations};
use tidegate_crypto::verify::Verdict;
use tidegate_ledger::{GenesisHeader, GenesisWriter, LedgerParams, NetworkName, Output};
use tidegate_types::{Age, UnixMillis};
use tidegate_wire::messages::{Body as _, Pay};

use super::*;
use crate::channels::channels_file;
use crate::keys::client_key;

fn profile() -> Profile {
    let mut profile = Profile::load("quick").expect("built in");
    profile.settlement.distance = 3;
    profile.run.window_per_channel = 2;
    profile
}

/// A genesis as `format --channels` makes it.
fn genesis(profile: &Profile, seed: u64) -> Vec<u8> {
    let file = channels_file(profile, seed);
    let hub = client_key(99, 0).public().bytes();
    let mut writer = GenesisWriter::new(&GenesisHeader {
        params: LedgerParams::default(),
        time: UnixMillis::new(1),
        validator: hub,
        network: NetworkName::new("test").expect("a name"),
    });
    for (nonce, channel) in (0..).zip(&file.channels) {
        writer.push(&Output::to_channel(&ChannelTerms {
            client: channel.client,
            hub,
            client_payout: channel.payout,
            hub_payout: hub,
            emergency: KeyBytes::ZERO,
            delegate: channel.delegate,
            capacity: channel.capacity,
            opening_share: channel.opening_share,
            client_reserve: file.terms.reserve,
            hub_reserve: file.terms.reserve,
            dispute_window: file.terms.dispute_window,
            evidence_grace: Age::new(144),
            expiry: Height::new(1_000_000),
            nonce,
        }));
    }
    writer.finish()
}

fn prepared(payments: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let (genesis_at, out) = (folder.path().join("genesis"), folder.path().join("workload"));
    fs::write(&genesis_at, genesis(&profile(), 5)).expect("written");
    let prepared = prepare(&profile(), 5, &genesis_at, &out, payments).expect("a workload");
    assert_eq!((prepared.payments, prepared.asked), (payments, payments));
    assert_eq!(prepared.bytes, fs::metadata(&out).expect("there").len());
    (folder, out)
}

#[test]
fn every_state_is_signed_follows_from_the_one_before_and_settles_what_is_due() {
    let (_folder, path) = prepared(3_000);
    let workload = Workload::open(&path).expect("good");
    workload.check_profile(&profile(), Some(5)).expect("the same");
    check_all(&workload, &profile());
}

/// Looks at every state of a workload.
fn check_all(workload: &Workload, profile: &Profile) {
    let width = workload.head.per_state;
    let mut seen = vec![false; usize::try_from(workload.head.payments()).expect("small")];
    let mut sent = vec![0_u64; workload.channels.len()];
    for (connection, section) in (0_u32..).zip(&mut workload.sections()) {
        let mut last = None;
        while let Some(record) = section.peek() {
            let head = record.head;
            assert!(last < Some(head.number), "numbers rise");
            last = Some(head.number);
            for number in head.number..head.number + width {
                assert!(!std::mem::replace(&mut seen[number as usize], true));
            }
            let payer = workload.channels[head.payer as usize].number;
            assert_eq!(profile.population.connection_of(payer), connection);
            sent[head.payer as usize] += 1;
            check_record(workload, &record, sent[head.payer as usize]);
            section.advance();
        }
    }
    assert!(seen.into_iter().all(|seen| seen));
}

fn check_record(workload: &Workload, record: &Record<'_>, nth: u64) {
    let width = workload.head.per_state as usize;
    let pay = Pay::decode(record.body).expect("a Pay");
    let state = ClientState::decode(pay.state).expect("a state");
    let payer = workload.channels[record.head.payer as usize];
    assert_eq!(state.channel, payer.id);
    assert_eq!(state.counter.get(), nth);
    let key = client_key(5, payer.number).public();
    assert_eq!(state.verify(&workload.head.ledger, &key, pay.signature), Verdict::Valid);
    let mut operations = Vec::new();
    decode_operations(pay.operations, &mut operations).expect("operations");
    let (settles, adds) = operations.split_at(operations.len() - width);
    let settled = if nth > workload.head.distance.into() { width } else { 0 };
    assert_eq!(settles.len(), settled, "state i is settled in state i + distance");
    assert!(settles.iter().all(|settle| matches!(settle, Operation::Settle { .. })));
    assert_eq!(record.parts().count(), width);
    for (add, part) in adds.iter().zip(record.parts()) {
        let Operation::Add { lock, .. } = add else {
            panic!("the last operations add");
        };
        assert_eq!(lock.amount, part.amount);
        assert_eq!(lock.payee_channel, workload.channels[part.payee as usize].id);
        assert_eq!(print(lock.payment_id.as_bytes()), part.print);
    }
}

#[test]
fn one_signature_may_pay_many() {
    let mut batched = profile();
    batched.activity.payments_per_signature = 16;
    batched.settlement.distance = 48;
    let folder = tempfile::tempdir().expect("a folder");
    let (genesis_at, out) = (folder.path().join("genesis"), folder.path().join("workload"));
    fs::write(&genesis_at, genesis(&batched, 5)).expect("written");
    let prepared = prepare(&batched, 5, &genesis_at, &out, 20_000).expect("a workload");
    assert_eq!(prepared.payments, 20_000);
    let workload = Workload::open(&out).expect("good");
    assert_eq!((workload.head.states, workload.head.per_state), (1_250, 16));
    assert_eq!(workload.head.distance, 3);
    check_all(&workload, &batched);
}

#[test]
fn only_channels_that_take_part_are_listed() {
    let (_folder, path) = prepared(40);
    let workload = Workload::open(&path).expect("good");
    assert!(workload.channels.len() < 100, "40 payments are at most 80 channels");
    assert!(workload.channels.is_sorted_by_key(|row| row.number));
    check_all(&workload, &profile());
}

#[test]
fn a_record_can_be_read_again() {
    let (_folder, path) = prepared(500);
    let workload = Workload::open(&path).expect("good");
    let mut sections = workload.sections();
    let section = &mut sections[3];
    for position in 0..section.count() {
        assert_eq!(section.position(), position);
        let again = section.read(position);
        let record = section
            .peek()
            .map(|record| (record.head, record.parts().collect::<Vec<_>>(), record.body.to_vec()));
        let again = section.split(&again);
        assert_eq!(record, Some((again.head, again.parts().collect(), again.body.to_vec())));
        section.advance();
    }
    assert!(section.peek().is_none());
}

#[test]
fn no_truncated_or_changed_file_opens() {
    let (folder, path) = prepared(40);
    let good = fs::read(&path).expect("there");
    let bad = folder.path().join("bad");
    let open = |bytes: &[u8]| {
        fs::write(&bad, bytes).expect("written");
        Workload::open(&bad)
    };
    let step = 97;
    for len in (0..good.len()).step_by(step).chain([good.len() - 1]) {
        assert!(open(&good[..len]).is_err(), "{len} bytes");
    }
    for at in (0..good.len()).step_by(step).chain(0..140).chain([good.len() - 1]) {
        let mut changed = good.clone();
        changed[at] ^= 0x10;
        assert!(open(&changed).is_err(), "byte {at}");
    }
    assert!(matches!(open(b"something else"), Err(WorkloadError::Magic(_))));
    assert!(open(&good).is_ok());
}

#[test]
fn what_was_made_for_something_else_is_refused() {
    let (folder, path) = prepared(40);
    let workload = Workload::open(&path).expect("good");
    let what = |result: Result<(), WorkloadError>| match result {
        Err(WorkloadError::Other { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        what(workload.check_profile(&Profile::load("quick").expect("built in"), None)),
        "profile"
    );
    assert_eq!(what(workload.check_profile(&profile(), Some(6))), "seed");
    let head = workload.head;
    assert_eq!(what(workload.check_hub(&LedgerId::ZERO, &head.hub)), "ledger");
    assert_eq!(what(workload.check_hub(&head.ledger, &KeyBytes::ZERO)), "hub");
    let genesis_at = folder.path().join("genesis");
    let other = prepare(&profile(), 6, &genesis_at, &folder.path().join("w"), 40);
    assert!(matches!(other, Err(WorkloadError::OtherChannels { .. })), "{other:?}");
}

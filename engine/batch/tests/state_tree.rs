//! The state tree that is kept from the changes of each batch, against the one that is built from all channels.

use proptest::prelude::*;
use tidegate_batch::{BlockInput, Executed, Input};
use tidegate_channel::{ChannelEntry, EntryProof};
use tidegate_crypto::merkle::StateTree;
use tidegate_types::{Digest, Height, UnixMillis};

mod rig;

use rig::acts::{CLIENTS, act, inputs};
use rig::{Rig, tables};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The rig checks after every batch; here the last states are held together on 1, 2 and 4 threads, and every channel
    /// has its proof.
    #[test]
    fn the_kept_tree_is_the_built_tree(batches in prop::collection::vec(prop::collection::vec(act(), 1..12), 1..30)) {
        let mut rig = Rig::new(u32::try_from(CLIENTS).expect("few"));
        for batch in batches {
            let inputs = inputs(&mut rig, batch);
            rig.batch(inputs);
        }
        let kept = rig.tree.root();
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            prop_assert_eq!(pool.install(|| rig.engine.state_root()), kept);
        }
        for slot in 0..rig.tree.count() {
            let entry = rig.engine.entry(slot).expect("below the count");
            prop_assert_eq!(EntryProof::of(&rig.tree, slot, entry).verify(&kept), Ok(()));
            let view = rig.engine.view(slot).expect("below the count");
            prop_assert_eq!(Some(view.client_balance.to_sat()), entry.client_balance_sat());
            prop_assert_eq!(Some(view.hub_balance.to_sat()), entry.hub_balance_sat());
            prop_assert_eq!(view.value(), entry.held_sat());
            prop_assert_eq!(view.terms.capacity.to_sat(), entry.capacity_sat);
            prop_assert_eq!(view.terms.opening_share.to_sat(), entry.opening_share_sat);
            prop_assert_eq!(view.state.digest(), entry.state);
        }
        prop_assert_eq!(rig.engine.entry(rig.tree.count()), None);
    }
}

/// As many channels as make several threads work, opened, paid over, and settled.
#[test]
fn many_channels_opened_and_settled_in_blocks() {
    let rig = Rig::new(1);
    let mut engine =
        tidegate_batch::Engine::create(tables(), rig.hub.public().bytes(), rig.ledger, rig::policy(), [3; 32])
            .expect("empty tables");
    engine.note_changes(true);
    let (mut tree, mut out) = (StateTree::default(), Executed::default());
    let mut ids = Vec::new();
    for round in 1..=6_u32 {
        let opened: Vec<_> = (0..2_500_u32)
            .map(|n| {
                let terms = rig::terms(&rig.clients[0].key, &rig.hub, round * 10_000 + n);
                let funding = tidegate_types::OutPoint {
                    txid: tidegate_types::Txid::from_bytes([6; 32]),
                    vout: n,
                };
                (terms, funding)
            })
            .collect();
        ids.extend(opened.iter().map(|(terms, funding)| terms.channel_id(funding)));
        let closed = ids.iter().step_by(7 + round as usize).copied().collect();
        let hash = Digest::from_bytes([u8::try_from(round).expect("few"); 32]);
        let block = Input::Block(BlockInput {
            opened,
            closed,
            ..BlockInput::empty(Height::new(round), hash)
        });
        engine
            .execute(UnixMillis::new(u64::from(round)), &[block], &mut out)
            .expect("large tables");
        let (slots, digests): (Vec<_>, Vec<_>) = out.changes.iter().map(|(slot, entry)| (slot, entry.digest())).unzip();
        tree.update(&slots, &digests);
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            assert_eq!(
                pool.install(|| engine.state_root()),
                tree.root(),
                "round {round} on {threads} threads"
            );
        }
    }
    assert_eq!(tree.count(), 15_000);
    let settled = (0..15_000)
        .filter_map(|slot| engine.entry(slot))
        .filter(|e| e.status == ChannelEntry::SETTLED);
    assert!(settled.count() > 1_000);
    engine.note_changes(false);
    engine
        .execute(UnixMillis::new(99), &[Input::Refresh(ids[1])], &mut out)
        .expect("large tables");
    assert!(out.changes.is_empty());
}

//! The tree against a plain one that hashes everything anew.

use proptest::prelude::*;
use tidegate_types::{Amount, Height, KeyBytes, Txid};

use super::*;
use crate::Output;

fn output(n: u64, position: u32) -> (OutPoint, Utxo) {
    let mut txid = [0; 32];
    txid[..8].copy_from_slice(&n.to_le_bytes());
    let outpoint = OutPoint {
        txid: Txid::from_bytes(txid),
        vout: 3,
    };
    let amount = Amount::from_sat(n + 1).expect("small");
    let utxo = Utxo {
        output: Output::to_key(amount, KeyBytes::from_bytes(txid)),
        height: Height::new(9),
        position,
    };
    (outpoint, utxo)
}

/// The top by its definition, one node at a time.
fn plain_top(leaves: &BTreeMap<u32, Digest>) -> Digest {
    let mut level: BTreeMap<u32, Digest> = leaves.clone();
    for _ in 0..DEPTH {
        let mut above: BTreeMap<u32, [Digest; 4]> = BTreeMap::new();
        for (position, digest) in level {
            above.entry(position / 4).or_insert([Digest::ZERO; 4])[position as usize % 4] = digest;
        }
        let node = |children: &[Digest; 4]| hash(Domain::UtxoNode, bytemuck::bytes_of(children));
        level = above.iter().map(|(&p, children)| (p, node(children))).collect();
    }
    level.get(&0).copied().unwrap_or(Digest::ZERO)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_top_is_a_function_of_the_set(
        steps in prop::collection::vec((0_u8..8, any::<prop::sample::Index>()), 1..160),
    ) {
        let mut tree = UtxoTree::new();
        let mut held: BTreeMap<u32, (OutPoint, Utxo)> = BTreeMap::new();
        for (n, (step, which)) in steps.into_iter().enumerate() {
            match step {
                0..=4 => {
                    let position = tree.next_position();
                    let lowest = (0..).find(|p| !held.contains_key(p)).expect("some position is empty");
                    prop_assert_eq!(position, lowest);
                    let (outpoint, utxo) = output(n as u64, position);
                    tree.occupy(&outpoint, &utxo);
                    held.insert(position, (outpoint, utxo));
                }
                5 | 6 if !held.is_empty() => {
                    let &position = which.get(&held.keys().copied().collect::<Vec<_>>());
                    tree.vacate(position);
                    held.remove(&position);
                }
                _ => {
                    let leaves = held.iter().map(|(&p, (o, u))| (p, utxo_leaf(o, u))).collect();
                    prop_assert_eq!(tree.top(), plain_top(&leaves));
                }
            }
        }
        let rebuilt = UtxoTree::rebuild(held.values().rev().map(|(o, u)| (o, u))).top();
        prop_assert_eq!(tree.top(), rebuilt);
    }
}

#[test]
fn thousands_of_leaves_hash_as_one_would() {
    let mut tree = UtxoTree::new();
    let mut leaves = BTreeMap::new();
    for n in 0..4_800_u32 {
        let (outpoint, utxo) = output(n.into(), tree.next_position());
        tree.occupy(&outpoint, &utxo);
        leaves.insert(n, utxo_leaf(&outpoint, &utxo));
    }
    assert_eq!(tree.top(), plain_top(&leaves));
    (0..4096).for_each(|n| {
        tree.vacate(n);
        leaves.remove(&n);
    });
    assert_eq!(tree.top(), plain_top(&leaves));
}

/// A checkpoint gives outputs back in any order, and the top may be asked for on the way.
#[test]
fn distant_positions_stand_where_they_belong() {
    let mut tree = UtxoTree::new();
    let mut leaves = BTreeMap::new();
    for position in [0, 1_000, 77, 300_000, 3] {
        let (outpoint, utxo) = output(position.into(), position);
        tree.occupy(&outpoint, &utxo);
        leaves.insert(position, utxo_leaf(&outpoint, &utxo));
        assert_eq!(tree.top(), plain_top(&leaves), "with {position}");
    }
    assert_eq!(tree.next_position(), 1);
}

#[test]
#[should_panic(expected = "position 0 is empty")]
fn an_empty_position_cannot_be_vacated() {
    let mut tree = UtxoTree::new();
    let (outpoint, utxo) = output(1, 0);
    tree.occupy(&outpoint, &utxo);
    tree.vacate(0);
    tree.vacate(0);
}

#[test]
#[should_panic(expected = "position 0 is taken")]
fn a_taken_position_cannot_be_occupied() {
    let mut tree = UtxoTree::new();
    let (outpoint, utxo) = output(1, 0);
    tree.occupy(&outpoint, &utxo);
    tree.occupy(&outpoint, &utxo);
}

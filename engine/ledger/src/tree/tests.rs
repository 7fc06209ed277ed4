//! The tree against a plain one that hashes everything anew.

use proptest::prelude::*;
use tidegate_types::{Amount, Height, KeyBytes, Txid};

use super::*;
use crate::{MemoryStore, Output};

/// Says nothing of a genesis.
const NONE: MemoryStore = MemoryStore::new();

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
                    tree.occupy(&outpoint, &utxo, &NONE);
                    held.insert(position, (outpoint, utxo));
                }
                5 | 6 if !held.is_empty() => {
                    let &position = which.get(&held.keys().copied().collect::<Vec<_>>());
                    tree.vacate(position, &NONE);
                    held.remove(&position);
                }
                _ => {
                    let leaves = held.iter().map(|(&p, (o, u))| (p, utxo_leaf(o, u))).collect();
                    prop_assert_eq!(tree.top(&NONE), plain_top(&leaves));
                }
            }
        }
        let rebuilt = UtxoTree::rebuild(held.values().rev().map(|(o, u)| (o, u)), &NONE).top(&NONE);
        prop_assert_eq!(tree.top(&NONE), rebuilt);
    }
}

/// Outputs that the genesis created at positions 0 to 199, and which of them stand as it did.
struct Genesis {
    store: MemoryStore,
    created: Vec<(OutPoint, Utxo)>,
}

impl UtxoStore for Genesis {
    fn get(&self, outpoint: &OutPoint) -> Option<Utxo> {
        self.store.get(outpoint)
    }

    fn insert(&mut self, outpoint: OutPoint, utxo: &Utxo) {
        self.store.insert(outpoint, utxo);
    }

    fn remove(&mut self, outpoint: &OutPoint) -> Option<Utxo> {
        self.store.remove(outpoint)
    }

    fn len(&self) -> u64 {
        self.store.len()
    }

    fn is_created(&self, outpoint: &OutPoint) -> bool {
        let found = self.get(outpoint).map(|utxo| (*outpoint, utxo));
        found.is_some_and(|found| self.created.contains(&found))
    }

    fn created(&self, positions: core::ops::Range<u32>) -> Vec<(OutPoint, Utxo)> {
        self.created[positions.start as usize..positions.end as usize].to_vec()
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    /// Spends what stands at this position.
    Spend(u32),
    /// Puts back what the genesis created there, if nothing stands there.
    Return(u32),
    /// Another output in the lowest empty position.
    Create,
    /// Another output in the place of what the genesis created there.
    Change(u32),
    Hash,
}

fn moves() -> impl Strategy<Value = Move> {
    // Positions close together, so that pages are left and come back.
    let position = prop_oneof![0_u32..6, 62_u32..66, 126_u32..130, 190_u32..200];
    prop_oneof![
        4 => position.clone().prop_map(Move::Spend),
        6 => position.clone().prop_map(Move::Return),
        1 => Just(Move::Create),
        1 => position.prop_map(Move::Change),
        3 => Just(Move::Hash),
    ]
}

/// The tree over what a genesis created, and the same by its definition.
struct Held {
    tree: UtxoTree,
    genesis: Genesis,
    held: BTreeMap<u32, (OutPoint, Utxo)>,
    made: u64,
}

impl Held {
    fn new() -> Self {
        let created: Vec<_> = (0..200).map(|n| output(n.into(), n)).collect();
        let store = MemoryStore::new();
        let mut held = Self {
            tree: UtxoTree::new(),
            genesis: Genesis { store, created },
            held: BTreeMap::new(),
            made: 1_000,
        };
        for (outpoint, utxo) in held.genesis.created.clone() {
            held.put(outpoint, &utxo);
        }
        held
    }

    fn put(&mut self, outpoint: OutPoint, utxo: &Utxo) {
        self.genesis.insert(outpoint, utxo);
        self.tree.occupy(&outpoint, utxo, &self.genesis);
        self.held.insert(utxo.position, (outpoint, *utxo));
    }

    fn spend(&mut self, position: u32) {
        if let Some((outpoint, _)) = self.held.remove(&position) {
            self.genesis.remove(&outpoint);
            self.tree.vacate(position, &self.genesis);
        }
    }

    fn go(&mut self, step: Move) {
        match step {
            Move::Spend(position) => self.spend(position),
            Move::Return(position) if !self.held.contains_key(&position) => {
                let (outpoint, utxo) = self.genesis.created[position as usize];
                self.put(outpoint, &utxo);
            }
            Move::Return(_) => {}
            Move::Create => {
                self.made += 1;
                let (outpoint, utxo) = output(self.made, self.tree.next_position());
                self.put(outpoint, &utxo);
            }
            Move::Change(position) => {
                self.spend(position);
                self.made += 1;
                let (outpoint, _) = self.genesis.created[position as usize];
                let (_, utxo) = output(self.made, position);
                self.put(outpoint, &utxo);
            }
            Move::Hash => self.check(),
        }
    }

    fn check(&mut self) {
        let leaves: BTreeMap<_, _> = self.held.iter().map(|(&p, (o, u))| (p, utxo_leaf(o, u))).collect();
        let top = plain_top(&leaves);
        assert_eq!(self.tree.top(&self.genesis), top);
        let mut whole = UtxoTree::rebuild(self.held.values().map(|(o, u)| (o, u)), &NONE);
        for position in [0, 5, 63, 64, 127, 128, 199, 200, 300] {
            assert_eq!(self.tree.path(position, &self.genesis), whole.path(position, &NONE));
        }
        for number in 0..3 {
            let positions = number * 64..number * 64 + 64;
            let as_created = |p| self.held.get(&p) == self.genesis.created.get(p as usize);
            let kept = self.tree.pages[number as usize].is_some();
            assert_eq!(kept, !positions.clone().all(as_created), "page {number}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_page_that_is_as_it_was_created_is_not_kept(moves in prop::collection::vec(moves(), 1..60)) {
        let mut held = Held::new();
        held.check();
        moves.into_iter().for_each(|step| held.go(step));
        held.check();
    }
}

#[test]
fn thousands_of_leaves_hash_as_one_would() {
    let mut tree = UtxoTree::new();
    let mut leaves = BTreeMap::new();
    for n in 0..4_800_u32 {
        let (outpoint, utxo) = output(n.into(), tree.next_position());
        tree.occupy(&outpoint, &utxo, &NONE);
        leaves.insert(n, utxo_leaf(&outpoint, &utxo));
    }
    assert_eq!(tree.top(&NONE), plain_top(&leaves));
    (0..4096).for_each(|n| {
        tree.vacate(n, &NONE);
        leaves.remove(&n);
    });
    assert_eq!(tree.top(&NONE), plain_top(&leaves));
}

/// A checkpoint gives outputs back in any order, and the top may be asked for on the way.
#[test]
fn distant_positions_stand_where_they_belong() {
    let mut tree = UtxoTree::new();
    let mut leaves = BTreeMap::new();
    for position in [0, 1_000, 77, 300_000, 3] {
        let (outpoint, utxo) = output(position.into(), position);
        tree.occupy(&outpoint, &utxo, &NONE);
        leaves.insert(position, utxo_leaf(&outpoint, &utxo));
        assert_eq!(tree.top(&NONE), plain_top(&leaves), "with {position}");
    }
    assert_eq!(tree.next_position(), 1);
}

#[test]
#[should_panic(expected = "position 0 is empty")]
fn an_empty_position_cannot_be_vacated() {
    let mut tree = UtxoTree::new();
    let (outpoint, utxo) = output(1, 0);
    tree.occupy(&outpoint, &utxo, &NONE);
    tree.vacate(0, &NONE);
    tree.vacate(0, &NONE);
}

#[test]
#[should_panic(expected = "position 0 is taken")]
fn a_taken_position_cannot_be_occupied() {
    let mut tree = UtxoTree::new();
    let (outpoint, utxo) = output(1, 0);
    tree.occupy(&outpoint, &utxo, &NONE);
    tree.occupy(&outpoint, &utxo, &NONE);
}

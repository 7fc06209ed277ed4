//! The chain against a slow model that knows only amounts and owners.

mod common;

use std::collections::BTreeMap;

use common::{CloseKit, chain, key, sat, solo, spend, terms};
use proptest::prelude::*;
use tidegate_ledger::{
    Chain, Condition, LedgerParams, MemoryStore, Mempool, Output, Transaction, Trust, UtxoStore, UtxoTree, utxo_leaf,
    verify_utxo_path,
};
use tidegate_types::{Age, Digest, OutPoint, UnixMillis};

const DEPTH: u32 = 3;

/// Who may spend an outpoint, and how much it holds: what a person would keep in a notebook.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    coins: BTreeMap<OutPoint, (u64, Owner)>,
    burned: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    Key(u8),
    Channel(u8),
}

#[derive(Clone, Debug)]
enum Step {
    /// Spend up to three coins into this many outputs, some of them channels.
    Spend(Vec<prop::sample::Index>, Vec<(u8, bool)>, u64),
    Close(prop::sample::Index, prop::sample::Index),
    /// A transaction that was made before, once more.
    Again(prop::sample::Index),
    Seal,
    Undo,
}

fn steps() -> impl Strategy<Value = Step> {
    let coins = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    let outputs = prop::collection::vec((0_u8..6, prop::bool::weighted(0.3)), 1..5);
    prop_oneof![
        6 => (coins, outputs, 100_u64..3_000).prop_map(|(c, o, f)| Step::Spend(c, o, f)),
        2 => any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(c, s)| Step::Close(c, s)),
        1 => any::<prop::sample::Index>().prop_map(Step::Again),
        3 => Just(Step::Seal),
        1 => Just(Step::Undo),
    ]
}

struct World {
    chain: Chain<MemoryStore>,
    mempool: Mempool,
    model: Model,
    /// The model, and what the chain committed to, before each block that is not final.
    before: Vec<(Model, Chain<MemoryStore>)>,
    made: Vec<Transaction>,
    clock: u64,
}

impl World {
    fn new() -> Self {
        let outputs: Vec<_> = (0..6).map(|n| Output::to_key(sat(1_000_000), key(n))).collect();
        let params = LedgerParams {
            finality_depth: Age::new(DEPTH),
            ..LedgerParams::default()
        };
        let (chain, txid) = chain(params, &outputs);
        let coins = (0..6_u8).map(|n| (OutPoint { txid, vout: n.into() }, (1_000_000, Owner::Key(n))));
        Self {
            chain,
            mempool: Mempool::new(1 << 20),
            model: Model {
                coins: coins.collect(),
                burned: 0,
            },
            before: Vec::new(),
            made: Vec::new(),
            clock: 1_700_000_000_000,
        }
    }

    /// Coins of the kind asked for that no waiting transaction spends.
    fn free(&self, channels: bool) -> Vec<(OutPoint, u64, u8)> {
        let free = self
            .model
            .coins
            .iter()
            .filter(|(o, _)| self.mempool.spender(o).is_none());
        free.filter_map(|(o, &(amount, owner))| match owner {
            Owner::Key(n) if !channels => Some((*o, amount, n)),
            Owner::Channel(n) if channels => Some((*o, amount, n)),
            Owner::Key(_) | Owner::Channel(_) => None,
        })
        .collect()
    }

    fn submit(&mut self, transaction: Transaction) {
        let fresh = transaction.body.inputs.iter();
        let fresh = fresh
            .clone()
            .all(|i| self.model.coins.contains_key(i) && self.mempool.spender(i).is_none());
        let taken = match self.chain.check(transaction.clone()) {
            Ok(checked) => self.mempool.insert(checked).is_ok(),
            Err(_) => false,
        };
        assert_eq!(taken, fresh, "taken iff its coins are there and free");
        self.made.push(transaction);
    }

    fn spend(&mut self, coins: &[prop::sample::Index], outputs: &[(u8, bool)], fee: u64) {
        let mut free = self.free(false);
        let mut inputs = Vec::new();
        for coin in coins {
            if !free.is_empty() {
                inputs.push(free.swap_remove(coin.index(free.len())));
            }
        }
        let sum: u64 = inputs.iter().map(|i| i.1).sum();
        let each = sum.saturating_sub(fee + 2_000) / outputs.len() as u64;
        if each < 2_000 {
            return;
        }
        let output = |&(to, is_channel): &(u8, bool)| match is_channel {
            true => Output::to_channel(&terms(to, each, each)),
            false => Output::to_key(sat(each), key(to)),
        };
        let inputs: Vec<_> = inputs.iter().map(|&(o, _, n)| (o, n)).collect();
        let outputs = outputs.iter().map(output).collect();
        self.submit(spend(self.chain.ledger(), &inputs, outputs));
    }

    fn close(&mut self, which: prop::sample::Index, share: prop::sample::Index) {
        let free = self.free(true);
        if free.is_empty() {
            return;
        }
        let (outpoint, amount, client) = free[which.index(free.len())];
        let share = 400 + share.index(usize::try_from(amount - 399).expect("small")) as u64;
        let channel = terms(client, amount, amount);
        let kit = CloseKit::new(self.chain.ledger(), outpoint, client, channel, share, 400);
        if !kit.transaction().body.outputs.is_empty() {
            self.submit(kit.transaction());
        }
    }

    fn seal(&mut self) {
        let before = (self.model.clone(), self.chain.clone());
        self.clock += 500;
        let sealed = solo().seal(&mut self.chain, &mut self.mempool, UnixMillis::new(self.clock));
        let sealed = sealed.expect("it seals");
        for transaction in &sealed.block.transactions {
            self.model.apply(transaction);
        }
        // Another node that checks everything comes to the same ledger.
        let mut other = before.1.clone();
        let applied = other.apply(&sealed.block, Trust::Nothing).expect("the block holds");
        assert_eq!(applied, sealed.applied);
        self.before.push(before);
        if self.before.len() > DEPTH as usize {
            self.before.remove(0);
        }
    }

    fn undo(&mut self) {
        let undone = self.chain.undo_tip();
        let Some((model, mut chain)) = self.before.pop() else {
            assert!(undone.is_err(), "what is final stays");
            return;
        };
        undone.expect("it is not final");
        assert_eq!(self.chain.store(), chain.store());
        assert_eq!(self.chain.utxos_root(), chain.utxos_root());
        assert_eq!(
            (self.chain.tip().height, self.chain.supply()),
            (chain.tip().height, chain.supply())
        );
        assert_eq!(self.chain.open_channels(), chain.open_channels());
        self.model = model;
        // What waits may spend what no longer exists.
        let gone: Vec<_> = self
            .mempool
            .iter()
            .filter(|t| !self.model.holds(t.transaction()))
            .collect();
        let gone: Vec<_> = gone.iter().map(|t| t.txid()).collect();
        gone.iter().for_each(|txid| drop(self.mempool.remove(txid)));
    }

    fn compare(&mut self) {
        let owner = |condition: &Condition| match condition {
            Condition::Key(k) => Owner::Key((0..=255).find(|&n| key(n) == *k).expect("a key of the test")),
            Condition::Channel(t) => Owner::Channel((0..=255).find(|&n| key(n) == t.client).expect("a test key")),
            other => panic!("the test makes no {other:?}"),
        };
        let found: BTreeMap<_, _> = self
            .chain
            .store()
            .iter()
            .map(|(o, u)| (*o, (u.output.amount.to_sat(), owner(&u.output.condition))))
            .collect();
        assert_eq!(found, self.model.coins);
        assert_eq!(self.chain.supply().burned, self.model.burned.into());
        let sum: u64 = found.values().map(|(amount, _)| amount).sum();
        assert_eq!(sum + self.model.burned, 6_000_000, "no value is made or lost");
        let channels = found.values().filter(|(_, o)| matches!(o, Owner::Channel(_))).count();
        assert_eq!(self.chain.open_channels(), channels as u64);
        assert_eq!(self.chain.store().len(), found.len() as u64);
        let (root, whole) = (self.chain.utxos_root(), (found.len() as u64, u128::from(sum)));
        for (&outpoint, &(amount, _)) in found.iter().take(4) {
            let (utxo, path) = self.chain.prove(&outpoint).expect("it stands");
            let (leaf, position) = (utxo_leaf(&outpoint, &utxo), utxo.position);
            assert!(verify_utxo_path(&leaf, position, &path, whole, &root));
            assert!(!verify_utxo_path(&leaf, position ^ 1, &path, whole, &root));
            assert!(!verify_utxo_path(&Digest::ZERO, position, &path, whole, &root));
            assert!(!verify_utxo_path(
                &leaf,
                position,
                &path,
                (whole.0, whole.1 + u128::from(amount)),
                &root
            ));
        }
        let store = self.chain.store().clone();
        let top = UtxoTree::rebuild(store.iter(), &store).top(&store);
        assert!(self.chain.commits_to(&top));
    }
}

impl Model {
    fn holds(&self, transaction: &Transaction) -> bool {
        transaction.body.inputs.iter().all(|i| self.coins.contains_key(i))
    }

    fn apply(&mut self, transaction: &Transaction) {
        let mut rest = 0;
        for input in &transaction.body.inputs {
            rest += self.coins.remove(input).expect("a block spends what is there").0;
        }
        let txid = transaction.txid();
        for (output, vout) in transaction.body.outputs.iter().zip(0..) {
            let amount = output.amount.to_sat();
            let number = |wanted: &tidegate_types::KeyBytes| (0..=255).find(|&n| key(n) == *wanted);
            let owner = match &output.condition {
                Condition::Key(k) => Owner::Key(number(k).expect("a key of the test")),
                Condition::Channel(t) => Owner::Channel(number(&t.client).expect("a key of the test")),
                other => panic!("the test makes no {other:?}"),
            };
            rest -= amount;
            let before = self.coins.insert(OutPoint { txid, vout }, (amount, owner));
            assert_eq!(before, None);
        }
        self.burned += rest;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_chain_keeps_the_notebook(steps in prop::collection::vec(steps(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            match step {
                Step::Spend(coins, outputs, fee) => world.spend(coins, outputs, *fee),
                Step::Close(which, share) => world.close(*which, *share),
                Step::Again(which) if !world.made.is_empty() => {
                    let again = world.made[which.index(world.made.len())].clone();
                    world.submit(again);
                }
                Step::Again(_) => {}
                Step::Seal => world.seal(),
                Step::Undo => world.undo(),
            }
        }
        world.seal();
        world.compare();
    }
}

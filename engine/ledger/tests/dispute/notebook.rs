//! Random disputes against a notebook: what a person who saw every pair, lock and ack would pay out, in plain arithmetic.
//!
//! Two channels, blocks that are undone and made again, evidence of any age by either side at any height. After each step
//! no value is made or lost, and an undone block leaves nothing behind; at the end both sides hold what the notebook says.

use proptest::prelude::*;
use tidegate_channel::evidence::{Opener, Side};
use tidegate_channel::{Condition as LockTerms, LeafRef};
use tidegate_ledger::{Action, Chain, LedgerParams, MemoryStore, Payer};
use tidegate_types::{Age, ChannelId, HubCounter};

use crate::closes::burned;
use crate::world::{C, CAPACITY, Channel, GRACE, H, SHARE, WINDOW, World, out_lock, params, payouts};

/// What the two ends have signed up to counter `n`: debit and credit grow, one lock is open from counter 3 on.
fn history(channel: &Channel, n: u64) -> (C, H) {
    let mut c = channel.c(n, 7_000 * n);
    if n >= 3 {
        c.locks
            .push(out_lock(1, LockTerms::Hash([1; 32]), ChannelId::ZERO, 400));
    }
    let mut h = channel.h(n, 5_000 * n);
    (h.unfirm, h.ack_by) = (100 * n, 8);
    (c, h)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The pair of these counters, by this side.
    Show(u64, u64, Side),
    /// An ack of this leaf, by coin 2.
    Ack(u64),
    Seal,
    Undo,
}

fn steps() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Client), Just(Side::Hub)];
    prop_oneof![
        4 => (1_u64..6, 1_u64..6, side).prop_map(|(c, h, side)| Step::Show(c, h, side)),
        1 => (1_u64..7).prop_map(Step::Ack),
        4 => Just(Step::Seal),
        1 => Just(Step::Undo),
    ]
}

/// The notebook of one close.
#[derive(Clone, Copy, Debug, Default)]
struct Notebook {
    c: u64,
    h: u64,
    drawn: [u64; 2],
    corrected: bool,
    /// The height of an ack, and of which leaf.
    acked: Option<(u32, u64)>,
}

impl Notebook {
    /// Client and hub, and what lies in the lock.
    fn due(&self, opener: Side, bond: u64) -> (i128, i128, i128) {
        let wide = i128::from;
        let lock = if self.c >= 3 { 1_010 } else { 0 };
        let counts = self.acked.is_some_and(|(height, leaf)| height <= 8 && leaf >= self.h);
        let unfirm = if counts { wide(100 * self.h) } else { 0 };
        let client = wide(SHARE + 5_000 * self.h) - wide(7_000 * self.c) - lock + unfirm;
        let hub = wide(CAPACITY) - client - lock;
        let (mut client, mut hub) = (client - wide(self.drawn[0]), hub - wide(self.drawn[1]));
        if self.corrected {
            let (other, sign) = if opener == Side::Client { (1, -1) } else { (0, 1) };
            let good = wide(self.drawn[other].min(bond));
            client += sign * good;
            hub -= sign * good;
        }
        (client, hub, lock)
    }
}

fn state_of(chain: &Chain<MemoryStore>) -> impl PartialEq + core::fmt::Debug + use<> {
    let mut chain = chain.clone();
    (
        chain.tip().hash,
        chain.supply(),
        chain.store().clone(),
        chain.utxos_root(),
        chain.open_channels(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_sides_get_what_the_notebook_says(
        by_hub: bool,
        begins in prop::option::of(1_u64..4),
        steps in prop::collection::vec(steps(), 0..40),
    ) {
        let depth = LedgerParams { finality_depth: Age::new(3), ..params() };
        let mut world = World::with(depth, &[]);
        let channel = world.channel(0);
        let opener = if by_hub { Opener::Hub } else { Opener::Client };
        let side = opener.side().expect("one of the two");
        let pair = begins.map(|n| {
            let (c, h) = history(&channel, n);
            channel.pair(&c, &h)
        });
        world.put(channel.start(opener, pair));
        let start = world.height();
        let mut book = Notebook { c: begins.unwrap_or(0), h: begins.unwrap_or(0), ..Notebook::default() };
        book.drawn[usize::from(by_hub)] = burned(&world);
        let bond = world.chain.close_of(&channel.outpoint).expect("it is closing").0.bond.to_sat();
        let mut before = Vec::new();
        let mut coin_used = false;
        for step in steps {
            let undo_point = (state_of(&world.chain), book, coin_used);
            match step {
                Step::Show(c, h, payer) => {
                    let ((c_half, _), (_, h_half)) = (history(&channel, c), history(&channel, h));
                    let taken = world.chain.check(channel.evidence(payer, channel.pair(&c_half, &h_half)));
                    let open = world.height() < start + WINDOW;
                    prop_assert_eq!(taken.is_ok(), open && (c > book.c || h > book.h));
                    if let Ok(taken) = taken {
                        let fee = taken.fee().to_sat();
                        world.pool.insert(taken).expect("the pool has room");
                        world.seal();
                        before.push(undo_point);
                        (book.c, book.h, book.corrected) = (book.c.max(c), book.h.max(h), true);
                        book.drawn[usize::from(payer == Side::Hub)] += fee;
                    }
                }
                Step::Ack(leaf) if !coin_used => {
                    let (_, h) = history(&channel, leaf);
                    let named = LeafRef { counter: HubCounter::new(leaf), ..channel.leaf(&h).reference() };
                    let (ack, signature) = channel.ack(named);
                    let word = Box::new(tidegate_channel::evidence::Acknowledged::ByAck(ack, signature));
                    let action = Action::RevealAck { funding: channel.outpoint, word, payer: Payer::Coins };
                    let transaction = world.by_coin(2, None, action);
                    world.put(transaction);
                    before.push(undo_point);
                    (book.acked, coin_used) = (Some((world.height(), leaf)), true);
                }
                Step::Ack(_) => {}
                Step::Seal => {
                    world.seal();
                    before.push(undo_point);
                }
                Step::Undo => {
                    let allowed = world.height() > world.chain.tip().final_height.get() && world.height() > start;
                    if let Some((state, old, used)) = before.pop().filter(|_| allowed) {
                        world.chain.undo_tip().expect("it is not final");
                        prop_assert_eq!(state_of(&world.chain), state, "an undone block leaves nothing behind");
                        (book, coin_used) = (old, used);
                    } else {
                        before.clear();
                    }
                }
            }
        }
        world.until(start + WINDOW + GRACE);
        let before_settling = burned(&world);
        world.settle(&channel);
        book.drawn[usize::from(by_hub)] += burned(&world) - before_settling;
        let (client, hub, lock) = book.due(side, bond);
        let paid = payouts(&world, &channel);
        prop_assert_eq!((i128::from(paid.0), i128::from(paid.1)), (client, hub));
        let locked: u64 = world.chain.store().iter()
            .filter(|(_, utxo)| matches!(utxo.output.condition, tidegate_ledger::Condition::Lock(_)))
            .map(|(_, utxo)| utxo.output.amount.to_sat())
            .sum();
        prop_assert_eq!(i128::from(locked), lock);
    }
}

//! One close: an adversary that shows what it likes, an honest side that answers, and what the ledger pays.

use tidegate_channel::Release;
use tidegate_channel::evidence::{
    EntryPath, HubEvidence, LeafNaming, LockEvidence, MandateSubject, Opener, Pair, Side, StateNaming, StateNote,
};
use tidegate_crypto::hash::payment_hash;
use tidegate_ledger::{Action, Condition, LedgerParams, LockCondition, LockPlace, Payer, Transaction};
use tidegate_types::{Age, LockId, UnixMillis};

use super::Dice;
use super::story::{AMOUNT, FEE, Story};
use crate::common::{HUB, HUB_PAYOUT, key, secret, solo};
use crate::world::{CAPACITY, Channel, SHARE, World, alone, params};

/// The height by which somebody has started the close.
const START_BY: u32 = 10;
/// Blocks that may still be undone.
const DEPTH: u32 = 2;

/// How it ended.
pub(super) struct End {
    /// Whether the honest side had to correct what was shown.
    pub(super) corrected: bool,
    /// Locks that were met.
    pub(super) met: usize,
    /// How the honest side lost, if it did.
    pub(super) loss: Option<String>,
}

pub(super) struct Game {
    seed: u64,
    dice: Dice,
    world: World,
    channel: Channel,
    story: Story,
    honest: Side,
    /// An honest client may not have got the newest leaves; all others know everything.
    received: usize,
    /// An honest hub has accepted this state and holds an ack of this leaf.
    accepted: (usize, usize),
    awake: bool,
    clock: u64,
    /// Preimages on the ledger, by the key of the coin that pays; which are out.
    revealed: Vec<[u8; 32]>,
}

impl Game {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let params = LedgerParams {
            finality_depth: Age::new(DEPTH),
            ..params()
        };
        let world = World::with(params, &[]);
        let (channel, other) = (world.channel(0), world.channel(1));
        let story = Story::draw(&mut dice, &channel, &other);
        let leaves = story.leaves.len();
        let honest = if dice.below(2) == 0 { Side::Client } else { Side::Hub };
        let received = leaves - dice.below(2.min(leaves + 1));
        let named = story.acked_by_leaf(leaves);
        let state = named + dice.below(story.states.len() + 1 - named);
        let acked = story.acked_by_state(state);
        let leaf = acked + dice.below(leaves + 1 - acked);
        Self {
            seed,
            dice,
            world,
            channel,
            story,
            honest,
            received: if honest == Side::Client { received } else { leaves },
            accepted: (state, leaf),
            awake: true,
            clock: 1_700_000_000_000,
            revealed: Vec::new(),
        }
    }

    pub(super) const fn asleep(mut self) -> Self {
        self.awake = false;
        self
    }

    pub(super) fn play(mut self) -> End {
        let mut corrected = false;
        loop {
            let closing = self
                .world
                .chain
                .close_of(&self.channel.outpoint)
                .map(|(state, _)| state);
            let height = self.world.height();
            if closing.is_some_and(|state| height >= state.grace_end.get()) && height > 24 {
                break;
            }
            self.adversary(closing.is_some(), height);
            if self.awake {
                corrected |= self.answer();
            }
            self.block();
            if height > DEPTH && self.dice.below(8) == 0 {
                self.reorganise();
            }
        }
        let settlement = self
            .world
            .chain
            .settlement(&self.channel.outpoint)
            .expect("it is closing");
        self.world.submit(settlement).expect("anyone may settle");
        self.block();
        self.end(corrected)
    }

    fn block(&mut self) {
        self.clock += 500;
        let sealed = solo().seal(&mut self.world.chain, &mut self.world.pool, UnixMillis::new(self.clock));
        sealed.expect("it seals");
        let held = self
            .world
            .chain
            .store()
            .iter()
            .map(|(_, utxo)| u128::from(utxo.output.amount.to_sat()));
        let supply = self.world.chain.supply();
        assert_eq!(held.sum::<u128>() + supply.burned, supply.genesis, "seed {}", self.seed);
    }

    /// A competing branch without what the last blocks held; whoever cares submits again.
    fn reorganise(&mut self) {
        for _ in 0..1 + self.dice.below(DEPTH as usize) {
            if self.world.chain.undo_tip().is_err() {
                break;
            }
        }
        self.revealed
            .retain(|preimage| self.world.chain.preimage(&payment_hash(preimage)).is_some());
        self.world.pool = tidegate_ledger::Mempool::new(1 << 20);
    }

    /// Any pair that the adversary can name, at any height; sometimes what it cannot name, which must be refused.
    fn adversary(&mut self, closing: bool, height: u32) {
        self.reveal_something();
        if self.dice.below(3) != 0 && height < START_BY {
            return;
        }
        let (state, leaf) = (
            self.dice.below(self.story.states.len() + 1),
            self.dice.below(self.story.leaves.len() + 1),
        );
        let pair = self.adversary_pair(state, leaf);
        let fits = self.story.acked_by_state(state) <= leaf && self.story.acked_by_leaf(leaf) <= state;
        let Some(pair) = pair.filter(|_| !closing || state + leaf > 0) else {
            return;
        };
        let side = self.honest.other();
        let transaction = if closing {
            self.channel.evidence(side, pair)
        } else {
            let opener = if side == Side::Hub { Opener::Hub } else { Opener::Client };
            self.channel.start(
                opener,
                Some(pair).filter(|pair| pair.client.is_some() || pair.hub.is_some()),
            )
        };
        let taken = self.world.submit(transaction);
        assert!(
            fits || taken.is_err(),
            "seed {}: a pair that does not fit was taken",
            self.seed
        );
    }

    /// State and leaf by their places, with the names that the adversary has for them.
    fn adversary_pair(&mut self, state: usize, leaf: usize) -> Option<Pair> {
        if self.honest == Side::Client {
            // A hub vouches for any state by a note; a leaf needs the client's own ack, which it gives for what it got.
            return (leaf <= self.received).then(|| self.pair(state, leaf));
        }
        // A client acknowledges any leaf; a state needs the hub's word: the note that every accepted state may get.
        (state <= self.accepted.0).then(|| self.pair(state, leaf))
    }

    fn pair(&self, state: usize, leaf: usize) -> Pair {
        let client = state.checked_sub(1).map(|place| {
            let c = &self.story.states[place];
            let note = StateNote {
                channel: self.channel.id,
                state: self.channel.state(c).state.reference(),
            };
            let named = StateNaming::ByNote(note.sign(&self.channel.ledger, &secret(HUB)));
            self.channel.client_half(c, named)
        });
        let hub = leaf.checked_sub(1).map(|place| {
            let h = &self.story.leaves[place];
            let shown = self.channel.leaf(h);
            let (_, signature) = self.channel.ack(shown.reference());
            Box::new(HubEvidence {
                leaf: shown,
                named: LeafNaming::ByAck(signature),
                locks: h.locks.clone(),
            })
        });
        Pair { client, hub }
    }

    /// A payee reveals a preimage, in time or too late.
    fn reveal_something(&mut self) {
        let all = self.story.outs.iter().map(|(_, told)| told.preimage);
        let all: Vec<[u8; 32]> = all
            .chain(self.story.ins.iter().map(|(_, told)| told.preimage))
            .collect();
        if all.is_empty() || self.dice.below(3) != 0 {
            return;
        }
        let preimage = all[self.dice.below(all.len())];
        let coin = 2 + u8::try_from(self.dice.below(4)).expect("few");
        let action = Action::RevealPreimage {
            preimage,
            place: None,
            payer: Payer::Coins,
        };
        let transaction = self.world.by_coin(coin, None, action);
        if self.world.submit(transaction).is_ok() {
            self.revealed.push(preimage);
        }
    }

    /// The best pair that the honest side holds: the newest state and leaf that fit and that the other has named.
    fn own_best(&self) -> (usize, usize) {
        match self.honest {
            Side::Client => (self.story.acked_by_leaf(self.received), self.received),
            Side::Hub => self.accepted,
        }
    }

    /// The honest side looks at the chain and does what is missing. True if it corrected something.
    fn answer(&mut self) -> bool {
        let (state, leaf) = self.own_best();
        let Some((close, locks)) = self.world.chain.close_of(&self.channel.outpoint) else {
            if self.world.height() >= START_BY {
                let pair = Some(self.pair(state, leaf)).filter(|_| state + leaf > 0);
                let opener = if self.honest == Side::Hub {
                    Opener::Hub
                } else {
                    Opener::Client
                };
                let _ = self.world.submit(self.channel.start(opener, pair));
            }
            return false;
        };
        let shown = (close.client.counter.get(), close.hub.counter.get());
        let behind = shown.0 < state as u64 || shown.1 < leaf as u64;
        if behind {
            let _ = self
                .world
                .submit(self.channel.evidence(self.honest, self.pair(state, leaf)));
        }
        for open in locks {
            let place = LockPlace {
                channel: open.channel,
                side: open.side,
                slot: open.slot,
            };
            if let Some(transaction) = self.refund(place, open.refunded) {
                let _ = self.world.submit(transaction);
            }
        }
        behind
    }

    /// Lock evidence for an open lock that was given up, if it is this side's to show.
    fn refund(&self, place: LockPlace, refunded: bool) -> Option<Transaction> {
        let number = place.slot.index();
        let (lock, evidence): (LockId, LockEvidence) = match (place.side, self.honest) {
            (Side::Client, Side::Client) => {
                let (out, told) = &self.story.outs[number];
                let leaf = self.channel.leaf(&self.story.leaves[told.ended.checked_sub(1)?]);
                let entry = EntryPath {
                    index: 0,
                    count: 1,
                    salt: [0; 16],
                    path: Vec::new(),
                };
                let known = told.ended <= self.received;
                let leaf = Box::new(leaf);
                (
                    known.then(|| out.id(&self.channel.id))?,
                    LockEvidence::Failed { leaf, entry },
                )
            }
            (Side::Hub, Side::Hub) => {
                let (open, told) = &self.story.ins[number];
                let release = Release {
                    channel: self.channel.id,
                    lock: open.lock.lock,
                };
                let signature = release.sign(&self.channel.ledger, &secret(self.channel.client));
                (
                    (told.ended > 0).then_some(open.lock.lock)?,
                    LockEvidence::Released(signature),
                )
            }
            _ => return None,
        };
        let action = Action::LockEvidence {
            place,
            payer: self.channel.payer(self.honest, MandateSubject::Lock(lock)),
            evidence: Box::new(evidence),
        };
        (!refunded).then(|| alone(self.channel.outpoint, action))
    }

    /// Whether the ledger holds this preimage since the expiry or before.
    fn is_met(&self, preimage: &[u8; 32], expiry: u32) -> bool {
        let found = self.world.chain.preimage(&payment_hash(preimage));
        found.is_some_and(|(_, at)| at.get() <= expiry)
    }

    /// What client and hub get: their payouts, and each lock's output by what the ledger recorded.
    fn paid(&self) -> (u64, u64, usize) {
        let (client, hub) = (self.channel.terms.client_payout, key(HUB_PAYOUT));
        let (mut to_client, mut to_hub, mut met) = (0, 0, 0);
        for (_, utxo) in self.world.chain.store().iter() {
            let owner = match utxo.output.condition {
                Condition::Key(owner) => owner,
                Condition::Lock(terms) => {
                    let LockCondition::Hash(hash) = terms.condition else {
                        continue;
                    };
                    let found = self.world.chain.preimage(&hash);
                    let is_met = found.is_some_and(|(_, at)| at <= terms.expiry);
                    met += usize::from(is_met);
                    if is_met { terms.claim } else { terms.refund }
                }
                _ => continue,
            };
            let amount = utxo.output.amount.to_sat();
            to_client += if owner == client { amount } else { 0 };
            to_hub += if owner == hub { amount } else { 0 };
        }
        (to_client, to_hub, met)
    }

    /// The honest side has its due, but for what the close cost.
    fn end(&self, corrected: bool) -> End {
        let (client, hub, met) = self.paid();
        let burned = u64::try_from(self.world.chain.supply().burned).expect("small");
        let (got, due) = match self.honest {
            Side::Client => (client, self.client_due()),
            Side::Hub => (hub, self.hub_due()),
        };
        // What a close costs is far less than the smallest payment, so no loss hides in it.
        let good = got + burned >= due && burned < AMOUNT / 2;
        let (seed, honest) = (self.seed, self.honest);
        let loss = (!good).then(|| format!("seed {seed}: {honest:?} got {got} of {due}, {burned} burned"));
        End { corrected, met, loss }
    }

    fn client_due(&self) -> u64 {
        let firm = self
            .received
            .checked_sub(1)
            .map_or(0, |place| self.story.leaves[place].firm);
        let offered = self
            .received
            .checked_sub(1)
            .map_or(&[][..], |place| &self.story.leaves[place].locks);
        let ins = offered.iter().filter(|open| {
            let told = &self.story.ins[open.slot.index()].1;
            told.ended == 0 && self.is_met(&told.preimage, told.expiry)
        });
        let newest = self.story.states.last();
        let owed = newest.map_or(0, |state| state.debit);
        // A lock that it settled later may stand in an older state; either way it costs the same.
        let outs = newest.map_or(&[][..], |state| &state.locks).iter().filter(|out| {
            let told = &self.story.outs[out.slot.index()].1;
            let failed = told.ended != 0 && told.ended <= self.received;
            !failed && self.is_met(&told.preimage, told.expiry)
        });
        SHARE + firm + ins.count() as u64 * AMOUNT - owed - outs.count() as u64 * (AMOUNT + FEE)
    }

    fn hub_due(&self) -> u64 {
        let firm = self.story.leaves.last().map_or(0, |leaf| leaf.firm);
        let offered = self.story.leaves.last().map_or(&[][..], |leaf| &leaf.locks);
        let ins = offered.iter().filter(|open| {
            let told = &self.story.ins[open.slot.index()].1;
            told.ended == 0 && self.is_met(&told.preimage, told.expiry)
        });
        let state = self.accepted.0.checked_sub(1).map(|place| &self.story.states[place]);
        let earned = state.map_or(0, |state| state.debit);
        let outs = state.map_or(&[][..], |state| &state.locks).iter().filter(|out| {
            let told = &self.story.outs[out.slot.index()].1;
            told.ended == 0 && self.is_met(&told.preimage, told.expiry)
        });
        CAPACITY - SHARE - firm - ins.count() as u64 * AMOUNT + earned + outs.count() as u64 * (AMOUNT + FEE)
    }
}

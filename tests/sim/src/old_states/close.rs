//! One close: an old state is started, the guard answers or not, and the ledger pays.

use tidegate_channel::evidence::{Opener, Pair, SignedStart, StartClose};
use tidegate_hub::watch::package;
use tidegate_ledger::{Action, CloseState, Transaction, TransactionBody, Witness};
use tidegate_types::{ClientCounter, Height, HubCounter};

use super::story::Story;
use super::{AMOUNT, Dice, End, Guard, Plan, Up};

/// Old states that are shown while the close stands, at most: each costs whoever shows it.
const SHOWN_MAX: usize = 2;

/// Plays the trial of a seed.
///
/// # Panics
/// If value is made or lost, or something that is honest does not hold.
#[must_use]
pub fn trial(seed: u64) -> End {
    let mut dice = Dice::new(seed);
    let plan = Plan::draw(&mut dice);
    let story = Story::tell(dice, &plan);
    Close::new(story, plan).play()
}

struct Close {
    story: Story,
    plan: Plan,
    /// Which of the old states is started.
    first: usize,
    start: Option<Transaction>,
    shown: usize,
    /// The tip when the best evidence was first seen there, as long as it stays.
    stands_since: Option<Height>,
    is_gone: bool,
    best: (ClientCounter, HubCounter),
    /// What the honest side is owed at least.
    due: u64,
    last: Option<CloseState>,
    end: End,
}

impl Close {
    fn new(mut story: Story, plan: Plan) -> Self {
        let all = story.old_clients.len().min(story.old_hub.len());
        let first = story.dice.below(all);
        Self {
            plan,
            first,
            start: None,
            shown: 0,
            stands_since: None,
            is_gone: false,
            best: Default::default(),
            due: 0,
            last: None,
            end: End {
                age: all - 1 - first,
                started_after: plan.start_after,
                corrected: false,
                reorgs: 0,
                restarts: 0,
                loss: None,
            },
            story,
        }
    }

    fn play(mut self) -> End {
        for _ in 0..self.plan.start_after {
            self.story.block();
            self.story.follow();
            self.watch();
        }
        self.note_best();
        let funding = self.story.subject().funding;
        while self.story.ledger.stands(&funding) {
            let close = self.story.ledger.chain.close_of(&funding).map(|(close, _)| close);
            self.note_stand(close.as_ref());
            self.cheat(close.as_ref());
            if self.is_up(close.as_ref()) {
                self.guard();
            }
            self.last = close.or(self.last.take());
            self.story.block();
            self.trouble();
        }
        self.judge();
        self.end
    }

    /// What the guard can show at best, and what its side is owed by that.
    fn note_best(&mut self) {
        let party = self.story.subject();
        let wallet = party.own().wallet();
        let newest = wallet.client().state();
        match self.plan.guard {
            Guard::Hub => {
                let view = self.story.hub.view(&party.channel);
                self.best = (view.state.counter, HubCounter::ZERO);
                self.due = view.hub_balance.to_sat();
            }
            Guard::Tower | Guard::Wallet => {
                let pair = party.own().pair(party.signer()).unwrap_or_default();
                let firm = pair
                    .hub
                    .as_ref()
                    .map_or(0, |half| half.leaf.private.firm_credit.to_sat());
                self.best = pair.counters();
                // What it has signed it owes, whoever shows it.
                let owes = newest.debit.to_sat() + newest.locks_sum.to_sat();
                self.due = (party.terms.opening_share.to_sat() + firm).saturating_sub(owes);
            }
        }
        if self.plan.guard == Guard::Tower {
            assert_eq!(self.best, self.story.watch.counters(&party.channel), "the tower has it");
        }
    }

    fn note_stand(&mut self, close: Option<&CloseState>) {
        let stands = close.is_some_and(|close| self.is_answered(close));
        self.stands_since = self.stands_since.or(Some(self.story.ledger.tip())).filter(|_| stands);
        let is_final = self
            .stands_since
            .is_some_and(|since| self.story.ledger.last_final() >= since);
        self.is_gone |= self.plan.up == Up::Early && is_final;
    }

    /// Whether what the honest side is to correct has been corrected.
    fn is_answered(&self, close: &CloseState) -> bool {
        match self.plan.guard {
            Guard::Hub => close.client.counter >= self.best.0,
            Guard::Tower | Guard::Wallet => close.hub.counter >= self.best.1,
        }
    }

    fn is_up(&self, close: Option<&CloseState>) -> bool {
        match self.plan.up {
            Up::Early => !self.is_gone,
            Up::From(blocks) => close.is_some_and(|close| {
                let first = self.story.ledger.tip().plus(tidegate_types::Age::new(blocks));
                first.is_some_and(|first| first >= close.deadline)
            }),
        }
    }

    /// The other side starts an old state, again if the ledger has forgotten it, and may show others.
    fn cheat(&mut self, close: Option<&CloseState>) {
        let Some(close) = close else {
            if self.start.is_none() || self.story.dice.once_in(4) {
                self.start = Some(self.start_of(self.first));
            }
            if let Some(start) = self.start.clone() {
                let _waits = self.story.ledger.submit(&start);
            }
            return;
        };
        if self.shown < SHOWN_MAX && self.story.dice.once_in(4) {
            self.shown += 1;
            self.show_another();
        }
        // Until the start is final the hub knows of nothing, and takes what comes.
        let is_early = close.started > self.story.now();
        if self.plan.guard == Guard::Hub && is_early && self.is_up(Some(close)) && self.story.dice.once_in(3) {
            let subject = self.story.subject;
            if let Some(input) = self.story.payment(subject) {
                self.story.batch(input);
                self.note_best();
            }
        }
    }

    fn old_pair(&self, which: usize) -> Pair {
        let party = self.story.subject();
        match self.plan.guard {
            Guard::Hub => {
                let then = &self.story.old_clients[which];
                party.pair_of(then, self.story.now()).unwrap_or_default()
            }
            Guard::Tower | Guard::Wallet => self.of_hub(which).pair,
        }
    }

    fn of_hub(&self, which: usize) -> tidegate_tower::Package {
        let shown = self.story.old_hub[which].clone();
        package(shown, self.story.subject().ledger(), &self.story.hub.key).expect("evidence that holds")
    }

    fn start_of(&self, which: usize) -> Transaction {
        let (party, pair) = (self.story.subject(), self.old_pair(which));
        if self.plan.guard == Guard::Hub {
            return party.own().start_close(party.signer(), pair);
        }
        let (client, hub) = pair.counters();
        let has_evidence = pair != Pair::default();
        let start = StartClose {
            channel: party.channel,
            opener: Opener::Hub,
            has_evidence,
            batch: self.story.old_hub[which].batch,
            client,
            hub,
        };
        let action = Action::StartClose {
            start: SignedStart {
                start,
                signature: start.sign(party.ledger(), &self.story.hub.key),
            },
            pair: has_evidence.then(|| Box::new(pair)),
        };
        Transaction {
            body: TransactionBody::of_action(vec![party.funding], Vec::new(), action),
            witnesses: vec![Witness::Action],
        }
    }

    fn show_another(&mut self) {
        let which = self.story.dice.below(self.first + 1);
        if self.old_pair(which) == Pair::default() {
            return;
        }
        let party = self.story.subject();
        let transaction = if self.plan.guard == Guard::Hub {
            party.own().show_evidence(party.signer(), self.old_pair(which))
        } else {
            self.of_hub(which).transaction()
        };
        // It is no newer than what stands, most often.
        let _refused = self.story.ledger.submit(&transaction);
    }

    /// The guard does what it does at every block.
    fn guard(&mut self) {
        let party = self.story.subject();
        let (channel, funding) = (party.channel, party.funding);
        let answers = match self.plan.guard {
            Guard::Hub => {
                self.story.follow();
                self.story.hub.answers(&self.story.ledger, (&channel, &funding))
            }
            Guard::Tower => self.watch(),
            Guard::Wallet => self.open_wallet(),
        };
        for answer in answers {
            let _waits = self.story.ledger.submit(&answer);
        }
    }

    fn watch(&mut self) -> Vec<Transaction> {
        self.story.watch.answers(&self.story.ledger)
    }

    /// The client opens its wallet, looks at the ledger, and shows what it has if that is newer.
    fn open_wallet(&mut self) -> Vec<Transaction> {
        let (now, subject) = (self.story.now(), self.story.subject);
        let party = &mut self.story.parties[subject];
        party.reopen();
        let Some((close, _)) = self.story.ledger.chain.close_of(&party.funding) else {
            return Vec::new();
        };
        let _late = party.ack(now);
        // Whoever has acknowledged nothing, and may not any more, has nothing to show.
        let pair = party.own().pair(party.signer()).unwrap_or_default();
        let (client, hub) = pair.counters();
        let is_newer = client > close.client.counter || hub > close.hub.counter;
        let answer = (is_newer && now < close.deadline).then(|| party.own().show_evidence(party.signer(), pair));
        answer.into_iter().collect()
    }

    fn trouble(&mut self) {
        if self.plan.trouble.restarts && self.story.dice.once_in(3) {
            self.end.restarts += 1;
            match self.plan.guard {
                Guard::Hub => self.story.hub.restart(),
                Guard::Tower => self.story.watch.restart(),
                Guard::Wallet => {}
            }
        }
        if self.plan.trouble.reorgs && self.story.dice.once_in(4) {
            let blocks = 1 + self.story.dice.blocks(self.plan.depth);
            let forgets = self.story.dice.once_in(2);
            self.end.reorgs += u32::from(self.story.ledger.fall_back(blocks, forgets) > 0);
        }
    }

    /// What stood when the close was settled, and what was paid.
    fn judge(&mut self) {
        let close = self.last.expect("it closed");
        let party = self.story.subject();
        let owner = match self.plan.guard {
            Guard::Hub => party.terms.hub_payout,
            Guard::Tower | Guard::Wallet => party.terms.client_payout,
        };
        let (paid, burned) = (self.story.ledger.paid_to(owner), self.story.ledger.burned());
        self.end.corrected = close.corrected;
        let shown = (close.client.counter.get(), close.hub.counter.get());
        let (due, best) = (self.due, (self.best.0.get(), self.best.1.get()));
        // What a close costs is far less than the smallest payment, so no loss hides in it.
        assert!(burned < AMOUNT / 2, "fees of {burned}");
        let is_short = paid + burned < due;
        if is_short || !self.is_answered(&close) {
            self.end.loss = Some(format!(
                "{:?}: shown {shown:?}, best {best:?}, paid {paid} of {due}, {burned} burned",
                self.plan
            ));
        }
    }
}

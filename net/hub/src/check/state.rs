//! The channels: what they hold is what was put into them.

use super::{Finding, OnStep, Step, Verdict};
use crate::state::Inspected;

/// Channels between two calls of a progress callback.
const PROGRESS_CHANNELS: u64 = 4096;

pub(crate) fn look(state: &Inspected, verdict: &mut Verdict, on_step: OnStep<'_>) {
    let opened = state.engine.opened();
    verdict.state_root = Some(state.engine.state_root().to_string());
    verdict.batches = opened.batch.get();
    verdict.lsn = state.lsn.get();
    verdict.height = opened.height.get();
    verdict.channels = opened.channels;
    verdict.replayed_batches = state.replayed;
    verdict.torn_tail = state.tail.torn;
    verdict.restored = state.is_copy;
    let (held, capacity) = state.engine.value();
    verdict.value_sat = u64::try_from(held).unwrap_or(u64::MAX);
    if held != capacity {
        let what = format!("the channels hold {held} sat, their capacities are {capacity} sat");
        verdict.problem(Finding::new(what));
    }
    for (done, view) in (1..).zip(state.channels()) {
        if !view.is_settled() && view.value() != u128::from(view.terms.capacity.to_sat()) {
            let (id, value, capacity) = (view.id, view.value(), view.terms.capacity);
            let what = format!("channel {id} holds {value} sat, its capacity is {capacity}");
            verdict.problem(Finding::new(what));
        }
        if done % PROGRESS_CHANNELS == 0 {
            on_step(Step {
                what: "summing the channels",
                done,
                total: Some(opened.channels.into()),
                unit: "channels",
            });
        }
    }
}

//! In the steady state a batch asks the allocator for nothing.
#![allow(unsafe_code, reason = "the trait of an allocator is unsafe to implement")]

mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rig::Rig;
use tidegate_batch::{Executed, Input};
use tidegate_types::UnixMillis;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks for.
struct Counting;

fn count() {
    // A thread that is ending may ask after its counter is gone.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: every call is passed on unchanged to `System`, which keeps the trait's promises; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as the trait demands of its caller.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller gives a layout of non-zero size.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as the trait demands of its caller.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System` by `alloc` or `realloc`, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    // SAFETY: as the trait demands of its caller.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the block came from `System` with this layout, and the caller gives a non-zero size.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CLIENTS: usize = 8;
/// Batches until every list of the state has its length: leaves and answers are kept for 64 counters.
const WARM: u64 = 200;
const MEASURED: u64 = 50;

/// Every client pays its neighbour and settles its oldest payment; some acknowledge.
fn inputs(rig: &mut Rig, round: u64) -> Vec<Input> {
    let mut inputs = Vec::new();
    for client in 0..CLIENTS {
        if round > 1 && round % 4 == client as u64 % 4 {
            inputs.push(rig.ack(client));
        }
        let lock = rig.lock((client + 1) % CLIENTS, 3);
        inputs.push(rig.pay(client, &[lock]));
    }
    inputs
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut rig = Rig::new(u32::try_from(CLIENTS).expect("few"));
    let (mut record, mut out) = (Vec::with_capacity(1 << 20), Executed::default());
    let mut asked = 0;
    for round in 0..WARM + MEASURED {
        let inputs = inputs(&mut rig, round);
        rig.now += 10;
        record.clear();
        let before = ASKED.with(Cell::get);
        rig.engine
            .execute(UnixMillis::new(rig.now), &inputs, &mut out)
            .expect("the tables are large");
        rig.engine.append_logged(&inputs, &out, &mut record);
        if round >= WARM {
            asked += ASKED.with(Cell::get) - before;
        }
        assert_eq!(out.refusals, []);
        core::mem::swap(&mut out, &mut rig.out);
        rig.accept_leaves();
        core::mem::swap(&mut out, &mut rig.out);
    }
    assert_eq!(asked, 0, "allocations in {MEASURED} batches of {CLIENTS} payments");
}

//! Both forms of ordered execution side by side: the same batches, executed in turns by engines over plain memory, one of them
//! serial and the others in two phases on some threads. Nothing is logged.

use std::{
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use tidegate_batch::{BlockInput, Engine, Executed, Input, Store, TABLES, VecSlots};
use tidegate_types::{Digest, Height, UnixMillis};

use super::super::{
    SuiteError,
    recovery::payers::{self, Payers},
};
use crate::{
    measure::{Bench, OWN, Scale},
    report::Row,
};

/// An engine, its threads (one: the serial form), and the time that it has taken.
struct Form {
    engine: Engine<VecSlots>,
    threads: usize,
    took: Duration,
    executed: Executed,
}

/// The rows of every size of batch, and what two phases take of the serial form's time.
pub(super) fn rows(bench: &mut Bench) -> Result<(), SuiteError> {
    let tiny = bench.scale() == Scale::Tiny;
    let (channels, sizes): (u32, &[usize]) = if tiny {
        (300, &[100])
    } else {
        (29_067, &[256, 1_024, 4_096, 16_384])
    };
    let payments = bench.size("payments", 400_000, 400).min(400_000);
    let cores = available_parallelism()?.get();
    let mut threads = vec![1, 2, cores];
    threads.sort_unstable();
    threads.dedup();
    for &batch in sizes {
        let (forms, paid) = drive(channels, (batch, payments), &threads)?;
        let us = |form: &Form| form.took.as_secs_f64() * 1e6 / paid as f64;
        for form in &forms {
            let name = format!(
                "execute::engine/threads={},batch={batch},channels={channels}",
                form.threads
            );
            bench.adopt(Row::counted(OWN, &name, "us", us(form), paid as u64));
        }
        for form in &forms[1..] {
            let name = format!("two phases on {} threads / serial, batches of {batch}", form.threads);
            bench.compare(&name, us(form) / us(&forms[0]));
        }
    }
    Ok(())
}

/// Drives new engines with the same batches; the first half of the payments is not counted.
fn drive(
    channels: u32,
    (batch, payments): (usize, usize),
    threads: &[usize],
) -> Result<(Vec<Form>, usize), SuiteError> {
    let mut forms = threads
        .iter()
        .map(|threads| form(channels, *threads))
        .collect::<Result<Vec<Form>, SuiteError>>()?;
    let (mut payers, mut inputs) = (Payers::new(channels, 1), Vec::new());
    let (mut done, mut counted, mut turn) = (0, 0, 0);
    while done < 2 * payments {
        let paid = payers.inputs(batch, &mut inputs);
        let counts = done >= payments;
        // Whoever is first finds the inputs outside the caches.
        let first = turn % forms.len();
        forms.rotate_left(first);
        for form in &mut forms {
            let begin = Instant::now();
            form.engine
                .execute(UnixMillis::new(2 + turn as u64), &inputs, &mut form.executed)?;
            form.took += if counts { begin.elapsed() } else { Duration::ZERO };
        }
        forms.rotate_right(first);
        payers.take(&forms[0].executed)?;
        done += paid;
        counted += if counts { paid } else { 0 };
        turn += 1;
    }
    Ok((forms, counted))
}

fn form(channels: u32, threads: usize) -> Result<Form, SuiteError> {
    let settings = payers::params(1 << 20);
    let store = Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, 1 << 26)));
    let mut engine = Engine::create(
        store,
        settings.hub,
        settings.ledger,
        settings.policy,
        settings.salt_secret,
    )?;
    let block = BlockInput {
        opened: payers::openings(channels).collect(),
        ..BlockInput::empty(Height::new(1), Digest::from_bytes([1; 32]))
    };
    let mut executed = Executed::default();
    engine.execute(UnixMillis::new(1), &[Input::Block(block)], &mut executed)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    engine.split(Arc::new(pool), threads, 0);
    Ok(Form {
        engine,
        threads,
        took: Duration::ZERO,
        executed,
    })
}

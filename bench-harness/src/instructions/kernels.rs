//! The kernels whose instructions are counted: each does the same work in every run, on one thread.
//!
//! Whoever counts looks at `tidegate_counted` alone: what a kernel makes ready, and its first run, are not in it.

use std::hint::black_box;

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};
use tidegate_batch::{BlockInput, Engine, EngineError, Executed, Input, PayInput, Store, TABLES, VecSlots};
use tidegate_channel::encode_operations;
use tidegate_crypto::{
    hash::{Domain, hash_many},
    keys::SecretKey,
    merkle::{RECEIPTS, Tree},
    verify::{Backend, BackendError, Item, Verdict, Verifier, VerifierConfig},
};
use tidegate_types::{Digest, Fixed as _, Height, SignatureBytes, UnixMillis};
use tidegate_wire::{
    ToHub, WireError,
    frame::{FrameError, MessageReader},
    lengths::STATE_LEN,
    messages::{Body as _, Pay},
};

use crate::suites::recovery::payers::{Payers, Refused, openings, params};

/// The function that is counted, by its path.
pub(super) const COUNTED: &str = concat!(module_path!(), "::tidegate_counted");

/// Channels and payments of a batch.
const CHANNELS: u32 = 256;
const PAYMENTS: usize = 512;
/// Batches until locks settle, leaves are kept and acks are due as in the middle of a run.
const WARM_BATCHES: u64 = 12;
/// Keys and signatures: sixteen uses make a key hot.
const KEYS: u8 = 4;
const SIGNATURES: usize = 64;
/// Times that all messages are read before they are counted, and while they are.
const WARM_READS: usize = 4;
const READS: usize = 32;
/// Hashes, and leaves of a tree.
const LEAVES: usize = 4_096;

/// Why a kernel could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No pool of one thread.
    #[error("{0}")]
    Pool(#[from] ThreadPoolBuildError),
    /// No verifier.
    #[error("{0}")]
    Backend(#[from] BackendError),
    /// The engine refused the batch.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The engine refused an input.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// A message that was just written was not read back.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A frame that was just written was not read back.
    #[error("{0}")]
    Frame(#[from] FrameError),
}

/// What is counted. Never inlined, so that its name stays.
#[inline(never)]
fn tidegate_counted(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// Runs every kernel. `done` is told the name of each and its operations, right after it was counted.
///
/// # Errors
/// [`KernelError`] of the first kernel that could not do its work.
pub fn run_all(done: &mut dyn FnMut(&str, usize)) -> Result<(), KernelError> {
    // This thread is the pool: whatever is given to rayon below stays on it.
    let _pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?;
    verify(done)?;
    execute_and_encode(done)?;
    hash(done);
    Ok(())
}

/// The portable path: the tool that counts knows no AVX-512.
fn verify(done: &mut dyn FnMut(&str, usize)) -> Result<(), KernelError> {
    let keys: Vec<SecretKey> = (0..KEYS).map(|seed| SecretKey::from_seed([seed; 32])).collect();
    let signed: Vec<([u8; 200], SignatureBytes)> = (0_u8..)
        .take(SIGNATURES)
        .map(|number| {
            let message = [number; 200];
            (message, keys[usize::from(number) % keys.len()].sign(&message))
        })
        .collect();
    for (name, memory_budget_bytes) in [("verify::batch/tier=cold", 0), ("verify::batch/tier=hot", 64 << 20)] {
        let verifier = Verifier::new(VerifierConfig {
            backend: Backend::Portable,
            memory_budget_bytes,
        })?;
        let handles: Vec<_> = keys.iter().map(|key| verifier.register(&key.public())).collect();
        let items: Vec<Item<'_>> = signed
            .iter()
            .enumerate()
            .map(|(number, (message, signature))| Item {
                key: handles[number % keys.len()],
                message,
                signature,
            })
            .collect();
        let mut verdicts = [Verdict::Invalid; SIGNATURES];
        let mut work = || verifier.verify_batch(black_box(&items), &mut verdicts);
        work();
        verifier.maintain(usize::MAX);
        tidegate_counted(&mut work);
        assert!(verdicts.iter().all(|verdict| verdict.is_valid()), "good signatures");
        done(name, SIGNATURES);
    }
    Ok(())
}

/// An engine over plain memory, in the middle of a run; its batch, the batch's log form, and its messages.
fn execute_and_encode(done: &mut dyn FnMut(&str, usize)) -> Result<(), KernelError> {
    let settings = params(1 << 20);
    let store = Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, 1 << 16)));
    let salt = settings.salt_secret;
    let mut engine = Engine::create(store, settings.hub, settings.ledger, settings.policy, salt)?;
    let block = BlockInput {
        opened: openings(CHANNELS).collect(),
        ..BlockInput::empty(Height::new(1), Digest::from_bytes([1; 32]))
    };
    let (mut inputs, mut executed) = (vec![Input::Block(block)], Executed::default());
    engine.execute(UnixMillis::new(1), &inputs, &mut executed)?;
    let mut payers = Payers::new(CHANNELS, 1);
    for batch in 0..WARM_BATCHES {
        payers.inputs(PAYMENTS, &mut inputs);
        engine.execute(UnixMillis::new(2 + batch), &inputs, &mut executed)?;
        payers.take(&executed)?;
    }
    let paid = payers.inputs(PAYMENTS, &mut inputs);
    let mut result = Ok(());
    tidegate_counted(&mut || result = engine.execute(UnixMillis::new(100), black_box(&inputs), &mut executed));
    result?;
    payers.take(&executed)?;
    done("batch::execute/payments=512,channels=256", paid);

    let mut logged = Vec::with_capacity(1 << 20);
    tidegate_counted(&mut || engine.append_logged(black_box(&inputs), &executed, &mut logged));
    done("batch::append_logged/payments=512", paid);
    messages(&inputs, done)
}

/// The payments as messages: written, and read back as the hub reads them.
fn messages(inputs: &[Input], done: &mut dyn FnMut(&str, usize)) -> Result<(), KernelError> {
    let pays: Vec<(&PayInput, [u8; STATE_LEN], Vec<u8>)> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Pay(pay) => Some(encoded(pay)),
            _ => None,
        })
        .collect();
    let mut bytes = Vec::with_capacity(1 << 20);
    tidegate_counted(&mut || {
        for (request, (pay, state, operations)) in pays.iter().enumerate() {
            let message = Pay {
                state,
                signature: &pay.signature,
                operations,
            };
            message
                .append(request as u64, &mut bytes)
                .expect("a state's operations fit a message");
        }
    });
    done("wire::append/message=pay", pays.len());
    let mut batch = Vec::with_capacity(pays.len());
    for _ in 0..WARM_READS {
        read_pays(&bytes, &mut batch)?;
    }
    let (mut count, mut result) = (0, Ok(()));
    tidegate_counted(&mut || {
        for _ in 0..READS {
            result = read_pays(black_box(&bytes), &mut batch);
            count += batch.len();
        }
    });
    result?;
    assert_eq!(count, pays.len() * READS, "every message is read back");
    done("wire::read/message=pay", count);
    Ok(())
}

fn encoded(pay: &PayInput) -> (&PayInput, [u8; STATE_LEN], Vec<u8>) {
    let (mut state, mut operations) = ([0; STATE_LEN], Vec::new());
    pay.state.encode_into(&mut state);
    encode_operations(&pay.operations, &mut operations);
    (pay, state, operations)
}

/// Reads all messages as the hub does, into a batch that holds them all. One that is dropped before the next is read would have
/// the allocator give up and take back its page each time, or not, by what else lives on that page: 6 % from run to run.
fn read_pays(mut bytes: &[u8], batch: &mut Vec<PayInput>) -> Result<(), KernelError> {
    let mut reader = MessageReader::new(1 << 16);
    batch.clear();
    while let Some((header, body)) = reader.next(&mut bytes)? {
        if let ToHub::Pay(pay) = ToHub::decode(&header, body)? {
            batch.extend(PayInput::from_parts(pay.state, *pay.signature, pay.operations));
        }
    }
    Ok(())
}

fn hash(done: &mut dyn FnMut(&str, usize)) {
    let messages: Vec<[u8; 64]> = (0..LEAVES)
        .map(|number| {
            let mut message = [0x5a; 64];
            message[..8].copy_from_slice(&(number as u64).to_le_bytes());
            message
        })
        .collect();
    let mut digests = vec![Digest::ZERO; LEAVES];
    let mut work = || hash_many(Domain::LockNode, black_box(&messages), &mut digests);
    work();
    tidegate_counted(&mut work);
    done("hash::hash_many/bytes=64", LEAVES);
    let mut tree = Tree::build(RECEIPTS, &digests);
    tidegate_counted(&mut || tree.rebuild(black_box(&digests)));
    done("merkle::Tree::rebuild/leaves=4096", LEAVES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_does_its_work() {
        let mut names = Vec::new();
        run_all(&mut |name, operations| names.push((name.to_owned(), operations))).expect("kernels run anywhere");
        assert_eq!(names.len(), 8);
        assert!(names.iter().all(|(_, operations)| *operations > 0), "{names:?}");
    }
}

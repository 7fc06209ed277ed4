//! What the run's own signatures cost when nothing but their check is done: the floor under the hub's CPU time.

use tidegate_channel::ClientState;
use tidegate_crypto::signed::SignedMessage;
use tidegate_crypto::verify::{Backend, BackendError, Item, KeyHandle, Verdict, Verifier, VerifierConfig};
use tidegate_types::{Fixed as _, SignatureBytes};
use tidegate_wire::messages::{Body as _, Pay};

use super::usage::thread_cpu_s;
use crate::keys::ClientKeys;
use crate::profile::Profile;
use crate::workload::Workload;

/// Signatures that are measured, if there are as many.
const SIGNATURES: usize = 32_768;

struct Sample {
    key: KeyHandle,
    message: SignedMessage,
    signature: SignatureBytes,
}

/// Microseconds per signature on one thread, and the code that ran. Half of the signatures warm up what the verifier
/// remembers of keys; the other half is measured.
pub(super) fn verify_us(
    profile: &Profile,
    workload: &Workload,
    backend: Backend,
) -> Result<(f64, &'static str), BackendError> {
    let verifier = Verifier::new(VerifierConfig {
        backend,
        ..VerifierConfig::default()
    })?;
    let samples = samples(profile, workload, &verifier);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("one more thread can be started");
    let (warm, timed) = samples.split_at(samples.len() / 2);
    let micros = pool.install(|| {
        judge(&verifier, warm);
        verifier.maintain(usize::MAX);
        judge(&verifier, timed)
    });
    Ok((micros / timed.len().max(1) as f64, verifier.backend()))
}

/// The first payments of every connection: keys follow each other as they do at the hub.
fn samples(profile: &Profile, workload: &Workload, verifier: &Verifier) -> Vec<Sample> {
    let keys = ClientKeys::new(profile, workload.head.seed);
    let mut sections = workload.sections();
    let mut samples = Vec::with_capacity(SIGNATURES);
    let mut any = true;
    while any && samples.len() < SIGNATURES {
        any = false;
        for section in &mut sections {
            let Some(record) = section.peek() else { continue };
            any = true;
            let pay = Pay::decode(record.body).expect("its checksum held");
            let state = ClientState::decode(pay.state).expect("its checksum held");
            let payer = workload.channels[record.head.payer as usize].number;
            let key = keys.get(profile.population.key_of(payer)).public();
            samples.push(Sample {
                key: verifier.register(&key),
                message: state.message(&workload.head.ledger),
                signature: *pay.signature,
            });
            section.advance();
        }
    }
    samples
}

/// Microseconds of processor time that judging takes on this thread, whose pool has no other: so that what else runs on the
/// machine does not count, as it does not in the hub's CPU time either.
fn judge(verifier: &Verifier, samples: &[Sample]) -> f64 {
    let items: Vec<Item<'_>> = samples
        .iter()
        .map(|s| Item {
            key: s.key,
            message: s.message.as_slice(),
            signature: &s.signature,
        })
        .collect();
    let mut verdicts = vec![Verdict::Invalid; items.len()];
    let began = thread_cpu_s();
    // Batches as large as a busy hub's.
    for (items, verdicts) in items.chunks(4_096).zip(verdicts.chunks_mut(4_096)) {
        verifier.verify_batch(items, verdicts);
    }
    let micros = (thread_cpu_s() - began) * 1e6;
    assert!(
        verdicts.iter().all(|verdict| verdict.is_valid()),
        "the workload's signatures are valid"
    );
    micros
}

//! A batch gives each item its own verdict, whatever stands beside it. With `TIDEGATE_VERIFY_EVERY_INDEX` set, the batch of
//! 4 096 is bent at every index, else at every 61st.
#![allow(
    clippy::disallowed_methods,
    reason = "how much is tested is the caller's, by an environment variable"
)]

#[allow(dead_code, reason = "each test program uses a part")]
mod paths;

use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::verify::{Backend, Item, KeyHandle, Verdict, Verifier};
use tidegate_types::SignatureBytes;

/// Room for every table.
const BUDGET: usize = 256 << 20;

/// Signed messages under a few keys, in an order that mixes them.
struct Signed {
    keys: Vec<SecretKey>,
    entries: Vec<(usize, [u8; 40], SignatureBytes)>,
}

fn signed(keys: u8, count: u32) -> Signed {
    let keys: Vec<SecretKey> = (0..keys).map(|seed| SecretKey::from_seed([seed; 32])).collect();
    let entries = (0..count)
        .map(|number| {
            let key = (number as usize * 7 + number as usize / 5) % keys.len();
            let mut message = [0x5a; 40];
            message[..4].copy_from_slice(&number.to_le_bytes());
            (key, message, keys[key].sign(&message))
        })
        .collect();
    Signed { keys, entries }
}

fn handles(verifier: &Verifier, keys: &[SecretKey]) -> Vec<KeyHandle> {
    keys.iter().map(|key| verifier.register(&key.public())).collect()
}

#[test]
fn a_signature_corrupted_at_any_index_changes_that_verdict_alone() {
    const COUNT: usize = 100;
    let Signed { keys, entries } = signed(5, 100);
    for verifier in paths::verifiers(BUDGET) {
        let handles = handles(&verifier, &keys);
        for bad in 0..COUNT {
            let mut signatures: Vec<SignatureBytes> = entries.iter().map(|entry| entry.2).collect();
            let mut bytes = *signatures[bad].as_bytes();
            bytes[bad % 64] ^= 1 << (bad % 8);
            signatures[bad] = SignatureBytes::from_bytes(bytes);
            let items: Vec<Item<'_>> = entries
                .iter()
                .zip(&signatures)
                .map(|((key, message, _), signature)| Item {
                    key: handles[*key],
                    message,
                    signature,
                })
                .collect();
            let mut verdicts = vec![Verdict::Invalid; COUNT];
            verifier.verify_batch(&items, &mut verdicts);
            for (index, verdict) in verdicts.iter().enumerate() {
                assert_eq!(
                    verdict.is_valid(),
                    index != bad,
                    "{}: index {index}, bad {bad}",
                    verifier.backend()
                );
            }
        }
    }
}

#[test]
fn a_large_batch_bent_at_one_index_changes_that_verdict_alone() {
    const COUNT: usize = 4096;
    let step = if std::env::var("TIDEGATE_VERIFY_EVERY_INDEX").is_ok() {
        1
    } else {
        61
    };
    let Signed { keys, mut entries } = signed(100, 4096);
    let verifier = paths::verifier(BUDGET);
    let handles = handles(&verifier, &keys);
    for bad in (0..COUNT).step_by(step) {
        entries[bad].1[bad % 40] ^= 0x10;
        let items: Vec<Item<'_>> = entries
            .iter()
            .map(|(key, message, signature)| Item {
                key: handles[*key],
                message,
                signature,
            })
            .collect();
        let mut verdicts = vec![Verdict::Invalid; COUNT];
        verifier.verify_batch(&items, &mut verdicts);
        let wrong = (0..COUNT).find(|index| verdicts[*index].is_valid() == (*index == bad));
        assert_eq!(wrong, None, "bent at {bad}");
        entries[bad].1[bad % 40] ^= 0x10;
        if bad % 7 == 0 {
            verifier.maintain(20);
        }
    }
}

#[test]
fn maintenance_beside_batches_and_registration_changes_no_verdict() {
    let Signed { keys, entries } = signed(20, 600);
    let verifier = paths::verifier(200 << 10);
    let handles = handles(&verifier, &keys);
    let items: Vec<Item<'_>> = entries
        .iter()
        .map(|(key, message, signature)| Item {
            key: handles[*key],
            message,
            signature,
        })
        .collect();
    rayon::scope(|scope| {
        // In rayon's own pool, where a worker that waits for its part of a batch may steal it.
        for seed in 100..200 {
            let verifier = &verifier;
            scope.spawn(move |_| {
                verifier.maintain(3);
                verifier.register(&SecretKey::from_seed([seed; 32]).public());
            });
        }
        for _ in 0..60 {
            let mut verdicts = vec![Verdict::Invalid; items.len()];
            verifier.verify_batch(&items, &mut verdicts);
            assert!(verdicts.iter().all(|verdict| verdict.is_valid()));
        }
    });
    assert!(verifier.maintain(0).table_bytes <= 200 << 10);
}

#[test]
fn a_key_that_lost_its_table_is_judged_as_before() {
    // Room for one small table of 1.5 KiB and for no large one.
    let verifier = paths::verifier(3100);
    let Signed { keys, entries } = signed(2, 64);
    let handles = handles(&verifier, &keys);
    let use_key = |key: usize, times: usize| {
        for (_, message, signature) in entries.iter().filter(|entry| entry.0 == key).cycle().take(times) {
            for (other, handle) in handles.iter().enumerate() {
                let item = Item {
                    key: *handle,
                    message,
                    signature,
                };
                // The foreign key is used too, but only by the batch that judges it beside the right one.
                if other == key || times == 1 {
                    assert_eq!(verifier.verify_one(&item).is_valid(), other == key);
                }
            }
        }
    };
    use_key(0, 4);
    let first = verifier.maintain(10);
    use_key(1, 16);
    let second = verifier.maintain(10);
    if verifier.backend() == "avx512ifma-8lane" {
        assert_eq!((first.built, first.evicted), (1, 0));
        assert_eq!(
            (second.built, second.evicted),
            (1, 1),
            "the second key was used twice as much"
        );
        assert_eq!(second.table_bytes, first.table_bytes);
    }
    for _ in 0..3 {
        use_key(0, 1);
        use_key(1, 1);
    }
}

#[test]
fn a_flood_of_new_keys_takes_no_table_from_keys_in_use() {
    // Room for four large tables of 24 KiB and 64 small ones; for two large ones where dalek's points make them larger.
    let verifier = paths::verifier(192 << 10);
    let Signed { keys, entries } = signed(4, 64);
    let handles = handles(&verifier, &keys);
    let verify = |key: KeyHandle, entry: &(usize, [u8; 40], SignatureBytes), times: usize| {
        for _ in 0..times {
            let item = Item {
                key,
                message: &entry.1,
                signature: &entry.2,
            };
            let _ = verifier.verify_one(&item);
        }
    };
    for entry in &entries {
        verify(handles[entry.0], entry, 4);
    }
    let established = verifier.maintain(100);
    assert!(established.built > 0 && established.evicted == 0, "{established:?}");
    let mut evicted = 0;
    for number in 0..400_u32 {
        let mut seed = [77; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let stranger = verifier.register(&SecretKey::from_seed(seed).public());
        // Refused signatures count as uses too: an attacker needs no good ones.
        verify(stranger, &entries[0], 3);
        evicted += verifier.maintain(3).evicted;
    }
    assert_eq!(evicted, 0, "three uses are not twice sixty");
    // Who is really used more gets a place after all.
    let newcomer = verifier.register(&SecretKey::from_seed([78; 32]).public());
    verify(newcomer, &entries[0], 256);
    let taken: usize = (0..4).map(|_| verifier.maintain(3).evicted).sum();
    assert_eq!(taken, 1);
}

#[test]
fn equal_keys_share_a_handle_and_others_do_not() {
    let verifier = paths::verifier(BUDGET);
    let keys: Vec<SecretKey> = (0..50).map(|seed| SecretKey::from_seed([seed; 32])).collect();
    let first = handles(&verifier, &keys);
    assert_eq!(
        first.iter().map(|handle| handle.index()).collect::<Vec<_>>(),
        (0..50).collect::<Vec<_>>()
    );
    assert_eq!(handles(&verifier, &keys), first);
    for (key, handle) in keys.iter().zip(&first) {
        assert_eq!(verifier.known(&key.public().bytes()), Some(*handle));
    }
    assert_eq!(verifier.known(&SecretKey::from_seed([50; 32]).public().bytes()), None);
}

#[test]
fn a_signature_of_one_key_is_invalid_under_another() {
    let Signed { keys, entries } = signed(2, 1);
    for verifier in paths::verifiers(BUDGET) {
        let handles = handles(&verifier, &keys);
        let (key, message, signature) = &entries[0];
        for (index, handle) in handles.iter().enumerate() {
            let item = Item {
                key: *handle,
                message,
                signature,
            };
            assert_eq!(verifier.verify_one(&item).is_valid(), index == *key);
        }
    }
}

#[test]
fn batches_of_every_small_length_are_judged() {
    let Signed { keys, entries } = signed(3, 80);
    for verifier in paths::verifiers(BUDGET) {
        let handles = handles(&verifier, &keys);
        let items: Vec<Item<'_>> = entries
            .iter()
            .map(|(key, message, signature)| Item {
                key: handles[*key],
                message,
                signature,
            })
            .collect();
        for count in 0..items.len() {
            let mut verdicts = vec![Verdict::Invalid; count];
            verifier.verify_batch(&items[..count], &mut verdicts);
            assert!(
                verdicts.iter().all(|verdict| verdict.is_valid()),
                "{}: {count}",
                verifier.backend()
            );
        }
    }
}

#[test]
fn backend_words_read_back_and_others_are_refused() {
    for backend in [Backend::Auto, Backend::Avx512, Backend::Avx2, Backend::Portable] {
        assert_eq!(backend.name().parse(), Ok(backend));
    }
    assert!("AVX512".parse::<Backend>().is_err());
}

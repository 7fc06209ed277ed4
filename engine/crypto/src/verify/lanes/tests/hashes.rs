//! SHA-512 in lanes against the sha2 crate.

use sha2::{Digest as _, Sha512};

use super::super::sha512::{Message, sha512};
use super::{Numbers, cpu};

#[test]
fn hashes_of_every_mix_of_lengths_are_those_of_sha2() {
    let Some(cpu) = cpu() else { return };
    let mut numbers = Numbers(20);
    for round in 0..400 {
        // All lengths around the ends of blocks, together in one group and mixed with others.
        let lengths = [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| {
            if round < 300 {
                round + lane
            } else {
                numbers.below(2_000)
            }
        });
        let (r, key) = (numbers.bytes::<32>(), numbers.bytes::<32>());
        let bodies = lengths.map(|length| {
            (0..length)
                .map(|_| numbers.next().to_le_bytes()[0])
                .collect::<Vec<u8>>()
        });
        let messages = bodies.each_ref().map(|body| Message { r: &r, key: &key, body });
        // SAFETY: `cpu` proves the instructions.
        let hashes = unsafe { sha512(cpu, &messages) };
        for (hash, body) in hashes.iter().zip(&bodies) {
            let expected = Sha512::new()
                .chain_update(r)
                .chain_update(key)
                .chain_update(body)
                .finalize();
            assert_eq!(
                hash.map(u64::to_le_bytes).concat(),
                expected.to_vec(),
                "{} bytes",
                body.len()
            );
        }
    }
}

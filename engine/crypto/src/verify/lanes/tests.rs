//! Field arithmetic against big integers with limbs at their bounds; points and combs against curve25519-dalek.
//!
//! Where the processor lacks the instructions, every test here says so and passes.

mod fields;
mod hashes;
mod points;

use super::vector::Cpu;

/// A plain generator of test numbers (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// An index of something with `count` members.
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).expect("below a usize")
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        [(); N].map(|()| self.next().to_le_bytes()[3])
    }
}

/// The proof, or word that the test is skipped.
fn cpu() -> Option<Cpu> {
    let cpu = Cpu::detect();
    if cpu.is_none() {
        println!("skipped: no AVX-512 IFMA here");
    }
    cpu
}

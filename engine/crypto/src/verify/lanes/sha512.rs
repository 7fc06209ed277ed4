//! SHA-512 (FIPS 180-4) of eight messages at a time, each `R ‖ A ‖ M`, of any lengths.
//!
//! A lane whose message has ended keeps its state while the longer ones go on, so messages of like length share the work best.

use super::row::transpose;
use super::vector::{Cpu, Mask, Vector};

/// Bytes of one block.
const BLOCK: usize = 128;

/// One message in three pieces.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) r: &'a [u8; 32],
    pub(super) key: &'a [u8; 32],
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    /// Blocks with the padding: a byte 0x80, zeros, and the length in bits as 16 bytes.
    fn blocks(&self) -> usize {
        (64 + self.body.len() + 17).div_ceil(BLOCK)
    }

    /// Writes block `index < blocks()`.
    fn write_block(&self, index: usize, out: &mut [u8; BLOCK]) {
        let mut at = 0;
        let mut from = 0;
        if index == 0 {
            out[..32].copy_from_slice(self.r);
            out[32..64].copy_from_slice(self.key);
            at = 64;
        } else {
            from = index * BLOCK - 64;
        }
        let rest = self.body.get(from..).unwrap_or_default();
        let count = rest.len().min(BLOCK - at);
        out[at..at + count].copy_from_slice(&rest[..count]);
        at += count;
        out[at..].fill(0);
        // The 0x80 stands where the body ends, in this block or, if it just filled the one before, at the start of this.
        let end = 64 + self.body.len();
        if index * BLOCK <= end && end < (index + 1) * BLOCK {
            out[at] = 0x80;
        }
        if index + 1 == self.blocks() {
            let bits = 8 * (64 + self.body.len() as u128);
            out[BLOCK - 16..].copy_from_slice(&bits.to_be_bytes());
        }
    }
}

/// The hashes of eight messages, each as eight little-endian words.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn sha512(cpu: Cpu, messages: &[Message<'_>; 8]) -> [[u64; 8]; 8] {
    let mut state = [Vector::splat(cpu, 0); 8];
    for (register, value) in state.iter_mut().zip(INITIAL) {
        *register = Vector::splat(cpu, value);
    }
    let blocks = messages.map(|message| message.blocks());
    let most = blocks.into_iter().fold(0, usize::max);
    let mut buffers = [[0; BLOCK]; 8];
    for index in 0..most {
        let mut going: Mask = 0;
        for (lane, message) in messages.iter().enumerate() {
            if index < blocks[lane] {
                message.write_block(index, &mut buffers[lane]);
                going |= 1 << lane;
            }
        }
        let next = compress(&state, &load_words(cpu, &buffers));
        for (register, next) in state.iter_mut().zip(next) {
            *register = register.blend(next, going);
        }
    }
    for register in &mut state {
        *register = register.swap_bytes();
    }
    let mut hashes = [[0; 8]; 8];
    for (hash, register) in hashes.iter_mut().zip(transpose(&state)) {
        *hash = register.store();
    }
    hashes
}

/// Word w of every block in register w.
#[inline(always)]
fn load_words(cpu: Cpu, buffers: &[[u8; BLOCK]; 8]) -> [Vector; 16] {
    let mut words = [Vector::splat(cpu, 0); 16];
    for half in 0..2 {
        let mut rows = [Vector::splat(cpu, 0); 8];
        for (row, buffer) in rows.iter_mut().zip(buffers) {
            *row = Vector::load_bytes(cpu, &buffer.as_chunks::<64>().0[half]).swap_bytes();
        }
        words[8 * half..8 * half + 8].copy_from_slice(&transpose(&rows));
    }
    words
}

/// FIPS 180-4, 6.4.2.
#[inline(always)]
fn compress(state: &[Vector; 8], block: &[Vector; 16]) -> [Vector; 8] {
    let cpu = state[0].cpu();
    let mut w = *block;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for sixteen in 0..5 {
        for i in 0..16 {
            if sixteen > 0 {
                w[i] = w[i]
                    .add(small_sigma_0(w[(i + 1) % 16]))
                    .add(w[(i + 9) % 16])
                    .add(small_sigma_1(w[(i + 14) % 16]));
            }
            let t1 = h
                .add(big_sigma_1(e))
                .add(e.select(f, g))
                .add(Vector::splat(cpu, K[16 * sixteen + i]))
                .add(w[i]);
            let t2 = big_sigma_0(a).add(a.majority(b, c));
            (h, g, f, e, d, c, b, a) = (g, f, e, d.add(t1), c, b, a, t1.add(t2));
        }
    }
    let end = [a, b, c, d, e, f, g, h];
    let mut sum = *state;
    for (sum, end) in sum.iter_mut().zip(end) {
        *sum = sum.add(end);
    }
    sum
}

#[inline(always)]
fn big_sigma_0(x: Vector) -> Vector {
    x.rotate_right::<28>()
        .xor3(x.rotate_right::<34>(), x.rotate_right::<39>())
}

#[inline(always)]
fn big_sigma_1(x: Vector) -> Vector {
    x.rotate_right::<14>()
        .xor3(x.rotate_right::<18>(), x.rotate_right::<41>())
}

#[inline(always)]
fn small_sigma_0(x: Vector) -> Vector {
    x.rotate_right::<1>().xor3(x.rotate_right::<8>(), x.shift_right::<7>())
}

#[inline(always)]
fn small_sigma_1(x: Vector) -> Vector {
    x.rotate_right::<19>()
        .xor3(x.rotate_right::<61>(), x.shift_right::<6>())
}

/// The first 64 bits of the fractional parts of the square roots of the first eight primes.
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The first 64 bits of the fractional parts of the cube roots of the first eighty primes.
const K: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

//! One AVX-512 register, eight lanes of 64 bits, as a safe type.
//!
//! A [`Vector`] can only be made from a [`Cpu`], and a [`Cpu`] only where the processor has been found to have the
//! instructions: so whoever holds a vector may execute them, and every operation on it is safe. The operations are inlined
//! by force into the functions of this folder that are compiled for AVX-512; called from elsewhere they would be slow, not wrong.

use core::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_castsi256_si512, _mm512_cmpeq_epi64_mask,
    _mm512_cmplt_epu64_mask, _mm512_inserti64x4, _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_blend_epi64, _mm512_mullo_epi64, _mm512_or_si512, _mm512_permutex2var_epi64, _mm512_ror_epi64,
    _mm512_set1_epi64, _mm512_set4_epi32, _mm512_shrdi_epi64, _mm512_shuffle_epi8, _mm512_srli_epi64,
    _mm512_storeu_si512, _mm512_sub_epi64, _mm512_ternarylogic_epi64, _mm512_test_epi64_mask, _mm512_testn_epi64_mask,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

/// One bit per lane, lane 0 lowest.
pub(in super::super) type Mask = u8;

/// The proof that this processor has AVX-512 F, VL, DQ, BW, IFMA and VBMI2.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Cpu(());

impl Cpu {
    /// The proof, if it is true.
    pub(in super::super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi2");
        found.then_some(Self(()))
    }
}

/// Eight lanes.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Vector(__m512i);

/// Operations that are one instruction on registers.
macro_rules! operations {
    ($($(#[$doc:meta])* fn $name:ident($self:ident $(, $arg:ident: $kind:ty)*) -> $out:ty = $call:expr;)*) => {
        impl Vector {
            $($(#[$doc])*
            #[inline(always)]
            pub(super) fn $name($self $(, $arg: $kind)*) -> $out {
                // SAFETY: the instruction exists here, since `self` could only be made from a `Cpu`; it touches no memory,
                // but in `store` the 64 bytes of a local array.
                unsafe { $call }
            })*
        }
    };
}

operations! {
    /// Lane-wise sum, wrapping.
    fn add(self, b: Self) -> Self = Self(_mm512_add_epi64(self.0, b.0));
    /// Lane-wise difference, wrapping.
    fn sub(self, b: Self) -> Self = Self(_mm512_sub_epi64(self.0, b.0));
    /// Bitwise and.
    fn and(self, b: Self) -> Self = Self(_mm512_and_si512(self.0, b.0));
    /// Bitwise or.
    fn or(self, b: Self) -> Self = Self(_mm512_or_si512(self.0, b.0));
    /// The exclusive or of three.
    fn xor3(self, b: Self, c: Self) -> Self = Self(_mm512_ternarylogic_epi64::<0x96>(self.0, b.0, c.0));
    /// Bit by bit: `b` where self is 1, `c` where it is 0.
    fn select(self, b: Self, c: Self) -> Self = Self(_mm512_ternarylogic_epi64::<0xca>(self.0, b.0, c.0));
    /// Bit by bit: what two of the three have.
    fn majority(self, b: Self, c: Self) -> Self = Self(_mm512_ternarylogic_epi64::<0xe8>(self.0, b.0, c.0));
    /// The bytes of every lane in reverse.
    fn swap_bytes(self) -> Self = {
        let order = _mm512_set4_epi32(0x0809_0a0b, 0x0c0d_0e0f, 0x0001_0203, 0x0405_0607);
        Self(_mm512_shuffle_epi8(self.0, order))
    };
    /// The low 64 bits of the product.
    fn times(self, b: Self) -> Self = Self(_mm512_mullo_epi64(self.0, b.0));
    /// self plus the low 52 bits of the product of the low 52 bits of `a` and `b`.
    fn add_low(self, a: Self, b: Self) -> Self = Self(_mm512_madd52lo_epu64(self.0, a.0, b.0));
    /// self plus the high 52 bits of that product.
    fn add_high(self, a: Self, b: Self) -> Self = Self(_mm512_madd52hi_epu64(self.0, a.0, b.0));
    /// The lanes where self and `b` are equal.
    fn equal(self, b: Self) -> Mask = _mm512_cmpeq_epi64_mask(self.0, b.0);
    /// The lanes where self < `b`, unsigned.
    fn below(self, b: Self) -> Mask = _mm512_cmplt_epu64_mask(self.0, b.0);
    /// The lanes where self and `b` have a bit in common.
    fn meets(self, b: Self) -> Mask = _mm512_test_epi64_mask(self.0, b.0);
    /// The lanes that are zero.
    fn is_zero(self) -> Mask = _mm512_testn_epi64_mask(self.0, self.0);
    /// `b` in the lanes of `mask`, self in the others.
    fn blend(self, b: Self, mask: Mask) -> Self = Self(_mm512_mask_blend_epi64(mask, self.0, b.0));
    /// Even lanes of self and `b`, alternating.
    fn interleave_even(self, b: Self) -> Self = Self(_mm512_unpacklo_epi64(self.0, b.0));
    /// Odd lanes of self and `b`, alternating.
    fn interleave_odd(self, b: Self) -> Self = Self(_mm512_unpackhi_epi64(self.0, b.0));
    /// Lane i is the lane of self (0 to 7) or `b` (8 to 15) that lane i of `index` names.
    fn choose(self, index: Self, b: Self) -> Self = Self(_mm512_permutex2var_epi64(self.0, index.0, b.0));
    /// The lanes as they lie in memory.
    fn store(self) -> [u64; 8] = {
        let mut lanes = [0; 8];
        _mm512_storeu_si512(lanes.as_mut_ptr().cast(), self.0);
        lanes
    };
}

impl Vector {
    /// The proof that went into this vector.
    #[inline(always)]
    pub(super) fn cpu(self) -> Cpu {
        Cpu(())
    }

    /// `value` in every lane.
    #[inline(always)]
    pub(super) fn splat(_: Cpu, value: u64) -> Self {
        // SAFETY: `Cpu` proves the instruction.
        Self(unsafe { _mm512_set1_epi64(value.cast_signed()) })
    }

    /// Lane j is `lanes[j]`.
    #[inline(always)]
    pub(super) fn load(_: Cpu, lanes: &[u64; 8]) -> Self {
        // SAFETY: `Cpu` proves the instruction; 64 bytes are readable, and no alignment is needed.
        Self(unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) })
    }

    /// Lane j is the little-endian word j of `bytes`.
    #[inline(always)]
    pub(super) fn load_bytes(_: Cpu, bytes: &[u8; 64]) -> Self {
        // SAFETY: `Cpu` proves the instruction; 64 bytes are readable, and no alignment is needed.
        Self(unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) })
    }

    /// `low` in lanes 0 to 3, `high` in lanes 4 to 7.
    #[inline(always)]
    pub(super) fn load_halves(_: Cpu, low: &[u64; 4], high: &[u64; 4]) -> Self {
        // SAFETY: `Cpu` proves the instructions; 32 bytes are readable at each, and no alignment is needed.
        unsafe {
            let low = _mm256_loadu_si256(low.as_ptr().cast());
            let high = _mm256_loadu_si256(high.as_ptr().cast());
            Self(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
        }
    }

    /// Lane-wise shift right.
    #[inline(always)]
    pub(super) fn shift_right<const COUNT: u32>(self) -> Self {
        // SAFETY: `self` proves the instruction.
        Self(unsafe { _mm512_srli_epi64::<COUNT>(self.0) })
    }

    /// Lane-wise rotation right.
    #[inline(always)]
    pub(super) fn rotate_right<const COUNT: i32>(self) -> Self {
        // SAFETY: `self` proves the instruction.
        Self(unsafe { _mm512_ror_epi64::<COUNT>(self.0) })
    }

    /// The low 64 bits of `high·2^64 + self` shifted right.
    #[inline(always)]
    pub(super) fn shift_right_into<const COUNT: i32>(self, high: Self) -> Self {
        // SAFETY: `self` proves the instruction.
        Self(unsafe { _mm512_shrdi_epi64::<COUNT>(self.0, high.0) })
    }
}

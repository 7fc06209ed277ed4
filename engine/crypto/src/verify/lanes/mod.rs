//! Rule 4 for eight signatures at a time, one in each 64-bit lane of the AVX-512 registers: exact, cofactorless, one
//! verdict each.
//!
//! ```text
//! R ‖ S, M, A → [`judge`]  S < L, k = SHA-512(R ‖ A ‖ M) mod L ([`sha512`], `scalar`)
//!             → `comb`     digits of k and S
//!             → [`multiply`] [S]B + [k](−A) from tables of rows ([`row`], built by [`build`])
//!             → [`judge`]  all Z inverted together, y and the sign of x compared with the bytes of R
//! below: [`point`] on [`field`] on [`vector`]; [`power`] and [`decompress`] for roots
//! ```
//!
//! Not constant time, and not to be used with secrets.

mod build;
mod decompress;
mod field;
mod judge;
mod multiply;
mod point;
mod power;
mod row;
mod sha512;
mod vector;

#[cfg(test)]
mod tests;

pub(super) use judge::Lanes8;
pub(super) use vector::Cpu;

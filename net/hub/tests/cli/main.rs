//! The program from outside: what each verb prints, how it ends, and what it leaves behind.

mod backup;
mod benchmark;
mod codes;
mod config;
mod dispute;
mod ending;
mod errors;
mod evidence;
mod format;
mod hash_lock;
mod help;
mod inspect;
mod ledger;
mod lock_outputs;
mod peers;
mod probes;
mod proof;
mod signatures;
mod support;
mod top_up;
mod tour;
mod verify;

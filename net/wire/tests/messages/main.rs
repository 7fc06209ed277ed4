//! Every message: its bytes are frozen, it reads back what it writes, and it refuses everything else.

mod document;
mod golden;
mod random;
mod receipts;
mod samples;
mod strict;

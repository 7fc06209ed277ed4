//! Static probes (USDT) along a payment's way, for whoever watches a running hub from outside: `scripts/probes`, bpftrace, perf.
//!
//! ```text
//! tidegate:frame__in      connection, kind, bytes of the body      a message was decrypted and framed
//! tidegate:batch__sealed  inputs, work that waits behind it        a batch was closed, its signatures not yet checked
//! tidegate:sync__begin    bytes of the record                      the log is about to write and sync
//! tidegate:sync__end      LSN                                      the batch is durable
//! tidegate:receipt__out   connection, bytes                        receipts of one connection were handed to the reactor
//! ```
//!
//! Each is one instruction that does nothing, and a note in the binary that says where it stands and where its arguments are
//! (`readelf --notes`). Two underscores are read as a dash.

use tidegate_reactor::ConnId;
use tidegate_table::Lsn;

/// A message came whole.
#[inline(always)]
pub(super) fn frame_in(conn: ConnId, kind: u16, body_bytes: usize) {
    probe::probe!(tidegate, frame__in, conn.slot(), kind, body_bytes);
}

/// A batch was closed.
#[inline(always)]
pub(super) fn batch_sealed(inputs: usize, waiting: usize) {
    probe::probe!(tidegate, batch__sealed, inputs, waiting);
}

/// A record is about to be written and synced.
#[inline(always)]
pub(super) fn sync_begin(record_bytes: usize) {
    probe::probe!(tidegate, sync__begin, record_bytes);
}

/// A record is durable.
#[inline(always)]
pub(super) fn sync_end(lsn: Lsn) {
    probe::probe!(tidegate, sync__end, lsn.get());
}

/// Receipts were handed to the reactor.
#[inline(always)]
pub(super) fn receipt_out(conn: ConnId, bytes: usize) {
    probe::probe!(tidegate, receipt__out, conn.slot(), bytes);
}

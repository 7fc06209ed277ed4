//! What a hub is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tidegate_batch::Policy;
use tidegate_client::HubAddress;
use tidegate_crypto::verify::Backend;
use tidegate_reactor::Admission;
use tidegate_types::{Age, Amount};

use super::links::LinkSettings;
use crate::forward::Route;
use crate::keys::HubKeys;

/// Everything that [`super::serve`] needs. The caller has read keys and configuration.
#[derive(Debug)]
pub struct ServeOptions {
    /// The data directory, formatted.
    pub data: PathBuf,
    /// Where clients connect; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where `/status`, `/metrics`, `/healthz` and `/readyz` are served; loopback. Port 0 takes any free one.
    pub admin: SocketAddr,
    /// The ledger that the hub follows; without one the hub makes the blocks itself.
    pub ledger: Option<HubAddress>,
    /// The hub's keys: its identity, which also signs batch headers and makes an embedded ledger's blocks, and its Noise key.
    pub keys: HubKeys,
    /// Sizes, limits and terms of business.
    pub settings: Settings,
}

/// Sizes, limits and terms of business.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The terms of payments.
    pub policy: Policy,
    /// The terms of new channels.
    pub channels: ChannelPolicy,
    /// Announced: milliseconds in which a credited client acks at least once.
    pub ack_interval_ms: u32,
    /// The most inputs of one batch.
    pub batch_inputs_max: usize,
    /// How long a batch waits for company at most, while the log is busy.
    pub batch_deadline: Duration,
    /// Batches that may be executed and not yet durable.
    pub batches_in_flight_max: usize,
    /// Groups of messages that may wait for the sequencer before reading pauses.
    pub queue_groups_max: usize,
    /// A checkpoint is written when the log behind the last one reaches this many bytes.
    pub checkpoint_log_bytes: u64,
    /// Connections at one time.
    pub connections_max: usize,
    /// Bounds on strangers.
    pub admission: Admission,
    /// Requests of one peer that may wait for a batch; from there on it is not read.
    pub requests_waiting_per_peer: u32,
    /// What channels may take of one processor, in percent, whose signatures did not hold; 0: no bound.
    pub bad_signature_cpu_percent: u32,
    /// Links with other hubs; `None` for no links at all.
    pub links: Option<LinkSettings>,
    /// Where payments go whose payees are with other hubs.
    pub routes: Vec<Route>,
    /// Which code verifies signatures.
    pub backend: Backend,
    /// Memory that the verifier may use for tables of keys.
    pub verifier_memory_bytes: usize,
    /// Threads that verify.
    pub verify_threads: usize,
}

/// What the hub asks of a channel that is proposed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelPolicy {
    /// Δ of new channels.
    pub dispute_window: Age,
    /// δ of new channels.
    pub evidence_grace: Age,
    /// The client's reserve.
    pub client_reserve: Amount,
    /// The hub's reserve.
    pub hub_reserve: Amount,
    /// The largest channel.
    pub max_capacity: Amount,
    /// The most that the hub puts into one channel.
    pub max_hub_share: Amount,
    /// The longest life of a channel, in blocks.
    pub max_life: Age,
    /// So many blocks after its final leaf the hub closes a channel on the ledger, if its client has not.
    pub close_patience: Age,
    /// Of the channels that the ledger could settle within half its least dispute window, so many percent may be open, of all
    /// hubs together, for the hub to open another (rule 28).
    pub ledger_use_percent: u8,
}

//! The hub's configuration: defaults, then a TOML file, then the environment, then flags; the last to speak wins.
//!
//! ```text
//! [fees]                       file
//! base_sat = 1
//! TIDEGATE_FEES_BASE_SAT=1     environment: TIDEGATE_, section, key
//! --set fees.base_sat=1        flag
//! ```
//!
//! [`KEYS`] says what each key means; `tidegate config show` prints it beside the value. What a key may hold is checked
//! when the configuration is loaded, the whole of it, so that a hub never starts with terms it cannot keep (protocol rule 9).
//!
//! Nothing here writes a file, and nothing here is asked for a default twice: [`Config::default`] is the only place.

mod check;
mod keys;
mod load;
mod peers;
mod routes;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_batch::Policy;
use tidegate_crypto::verify::BackendError;
use tidegate_ledger::LedgerParams;
use tidegate_types::{Age, Amount};

use crate::pipeline::{ChannelPolicy, Settings};

pub use check::Breach;
pub use keys::{KEYS, Key, environment_name};
pub use load::{ConfigError, Sources};
pub use routes::RouteEntry;

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the hub listens.
    pub listen: Listen,
    /// What a payment costs.
    pub fees: Fees,
    /// Which payments the hub takes.
    pub payments: Payments,
    /// What channels are opened with.
    pub channels: Channels,
    /// What a new ledger is made with.
    pub ledger: Ledger,
    /// How batches are formed.
    pub batch: Batch,
    /// How much may wait between stages.
    pub queues: Queues,
    /// How state is kept.
    pub storage: Storage,
    /// Bounds on peers.
    pub limits: Limits,
    /// Links with other hubs.
    pub peers: Peers,
    /// What the processor is used for.
    pub cpu: Cpu,
    /// Next hubs for payments whose payees are not this hub's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteEntry>,
}

/// Where the hub listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// For clients.
    pub clients: SocketAddr,
    /// For the operator.
    pub admin: SocketAddr,
}

/// What a payment costs.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fees {
    /// Of any payment, in satoshi.
    pub base_sat: u64,
    /// In millionths of the amount.
    pub ppm: u32,
}

/// Which payments the hub takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payments {
    /// The smallest.
    pub min_amount_sat: u64,
    /// Finality and the worst inclusion time together.
    pub margin_blocks: u32,
    /// A credited payee acks at least this often.
    pub ack_interval_ms: u32,
    /// The longest lock.
    pub max_lock_blocks: u32,
    /// Unacknowledged credits of one payee, at most.
    pub max_unfirm_credits: u32,
    /// Hash locks that may wait for one payee.
    pub max_in_locks: u8,
    /// Those of one payer among them.
    pub max_in_locks_per_payer: u8,
    /// Hash locks that may wait for other hubs, if there are routes.
    pub max_forwarded_locks: u16,
}

/// What channels are opened with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channels {
    /// The largest that a client may open.
    pub max_capacity_sat: u64,
    /// The most that the hub puts into one.
    pub max_hub_share_sat: u64,
    /// What the client's side keeps.
    pub client_reserve_sat: u64,
    /// What the hub's side keeps.
    pub hub_reserve_sat: u64,
    /// Δ.
    pub dispute_window_blocks: u32,
    /// δ.
    pub evidence_grace_blocks: u32,
    /// From opening to expiry.
    pub lifetime_blocks: u32,
    /// From the final leaf to the hub's own close on the ledger.
    pub close_patience_blocks: u32,
    /// Of the channels that the ledger could settle, so many percent may be open.
    pub ledger_use_percent: u8,
}

/// What a new ledger is made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// Its name for people.
    pub network: String,
    /// From block to block.
    pub block_interval_ms: u32,
    /// The least output.
    pub dust_sat: u64,
    /// The least fee for 1 000 units of cost.
    pub fee_per_1000_cost_sat: u64,
    /// Blocks above a final one.
    pub finality_depth_blocks: u32,
}

/// How batches are formed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Sealed when it holds so many inputs.
    pub inputs_max: u32,
    /// Microseconds that it waits for company at most, while the log is busy.
    pub deadline_us: u32,
}

/// How much may wait between stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queues {
    /// Groups of messages before the sequencer.
    pub groups: u32,
    /// Batches that are executed and not durable.
    pub batches: u32,
}

/// How state is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Log since the last checkpoint that starts the next.
    pub checkpoint_bytes: u64,
    /// The length of a log segment.
    pub segment_bytes: u64,
}

/// Bounds on peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at one time.
    pub connections: u32,
    /// Of these, in percent, those that only identities with channels take.
    pub reserved_percent: u32,
    /// Handshakes under way from one network.
    pub half_open_per_prefix: u32,
    /// Handshakes that one network may begin at once.
    pub handshakes_burst_per_prefix: u32,
    /// More that it may begin each second.
    pub handshakes_per_s_per_prefix: u32,
    /// What handshakes may take of one processor, in percent.
    pub handshake_cpu_percent: u32,
    /// What channels may take of one processor, in percent, whose signatures did not hold; 0: no bound.
    pub bad_signature_cpu_percent: u32,
    /// Loopback is not held to the bounds on networks.
    pub exempt_loopback: bool,
    /// Requests of one peer that wait for a batch.
    pub requests_waiting_per_peer: u32,
}

/// Links with other hubs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peers {
    /// Links that this hub begins; 0: no links, and none are taken.
    pub links: u32,
    /// Links that others begin.
    pub incoming_max: u32,
    /// Addresses of hubs that are dialled first.
    pub seeds: String,
    /// Hubs and networks that are never banned.
    pub allow: String,
    /// Hubs and networks with which there are no links.
    pub deny: String,
    /// Links with the allowed alone.
    pub only_allowed: bool,
    /// All hubs are on one private network.
    pub private_networks: bool,
}

/// What the processor is used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpu {
    /// `auto`, `avx512`, `avx2` or `portable`.
    pub backend: String,
    /// Threads that verify; 0 for one per core.
    pub threads: u32,
    /// Memory for tables of keys.
    pub verifier_memory_bytes: u64,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            clients: SocketAddr::from(([127, 0, 0, 1], 7411)),
            admin: SocketAddr::from(([127, 0, 0, 1], 7412)),
        }
    }
}

impl Default for Payments {
    fn default() -> Self {
        Self {
            min_amount_sat: 1,
            margin_blocks: 6,
            ack_interval_ms: 1_000,
            max_lock_blocks: 2_048,
            max_unfirm_credits: 8_192,
            max_in_locks: 64,
            max_in_locks_per_payer: 16,
            max_forwarded_locks: 1_024,
        }
    }
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            max_capacity_sat: 10_000_000_000,
            max_hub_share_sat: 1_000_000_000,
            client_reserve_sat: 1_000,
            hub_reserve_sat: 1_000,
            dispute_window_blocks: 4_032,
            evidence_grace_blocks: 144,
            lifetime_blocks: 63_072_000,
            close_patience_blocks: 1_008,
            ledger_use_percent: 100,
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            network: "solo".into(),
            block_interval_ms: 500,
            dust_sat: 330,
            fee_per_1000_cost_sat: 100,
            finality_depth_blocks: 0,
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            inputs_max: 4_096,
            deadline_us: 1_000,
        }
    }
}

impl Default for Queues {
    fn default() -> Self {
        Self { groups: 64, batches: 2 }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            checkpoint_bytes: 1 << 30,
            segment_bytes: 64 << 20,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let admission = tidegate_reactor::Admission::default();
        Self {
            connections: 12_000,
            reserved_percent: 10,
            half_open_per_prefix: admission.half_open_per_prefix_max,
            handshakes_burst_per_prefix: admission.prefix_burst,
            handshakes_per_s_per_prefix: admission.prefix_per_second,
            handshake_cpu_percent: admission.handshake_cpu_percent,
            bad_signature_cpu_percent: 10,
            exempt_loopback: admission.exempt_loopback,
            requests_waiting_per_peer: 4_096,
        }
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            links: 0,
            incoming_max: 64,
            seeds: String::new(),
            allow: String::new(),
            deny: String::new(),
            only_allowed: false,
            private_networks: false,
        }
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self {
            backend: "auto".into(),
            threads: 0,
            verifier_memory_bytes: 48 << 20,
        }
    }
}

impl Config {
    /// The terms of business of batches.
    ///
    /// # Panics
    /// Never on a configuration that was checked.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            margin: Age::new(self.payments.margin_blocks),
            ack_interval: self.ack_interval(),
            max_lock: Age::new(self.payments.max_lock_blocks),
            min_amount: sat(self.payments.min_amount_sat),
            fee_base: sat(self.fees.base_sat),
            fee_ppm: self.fees.ppm,
            max_unfirm_credits: self.payments.max_unfirm_credits,
            max_in_locks: self.payments.max_in_locks,
            max_in_locks_per_payer: self.payments.max_in_locks_per_payer,
            max_forwarded: if self.routes.is_empty() {
                0
            } else {
                self.payments.max_forwarded_locks
            },
        }
    }

    /// The ack interval in blocks, rounded up.
    #[must_use]
    pub const fn ack_interval(&self) -> Age {
        Age::new(self.payments.ack_interval_ms.div_ceil(self.ledger.block_interval_ms))
    }

    /// The constants of a new ledger.
    ///
    /// # Panics
    /// Never on a configuration that was checked.
    #[must_use]
    pub fn ledger_params(&self) -> LedgerParams {
        LedgerParams {
            dust: sat(self.ledger.dust_sat),
            fee_per_1000_cost: sat(self.ledger.fee_per_1000_cost_sat),
            block_interval_ms: self.ledger.block_interval_ms,
            finality_depth: Age::new(self.ledger.finality_depth_blocks),
            dispute_window_min: Age::new(self.channels.dispute_window_blocks),
            ..LedgerParams::default()
        }
    }

    /// The reserves of new channels: the client's, the hub's.
    ///
    /// # Panics
    /// Never on a configuration that was checked.
    #[must_use]
    pub fn reserves(&self) -> (Amount, Amount) {
        let channels = &self.channels;
        (sat(channels.client_reserve_sat), sat(channels.hub_reserve_sat))
    }

    /// What a hub is started with.
    ///
    /// # Errors
    /// [`BackendError`] if this processor lacks the back end that is asked for.
    ///
    /// # Panics
    /// Never on a configuration that was checked.
    pub fn settings(&self) -> Result<Settings, BackendError> {
        Ok(Settings {
            policy: self.policy(),
            channels: self.channel_policy(),
            ack_interval_ms: self.payments.ack_interval_ms,
            batch_inputs_max: size(self.batch.inputs_max),
            batch_deadline: Duration::from_micros(self.batch.deadline_us.into()),
            batches_in_flight_max: size(self.queues.batches),
            queue_groups_max: size(self.queues.groups),
            checkpoint_log_bytes: self.storage.checkpoint_bytes,
            connections_max: size(self.limits.connections),
            admission: self.admission(),
            requests_waiting_per_peer: self.limits.requests_waiting_per_peer,
            bad_signature_cpu_percent: self.limits.bad_signature_cpu_percent,
            links: (self.peers.links > 0).then(|| self.peers.settings()),
            routes: self
                .read_routes()
                .expect("routes are checked when the configuration is loaded"),
            backend: self.cpu.backend.parse()?,
            verifier_memory_bytes: usize::try_from(self.cpu.verifier_memory_bytes).unwrap_or(usize::MAX),
            verify_threads: match self.cpu.threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                threads => size(threads),
            },
        })
    }

    fn admission(&self) -> tidegate_reactor::Admission {
        let limits = &self.limits;
        tidegate_reactor::Admission {
            half_open_per_prefix_max: limits.half_open_per_prefix,
            prefix_burst: limits.handshakes_burst_per_prefix,
            prefix_per_second: limits.handshakes_per_s_per_prefix,
            handshake_cpu_percent: limits.handshake_cpu_percent,
            reserved: size(limits.connections) * size(limits.reserved_percent) / 100,
            exempt_loopback: limits.exempt_loopback,
            ..tidegate_reactor::Admission::default()
        }
    }

    fn channel_policy(&self) -> ChannelPolicy {
        let channels = &self.channels;
        let (client_reserve, hub_reserve) = self.reserves();
        ChannelPolicy {
            dispute_window: Age::new(channels.dispute_window_blocks),
            evidence_grace: Age::new(channels.evidence_grace_blocks),
            client_reserve,
            hub_reserve,
            max_capacity: sat(channels.max_capacity_sat),
            max_hub_share: sat(channels.max_hub_share_sat),
            max_life: Age::new(channels.lifetime_blocks),
            close_patience: Age::new(channels.close_patience_blocks),
            ledger_use_percent: channels.ledger_use_percent,
        }
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).expect("addresses are at least 32 bits wide")
}

fn sat(sat: u64) -> Amount {
    Amount::from_sat(sat).expect("amounts are checked when the configuration is loaded")
}

#[cfg(test)]
mod tests;

//! What each key of the configuration means, in the order in which it is shown.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// `section.key`.
    pub path: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
}

const fn key(path: &'static str, about: &'static str) -> Key {
    Key { path, about }
}

/// All keys, section by section.
pub const KEYS: [Key; 51] = [
    key("listen.clients", "Address for clients, IP:PORT."),
    key(
        "listen.admin",
        "Address of the operator's endpoint, IP:PORT; keep it on loopback.",
    ),
    key("fees.base_sat", "Fee of any payment, in satoshi."),
    key("fees.ppm", "What the fee grows by, in millionths of the amount."),
    key("payments.min_amount_sat", "The smallest payment, in satoshi."),
    key(
        "payments.margin_blocks",
        "Blocks by which everybody must act before a deadline: finality and the worst inclusion time together.",
    ),
    key(
        "payments.ack_interval_ms",
        "A credited payee acknowledges at least this often, in milliseconds.",
    ),
    key(
        "payments.max_lock_blocks",
        "The longest lock, in blocks: at least 3 margins and 2 ack intervals (rule 9).",
    ),
    key(
        "payments.max_unfirm_credits",
        "Unacknowledged credits that one payee may have; further payments to it fail.",
    ),
    key(
        "payments.max_in_locks",
        "Hash locks that may wait for one payee's preimages, at most 64; 0: the hub carries no hash locks.",
    ),
    key(
        "payments.max_in_locks_per_payer",
        "Those of one payer among them: nobody fills a payee's slots alone.",
    ),
    key(
        "payments.max_forwarded_locks",
        "Hash locks that may wait for other hubs, if there are routes: no more than the ledger can take preimages within the margin.",
    ),
    key(
        "channels.max_capacity_sat",
        "The largest channel that a client may open, in satoshi.",
    ),
    key(
        "channels.max_hub_share_sat",
        "The most that the hub puts into one channel, in satoshi.",
    ),
    key(
        "channels.client_reserve_sat",
        "The client's side of a new channel never falls below this, in satoshi.",
    ),
    key(
        "channels.hub_reserve_sat",
        "The hub's side of a new channel never falls below this, in satoshi.",
    ),
    key(
        "channels.dispute_window_blocks",
        "Blocks in which a close can be answered (Δ); also the least that a new ledger allows.",
    ),
    key(
        "channels.evidence_grace_blocks",
        "Blocks after Δ in which evidence on locks still counts (δ).",
    ),
    key(
        "channels.lifetime_blocks",
        "Blocks from the opening of a channel to its expiry.",
    ),
    key(
        "channels.close_patience_blocks",
        "Blocks that a client has to complete the close it asked for; then the hub closes the channel on the ledger.",
    ),
    key(
        "channels.ledger_use_percent",
        "The hub opens no channel once so many percent of those that the ledger could settle are open, whoever's (1 to 100).",
    ),
    key(
        "ledger.network",
        "Name of a new ledger: 1 to 32 of a-z, 0-9 and '-'. Fixed by `format`.",
    ),
    key(
        "ledger.block_interval_ms",
        "Milliseconds from block to block. Fixed by `format`.",
    ),
    key(
        "ledger.dust_sat",
        "The least amount of an output, in satoshi. Fixed by `format`.",
    ),
    key(
        "ledger.fee_per_1000_cost_sat",
        "The least fee of a transaction for 1 000 units of cost, in satoshi. Fixed by `format`.",
    ),
    key(
        "ledger.finality_depth_blocks",
        "Blocks that stand above a final one; 0: final at once. Fixed by `format`.",
    ),
    key("batch.inputs_max", "A batch is sealed when it holds so many inputs."),
    key(
        "batch.deadline_us",
        "Microseconds that a batch waits for company at most while the log is busy or payments come in crowds of 64 and more; a lone one never waits.",
    ),
    key(
        "queues.groups",
        "Groups of messages that may wait for the sequencer before reading from peers pauses.",
    ),
    key("queues.batches", "Batches that may be executed and not yet durable."),
    key(
        "storage.checkpoint_bytes",
        "Bytes of log since the last checkpoint that start the next one.",
    ),
    key(
        "storage.segment_bytes",
        "Length of a log segment in bytes: a multiple of 4096. Fixed by `format`.",
    ),
    key(
        "limits.connections",
        "Connections at one time; more are closed as they come.",
    ),
    key(
        "limits.reserved_percent",
        "Percent of the connections that only identities with channels take.",
    ),
    key(
        "limits.half_open_per_prefix",
        "Handshakes under way from one network (/24 of IPv4, /48 of IPv6).",
    ),
    key(
        "limits.handshakes_burst_per_prefix",
        "Handshakes that one network may begin at once.",
    ),
    key(
        "limits.handshakes_per_s_per_prefix",
        "Handshakes that one network may begin each second beyond the burst.",
    ),
    key(
        "limits.handshake_cpu_percent",
        "Percent of one processor that handshakes may take; peers that are known do not wait for them.",
    ),
    key(
        "limits.bad_signature_cpu_percent",
        "Percent of one processor that channels may take together whose signatures did not hold; 0: no bound.",
    ),
    key(
        "limits.exempt_loopback",
        "true: connections from this machine (benchmarks, proxies) are not held to the bounds on networks.",
    ),
    key(
        "limits.requests_waiting_per_peer",
        "Requests of one peer that may wait for a batch before it is not read any further.",
    ),
    key(
        "peers.links",
        "Links that this hub begins with others of its ledger, as it learns of them; 0: none, and none are taken.",
    ),
    key("peers.incoming_max", "Links that others may begin."),
    key(
        "peers.seeds",
        "Hubs that are dialled first: addresses tg1…@IP:PORT, separated by spaces.",
    ),
    key(
        "peers.allow",
        "Hubs that are never banned: identities (64 hexadecimal digits), IP or IP/BITS, separated by spaces.",
    ),
    key(
        "peers.deny",
        "Hubs with which there are no links, written as in `peers.allow`.",
    ),
    key(
        "peers.only_allowed",
        "true: there are links with those in `peers.allow` alone.",
    ),
    key(
        "peers.private_networks",
        "true: all hubs are on one private network; its addresses are taken and told.",
    ),
    key(
        "cpu.backend",
        "Code that checks signatures: auto, avx512, avx2 or portable (environment: TIDEGATE_CPU).",
    ),
    key("cpu.threads", "Threads that check signatures; 0: one per core."),
    key(
        "cpu.verifier_memory_bytes",
        "Memory for tables of keys that pay often, in bytes.",
    ),
];

/// The environment variable that sets a key: `TIDEGATE_CPU` for the back end, else by section and key.
#[must_use]
pub fn environment_name(path: &str) -> String {
    match path {
        "cpu.backend" => "TIDEGATE_CPU".into(),
        other => format!("TIDEGATE_{}", other.replace('.', "_").to_uppercase()),
    }
}

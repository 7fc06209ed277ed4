//! Bounds of a reactor.

use crate::gate::Admission;

/// What a reactor may use. The defaults are those of a hub; a client lowers the numbers of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Connections at one time, in and out. More are closed as they come.
    pub connections_max: usize,
    /// Incoming connections whose peer is not known yet. More wait in the kernel until one of these is known or gone.
    pub half_open_max: usize,
    /// Bounds on strangers.
    pub admission: Admission,
    /// Plaintext bytes that may wait to be sent to one peer; one more closes it. What is handed over in one piece is taken
    /// whole if nothing else waits.
    pub send_bytes_max: usize,
    /// Beyond that there may wait as much as the peer has taken of late, up to so many bytes: see the module `pace`.
    pub send_recent_max: usize,
    /// Plaintext bytes that may wait to be sent to all peers together; from there on a peer with more than its share of them
    /// (the pool divided by [`Config::connections_max`]) is closed when more is to be sent to it. So there are never more than
    /// twice as many.
    pub send_pool_bytes: usize,
    /// Bytes of the longest message body that is taken.
    pub body_bytes_max: u32,
    /// Bytes read from one peer before it is the next one's turn.
    pub turn_bytes: usize,
    /// Messages delivered from one peer before it is the next one's turn.
    pub turn_messages: usize,
    /// Connections accepted before peers have their turn.
    pub turn_accepts: usize,
    /// Commands that may wait in the queue behind [`crate::Sender`].
    pub commands_max: usize,
    /// Milliseconds without a byte in either direction after which a peer is closed; `None` keeps it forever.
    pub idle_millis: Option<u64>,
    /// Milliseconds that a closing connection has to take what is still to be sent to it.
    pub close_millis: u64,
    /// Milliseconds between calls of `on_tick`; `None` calls it never.
    pub tick_millis: Option<u64>,
    /// Kernel buffer for sending, per connection, in bytes.
    pub socket_send_bytes: usize,
    /// Kernel buffer for receiving, per connection, in bytes.
    pub socket_receive_bytes: usize,
    /// Connections that the kernel may hold before they are accepted.
    pub backlog: i32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 12_000,
            half_open_max: 512,
            admission: Admission::default(),
            // With what is being sealed and what was read and not delivered, 64 KiB each, and the ends of chunks: 512 KiB.
            send_bytes_max: 320 << 10,
            send_recent_max: 2 << 20,
            send_pool_bytes: 512 << 20,
            body_bytes_max: 256 * 1024,
            turn_bytes: 64 * 1024,
            turn_messages: 256,
            turn_accepts: 64,
            commands_max: 16 * 1024,
            idle_millis: Some(600_000),
            close_millis: 1_000,
            tick_millis: None,
            socket_send_bytes: 256 * 1024,
            socket_receive_bytes: 256 * 1024,
            backlog: 4096,
        }
    }
}

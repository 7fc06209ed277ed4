//! Hostile peers by the hundred, each from a network of its own.
//!
//! | kind | what it does |
//! |---|---|
//! | never reads | asks 4 MiB of pings, or of `Sync`, takes no answer, and comes again when it is closed |
//! | greedy | well made states with wrong signatures, 64 in a breath, two breaths under way at any time |
//! | silent | half of them greet and say nothing more; half of them do not even begin a handshake, and come again when closed |
//! | storm | whole handshakes, one behind the other; shows the cookie that it is asked for |
//!
//! The hub's machine is theirs too: so that the hub is not robbed by its attackers' arithmetic, which they would do elsewhere, they
//! run when nobody else wants the processor (`SCHED_IDLE`). What they got done is counted, so that nobody takes a sleeping attack
//! for a hub that stands it.

use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidegate_client::HubAddress;
use tidegate_crypto::keys::SecretKey;
use tidegate_session::{ClientConfig, SessionError};
use tidegate_types::{ClientCounter, HubCounter, LedgerId, SignatureBytes};
use tidegate_wire::messages::{Body as _, Ping, Sync};

use crate::peer::{Got, Peer, PeerError, config, socket_from};
use crate::target::Target;

/// Kinds of hostile peers; each has a quarter of them.
const KINDS: usize = 4;
/// The first peer's network, 127.32.0.
const NETWORK: u16 = 0x2000;
/// Messages of a greedy peer that come together.
const BREATH: usize = 64;
/// What a peer that does not read asks for before it takes the next step.
const FLOOD_BYTES: usize = 64 << 10;
/// How long anyone waits before it looks whether the attack is over.
const GLANCE: Duration = Duration::from_millis(200);
/// How long a hub may take nothing of what is sent before a peer gives that connection up.
const HANGS: Duration = Duration::from_secs(5);

/// What the peers got done.
#[derive(Debug, Default)]
pub struct Tally {
    /// Wrong signatures that were answered.
    pub answered: AtomicU64,
    /// Bytes of questions whose answers nobody read.
    pub unread_bytes: AtomicU64,
    /// Peers that did not read and were closed for it.
    pub cut: AtomicU64,
    /// Handshakes of storms that came through.
    pub handshakes: AtomicU64,
    /// Handshakes of storms that were sent away or closed.
    pub sent_away: AtomicU64,
    /// Silent strangers that were closed.
    pub strangers_closed: AtomicU64,
}

/// What one peer does from its network until the attack is over.
type Role = Box<dyn FnOnce(&Common, u16) + Send>;

/// What all hostile peers know.
#[derive(Debug)]
struct Common {
    address: HubAddress,
    ledger: LedgerId,
    over: AtomicBool,
    tally: Tally,
}

/// An attack under way. It must be [ended](Attack::end).
#[derive(Debug)]
pub struct Attack {
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
}

/// How many clients of a target an attack of so many peers is: those who must have a channel.
#[must_use]
pub const fn clients_of(peers: usize) -> usize {
    peers / KINDS * 2
}

impl Attack {
    /// Begins an attack by `peers` peers, a quarter of each kind. Those with channels are the target's clients from `first` on.
    ///
    /// # Panics
    /// If the target has too few clients, or the system has no threads.
    #[must_use]
    pub fn begin(target: &Target, first: usize, peers: usize) -> Self {
        let common = Arc::new(Common {
            address: target.hub.address.clone(),
            ledger: target.site.ledger,
            over: AtomicBool::new(false),
            tally: Tally::default(),
        });
        let each = peers / KINDS;
        let mut roles: Vec<Role> = Vec::new();
        for number in 0..each {
            roles.push(never_reads(target, first + number));
            roles.push(greedy_peer(target, first + each + number));
            roles.push(Box::new(storm));
            roles.push(if number.is_multiple_of(2) {
                Box::new(silent)
            } else {
                Box::new(strange)
            });
        }
        let nursery = Arc::clone(&common);
        // Threads are scheduled as the one that begins them.
        let begun = thread::spawn(move || {
            run_when_idle();
            (NETWORK..)
                .zip(roles)
                .map(|(network, role)| play(role, &nursery, network))
                .collect()
        });
        let threads = begun.join().expect("there are threads");
        Self { common, threads }
    }

    /// What was done so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.common.tally
    }

    /// Ends it.
    ///
    /// # Panics
    /// If a hostile peer panicked: it has seen what no hub may send.
    pub fn end(self) {
        self.common.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("the hub keeps to the protocol");
        }
    }
}

impl Common {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn config(&self, identity: SecretKey) -> ClientConfig {
        config(&self.address, self.ledger, identity)
    }

    /// A session, with a cookie if the hub asks for one; nothing if it does not take this peer now.
    fn connect(&self, network: u16, seed: &[u8; 32]) -> Option<Peer> {
        let begun = Peer::over(
            socket_from(&self.address, network),
            self.config(SecretKey::from_seed(*seed)),
        );
        let begun = match begun {
            Err(PeerError::Session(SessionError::Retry(retry))) => {
                thread::sleep(Duration::from_millis(retry.after_millis.into()));
                let stream = socket_from(&self.address, network);
                Peer::again(stream, self.config(SecretKey::from_seed(*seed)), &retry.cookie)
            }
            other => other,
        };
        begun.ok()
    }

    /// A session that has greeted, as often as it takes.
    fn insist(&self, network: u16, seed: &[u8; 32]) -> Option<Peer> {
        while !self.is_over() {
            let peer = self.connect(network, seed).and_then(|mut peer| {
                let greeted = matches!(peer.greet(), Got::Message(..));
                greeted.then_some(peer)
            });
            if peer.is_some() {
                return peer;
            }
            thread::sleep(GLANCE);
        }
        None
    }
}

fn play(role: Role, common: &Arc<Common>, network: u16) -> JoinHandle<()> {
    let common = Arc::clone(common);
    let named = thread::Builder::new().name("hostile".to_owned());
    named.spawn(move || role(&common, network)).expect("a thread")
}

fn never_reads(target: &Target, client: usize) -> Role {
    let seed = *target.site.seeds[client];
    let mut question = Vec::new();
    if client.is_multiple_of(2) {
        let ping = Ping {
            answer: false,
            token: [1; 8],
        };
        ping.append(1, &mut question).expect("short");
    } else {
        let sync = Sync {
            channel: target.site.channels[client],
            state: ClientCounter::ZERO,
            leaf: HubCounter::ZERO,
        };
        sync.append(1, &mut question).expect("short");
    }
    let flood = question.repeat(FLOOD_BYTES / question.len());
    Box::new(move |common, network| {
        while let Some(mut peer) = common.insist(network, &seed) {
            peer.read_little();
            while !common.is_over() && peer.push(&flood, HANGS) {
                count(&common.tally.unread_bytes, flood.len() as u64);
            }
            count(&common.tally.cut, 1);
        }
    })
}

fn greedy_peer(target: &Target, client: usize) -> Role {
    let seed = *target.site.seeds[client];
    let mut bad = target.first_state(client);
    let mut bytes = *bad.signature.as_bytes();
    bytes[3] ^= 1;
    bad.signature = SignatureBytes::from_bytes(bytes);
    let mut message = Vec::new();
    bad.message().append(1, &mut message).expect("short");
    let breath = message.repeat(BREATH);
    Box::new(move |common, network| {
        while let Some(mut peer) = common.insist(network, &seed) {
            let _taken = peer.push(&breath, HANGS);
            while !common.is_over() && peer.push(&breath, HANGS) && take_answers(common, &mut peer) {}
        }
    })
}

/// Reads as many answers as a breath has; false if the hub has closed.
fn take_answers(common: &Common, peer: &mut Peer) -> bool {
    let mut left = BREATH;
    while left > 0 && !common.is_over() {
        match peer.next(GLANCE) {
            Got::Message(..) => left -= 1,
            Got::Silence => {}
            Got::Closed => return false,
        }
    }
    count(&common.tally.answered, (BREATH - left) as u64);
    true
}

fn stranger_seed(network: u16) -> [u8; 32] {
    let mut seed = [0x77; 32];
    seed[..2].copy_from_slice(&network.to_le_bytes());
    seed
}

fn storm(common: &Common, network: u16) {
    let seed = stranger_seed(network);
    while !common.is_over() {
        let through = common.connect(network, &seed).is_some();
        let tally = &common.tally;
        count(if through { &tally.handshakes } else { &tally.sent_away }, 1);
    }
}

fn silent(common: &Common, network: u16) {
    let peer = common.insist(network, &stranger_seed(network));
    while !common.is_over() {
        thread::sleep(GLANCE);
    }
    drop(peer);
}

fn strange(common: &Common, network: u16) {
    while !common.is_over() {
        let mut stream = socket_from(&common.address, network);
        while !common.is_over() && is_open(&mut stream) {}
        count(&common.tally.strangers_closed, 1);
    }
}

fn is_open(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(GLANCE)).expect("a socket option");
    let error = match stream.read(&mut [0]) {
        Ok(0) => return false,
        Ok(_) => return true,
        Err(error) => error.kind(),
    };
    matches!(error, std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Has the calling thread run when nobody else wants the processor, where `chrt` is; elsewhere the attack is only harder.
fn run_when_idle() {
    let link = std::fs::read_link("/proc/thread-self").expect("Linux shows each thread itself");
    let thread = link.file_name().expect("PID/task/TID");
    let mut command = Command::new("chrt");
    command.args(["--idle", "--pid", "0"]).arg(thread);
    let _harder = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

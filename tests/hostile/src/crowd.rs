//! The process of a crowd: every line of the plan on its standard input is played by a thread, until that input ends. What they
//! got done is told on the standard output.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidegate_client::HubAddress;
use tidegate_crypto::keys::SecretKey;
use tidegate_session::{ClientConfig, SessionError};
use tidegate_types::LedgerId;

use crate::attack::{Part, Tally};
use crate::peer::{Got, Peer, PeerError, config, socket_from};
use crate::turns;

/// Messages of a greedy peer that come together.
const BREATH: usize = 64;
/// What a peer that does not read asks for before it takes the next step.
const FLOOD_BYTES: usize = 64 << 10;
/// How long anyone waits before it looks whether the attack is over: a thousand looks a second.
const GLANCE: Duration = Duration::from_secs(1);
/// How long a peer that was not let in waits before it tries again, and from one tally to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// How many of the peers compute at one time.
const AT_ONCE: usize = 2;
/// How long a hub may take nothing of what is sent before a peer gives that connection up.
const HANGS: Duration = Duration::from_secs(5);

/// Plays the plan on the standard input against the hub at `address`; the peers come from networks from `first` on.
///
/// # Panics
/// If the plan is none, or a peer sees what no hub may send.
pub fn play(address: HubAddress, ledger: LedgerId, first: u16) {
    run_when_idle();
    turns::limit(AT_ONCE);
    let common = Arc::new(Common {
        address,
        ledger,
        over: AtomicBool::new(false),
        tally: Tally::default(),
    });
    let lines = std::io::stdin().lines().map(|line| line.expect("a plan"));
    let plan = lines.take_while(|line| !line.is_empty());
    let threads: Vec<JoinHandle<()>> = (first..)
        .zip(plan)
        .map(|(network, line)| begin(line.parse().expect("a part"), &common, network))
        .collect();
    let told = Arc::clone(&common);
    let teller = thread::spawn(move || tell(&told));
    // Nothing more comes; the input ends when the attack does.
    let _ended = std::io::stdin().read_to_end(&mut Vec::new());
    common.over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("the hub keeps to the protocol");
    }
    teller.join().expect("it only prints");
}

/// Tells what was done, until the attack is over. Whoever listened may have gone.
fn tell(common: &Common) {
    let mut out = std::io::stdout();
    while !common.is_over() {
        thread::sleep(PAUSE);
        let _gone = writeln!(out, "{}", common.tally.to_line()).and_then(|()| out.flush());
    }
}

/// What all peers of a crowd know.
#[derive(Debug)]
struct Common {
    address: HubAddress,
    ledger: LedgerId,
    over: AtomicBool,
    tally: Tally,
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
            thread::sleep(PAUSE);
        }
        None
    }
}

fn begin(part: Part, common: &Arc<Common>, network: u16) -> JoinHandle<()> {
    let common = Arc::clone(common);
    let named = thread::Builder::new().name("hostile".to_owned());
    let role = move || match part {
        Part::NeverReads(seed, question) => never_reads(&common, network, &seed, &question),
        Part::Greedy(seed, message) => greedy(&common, network, &seed, &message),
        Part::Storm => storm(&common, network),
        Part::Silent => silent(&common, network),
        Part::Strange => strange(&common, network),
    };
    named.spawn(role).expect("a thread")
}

fn never_reads(common: &Common, network: u16, seed: &[u8; 32], question: &[u8]) {
    let flood = question.repeat(FLOOD_BYTES / question.len());
    while let Some(mut peer) = common.insist(network, seed) {
        peer.read_little();
        while !common.is_over() && peer.push(&flood, HANGS) {
            count(&common.tally.unread_bytes, flood.len() as u64);
        }
        count(&common.tally.cut, 1);
    }
}

fn greedy(common: &Common, network: u16, seed: &[u8; 32], message: &[u8]) {
    let breath = message.repeat(BREATH);
    while let Some(mut peer) = common.insist(network, seed) {
        let _taken = peer.push(&breath, HANGS);
        while !common.is_over() && peer.push(&breath, HANGS) && take_answers(common, &mut peer) {}
    }
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

/// Has the calling thread, and those that it will begin, run when nobody else wants the processor, where `chrt` is; elsewhere the
/// attack is only harder.
fn run_when_idle() {
    let link = std::fs::read_link("/proc/thread-self").expect("Linux shows each thread itself");
    let thread = link.file_name().expect("PID/task/TID");
    let mut command = Command::new("chrt");
    command.args(["--idle", "--pid", "0"]).arg(thread);
    let _harder = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

//! The `tidegate` program as an operator runs it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tidegate_client::channels_file::{ChannelsFile, PlannedChannel, PlannedTerms};
use tidegate_client::key_file::Seed;
use tidegate_client::{ConnectOptions, HubAddress};
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{Condition, Genesis};
use tidegate_types::{Age, Amount, ChannelId, KeyBytes, LedgerId};

use crate::mount;

/// What each channel holds; half of it is the client's.
const CAPACITY_SAT: u64 = 200_000_000;
/// Small, so that checkpoints are written and log segments recycled while the hub is killed.
const LOG_BYTES: u64 = 1 << 20;
/// Where a hub that may fail says why.
const ERRORS: &str = "errors";

/// The program that `TIDEGATE_CRASH_HUB` names; without it that of this build's profile, built if it is not there or old. Once
/// per process.
///
/// # Panics
/// If it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("TIDEGATE_CRASH_HUB").map_or_else(build, PathBuf::from))
}

/// Test programs stand in `TARGET/PROFILE/deps`. The program is asked for as `cargo test --workspace` asks for it, beside a test of
/// its package: `cargo build` would unify other features, and compile half of the workspace anew.
fn build() -> PathBuf {
    let this = std::env::current_exe().expect("a test program has a path");
    let profile = this.ancestors().nth(2).expect("TARGET/PROFILE/deps/TEST").to_owned();
    let target = profile.parent().expect("TARGET/PROFILE");
    let mut command = Command::new(env!("CARGO"));
    command
        .args([
            "test",
            "--quiet",
            "--no-run",
            "--workspace",
            "--test",
            "readme",
            "--target-dir",
        ])
        .arg(target);
    let name = profile
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a profile's folder");
    if name != "debug" {
        command.args(["--profile", name]);
    }
    // What the cargo that runs this test says of its package would make build scripts run again.
    for (key, _) in std::env::vars_os().filter(|(key, _)| is_of_a_package(key)) {
        command.env_remove(key);
    }
    let status = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(
        status.success(),
        "cargo test --no-run, for the program tidegate: {status}"
    );
    profile.join("tidegate")
}

fn is_of_a_package(key: &OsStr) -> bool {
    let key = key.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|prefix| key.starts_with(prefix))
}

/// A formatted data directory, and the clients whose channels its genesis opens.
#[derive(Debug)]
pub struct Site {
    /// Of the clients.
    folder: TempDir,
    /// Of the hub, unless it is on another disk.
    _own: Option<TempDir>,
    data: PathBuf,
    /// Clients' keys, in order.
    pub seeds: Vec<Seed>,
    /// Clients' channels, in the same order.
    pub channels: Vec<ChannelId>,
    /// The ledger of the genesis.
    pub ledger: LedgerId,
}

impl Site {
    /// Formats a directory with one channel for each of `clients`, all keys from `seed`. `block_interval_ms` is the time
    /// from block to block.
    ///
    /// # Panics
    /// If the program fails.
    #[must_use]
    pub fn format(clients: usize, seed: u64, block_interval_ms: u32) -> Self {
        Self::format_in(clients, seed, block_interval_ms, None)
    }

    /// As [`Site::format`]; the hub's directory goes into `parent`, another disk than that of the clients.
    ///
    /// # Panics
    /// If the program fails.
    #[must_use]
    pub fn format_in(clients: usize, seed: u64, block_interval_ms: u32, parent: Option<&Path>) -> Self {
        Self::format_as(clients, seed, block_interval_ms, (parent, &[]))
    }

    /// As [`Site::format_in`], with values for the configuration by which the genesis is made.
    ///
    /// # Panics
    /// If the program fails.
    #[must_use]
    pub fn format_as(
        clients: usize,
        seed: u64,
        block_interval_ms: u32,
        (parent, settings): (Option<&Path>, &[&str]),
    ) -> Self {
        // Clients are not killed, so their files may be in memory: the less a client waits, the more is under way in the hub.
        let folder = mount::folder().expect("a temporary folder");
        let own = parent.is_none().then(|| TempDir::new().expect("a temporary folder"));
        let data = parent
            .or(own.as_ref().map(TempDir::path))
            .expect("one of both")
            .join("hub");
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let seeds: Vec<Seed> = (0..clients).map(|_| random_seed(&mut random)).collect();
        let plan = folder.path().join("plan.channels");
        plan_of(&seeds, block_interval_ms)
            .write(&plan)
            .expect("a writable folder");
        let mut site = Self {
            folder,
            _own: own,
            data,
            seeds,
            channels: Vec::new(),
            ledger: LedgerId::from_bytes([0; 32]),
        };
        let plan = plan.to_str().expect("a UTF-8 path");
        let sizes = [
            format!("storage.segment_bytes={LOG_BYTES}"),
            format!("storage.checkpoint_bytes={LOG_BYTES}"),
        ];
        let data = site.data_text();
        let settings = sizes.iter().map(String::as_str).chain(settings.iter().copied());
        let settings: Vec<&str> = settings.flat_map(|setting| ["--set", setting]).collect();
        let words = ["format", "--data", &data, "--channels", plan, "--json"];
        site.run(&[&words[..], &settings].concat());
        let bytes = std::fs::read(site.data().join("genesis")).expect("formatted");
        let genesis = Genesis::parse(&bytes).expect("a good genesis");
        site.ledger = genesis.ledger();
        site.channels = channels_of(&genesis);
        assert_eq!(site.channels.len(), clients, "every planned channel is there");
        site
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    fn data_text(&self) -> String {
        self.data.to_str().expect("a UTF-8 path").to_owned()
    }

    /// A path in the folder around the data directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        // What this test is told by its environment is not for the hub.
        let foreign = std::env::vars_os().map(|(name, _)| name);
        for name in foreign.filter(|name| name.to_string_lossy().starts_with("TIDEGATE_")) {
            command.env_remove(name);
        }
        command.args(words).current_dir(self.folder.path());
        command
    }

    /// Runs a verb that must succeed and print one JSON value.
    ///
    /// # Panics
    /// If it does not; with what it printed.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Value {
        let output = self
            .command(binary(), words)
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{words:?}: {}: {err}{out}", output.status);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{words:?}: {error}: {out}"))
    }

    /// Starts the hub on free ports and waits until it serves.
    ///
    /// # Panics
    /// If it does not start; what it says stands in standard error.
    #[must_use]
    pub fn start(&self) -> Hub {
        self.start_below(&[])
    }

    /// As [`Site::start`], below another program that runs its arguments, as `strace` does.
    ///
    /// # Panics
    /// If it does not start; what it says stands in standard error.
    #[must_use]
    pub fn start_below(&self, outer: &[&str]) -> Hub {
        self.start_with(outer, &[])
    }

    /// As [`Site::start_below`], with more words for the hub behind the others.
    ///
    /// # Panics
    /// If it does not start; what it says stands in standard error.
    #[must_use]
    pub fn start_with(&self, outer: &[&str], more: &[&str]) -> Hub {
        self.launch(outer, more, Stdio::inherit())
            .unwrap_or_else(|code| panic!("the hub did not start: exit code {code}"))
    }

    /// As [`Site::start_below`], for a hub that may fail: with its exit code if it ends before it serves. What it says on
    /// standard error stands in [`Site::errors`].
    ///
    /// # Errors
    /// The exit code.
    ///
    /// # Panics
    /// If the program cannot be run, or a signal ended it.
    pub fn try_start(&self, outer: &[&str]) -> Result<Hub, i32> {
        let errors = std::fs::File::create(self.path(ERRORS)).expect("a writable folder");
        self.launch(outer, &[], errors.into())
    }

    /// What the last hub that [`Site::try_start`] started has said on standard error.
    ///
    /// # Panics
    /// If there was none.
    #[must_use]
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.path(ERRORS)).expect("a hub was started so")
    }

    fn launch(&self, outer: &[&str], more: &[&str], errors: Stdio) -> Result<Hub, i32> {
        let data = self.data_text();
        let any = "127.0.0.1:0";
        let words = ["start", "--data", &data, "--dev", "--listen", any, "--admin", any];
        self.serve(outer, &[words.as_slice(), more].concat(), errors)
    }

    /// Starts a verb that serves until it is told to end (a hub that follows a ledger, a ledger, a tower), and waits until it does.
    ///
    /// # Panics
    /// If it does not start; what it says stands in standard error.
    #[must_use]
    pub fn start_verb(&self, words: &[&str]) -> Hub {
        self.serve(&[], words, Stdio::inherit())
            .unwrap_or_else(|code| panic!("{words:?} did not start: exit code {code}"))
    }

    fn serve(&self, outer: &[&str], words: &[&str], errors: Stdio) -> Result<Hub, i32> {
        let words = [words, &["--json", "--until-stdin-closes"]].concat();
        let mut command = match outer.split_first() {
            None => self.command(binary(), &words),
            Some((program, arguments)) => {
                let hub = binary().to_str().expect("a UTF-8 path");
                self.command(Path::new(program), &[arguments, &[hub], &words].concat())
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the program runs");
        let stdin = child.stdin.take().expect("piped");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable output");
        if line.is_empty() {
            let status = child.wait().expect("a child");
            return Err(status.code().expect("no signal ended the hub"));
        }
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Ok(Hub {
            address: text("address").parse().expect("whoever serves names its address"),
            admin: text("admin"),
            replayed: ready["replayed_batches"].as_u64().unwrap_or_default(),
            child,
            stdin: Some(stdin),
        })
    }

    /// How a client reaches a hub of this site.
    #[must_use]
    pub fn options(&self, hub: &Hub) -> ConnectOptions {
        ConnectOptions {
            address: hub.address.clone(),
            ledger: self.ledger,
            push_ack_proofs: false,
            share_paths: false,
            timeout: Duration::from_secs(10),
        }
    }
}

/// A running hub, ledger or tower. It ends with this value, and with the process that holds it.
#[derive(Debug)]
pub struct Hub {
    /// Where it serves clients.
    pub address: HubAddress,
    /// Where a hub serves its operator.
    pub admin: String,
    /// Batches that a hub replayed when it started.
    pub replayed: u64,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Hub {
    /// Kills it with SIGKILL, from one moment to the next.
    ///
    /// # Panics
    /// If it has ended by itself before.
    pub fn kill(&mut self) {
        let ended = self.child.try_wait().expect("a child");
        assert!(ended.is_none(), "the hub has ended by itself: {ended:?}");
        self.child.kill().expect("the child lives");
        let status = self.child.wait().expect("a child");
        assert!(
            status.code().is_none(),
            "the hub ended by the signal, not by itself: {status}"
        );
    }

    /// Waits until it has ended by itself; its exit code.
    ///
    /// # Panics
    /// If it has not after `patience`, or a signal ended it.
    pub fn wait_end(&mut self, patience: Duration) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code().expect("no signal ended the hub");
            }
            assert!(began.elapsed() < patience, "the hub goes on after {patience:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end, as its operator does, and waits for that.
    ///
    /// # Panics
    /// If it has not after `patience`.
    pub fn stop(&mut self, patience: Duration) -> i32 {
        self.stdin = None;
        self.wait_end(patience)
    }

    /// Its process, or that of the program it runs below.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills a hub that runs below another program with SIGKILL; the other program ends with it.
    ///
    /// # Panics
    /// If there is no process below the other program.
    pub fn kill_below(&mut self) {
        let pid = self.pid();
        let below = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the process is there");
        let hub = below.split_whitespace().next().and_then(|hub| hub.parse().ok());
        let hub = hub.and_then(Pid::from_raw).expect("it runs a hub");
        kill_process(hub, Signal::KILL).expect("a process of ours");
        self.child.wait().expect("a child");
    }

    /// True while it runs.
    ///
    /// # Panics
    /// If the system does not tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // A hub below another program outlives that one, but not this.
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn random_seed(random: &mut ChaCha8Rng) -> Seed {
    let mut seed = Seed::new([0; 32]);
    random.fill_bytes(seed.as_mut_slice());
    seed
}

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("the amounts here are small")
}

fn plan_of(seeds: &[Seed], block_interval_ms: u32) -> ChannelsFile {
    let channel = |seed: &Seed| {
        let client = SecretKey::from_seed(**seed).public().bytes();
        PlannedChannel {
            client,
            payout: client,
            delegate: KeyBytes::ZERO,
            capacity: sat(CAPACITY_SAT),
            opening_share: sat(CAPACITY_SAT / 2),
        }
    };
    let terms = PlannedTerms {
        block_interval_ms,
        // A lock lives longer than a test runs.
        margin: Age::new(100),
        ack_interval_ms: 1_000,
        max_lock: Age::new(2_000),
        dispute_window: Age::new(144),
        reserve: sat(1_000),
        fee: sat(1),
    };
    ChannelsFile {
        terms,
        channels: seeds.iter().map(channel).collect(),
    }
}

fn channels_of(genesis: &Genesis<'_>) -> Vec<ChannelId> {
    let outputs = genesis.outputs().map(|output| output.expect("the hub has checked it"));
    let channels = outputs.filter_map(|(outpoint, output)| match output.condition {
        Condition::Channel(terms) => Some(terms.channel_id(&outpoint)),
        _ => None,
    });
    channels.collect()
}

//! `tidegate ledger`: the solo settlement ledger as a process of its own.
//!
//! ```text
//! DIR/genesis       the ledger's first state, which names it
//! DIR/ledger/       the node: blocks and all that follows from them
//! DIR/ledger.key    the validator's key and that of its sessions; written last: with it the directory is whole
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tidegate_disk::{Disk, RealDisk};
use tidegate_ledger::Genesis;
use tidegate_settle::endpoint::{Endpoint, EndpointOptions};
use tidegate_settle::{CreateError, Node, NodeOptions};

use super::Outcome;
use super::ending::{end_on_signal, end_with_stdin};
use super::format::{random_number, write_new};
use super::output::{JsonFlag, read_file};
use super::password::PasswordFlag;
use super::start::{host, log_to_stderr};
use crate::error::Error;
use crate::files::{GENESIS_FILE, ledger_dir};
use crate::keys::{HubKeys, LEDGER_KEYS_FILE};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate key new --out ledger.key --plain\n  tidegate format --data hub --validator \
                        ledger.key\n  tidegate ledger --data ledger --genesis hub/genesis --key ledger.key\n  tidegate \
                        start --data hub --ledger tg1…@127.0.0.1:7413\n\nThe first start makes the directory of --genesis \
                        and --key; later ones need neither. Ends on SIGTERM or Ctrl-C."
)]
pub(super) struct LedgerArgs {
    /// The ledger's directory; made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The genesis, of `tidegate format`; for the first start
    #[arg(long, value_name = "FILE", requires = "key")]
    genesis: Option<PathBuf>,
    /// The validator's key file, or the `hub.key` of a hub that is its own ledger's validator; for the first start
    #[arg(long, value_name = "FILE", requires = "genesis")]
    key: Option<PathBuf>,
    /// Where hubs, towers and wallets connect; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7413")]
    listen: SocketAddr,
    /// Connections at one time
    #[arg(long, value_name = "NUMBER", default_value_t = 1024)]
    connections: usize,
    /// End also when standard input ends: with the program that started this one
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    #[command(flatten)]
    password: PasswordFlag,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &LedgerArgs) -> Outcome {
    log_to_stderr();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    if let (Some(genesis), Some(key)) = (&args.genesis, &args.key)
        && !args.data.join(LEDGER_KEYS_FILE).is_file()
    {
        make(&disk, args, genesis, key)?;
    }
    let keys = load_keys(&args.data)?;
    // Signals count from before the start: a ledger that is told to end while it opens does so when it can.
    let signals = Signals::new([SIGTERM, SIGINT]).map_err(|source| Error::Io {
        action: "watch",
        path: "signals".into(),
        source,
    })?;
    let options = NodeOptions {
        mine_on_submit: true,
        ..NodeOptions::default()
    };
    let node = Node::open(&disk, &ledger_dir(&args.data), Some(keys.identity()), options);
    let node = node.map_err(|source| Error::LedgerOpen {
        dir: args.data.clone(),
        source: Box::new(source),
    })?;
    let (ledger, tip) = (node.ledger(), node.tip());
    let endpoint = Endpoint::start(
        node,
        EndpointOptions {
            listen: args.listen,
            identity: keys.identity(),
            noise: keys.noise(),
            connections_max: args.connections,
        },
    )?;
    let address = keys.address(&host(endpoint.listen), endpoint.listen.port()).to_string();
    let value = json!({
        "address": address,
        "listen": endpoint.listen.to_string(),
        "ledger": ledger.to_string(),
        "height": tip.height.get(),
        "final_height": tip.final_height.get(),
        "pid": std::process::id(),
    });
    args.json.emit(&value, || {
        format!(
            "the ledger is ready\n  address  {address}\n  ledger   {ledger}\n  height   {}\nIt is solo: whoever runs it is \
             trusted with it. End with Ctrl-C.\n",
            tip.height
        )
    })?;
    let stop = endpoint.stop_handle();
    end_on_signal(signals, move || stop.stop(), None)?;
    if args.until_stdin_closes {
        let stop = endpoint.stop_handle();
        end_with_stdin(move || stop.stop())?;
    }
    endpoint.wait()?;
    Ok(0)
}

/// Makes the directory. Whatever an interrupted call left is used again.
fn make(disk: &Arc<dyn Disk>, args: &LedgerArgs, genesis: &Path, key: &Path) -> Result<(), Error> {
    let bytes = read_file(genesis)?;
    let wrap = |source| Error::Genesis {
        origin: genesis.display().to_string(),
        source,
    };
    let parsed = Genesis::parse(&bytes).map_err(wrap)?;
    let keys = match HubKeys::load_file(&**disk, key) {
        Ok(hub) => HubKeys::of_identity(hub.identity_seed())?,
        Err(_) => HubKeys::of_identity(args.password.seed(key)?)?,
    };
    if keys.public() != parsed.header().validator {
        return Err(Error::NotTheValidator {
            key: keys.public(),
            validator: parsed.header().validator,
        });
    }
    disk.create_dir_all(&args.data)?;
    let copy = args.data.join(GENESIS_FILE);
    if !disk.exists(&copy)? {
        write_new(&**disk, &copy, &bytes)?;
    }
    let created = Node::create(disk, &ledger_dir(&args.data), &bytes, random_number()?);
    match created {
        Ok(_) | Err(CreateError::Exists { .. }) => {}
        Err(source) => {
            return Err(Error::LedgerCreate {
                dir: args.data.clone(),
                source: Box::new(source),
            });
        }
    }
    Ok(keys.save_as(&**disk, &args.data, LEDGER_KEYS_FILE)?)
}

fn load_keys(dir: &Path) -> Result<HubKeys, Error> {
    let path = dir.join(LEDGER_KEYS_FILE);
    if path.is_file() {
        Ok(HubKeys::load_file(&RealDisk, &path)?)
    } else {
        Err(Error::NoLedger(dir.to_owned()))
    }
}

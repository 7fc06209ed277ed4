//! `tidegate tower`: a watchtower.
//!
//! ```text
//! DIR/tower.key      its identity and the key of its sessions; it holds no other key
//! DIR/packages/      one file for each channel, and how far the ledger was read
//! DIR/ledger-id      the ledger's name, as it was said at the first start
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tidegate_client::ConnectOptions;
use tidegate_disk::{Disk, RealDisk};
use tidegate_tower::Limits;
use tidegate_tower::server::{TowerOptions, TowerServer};
use tidegate_types::LedgerId;

use super::Outcome;
use super::amounts::parse_id;
use super::ending::{end_on_signal, end_with_stdin};
use super::output::{JsonFlag, read_file, write_file};
use super::start::{host, log_to_stderr, parse_address};
use crate::error::Error;
use crate::keys::{HubKeys, TOWER_KEYS_FILE};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate tower --data tower --ledger tg1…@127.0.0.1:7413 --ledger-id HEX\n  tidegate channel guard \
                        --hub tg1…@127.0.0.1:7411 --key alice.key --tower tg1…@127.0.0.1:7414\n\nA tower holds no keys of \
                        channels and no coins. Ends on SIGTERM or Ctrl-C."
)]
pub(super) struct TowerArgs {
    /// The tower's directory; made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The ledger that it watches: the address that `tidegate ledger` prints
    #[arg(long, value_name = "tg1…@HOST:PORT")]
    ledger: String,
    /// The ledger's name, 64 hex digits; for the first start
    #[arg(long, value_name = "HEX")]
    ledger_id: Option<String>,
    /// Where parties connect; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7414")]
    listen: SocketAddr,
    /// Channels that it watches for one owner
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().channels_per_owner)]
    channels_per_owner: usize,
    /// End also when standard input ends: with the program that started this one
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &TowerArgs) -> Outcome {
    log_to_stderr();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    disk.create_dir_all(&args.data)?;
    let ledger = ledger_id(args)?;
    let keys = keys(&*disk, &args.data)?;
    let signals = Signals::new([SIGTERM, SIGINT]).map_err(|source| Error::Io {
        action: "watch",
        path: "signals".into(),
        source,
    })?;
    let options = TowerOptions {
        data: args.data.join("packages"),
        listen: args.listen,
        identity: keys.identity(),
        noise: keys.noise(),
        ledger: ConnectOptions {
            address: parse_address(&args.ledger)?,
            ledger,
            push_ack_proofs: false,
            share_paths: false,
            timeout: Duration::from_secs(5),
        },
        limits: Limits {
            channels_per_owner: args.channels_per_owner,
            ..Limits::default()
        },
    };
    let server = TowerServer::start(disk, options)?;
    let address = keys.address(&host(server.listen), server.listen.port()).to_string();
    let value = json!({
        "address": address,
        "listen": server.listen.to_string(),
        "ledger": ledger.to_string(),
        "channels": server.watched,
        "pid": std::process::id(),
    });
    args.json.emit(&value, || {
        format!(
            "the tower is ready\n  address  {address}\n  ledger   {ledger}\n  watches  {} channels\nEnd with Ctrl-C.\n",
            server.watched
        )
    })?;
    let stop = server.stop_handle();
    end_on_signal(signals, move || stop.stop(), None)?;
    if args.until_stdin_closes {
        let stop = server.stop_handle();
        end_with_stdin(move || stop.stop())?;
    }
    server.wait()?;
    Ok(0)
}

/// The ledger's name: said now, or at an earlier start; never another.
fn ledger_id(args: &TowerArgs) -> Result<LedgerId, Error> {
    let note = args.data.join("ledger-id");
    let said = args
        .ledger_id
        .as_deref()
        .map(|text| parse_id::<LedgerId>(text, "ledger id"))
        .transpose()?;
    if note.is_file() {
        let text = String::from_utf8_lossy(&read_file(&note)?).trim().to_owned();
        let noted = parse_id(&text, "ledger id")?;
        return match said {
            Some(other) if other != noted => Err(Error::NotOffered("this tower's directory is for another ledger")),
            _ => Ok(noted),
        };
    }
    let said = said.ok_or(Error::NotOffered(
        "the first start needs the ledger's name: --ledger-id HEX",
    ))?;
    write_file(&note, format!("{said}\n").as_bytes())?;
    Ok(said)
}

fn keys(disk: &dyn Disk, dir: &Path) -> Result<HubKeys, Error> {
    let path = dir.join(TOWER_KEYS_FILE);
    if !path.is_file() {
        HubKeys::generate()?.save_as(disk, dir, TOWER_KEYS_FILE)?;
    }
    Ok(HubKeys::load_file(disk, &path)?)
}

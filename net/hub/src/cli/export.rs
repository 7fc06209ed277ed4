//! `tidegate export`: everything as JSON lines, for an auditor that shares no code with this program.
//!
//! Amounts are integers in satoshi, ids and keys hex, heights block numbers. Every batch that the log still holds and
//! every block is a line; `supply` is the last.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use tidegate_disk::{Disk, RealDisk};

use super::Outcome;
use super::data::{inspect, lock, look_at_ledger, require_hub};
use super::output::{JsonFlag, Progress};
use crate::error::Error;
use crate::rows;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate export --data hub > hub.jsonl\n  tidegate export --data hub --json hub.jsonl\n\nEach \
                        line is one object: {\"type\":\"channel\"|\"output\"|\"block\"|\"batch\"|\"supply\", …}"
)]
pub(super) struct ExportArgs {
    /// The data directory, or a copy of one; not that of a running hub
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &ExportArgs) -> Outcome {
    let path = args
        .json
        .file()
        .map_or_else(|| PathBuf::from("standard output"), ToOwned::to_owned);
    let failed = |source| Error::Io {
        action: "write",
        path: path.clone(),
        source,
    };
    require_hub(&args.data)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let _lock = lock(&*disk, &args.data)?;
    let sink: Box<dyn Write> = match args.json.file() {
        Some(file) => Box::new(File::create(file).map_err(failed)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = Lines {
        sink: BufWriter::with_capacity(1 << 18, sink),
        progress: Progress::new("exporting"),
        count: 0,
    };
    match write(&disk, args, &mut out)? {
        // `head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.map_err(failed)?,
    }
    Ok(0)
}

/// The outer error is the directory's, the inner one the reader's.
fn write(disk: &Arc<dyn Disk>, args: &ExportArgs, out: &mut Lines) -> Result<io::Result<()>, Error> {
    let state = inspect(disk, &args.data)?;
    let node = look_at_ledger(disk, &args.data)?;
    let mut blocks = node.blocks()?;
    let sums = rows::Sums::of(&state);
    let lines = state
        .channels()
        .map(|view| rows::channel(&view))
        .chain(node.outputs().map(|(outpoint, utxo)| rows::output(&outpoint, &utxo)))
        .chain(state.headers.iter().map(rows::batch));
    for line in lines {
        if let Err(error) = out.put(&line) {
            return Ok(Err(error));
        }
    }
    while let Some(block) = blocks.next_block()? {
        if let Err(error) = out.put(&rows::block(&block)) {
            return Ok(Err(error));
        }
    }
    Ok(out
        .put(&rows::supply(&node, &state, &sums))
        .and_then(|()| out.sink.flush()))
}

struct Lines {
    sink: BufWriter<Box<dyn Write>>,
    progress: Progress,
    count: u64,
}

impl Lines {
    fn put(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.sink, value)?;
        self.sink.write_all(b"\n")?;
        self.count += 1;
        self.progress.at(self.count, "lines");
        Ok(())
    }
}

//! What a wallet does on the ledger without its hub: close by one side, show newer evidence, give a tower what it needs.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tidegate_channel::evidence::Pair;
use tidegate_client::{ClientChannel, Connection, ConnectionError, LedgerConnection, LedgerError, Signer};
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{CloseState, Transaction};
use tidegate_tower::{Package, Reveal};
use tidegate_types::{ChannelId, Digest, Fixed, Height, Txid};
use tidegate_wire::messages::{LedgerQuery, LedgerResult, TxStatus};
use tidegate_wire::{ErrorCode, ToClient};

use super::super::Outcome;
use super::super::amounts::parse_id;
use super::super::output::JsonFlag;
use super::super::start::parse_address;
use super::CloseArgs;
use super::session::{Offline, SessionFlags};
use crate::error::Error;

#[derive(Debug, Args)]
pub(in crate::cli) struct DisputeArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    preimages: PreimageFlags,
    #[command(flatten)]
    json: JsonFlag,
}

/// `--preimage HEX`, as often as there are some.
#[derive(Debug, Args)]
pub(in crate::cli) struct PreimageFlags {
    /// A preimage, 64 hex digits, as often as there are some; on the ledger everyone sees it
    #[arg(long = "preimage", value_name = "HEX")]
    preimages: Vec<String>,
}

impl PreimageFlags {
    pub(super) fn read(&self) -> Result<Vec<[u8; 32]>, Error> {
        let read = |text: &String| parse_id(text, "preimage").map(|id: Digest| *id.as_bytes());
        self.preimages.iter().map(read).collect()
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct GuardArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The watchtower, as `tidegate tower` prints it
    #[arg(long, value_name = "tg1…@HOST:PORT")]
    tower: String,
    /// The channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    preimages: PreimageFlags,
    #[command(flatten)]
    json: JsonFlag,
}

/// Between two questions to the ledger.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// `channel close --unilateral`: the newest evidence goes to the ledger, and the dispute window begins.
pub(super) fn close(args: &CloseArgs) -> Outcome {
    let mut wallet = Offline::open(&args.session)?;
    let channel = wallet.channel(args.channel.as_deref())?;
    let mut ledger = wallet.ledger(&args.session)?;
    let (height, _) = ledger.tip()?;
    let pair = wallet.newest_pair(&channel, height)?;
    // What this close shows. A tower, or the hub, may have corrected it before it is looked at.
    let (client, hub) = pair.counters();
    let transaction = wallet.own(&channel)?.start_close(wallet.channels.signer(), pair);
    let txid = submit(&mut ledger, &transaction, args.session.timeout())?;
    let close = close_of(&mut ledger, channel)?.ok_or(LedgerError::OtherAnswer)?;
    let proofs = reveal(&wallet, &mut ledger, &close, &[], args.session.timeout())?;
    let value = json!({
        "channel": channel.to_string(),
        "txid": txid.to_string(),
        "status": "CLOSING",
        "state_counter": client.get(),
        "leaf_counter": hub.get(),
        "deadline": close.deadline.get(),
        "settles_above": close.grace_end.get(),
        "revealed": proofs,
    });
    args.json.emit(&value, || {
        format!(
            "closing {channel}\n  transaction  {txid}\n  shown        state {}, leaf {}\n  newer evidence counts up to block {}; \
             the ledger pays both sides above block {}\n",
            client.get(),
            hub.get(),
            close.deadline,
            close.grace_end,
        ) + &revealed_lines(&value)
    })?;
    Ok(0)
}

/// `channel dispute`: what the ledger has been shown, and newer evidence if this wallet has some.
pub(super) fn dispute(args: &DisputeArgs) -> Outcome {
    let preimages = args.preimages.read()?;
    let mut wallet = Offline::open(&args.session)?;
    let channel = wallet.channel(args.channel.as_deref())?;
    let mut ledger = wallet.ledger(&args.session)?;
    let (height, _) = ledger.tip()?;
    let Some(before) = close_of(&mut ledger, channel)? else {
        let value = json!({"channel": channel.to_string(), "status": "NONE", "height": height.get()});
        args.json
            .emit(&value, || format!("no close of {channel} stands on the ledger\n"))?;
        return Ok(0);
    };
    let pair = wallet.newest_pair(&channel, height)?;
    let (client, hub) = pair.counters();
    let newer = client > before.client.counter || hub > before.hub.counter;
    let in_time = height < before.deadline;
    let shown = newer && in_time;
    let close = if shown {
        let transaction = wallet.own(&channel)?.show_evidence(wallet.channels.signer(), pair);
        submit(&mut ledger, &transaction, args.session.timeout())?;
        close_of(&mut ledger, channel)?.ok_or(LedgerError::OtherAnswer)?
    } else {
        before
    };
    let proofs = reveal(&wallet, &mut ledger, &close, &preimages, args.session.timeout())?;
    let value = json!({
        "channel": channel.to_string(),
        "status": "CLOSING",
        "brought": shown,
        "height": height.get(),
        "state_counter": close.client.counter.get(),
        "leaf_counter": close.hub.counter.get(),
        "corrected": close.corrected,
        "deadline": close.deadline.get(),
        "settles_above": close.grace_end.get(),
        "revealed": proofs,
    });
    args.json.emit(&value, || {
        lines(&channel, &close, height, shown) + &revealed_lines(&value)
    })?;
    Ok(0)
}

/// Puts on the ledger what the leaf that stands there needs beside it: the ack by which its credits count, and preimages of its
/// locks. Only if it is this wallet's leaf: a preimage that no lock of the close needs is kept.
fn reveal(
    wallet: &Offline,
    ledger: &mut LedgerConnection,
    close: &CloseState,
    preimages: &[[u8; 32]],
    timeout: Duration,
) -> Result<Vec<Value>, Error> {
    let (own, signer) = (wallet.own(&close.channel)?, wallet.channels.signer());
    let shown = own.pair(signer)?;
    if shown.counters().1 != close.hub.counter || shown.hub.is_none() {
        return Ok(Vec::new());
    }
    let ack = own
        .reveal_ack(signer)
        .map(|(transaction, last)| ("ack", transaction, last.min(close.grace_end)));
    let shown = preimages
        .iter()
        .filter_map(|preimage| own.reveal_preimage(signer, preimage));
    let shown = shown.map(|(transaction, last)| ("preimage", transaction, last));
    let mut rows = Vec::new();
    for (what, transaction, last) in ack.into_iter().chain(shown) {
        let (height, _) = ledger.tip()?;
        let why = if height >= last {
            Some(format!("it counted up to block {last}"))
        } else {
            match submit(ledger, &transaction, timeout) {
                Ok(_) => None,
                // It stands there already, most likely.
                Err(Error::Ledger(error)) if is_refusal(&error) => Some(error.to_string()),
                Err(error) => return Err(error),
            }
        };
        rows.push(json!({"what": what, "until": last.get(), "brought": why.is_none(), "why": why}));
    }
    Ok(rows)
}

/// Whether the ledger has answered, and does not take what was brought.
pub(super) fn is_refusal(error: &LedgerError) -> bool {
    matches!(
        error,
        LedgerError::Connection(ConnectionError::Remote {
            code: ErrorCode::TransactionRefused,
            ..
        })
    )
}

fn lines(channel: &ChannelId, close: &CloseState, height: Height, brought: bool) -> String {
    let what = match (brought, close.corrected) {
        (true, _) => "this wallet's newer evidence stands there now",
        (false, true) => "it was corrected by newer evidence",
        (false, false) => "nothing newer was shown",
    };
    format!(
        "a close of {channel} stands on the ledger\n  shown        state {}, leaf {}: {what}\n  now          block {height}; \
         evidence counts up to block {}; the ledger pays both sides above block {}\n",
        close.client.counter.get(),
        close.hub.counter.get(),
        close.deadline,
        close.grace_end,
    )
}

fn revealed_lines(value: &Value) -> String {
    let rows = value["revealed"].as_array().map_or(&[][..], Vec::as_slice);
    let line = |row: &Value| {
        let what = row["what"].as_str().unwrap_or_default();
        row["why"].as_str().map_or_else(
            || format!("  revealed     the {what} stands on the ledger now\n"),
            |why| format!("  not revealed the {what}: {why}\n"),
        )
    };
    rows.iter().map(line).collect()
}

/// `channel guard`: a tower gets the newest evidence.
pub(super) fn guard(args: &GuardArgs) -> Outcome {
    let preimages = args.preimages.read()?;
    let wallet = Offline::open(&args.session)?;
    let channel = wallet.channel(args.channel.as_deref())?;
    let own = wallet.own(&channel)?;
    let pair: Pair = wallet.pair(&channel)?;
    let signer = wallet.channels.signer();
    let mut package = Package::of_client(own, signer, pair);
    package.reveals.extend(reveals(own, signer, &preimages)?);
    let options = wallet.options(parse_address(&args.tower)?, &args.session);
    let mut tower = Connection::connect(&options, SecretKey::from_seed(*wallet.seed))
        .map_err(tidegate_client::ClientError::from)?;
    let parts = package.parts();
    let answer = tower
        .request(&package.message(&parts))
        .map_err(tidegate_client::ClientError::from)?;
    let kept = match answer.message().map_err(tidegate_client::ClientError::from)? {
        ToClient::TowerPackage(kept) => kept,
        other => return Err(tidegate_client::ClientError::from(ConnectionError::Unexpected(other.kind())).into()),
    };
    let value = json!({
        "channel": channel.to_string(),
        "state_counter": kept.state.get(),
        "leaf_counter": kept.leaf.get(),
        "reveals": package.reveals.len(),
    });
    args.json.emit(&value, || {
        format!(
            "the tower watches {channel}\n  it keeps     state {}, leaf {}, {} reveals\n",
            kept.state.get(),
            kept.leaf.get(),
            package.reveals.len(),
        )
    })?;
    Ok(0)
}

/// The preimages that the tower is to put on the ledger beside the pair.
fn reveals(own: &ClientChannel, signer: &Signer, preimages: &[[u8; 32]]) -> Result<Vec<Reveal>, Error> {
    let reveal = |preimage: &[u8; 32]| {
        let (slot, mandate) = own.preimage_mandate(signer, preimage).ok_or(Error::NoInLock(
            "no lock of that hash waits in the leaf that would be shown",
        ))?;
        Ok(Reveal::Preimage {
            slot,
            preimage: *preimage,
            mandate,
        })
    };
    preimages.iter().map(reveal).collect()
}

fn close_of(ledger: &mut LedgerConnection, channel: ChannelId) -> Result<Option<CloseState>, Error> {
    let found = ledger.query(LedgerQuery::Close(channel), |answer| match answer.result {
        LedgerResult::Close([]) => Ok(None),
        LedgerResult::Close(record) => CloseState::decode(record).map(Some).map_err(LedgerError::Block),
        _ => Err(LedgerError::OtherAnswer),
    });
    Ok(found?)
}

/// Brings a transaction and waits until it is final.
pub(super) fn submit(
    ledger: &mut LedgerConnection,
    transaction: &Transaction,
    timeout: Duration,
) -> Result<Txid, Error> {
    let txid = ledger.submit(&transaction.encode())?;
    let began = Instant::now();
    loop {
        let status = ledger.query(LedgerQuery::Transaction(txid), |answer| match answer.result {
            LedgerResult::Transaction(status) => Ok(status),
            _ => Err(LedgerError::OtherAnswer),
        })?;
        if matches!(status, TxStatus::Final(_)) {
            return Ok(txid);
        }
        if began.elapsed() >= timeout {
            let waited = began.elapsed();
            return Err(tidegate_client::ClientError::NotFinal { txid, waited }.into());
        }
        std::thread::sleep(ASK_AGAIN);
    }
}

//! What a wallet does on the ledger without its hub: close by one side, show newer evidence, give a tower what it needs.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tidegate_channel::evidence::{Pair, Side};
use tidegate_client::{Connection, ConnectionError, LedgerConnection, LedgerError};
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{CloseState, Transaction};
use tidegate_tower::Package;
use tidegate_types::{ChannelId, Fixed, Height, Txid};
use tidegate_wire::ToClient;
use tidegate_wire::messages::{LedgerQuery, LedgerResult, TxStatus};

use super::super::Outcome;
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
    json: JsonFlag,
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
    let transaction = wallet.own(&channel)?.start_close(wallet.channels.signer(), pair);
    let txid = submit(&mut ledger, &transaction, args.session.timeout())?;
    let close = close_of(&mut ledger, channel)?.ok_or(LedgerError::OtherAnswer)?;
    let value = json!({
        "channel": channel.to_string(),
        "txid": txid.to_string(),
        "status": "CLOSING",
        "state_counter": close.client.counter.get(),
        "leaf_counter": close.hub.counter.get(),
        "deadline": close.deadline.get(),
        "settles_above": close.grace_end.get(),
    });
    args.json.emit(&value, || {
        format!(
            "closing {channel}\n  transaction  {txid}\n  shown        state {}, leaf {}\n  newer evidence counts up to block {}; \
             the ledger pays both sides above block {}\n",
            close.client.counter.get(),
            close.hub.counter.get(),
            close.deadline,
            close.grace_end,
        )
    })?;
    Ok(0)
}

/// `channel dispute`: what the ledger has been shown, and newer evidence if this wallet has some.
pub(super) fn dispute(args: &DisputeArgs) -> Outcome {
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
    });
    args.json.emit(&value, || lines(&channel, &close, height, shown))?;
    Ok(0)
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

/// `channel guard`: a tower gets the newest evidence.
pub(super) fn guard(args: &GuardArgs) -> Outcome {
    let wallet = Offline::open(&args.session)?;
    let channel = wallet.channel(args.channel.as_deref())?;
    let own = wallet.own(&channel)?;
    let pair: Pair = wallet.pair(&channel)?;
    let package = Package {
        channel,
        funding: own.opened().funding,
        terms: own.opened().terms,
        side: Side::Client,
        mandate: own.mandate(wallet.channels.signer(), &pair),
        pair,
    };
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
    });
    args.json.emit(&value, || {
        format!(
            "the tower watches {channel}\n  it keeps     state {}, leaf {}\n",
            kept.state.get(),
            kept.leaf.get()
        )
    })?;
    Ok(0)
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
fn submit(ledger: &mut LedgerConnection, transaction: &Transaction, timeout: Duration) -> Result<Txid, Error> {
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

//! `tidegate channel export`: all that a wallet holds of its channels as evidence, as JSON lines. The hub is not asked.
//!
//! ```text
//! wallet    which ledger, which hub, whose
//! channel   how it began, and how it stands
//! state     what the wallet has signed and may still have to show: state, signature, operations
//! out_lock  a payment of its own that is open; its preimage, if it is known
//! leaf      the newest leaf with the proof that the hub signed it
//! in_lock   a payment that waits for its preimage
//! credit    one that is not firm
//! pair      what is shown in a dispute, with the mandate by which whoever shows it has the fee charged to this side
//! final     the last leaf of a channel that is being closed together, and the transaction once it is signed
//! ```
//!
//! Nothing is signed here that was not signed before: an ack of a leaf that the hub never got would be a payer's proof in
//! whoever's hands the file comes to. No line holds a key's secret.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use tidegate_channel::Condition;
use tidegate_channel::codec::Canonical as _;
use tidegate_channel::evidence::ProvenLeaf;
use tidegate_channel::wallet::{LockStatus, OpenInLock, OpenLock, Unfirm};
use tidegate_client::{ClientChannel, SignedState, Signer};
use tidegate_types::{ChannelId, Fixed};

use super::super::Outcome;
use super::super::amounts::parse_id;
use super::super::output::{JsonFlag, print};
use super::session::{Offline, SessionFlags};
use super::show::{in_lock, summary};
use crate::error::Error;
use crate::rows;

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// One channel alone
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &ExportArgs) -> Outcome {
    let wallet = Offline::open(&args.session)?;
    let only = args.channel.as_deref().map(|text| parse_id(text, "channel id"));
    let only: Option<ChannelId> = only.transpose()?;
    let wanted = |channel: &&ClientChannel| only.is_none_or(|id| channel.id() == id);
    let channels: Vec<_> = wallet.channels.iter().filter(wanted).collect();
    if let (Some(id), true) = (only, channels.is_empty()) {
        return Err(Error::NoChannel(id));
    }
    let signer = wallet.channels.signer();
    let mut rows = vec![json!({
        "type": "wallet",
        "ledger": signer.ledger.to_string(),
        "hub": wallet.channels.headers().hub().bytes().to_string(),
        "client": signer.key.public().bytes().to_string(),
        "channels": channels.len(),
    })];
    rows.extend(channels.iter().flat_map(|channel| of_channel(channel, signer)));
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    match args.json.file() {
        Some(file) => write_private(file, &text)?,
        None => print(&text)?,
    }
    Ok(0)
}

/// Balances, counterparties and preimages are nobody else's business: a file that others may read is closed to them first.
fn write_private(file: &Path, text: &str) -> Result<(), Error> {
    let private = || {
        let mut open = OpenOptions::new();
        let mut sink = open.write(true).create(true).truncate(true).mode(0o600).open(file)?;
        sink.set_permissions(Permissions::from_mode(0o600))?;
        sink.write_all(text.as_bytes())?;
        sink.sync_all()
    };
    private().map_err(|source| Error::Io {
        action: "write",
        path: file.to_owned(),
        source,
    })
}

/// Everything of one channel; each line names it.
fn of_channel(channel: &ClientChannel, signer: &Signer) -> Vec<Value> {
    let (wallet, opened) = (channel.wallet(), channel.opened());
    let mut about = summary(channel);
    about["type"] = json!("channel");
    about["terms"] = rows::terms(&opened.terms);
    about["terms_bytes"] = json!(hex::encode(opened.terms.to_vec()));
    about["margin_blocks"] = json!(opened.margin.get());
    about["acknowledged_leaf"] = json!(wallet.hub().acked().get());
    let accepted = channel.acknowledged().counter;
    let rows = [about]
        .into_iter()
        .chain(
            channel
                .states()
                .map(|signed| state(signed, signed.state.counter <= accepted)),
        )
        .chain(wallet.locks().map(|(open, status)| out_lock(open, status)))
        .chain(channel.newest_leaf().map(leaf))
        .chain(wallet.hub().in_locks().iter().map(in_lock_row))
        .chain(wallet.hub().unfirm().iter().map(credit))
        .chain([pair(channel, signer)])
        .chain(last(channel));
    let name = channel.id().to_string();
    let named = |mut row: Value| {
        row["channel"] = json!(name);
        row
    };
    rows.map(named).collect()
}

fn state(signed: &SignedState, accepted: bool) -> Value {
    let (state, message) = (&signed.state, signed.message());
    json!({
        "type": "state",
        "counter": state.counter.get(),
        "debit_sat": state.debit.to_sat(),
        "out_locks_sat": state.locks_sum.to_sat(),
        "acknowledges": {"counter": state.ack.counter.get(), "digest": state.ack.digest.to_string()},
        "digest": state.digest().to_string(),
        "accepted": accepted,
        "state": hex::encode(message.state),
        "signature": message.signature.to_string(),
        "operations": hex::encode(message.operations),
    })
}

fn out_lock(open: &OpenLock, status: LockStatus) -> Value {
    let (lock, word) = (&open.lock, word_of(status));
    let preimage = match status {
        LockStatus::Fulfilled(preimage) => Some(hex::encode(preimage)),
        _ => None,
    };
    let hash = match lock.condition {
        Condition::Ack => None,
        Condition::Hash(hash) => Some(hex::encode(hash)),
    };
    json!({
        "type": "out_lock",
        "lock": open.id.to_string(),
        "slot": open.slot.index(),
        "added_by": open.added.get(),
        "payment_id": lock.payment_id.to_string(),
        "amount_sat": lock.amount.to_sat(),
        "fee_sat": lock.fee.to_sat(),
        "payee": lock.payee.to_string(),
        "payee_channel": lock.payee_channel.to_string(),
        "expiry": lock.expiry.get(),
        "hash": hash,
        "status": word,
        "preimage": preimage,
    })
}

const fn word_of(status: LockStatus) -> &'static str {
    match status {
        LockStatus::Sent => "sent",
        LockStatus::Pending => "pending",
        LockStatus::Delivered => "delivered",
        LockStatus::Proved => "acknowledged",
        LockStatus::Fulfilled(_) => "fulfilled",
        LockStatus::Failed(_) => "failed",
    }
}

fn leaf(proven: &ProvenLeaf) -> Value {
    let leaf = &proven.private;
    json!({
        "type": "leaf",
        "counter": leaf.counter.get(),
        "digest": proven.digest().to_string(),
        "height": leaf.height.get(),
        "batch": proven.batch().map(tidegate_types::BatchNumber::get),
        "firm_credit_sat": leaf.firm_credit.to_sat(),
        "unfirm_credit_sat": leaf.unfirm_credit.to_sat(),
        "in_locks_sat": leaf.in_locks_sum.to_sat(),
        "ack_by": leaf.ack_by.get(),
        "acknowledges": {"counter": leaf.ack.counter.get(), "digest": leaf.ack.digest.to_string()},
        "leaf": hex::encode(proven.to_bytes()),
    })
}

fn in_lock_row(open: &OpenInLock) -> Value {
    let mut row = in_lock(open);
    row["type"] = json!("in_lock");
    row["slot"] = json!(open.slot.index());
    row["offered_in"] = json!(open.offered_in.get());
    row
}

fn credit(unfirm: &Unfirm) -> Value {
    json!({
        "type": "credit",
        "leaf": unfirm.leaf.get(),
        "amount_sat": unfirm.amount.to_sat(),
        "expiry": unfirm.expiry.get(),
    })
}

/// What a dispute is shown; without evidence the line says why there is none.
fn pair(channel: &ClientChannel, signer: &Signer) -> Value {
    match channel.pair(signer) {
        Ok(pair) => {
            let (client, hub) = pair.counters();
            let mandate = channel.mandate(signer, &pair);
            let has_evidence = pair.client.is_some() || pair.hub.is_some();
            json!({
                "type": "pair",
                "state_counter": client.get(),
                "leaf_counter": hub.get(),
                "pair": has_evidence.then(|| hex::encode(pair.to_bytes())),
                "mandate": mandate.to_string(),
            })
        }
        Err(error) => json!({"type": "pair", "pair": null, "why": error.to_string()}),
    }
}

fn last(channel: &ClientChannel) -> Option<Value> {
    let terms = channel.final_terms()?;
    Some(json!({
        "type": "final",
        "client_payout_sat": terms.client_payout.to_sat(),
        "hub_payout_sat": terms.hub_payout.to_sat(),
        "fee_sat": terms.fee.to_sat(),
        "transaction": channel.closing().map(hex::encode),
    }))
}

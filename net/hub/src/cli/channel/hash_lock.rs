//! Payments that wait for a preimage: paying by a hash, showing the preimage, giving a lock up.

use clap::Args;
use serde_json::json;
use tidegate_client::{ClientError, HashLock};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::{Age, ChannelId, Digest, LockId};

use super::super::Outcome;
use super::super::amounts::{parse_id, parse_positive};
use super::super::output::{JsonFlag, grouped};
use super::PayArgs;
use super::session::{Session, SessionFlags};
use crate::error::Error;

#[derive(Debug, Args)]
pub(in crate::cli) struct FulfilArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The preimage, 64 hex digits: its SHA-256 is the hash that the payer was given
    #[arg(long, value_name = "HEX")]
    preimage: String,
    /// The least that you show it for, in satoshi: once shown, the payer has it
    #[arg(long, value_name = "SATOSHI")]
    amount: String,
    /// Your channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReleaseArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The lock, as `channel show` lists it
    #[arg(long, value_name = "LOCK")]
    lock: String,
    /// Your channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

/// The hash lock that the flags or the request ask for, if they do.
pub(super) fn asked(args: &PayArgs, requested: Option<Digest>) -> Result<Option<HashLock>, Error> {
    let said = args
        .hash
        .as_deref()
        .map(|text| parse_id(text, "payment hash"))
        .transpose()?;
    if let (Some(said), Some(requested)) = (said, requested)
        && said != requested
    {
        return Err(Error::RequestUnpayable("it asks for another hash than --hash says"));
    }
    let hash: Option<Digest> = said.or(requested);
    if hash.is_none() && args.blocks.is_some() {
        return Err(Error::RequestUnpayable("--blocks is for payments by hash"));
    }
    Ok(hash.map(|hash| HashLock {
        hash: *hash.as_bytes(),
        blocks: args.blocks.map(Age::new),
    }))
}

pub(super) fn fulfil(args: &FulfilArgs) -> Outcome {
    let least = parse_positive(&args.amount)?;
    let preimage: Digest = parse_id(&args.preimage, "preimage")?;
    let preimage = *preimage.as_bytes();
    let hash = payment_hash(&preimage);
    let mut session = Session::connect(&args.session)?;
    let channel = session.channel(args.channel.as_deref())?;
    session.bring_up(&channel)?;
    let locks = waiting(&session, &channel)?;
    let worth: Vec<_> = locks
        .into_iter()
        .filter(|lock| lock.hash == hash && lock.amount >= least)
        .collect();
    if worth.is_empty() {
        return Err(Error::NoInLock(
            "no lock of that hash and of at least that amount waits on this channel",
        ));
    }
    let mut received = 0;
    for lock in &worth {
        session.client.fulfil(&channel, &lock.lock, &preimage)?;
        received += lock.amount.to_sat();
    }
    let value = json!({
        "channel": channel.to_string(),
        "hash": hex::encode(hash),
        "locks": worth.iter().map(|lock| lock.lock.to_string()).collect::<Vec<_>>(),
        "received_sat": received,
    });
    args.json.emit(&value, || {
        format!("received {} sat in {} locks\n", grouped(received.into()), worth.len())
    })?;
    Ok(0)
}

pub(super) fn release(args: &ReleaseArgs) -> Outcome {
    let lock: LockId = parse_id(&args.lock, "lock id")?;
    let mut session = Session::connect(&args.session)?;
    let channel = session.channel(args.channel.as_deref())?;
    session.bring_up(&channel)?;
    if !waiting(&session, &channel)?.iter().any(|open| open.lock == lock) {
        return Err(Error::NoInLock("that lock does not wait on this channel"));
    }
    session.client.release(&channel, &lock)?;
    let value = json!({"channel": channel.to_string(), "lock": lock.to_string(), "status": "released"});
    args.json
        .emit(&value, || format!("released {lock}: the payer has its amount back\n"))?;
    Ok(0)
}

/// What waits for this wallet's preimages.
fn waiting(session: &Session, channel: &ChannelId) -> Result<Vec<tidegate_channel::InLock>, Error> {
    let found = session.client.channels().get(channel).ok_or(ClientError::OtherAnswer)?;
    Ok(found.wallet().hub().in_locks().iter().map(|open| open.lock).collect())
}

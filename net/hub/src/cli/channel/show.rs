//! What a wallet has, and what comes to it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_channel::wallet::{InMark, OpenInLock};
use tidegate_client::ClientChannel;
use tidegate_types::ChannelId;

use super::super::Outcome;
use super::super::output::grouped;
use super::session::Session;
use super::{ListArgs, ReceiveArgs, ShowArgs};
use crate::error::Error;

pub(super) fn show(args: &ShowArgs) -> Outcome {
    let mut session = Session::connect(&args.session)?;
    let channel = session.channel(args.channel.as_deref())?;
    let value = current(&mut session, &channel)?;
    args.json.emit(&value, || lines(&value))?;
    Ok(0)
}

pub(super) fn list(args: &ListArgs) -> Outcome {
    let mut session = Session::connect(&args.session)?;
    let ids: Vec<ChannelId> = session.client.channels().iter().map(ClientChannel::id).collect();
    let channels = ids
        .iter()
        .map(|id| current(&mut session, id))
        .collect::<Result<Vec<_>, _>>()?;
    let funds = session.funds()?;
    let key = session.client.key().to_string();
    let value = json!({"key": key, "funds_sat": funds, "channels": channels});
    args.json.emit(&value, || {
        let mut text = format!(
            "key {key}\n  {} sat on the ledger, {} channels\n",
            grouped(funds.into()),
            channels.len()
        );
        channels.iter().for_each(|channel| text += &lines(channel));
        text
    })?;
    Ok(0)
}

pub(super) fn receive(args: &ReceiveArgs) -> Outcome {
    let mut session = Session::connect(&args.session)?;
    let ids: Vec<ChannelId> = session.client.channels().iter().map(ClientChannel::id).collect();
    for id in &ids {
        session.client.sync(id)?;
    }
    let deadline = Instant::now() + Duration::from_secs(args.seconds);
    let (mut payments, mut received) = (0_u64, 0_u64);
    while let Some(left) = deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        for news in session.client.poll(left.min(Duration::from_millis(500)))? {
            let credited = news.events.credited.to_sat();
            if credited > 0 {
                payments += 1;
                received += credited;
                eprintln!("received {} sat on {}", grouped(credited.into()), news.channel);
            }
        }
    }
    let value = json!({"credits": payments, "received_sat": received, "channels": ids.len()});
    args.json.emit(&value, || {
        format!("received {} sat in {payments} credits\n", grouped(received.into()))
    })?;
    Ok(0)
}

/// A channel as it is after everything that was missed.
fn current(session: &mut Session, id: &ChannelId) -> Result<Value, Error> {
    if session
        .client
        .channels()
        .get(id)
        .is_none_or(|channel| channel.closed().is_none())
    {
        session.bring_up(id)?;
    }
    let channel = session.client.channels().get(id).ok_or(Error::NoChannel(*id))?;
    Ok(summary(channel))
}

/// A channel as this wallet knows it.
pub(super) fn summary(channel: &ClientChannel) -> Value {
    let (wallet, opened) = (channel.wallet(), channel.opened());
    let sums = wallet.sums();
    let status = match (channel.closed(), channel.is_final()) {
        (Some(_), _) => "SETTLED",
        (None, true) => "CLOSING",
        (None, false) => "ACTIVE",
    };
    json!({
        "channel": channel.id().to_string(),
        "status": status,
        "capacity_sat": opened.terms.capacity.to_sat(),
        "spendable_sat": wallet.spendable().to_sat(),
        "firm_credit_sat": sums.firm_credit.to_sat(),
        "unfirm_credit_sat": sums.unfirm_credit.to_sat(),
        "debit_sat": sums.debit.to_sat(),
        "out_locks_sat": sums.out_locks.to_sat(),
        "in_locks_sat": sums.in_locks.to_sat(),
        "in_locks": wallet.hub().in_locks().iter().map(in_lock).collect::<Vec<_>>(),
        "open_locks": wallet.client().locks().len(),
        "state_counter": wallet.client().state().counter.get(),
        "leaf_counter": wallet.hub().leaf().counter.get(),
        "funding": opened.funding.to_string(),
        "expiry": opened.terms.expiry.get(),
        "closed_by": channel.closed().map(|txid| txid.to_string()),
    })
}

/// A payment that waits for this wallet's preimage.
pub(super) fn in_lock(open: &OpenInLock) -> Value {
    json!({
        "lock": open.lock.lock.to_string(),
        "payment_id": open.lock.payment_id.to_string(),
        "amount_sat": open.lock.amount.to_sat(),
        "hash": hex::encode(open.lock.hash),
        "expiry": open.lock.expiry.get(),
        "released": open.mark == InMark::Released,
    })
}

fn lines(value: &Value) -> String {
    let sat = |key: &str| grouped(value[key].as_u64().unwrap_or_default().into());
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    format!(
        "channel {}\n  {:<9}    capacity {} sat, expiry at block {}\n  spendable    {} sat\n  received     {} sat firm, {} sat \
         waiting\n  paid         {} sat settled, {} sat in {} open locks\n  counters     state {}, leaf {}\n",
        text("channel"),
        text("status"),
        sat("capacity_sat"),
        value["expiry"],
        sat("spendable_sat"),
        sat("firm_credit_sat"),
        sat("unfirm_credit_sat"),
        sat("debit_sat"),
        sat("out_locks_sat"),
        value["open_locks"],
        value["state_counter"],
        value["leaf_counter"],
    ) + &in_lock_lines(value)
}

fn in_lock_lines(value: &Value) -> String {
    let locks = value["in_locks"].as_array().map_or(&[][..], Vec::as_slice);
    let line = |lock: &Value| {
        format!(
            "  waits        {} sat for the preimage of {}, until block {}\n               lock {}\n",
            grouped(lock["amount_sat"].as_u64().unwrap_or_default().into()),
            lock["hash"].as_str().unwrap_or_default(),
            lock["expiry"],
            lock["lock"].as_str().unwrap_or_default(),
        )
    };
    locks.iter().map(line).collect()
}

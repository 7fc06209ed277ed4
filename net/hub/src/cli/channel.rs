//! `tidegate channel …`: a wallet's verbs, over the real protocol.
//!
//! ```text
//! key file ─▶ seed ─┐
//! --hub tg1…@… ─────┼─▶ session ─▶ Client over WALLET/KEY/*.journal: each step durable before it is sent
//! ledger's name ────┘
//! ```
//!
//! Each verb first brings the channel up to date, which also acknowledges what was received and settles what was proved.

mod claim;
mod dispute;
mod export;
mod hash_lock;
mod request;
mod session;
mod show;
mod top_up;

use clap::{Args, Subcommand};
use serde_json::json;
use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{ChannelTerms, FailReason};
use tidegate_client::{ClientError, OpenPlan, PaidLock, Payment};
use tidegate_types::{Age, Amount, ChannelId, Fixed, KeyBytes};
use tidegate_wire::messages::{LedgerQuery, LedgerResult};

use super::Outcome;
use super::amounts::{parse_amount, parse_positive};
use super::output::{JsonFlag, grouped};
use crate::error::Error;
use claim::ClaimArgs;
use dispute::{DisputeArgs, GuardArgs};
use export::ExportArgs;
use hash_lock::{FulfilArgs, ReleaseArgs};
use request::{RequestArgs, Wanted};
use session::{Session, SessionFlags};
use top_up::TopUpArgs;

#[derive(Debug, Subcommand)]
pub(super) enum ChannelVerb {
    /// Open a channel, its own side paid by outputs of the key on the ledger
    #[command(
        after_help = "Example:\n  tidegate channel open --hub tg1…@127.0.0.1:7411 --key alice.key --capacity 200000 \
                            --own 100000"
    )]
    Open(OpenArgs),
    /// Pay to another channel: of the same hub, or by a hash of any hub that yours has a way to
    #[command(
        after_help = "Example:\n  tidegate channel pay --hub tg1…@127.0.0.1:7411 --key alice.key --to CHANNEL --amount \
                            2500\n  tidegate channel pay --hub tg1…@127.0.0.1:7411 --key alice.key --to CHANNEL --amount 2500 \
                            --hash HEX --wait 60"
    )]
    Pay(PayArgs),
    /// Make a payment request: a text to give to whoever is to pay
    #[command(
        after_help = "Example:\n  tidegate channel request --hub tg1…@127.0.0.1:7411 --key bob.key --amount 2500 --expires \
                            3600"
    )]
    Request(RequestArgs),
    /// Show the preimage of a payment that waits for it, and receive the amount
    #[command(
        after_help = "Example:\n  tidegate channel fulfil --hub tg1…@127.0.0.1:7411 --key bob.key --preimage HEX --amount \
                            2500"
    )]
    Fulfil(FulfilArgs),
    /// Give up a payment that waits for your preimage: the payer has it back at once
    #[command(after_help = "Example:\n  tidegate channel release --hub tg1…@127.0.0.1:7411 --key bob.key --lock LOCK")]
    Release(ReleaseArgs),
    /// Wait for payments and acknowledge them
    #[command(after_help = "Example:\n  tidegate channel receive --hub tg1…@127.0.0.1:7411 --key bob.key --seconds 60")]
    Receive(ReceiveArgs),
    /// Add coins of the key to a channel: it goes on under another name, with what is in it and the coins
    #[command(
        after_help = "Example:\n  tidegate channel top-up --hub tg1…@127.0.0.1:7411 --key alice.key --channel CHANNEL --amount \
                            50000\n\nNothing may be under way in the channel. If it is interrupted, run it again."
    )]
    TopUp(TopUpArgs),
    /// Close a channel together with the hub; both sides are paid out on the ledger
    #[command(
        after_help = "Example:\n  tidegate channel close --hub tg1…@127.0.0.1:7411 --key alice.key --channel CHANNEL\n  tidegate channel \
                            close --hub tg1…@127.0.0.1:7411 --key alice.key --unilateral --ledger tg1…@127.0.0.1:7413"
    )]
    Close(CloseArgs),
    /// Look at a close on the ledger, and show newer evidence if this wallet has some; the hub is not needed
    #[command(
        after_help = "Example:\n  tidegate channel dispute --hub tg1…@127.0.0.1:7411 --key alice.key --ledger \
                            tg1…@127.0.0.1:7413\n  tidegate channel dispute --hub tg1…@127.0.0.1:7411 --key bob.key --ledger \
                            tg1…@127.0.0.1:7413 --preimage HEX"
    )]
    Dispute(DisputeArgs),
    /// Take the payments of closed channels that were still open: yours by their preimage, or yours again
    #[command(
        after_help = "Example:\n  tidegate channel claim --hub tg1…@127.0.0.1:7411 --key bob.key --ledger tg1…@127.0.0.1:7413 \
                            --preimage HEX\n\nWithout --ledger the hub is asked, which answers for the ledger from what it has \
                            followed."
    )]
    Claim(ClaimArgs),
    /// Give a watchtower the newest evidence: it answers a stale close while you are away
    #[command(
        after_help = "Example:\n  tidegate channel guard --hub tg1…@127.0.0.1:7411 --key alice.key --tower \
                            tg1…@127.0.0.1:7414"
    )]
    Guard(GuardArgs),
    /// Show one channel
    #[command(
        after_help = "Example:\n  tidegate channel show --hub tg1…@127.0.0.1:7411 --key alice.key --channel CHANNEL"
    )]
    Show(ShowArgs),
    /// List the channels of this wallet, and what the key has on the ledger
    #[command(after_help = "Example:\n  tidegate channel list --hub tg1…@127.0.0.1:7411 --key alice.key")]
    List(ListArgs),
    /// All the evidence that this wallet holds, as JSON lines; the hub is not needed
    #[command(
        after_help = "Example:\n  tidegate channel export --hub tg1…@127.0.0.1:7411 --key alice.key > evidence.jsonl\n  tidegate channel \
                            export --hub tg1…@127.0.0.1:7411 --key alice.key --channel CHANNEL --json evidence.jsonl\n\nEach line is \
                            one object: {\"type\":\"wallet\"|\"channel\"|\"state\"|\"out_lock\"|\"leaf\"|\"in_lock\"|\"credit\"|\"pair\"|\"final\", …}"
    )]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(super) struct OpenArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The channel's whole value in satoshi; what is not yours is the hub's side, the room to receive
    #[arg(long, value_name = "SATOSHI")]
    capacity: String,
    /// Your side of it in satoshi
    #[arg(long, value_name = "SATOSHI")]
    own: String,
    /// The ledger fee in satoshi, paid by you
    #[arg(long, value_name = "SATOSHI", default_value = "2000")]
    fee: String,
    /// Blocks until anyone may close the channel
    #[arg(long, value_name = "BLOCKS", default_value_t = 10_000_000)]
    lifetime: u32,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(super) struct PayArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The payee's channel, 64 hex digits
    #[arg(
        long,
        value_name = "CHANNEL",
        required_unless_present = "request",
        conflicts_with = "request"
    )]
    to: Option<String>,
    /// What the payee receives, in satoshi; may be left out if the request says it
    #[arg(long, value_name = "SATOSHI", required_unless_present = "request")]
    amount: Option<String>,
    /// Pay what this payment request asks for
    #[arg(long, value_name = "tgr1…")]
    request: Option<String>,
    /// Your channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    from: Option<String>,
    /// Pay whoever shows the preimage of this SHA-256, 64 hex digits, instead of the payee's acknowledgement
    #[arg(long, value_name = "HEX")]
    hash: Option<String>,
    /// Blocks until a payment by hash that nobody claimed is yours again
    #[arg(long, value_name = "BLOCKS")]
    blocks: Option<u32>,
    /// What all hubs on the way may keep together, in satoshi; what your own hub asks for unless said
    #[arg(long, value_name = "SATOSHI")]
    fee: Option<String>,
    /// Wait so many seconds for the payee's own acknowledgement, or for the preimage
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(super) struct ReceiveArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// How long to wait
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(super) struct CloseArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// The ledger fee in satoshi, paid by you
    #[arg(long, value_name = "SATOSHI", default_value = "1000")]
    fee: String,
    /// Without the hub: the newest evidence goes to the ledger (--ledger), which pays both sides after the dispute window
    #[arg(long)]
    unilateral: bool,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    session: SessionFlags,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(verb: &ChannelVerb) -> Outcome {
    match verb {
        ChannelVerb::Open(args) => open(args),
        ChannelVerb::Pay(args) => pay(args),
        ChannelVerb::Request(args) => request::run(args),
        ChannelVerb::Fulfil(args) => hash_lock::fulfil(args),
        ChannelVerb::Release(args) => hash_lock::release(args),
        ChannelVerb::Receive(args) => show::receive(args),
        ChannelVerb::TopUp(args) => top_up::run(args),
        ChannelVerb::Close(args) if args.unilateral => dispute::close(args),
        ChannelVerb::Close(args) => close(args),
        ChannelVerb::Dispute(args) => dispute::dispute(args),
        ChannelVerb::Claim(args) => claim::run(args),
        ChannelVerb::Guard(args) => dispute::guard(args),
        ChannelVerb::Show(args) => show::show(args),
        ChannelVerb::List(args) => show::list(args),
        ChannelVerb::Export(args) => export::run(args),
    }
}

/// The least output that the ledger takes; change below it is given to the fee.
const DUST: u64 = 330;

fn open(args: &OpenArgs) -> Outcome {
    let plan = OpenPlan {
        capacity: parse_positive(&args.capacity)?,
        own: parse_positive(&args.own)?,
        fee: parse_positive(&args.fee)?,
        dust: Amount::from_sat(DUST).unwrap_or(Amount::ZERO),
        lifetime: Age::new(args.lifetime),
        payout: None,
        timeout: args.session.timeout(),
    };
    if plan.own > plan.capacity {
        return Err(Error::Amount {
            text: args.own.clone(),
            why: "your side is more than the capacity",
        });
    }
    let mut session = Session::connect(&args.session)?;
    let channel = session.client.open(&plan)?;
    let value = json!({
        "channel": channel.to_string(),
        "capacity_sat": plan.capacity.to_sat(),
        "own_sat": plan.own.to_sat(),
        "fee_sat": plan.fee.to_sat(),
        "height": session.client.height().get(),
    });
    args.json.emit(&value, || {
        let (own, all) = (
            grouped(plan.own.to_sat().into()),
            grouped(plan.capacity.to_sat().into()),
        );
        format!("{channel}\nopen: {own} of {all} sat are yours\n")
    })?;
    Ok(0)
}

fn pay(args: &PayArgs) -> Outcome {
    let wanted = Wanted::of(args)?;
    let hash = hash_lock::asked(args, wanted.hash())?;
    let fee = args.fee.as_deref().map(parse_amount).transpose()?;
    let mut session = Session::connect(&args.session)?;
    wanted.check(&session)?;
    let from = session.channel(args.from.as_deref())?;
    let amount = wanted.amount;
    let payment = Payment {
        payee: payee_of(&mut session, &wanted.to)?,
        payee_channel: wanted.to,
        amount,
        fee,
        payment_id: None,
        hash,
    };
    wanted.check_payee(&payment.payee)?;
    session.bring_up(&from)?;
    let paid = session.client.pay(&from, &[payment])?;
    let paid = *paid.first().ok_or(ClientError::OtherAnswer)?;
    if let Some(reason) = paid.failure() {
        // The lock is given back in the next state; until then it is not spendable.
        session.client.settle(&from)?;
        return Err(Error::PaymentFailed(reason));
    }
    let end = session.wait_settled(&from, &paid.lock, args.wait)?;
    report(args, &from, &wanted, &paid, end)?;
    Ok(0)
}

fn report(args: &PayArgs, from: &ChannelId, wanted: &Wanted, paid: &PaidLock, end: LockStatus) -> Result<(), Error> {
    let amount = wanted.amount;
    let fee = paid.total.to_sat().saturating_sub(amount.to_sat());
    let (status, text) = match end {
        LockStatus::Proved => ("acknowledged", "the payee has acknowledged it"),
        LockStatus::Fulfilled(_) => ("fulfilled", "the payee has shown the preimage, which is your proof"),
        LockStatus::Pending | LockStatus::Sent => (
            "pending",
            "the payee has been offered it, and has not shown the preimage yet",
        ),
        LockStatus::Failed(FailReason::Released) => ("failed", "the payee has given it up; the amount is yours again"),
        LockStatus::Failed(_) => ("failed", "a hub on the way has failed it; the amount is yours again"),
        LockStatus::Delivered => (
            "delivered",
            "the hub has credited the payee; it is final once the payee acknowledges it",
        ),
    };
    let reason = match end {
        LockStatus::Failed(reason) => Some(reason),
        _ => None,
    };
    let preimage = match end {
        LockStatus::Fulfilled(preimage) => Some(hex::encode(preimage)),
        _ => None,
    };
    let value = json!({
        "payment_id": paid.payment_id.to_string(),
        "lock": paid.lock.to_string(),
        "status": status,
        "channel": from.to_string(),
        "to": wanted.to.to_string(),
        "amount_sat": amount.to_sat(),
        "fee_sat": fee,
        "preimage": preimage,
        "reason": reason.map(FailReason::name),
    });
    args.json.emit(&value, || {
        format!(
            "{}\n{status}: {} sat, fee {fee} sat; {text}{}\n",
            paid.payment_id,
            grouped(amount.to_sat().into()),
            reason.map_or_else(String::new, |reason| format!(" ({reason})")),
        )
    })
}

/// Whose channel it is, as its output on the ledger says.
fn payee_of(session: &mut Session, channel: &ChannelId) -> Result<KeyBytes, Error> {
    let found = session
        .client
        .query(LedgerQuery::Channel(*channel), |answer| match answer.result {
            LedgerResult::Channel(found) => Ok(found.and_then(|output| ChannelTerms::decode(output.terms).ok())),
            _ => Err(ClientError::OtherAnswer),
        })?;
    Ok(found.ok_or(Error::NoChannel(*channel))?.client)
}

fn close(args: &CloseArgs) -> Outcome {
    let fee = parse_positive(&args.fee)?;
    let mut session = Session::connect(&args.session)?;
    let channel = session.channel(args.channel.as_deref())?;
    let txid = session.client.close(&channel, fee, args.session.timeout())?;
    let funds = session.funds()?;
    let value = json!({
        "channel": channel.to_string(),
        "txid": txid.to_string(),
        "fee_sat": fee.to_sat(),
        "funds_sat": funds,
        "height": session.client.height().get(),
    });
    args.json.emit(&value, || {
        format!(
            "closed {channel}\n  transaction  {txid}\n  your key has {} sat on the ledger\n",
            grouped(funds.into())
        )
    })?;
    Ok(0)
}

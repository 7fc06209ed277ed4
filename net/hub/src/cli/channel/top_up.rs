//! `tidegate channel top-up`: coins of the key go into a channel, which goes on as its successor.

use clap::Args;
use serde_json::json;
use tidegate_client::SplicePlan;
use tidegate_types::{Age, Amount};

use super::super::Outcome;
use super::super::amounts::parse_positive;
use super::super::output::{JsonFlag, grouped};
use super::DUST;
use super::session::{Session, SessionFlags};
use crate::error::Error;

#[derive(Debug, Args)]
pub(in crate::cli) struct TopUpArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// The channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// What is added to your side, in satoshi
    #[arg(long, value_name = "SATOSHI")]
    amount: String,
    /// The ledger fee in satoshi, paid by you
    #[arg(long, value_name = "SATOSHI", default_value = "2000")]
    fee: String,
    /// Blocks until anyone may close the successor [default: when they might close the channel]
    #[arg(long, value_name = "BLOCKS")]
    lifetime: Option<u32>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &TopUpArgs) -> Outcome {
    let plan = SplicePlan {
        added: parse_positive(&args.amount)?,
        taken: Amount::ZERO,
        fee: parse_positive(&args.fee)?,
        dust: Amount::from_sat(DUST).unwrap_or(Amount::ZERO),
        lifetime: args.lifetime.map(Age::new),
        timeout: args.session.timeout(),
    };
    let mut session = Session::connect(&args.session)?;
    let channel = session.channel(args.channel.as_deref())?;
    let own = session.client.channels().get(&channel);
    if own.is_some_and(|own| own.is_final() && own.closed().is_none()) {
        eprintln!("a top-up that was begun before is completed; the amounts are those of then");
    }
    let spliced = session.client.splice(&channel, &plan)?;
    let successor = spliced.successor;
    let terms = session.client.channels().get(&successor);
    let terms = terms.ok_or(Error::NoChannel(successor))?.opened().terms;
    let value = json!({
        "channel": successor.to_string(),
        "replaced": channel.to_string(),
        "txid": spliced.txid.to_string(),
        "capacity_sat": terms.capacity.to_sat(),
        "own_sat": terms.opening_share.to_sat(),
        "height": session.client.height().get(),
    });
    args.json.emit(&value, || {
        let (own, all) = (terms.opening_share.to_sat(), terms.capacity.to_sat());
        format!(
            "{successor}\ntopped up: {} of {} sat are yours\n  in place of  {channel}\n  transaction  {}\n",
            grouped(own.into()),
            grouped(all.into()),
            spliced.txid
        )
    })?;
    Ok(0)
}

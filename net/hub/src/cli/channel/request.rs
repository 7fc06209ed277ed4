//! `tidegate channel request`, and what `pay` is told by one.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use tidegate_client::{PaymentRequest, RequestCondition};
use tidegate_types::{Amount, ChannelId, Digest, KeyBytes, UnixMillis};

use super::super::Outcome;
use super::super::amounts::{parse_id, parse_positive};
use super::super::output::{JsonFlag, grouped};
use super::PayArgs;
use super::session::{Session, SessionFlags};
use crate::error::Error;

#[derive(Debug, Args)]
pub(in crate::cli) struct RequestArgs {
    #[command(flatten)]
    session: SessionFlags,
    /// What you are to receive, in satoshi; the payer chooses unless said
    #[arg(long, value_name = "SATOSHI")]
    amount: Option<String>,
    /// Your channel; may be left out if the wallet has one
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// To be paid for the preimage of this SHA-256, 64 hex digits: from any hub that has a way to yours
    #[arg(long, value_name = "HEX")]
    hash: Option<String>,
    /// Not to be paid after so many seconds from now
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u64>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &RequestArgs) -> Outcome {
    let amount = args.amount.as_deref().map(parse_positive).transpose()?;
    let hash: Option<Digest> = args
        .hash
        .as_deref()
        .map(|text| parse_id(text, "payment hash"))
        .transpose()?;
    let session = Session::connect(&args.session)?;
    let hello = session.client.hello();
    let request = PaymentRequest {
        ledger: hello.ledger,
        hub: hello.hub,
        payee: session.client.key(),
        channel: session.channel(args.channel.as_deref())?,
        amount,
        condition: hash.map_or(RequestCondition::Ack, RequestCondition::Hash),
        expires: args.expires.map(|seconds| later(now(), seconds)),
    };
    let value = json!({
        "request": request.to_string(),
        "channel": request.channel.to_string(),
        "payee": request.payee.to_string(),
        "amount_sat": amount.map(Amount::to_sat),
        "hash": hash.map(|hash| hash.to_string()),
        "expires_ms": request.expires.map(UnixMillis::get),
    });
    args.json.emit(&value, || {
        let what = amount.map_or_else(
            || "any amount".to_owned(),
            |amount| format!("{} sat", grouped(amount.to_sat().into())),
        );
        format!("{request}\nasks for {what}; whoever pays gives it to `tidegate channel pay --request`\n")
    })?;
    Ok(0)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn later(now: UnixMillis, seconds: u64) -> UnixMillis {
    now.checked_add(seconds.saturating_mul(1_000))
        .unwrap_or(UnixMillis::MAX)
}

/// What is to be paid, and to whom.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) to: ChannelId,
    pub(super) amount: Amount,
    request: Option<PaymentRequest>,
}

impl Wanted {
    /// By flags, or by a request; an amount beside a request that names one must be the same.
    pub(super) fn of(args: &PayArgs) -> Result<Self, Error> {
        let amount = args.amount.as_deref().map(parse_positive).transpose()?;
        let Some(text) = &args.request else {
            let to = args.to.as_deref().unwrap_or_default();
            return Ok(Self {
                to: parse_id(to, "channel id")?,
                amount: amount.unwrap_or(Amount::ZERO),
                request: None,
            });
        };
        let request: PaymentRequest = text.parse()?;
        let refuse = |why| Err(Error::RequestUnpayable(why));
        if request.is_expired(now()) {
            return refuse("it has expired");
        }
        let amount = match (request.amount, amount) {
            (Some(asked), Some(said)) if asked != said => {
                return refuse("it asks for another amount than --amount says");
            }
            (Some(asked), _) => asked,
            (None, Some(said)) => said,
            (None, None) => return refuse("it names no amount; say one with --amount"),
        };
        Ok(Self {
            to: request.channel,
            amount,
            request: Some(request),
        })
    }

    /// The hash that the request asks to be paid by, if it does.
    pub(super) fn hash(&self) -> Option<Digest> {
        match self.request.as_ref()?.condition {
            RequestCondition::Ack => None,
            RequestCondition::Hash(hash) => Some(hash),
        }
    }

    /// The request must be one of this ledger, and of this hub unless it is paid by hash.
    pub(super) fn check(&self, session: &Session) -> Result<(), Error> {
        let Some(request) = &self.request else { return Ok(()) };
        let hello = session.client.hello();
        if request.ledger != hello.ledger {
            return Err(Error::RequestUnpayable("it is of another ledger"));
        }
        if request.hub != hello.hub && request.condition == RequestCondition::Ack {
            return Err(Error::RequestUnpayable(
                "the payee's channel is with another hub, so it has to ask for a payment by hash",
            ));
        }
        Ok(())
    }

    /// The channel on the ledger must belong to the key that the request names.
    pub(super) fn check_payee(&self, payee: &KeyBytes) -> Result<(), Error> {
        match &self.request {
            Some(request) if request.payee != *payee => {
                Err(Error::RequestUnpayable("the channel it names belongs to another key"))
            }
            _ => Ok(()),
        }
    }
}

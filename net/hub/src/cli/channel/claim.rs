//! `tidegate channel claim`: the locks that a close has turned into outputs of the ledger. What is this key's by now is taken, the
//! rest is listed with what it waits for.

use clap::Args;
use serde_json::{Value, json};
use tidegate_channel::evidence::Side;
use tidegate_client::{LedgerConnection, LockOutput, Standing};
use tidegate_ledger::{LockCondition, LockProof};
use tidegate_types::{Amount, Height};

use super::super::Outcome;
use super::super::amounts::parse_positive;
use super::super::output::{JsonFlag, grouped};
use super::dispute::{PreimageFlags, is_refusal, submit};
use super::session::{Offline, SessionFlags};
use crate::error::Error;

#[derive(Debug, Args)]
pub(in crate::cli) struct ClaimArgs {
    #[command(flatten)]
    session: SessionFlags,
    #[command(flatten)]
    preimages: PreimageFlags,
    /// The ledger fee of each output that is taken, in satoshi
    #[arg(long, value_name = "SATOSHI", default_value = "500")]
    fee: String,
    #[command(flatten)]
    json: JsonFlag,
}

/// The claims that go with one fee.
struct Claims<'a> {
    args: &'a ClaimArgs,
    wallet: Offline,
    ledger: LedgerConnection,
    fee: Amount,
}

pub(super) fn run(args: &ClaimArgs) -> Outcome {
    let (fee, preimages) = (parse_positive(&args.fee)?, args.preimages.read()?);
    let wallet = Offline::open(&args.session)?;
    let mut ledger = wallet.any_ledger(&args.session)?;
    let key = wallet.channels.signer().key.public().bytes();
    let (height, locks) = ledger.locks_of(key)?;
    let mut claims = Claims {
        args,
        wallet,
        ledger,
        fee,
    };
    let mut rows = Vec::new();
    for lock in &locks {
        if let Some(standing) = lock.standing(&key, &preimages, height) {
            rows.push(claims.settle(lock, &standing)?);
        }
    }
    let taken = rows.iter().filter_map(|row| row["paid_sat"].as_u64()).sum::<u64>();
    let value = json!({"height": height.get(), "taken_sat": taken, "locks": rows});
    args.json.emit(&value, || lines(&value, height))?;
    Ok(0)
}

impl Claims<'_> {
    /// Takes the output if it is this key's; what was done, or what it waits for.
    fn settle(&mut self, lock: &LockOutput, standing: &Standing) -> Result<Value, Error> {
        let signer = self.wallet.channels.signer();
        let mut row = row(lock, &signer.key.public().bytes(), standing);
        if !matches!(standing, Standing::Claim(_) | Standing::Refund) {
            return Ok(row);
        }
        let Some(transaction) = lock.spend(&signer.ledger, &signer.key, standing, self.fee) else {
            row["status"] = json!("too small");
            return Ok(row);
        };
        match submit(&mut self.ledger, &transaction, self.args.session.timeout()) {
            Ok(txid) => {
                row["txid"] = json!(txid.to_string());
                row["paid_sat"] = json!(transaction.body.outputs[0].amount.to_sat());
            }
            // One output that the ledger does not give yet, or only for a higher fee, does not keep the others.
            Err(Error::Ledger(error)) if is_refusal(&error) => {
                row["status"] = json!("refused");
                row["why"] = json!(error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(row)
    }
}

fn row(lock: &LockOutput, key: &tidegate_types::KeyBytes, standing: &Standing) -> Value {
    let hash = match lock.terms.condition {
        LockCondition::Hash(hash) => Some(hex::encode(hash)),
        LockCondition::Ack { .. } => None,
    };
    let status = match standing {
        Standing::Claim(LockProof::Preimage(_)) => "claimed by the preimage",
        Standing::Claim(_) => "claimed by the record of its preimage",
        Standing::Refund => "taken back",
        Standing::NeedsPreimage(_) => "waits for the preimage",
        Standing::Expires(_) => "waits for its expiry",
        Standing::Met => "the payee's",
        Standing::Expired => "the payer's",
    };
    json!({
        "outpoint": lock.outpoint.to_string(),
        "amount_sat": lock.amount.to_sat(),
        "paying": lock.side(key) == Some(Side::Client),
        "hash": hash,
        "expiry": lock.terms.expiry.get(),
        "preimage": lock.revealed.map(|(preimage, _)| hex::encode(preimage)),
        "status": status,
    })
}

fn lines(value: &Value, height: Height) -> String {
    let rows = value["locks"].as_array().map_or(&[][..], Vec::as_slice);
    let sat = |value: &Value| grouped(value.as_u64().unwrap_or_default().into());
    let line = |row: &Value| {
        let mut text = format!(
            "lock {}\n  {} sat, until block {}: {}\n",
            row["outpoint"].as_str().unwrap_or_default(),
            sat(&row["amount_sat"]),
            row["expiry"],
            row["status"].as_str().unwrap_or_default(),
        );
        if let Some(why) = row["why"].as_str() {
            text += &format!("  {why}\n");
        }
        text
    };
    let listed: String = rows.iter().map(line).collect();
    format!("{listed}taken: {} sat at block {height}\n", sat(&value["taken_sat"]))
}

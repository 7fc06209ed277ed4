//! `tidegate inspect forwards`: payments that wait for other hubs.

use clap::Args;

use super::{Source, read};
use crate::cli::Outcome;
use crate::cli::http;
use crate::cli::output::{Columns, JsonFlag, grouped};
use crate::error::Error;
use crate::inside::ForwardRows;

#[derive(Debug, Args)]
pub(in crate::cli) struct ForwardsArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &ForwardsArgs) -> Outcome {
    let rows = match (&args.source.admin, &args.source.data) {
        (Some(admin), _) => http::rows(*admin, "/forwards")?,
        (None, Some(data)) => ForwardRows::of_engine(&read(data)?.engine),
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    args.json.emit(&rows, || lines(&rows))?;
    Ok(0)
}

fn lines(rows: &ForwardRows) -> String {
    let mut columns = Columns::new(&["", "lock", "payee's channel", "amount", "fee", "expiry"]);
    for row in &rows.waiting {
        columns.row(&[
            String::new(),
            row.lock.clone(),
            row.payee_channel.clone(),
            format!("{} sat", grouped(row.amount_sat.into())),
            format!("{} sat", grouped(row.fee_sat.into())),
            row.expiry.to_string(),
        ]);
    }
    format!(
        "at block {}: {} locks wait for other hubs\n{}",
        rows.height,
        rows.waiting.len(),
        columns.text()
    )
}

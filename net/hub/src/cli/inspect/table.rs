//! `tidegate inspect table`: how full the tables are, and how much the next checkpoint has to write.

use clap::Args;

use super::{Source, read};
use crate::cli::Outcome;
use crate::cli::http;
use crate::cli::output::{Columns, JsonFlag, grouped};
use crate::error::Error;
use crate::inside::{TableRow, TableRows};

#[derive(Debug, Args)]
pub(in crate::cli) struct TableArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &TableArgs) -> Outcome {
    let rows = match (&args.source.admin, &args.source.data) {
        (Some(admin), _) => http::rows(*admin, "/tables")?,
        (None, Some(data)) => TableRows::counted(&read(data)?.engine),
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    args.json.emit(&rows, || lines(&rows))?;
    Ok(0)
}

fn lines(rows: &TableRows) -> String {
    let number = |number: u64| grouped(number.into());
    let mut columns = Columns::new(&[
        "", "table", "record", "used", "free", "room", "full", "bytes", "pages", "changed",
    ]);
    for row in &rows.tables {
        columns.row(&[
            String::new(),
            row.name.clone(),
            format!("{} B", number(row.record_bytes)),
            number(row.used),
            row.free.map_or_else(|| "-".to_owned(), number),
            number(row.capacity),
            format!("{} %", row.occupancy_percent()),
            number(row.bytes()),
            number(row.pages),
            number(row.dirty_pages),
        ]);
    }
    let sum = |of: fn(&TableRow) -> u64| number(rows.tables.iter().map(of).sum());
    format!(
        "after batch {}: {} bytes in {} pages, {} of them changed since the newest checkpoint was begun\n{}",
        number(rows.batch),
        sum(TableRow::bytes),
        sum(|row| row.pages),
        sum(|row| row.dirty_pages),
        columns.text()
    )
}

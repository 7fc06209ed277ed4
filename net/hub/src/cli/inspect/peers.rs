//! `tidegate inspect peers`: links with other hubs, and what is kept of them.

use std::path::Path;

use clap::Args;
use tidegate_disk::RealDisk;

use super::Source;
use crate::cli::Outcome;
use crate::cli::data::{lock, require_hub};
use crate::cli::http;
use crate::cli::output::{Columns, JsonFlag, grouped};
use crate::error::Error;
use crate::pipeline::links::{self, PeerRows, TABLE_FILE};

#[derive(Debug, Args)]
pub(in crate::cli) struct PeersArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &PeersArgs) -> Outcome {
    let rows = match (&args.source.admin, &args.source.data) {
        (Some(admin), _) => http::rows(*admin, "/peers")?,
        (None, Some(data)) => kept(data)?,
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    args.json.emit(&rows, || lines(&rows))?;
    Ok(0)
}

fn kept(data: &Path) -> Result<PeerRows, Error> {
    require_hub(data)?;
    let _lock = lock(&RealDisk, data)?;
    let (path, minute) = (data.join(TABLE_FILE), links::minute());
    let kept = links::read(&path, minute).map_err(|source| Error::Io {
        action: "read",
        path,
        source,
    })?;
    Ok(kept.map_or_else(PeerRows::default, |kept| PeerRows::of_kept(&kept, minute)))
}

fn lines(rows: &PeerRows) -> String {
    let number = |number: usize| grouped(number.try_into().unwrap_or_default());
    let mut columns = Columns::new(&["", "hub", "address", "begun", "height", "points"]);
    for link in &rows.links {
        let begun = if link.outgoing { "here" } else { "there" };
        let height = link
            .height
            .map_or_else(|| "-".to_owned(), |height| grouped(height.into()));
        columns.row(&[
            String::new(),
            link.identity.clone(),
            link.ip.to_string(),
            begun.to_owned(),
            height,
            link.points.to_string(),
        ]);
    }
    let bans = rows.bans.iter();
    let bans: String = bans
        .map(|ban| format!("  banned until {} s: {}\n", ban.until_s, ban.identity))
        .collect();
    let links = if rows.on {
        number(rows.links.len())
    } else {
        "no".to_owned()
    };
    format!(
        "{links} links; {} addresses known, {} of them have answered; {} hubs turned away, {} banned\n{}{bans}",
        number(rows.known),
        number(rows.answered),
        grouped(rows.turned_away.into()),
        number(rows.bans.len()),
        if rows.links.is_empty() {
            String::new()
        } else {
            columns.text()
        },
    )
}

//! A profile with another number of channels.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tidegate_loadgen::profile::{BUILT_IN, Profile};
use toml::{Table, Value};

use super::super::output::write_file;
use crate::error::Error;

/// What the load generator is to be told as `--profile`: `name` itself, or a copy of it in `folder` with `channels`
/// channels, at most as many keys, connections and payers, and everything else as it was.
pub(super) fn resize(name: &str, channels: Option<u32>, folder: &Path) -> Result<OsString, Error> {
    let Some(channels) = channels else {
        return Ok(name.into());
    };
    let text = match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        Some((_, text)) => (*text).to_owned(),
        None => fs::read_to_string(name).map_err(|source| Error::Io {
            action: "read",
            path: name.into(),
            source,
        })?,
    };
    let mut table: Table = text.parse().expect("the profile was read before");
    let channels = i64::from(channels);
    let limit = |table: &mut Table, section: &str, key: &str, most: i64| {
        let value = table.get_mut(section).and_then(|section| section.get_mut(key));
        if let Some(Value::Integer(number)) = value {
            *number = (*number).min(most);
        }
    };
    limit(&mut table, "population", "keys", channels);
    limit(&mut table, "population", "connections", channels);
    limit(&mut table, "activity", "payers", channels);
    let population = table.get_mut("population").and_then(Value::as_table_mut);
    let population = population.expect("every profile has a population");
    // Channels are spread evenly over keys.
    let keys = population["keys"].as_integer().unwrap_or(1).max(1);
    let even = channels - channels % keys;
    population.insert("channels".into(), Value::Integer(even));
    let stem = Path::new(name).file_stem().unwrap_or_default();
    let path = folder.join(stem).with_extension("toml");
    write_file(&path, table.to_string().as_bytes())?;
    Profile::load(&path.to_string_lossy())?;
    Ok(path.into_os_string())
}

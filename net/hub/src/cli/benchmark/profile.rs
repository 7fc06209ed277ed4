//! A profile with another number of channels, or of connections.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tidegate_loadgen::profile::{BUILT_IN, Profile};
use toml::{Table, Value};

use super::super::output::write_file;
use crate::error::Error;

/// What the load generator is to be told as `--profile`: `name` itself, or a copy of it in `folder` with `channels`
/// channels, at most as many keys, connections and payers, with its channels spread over `connections` connections, and everything
/// else as it was.
pub(super) fn resize(
    name: &str,
    channels: Option<u32>,
    connections: Option<u32>,
    folder: &Path,
) -> Result<OsString, Error> {
    if channels.is_none() && connections.is_none() {
        return Ok(name.into());
    }
    let text = match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        Some((_, text)) => (*text).to_owned(),
        None => fs::read_to_string(name).map_err(|source| Error::Io {
            action: "read",
            path: name.into(),
            source,
        })?,
    };
    let mut table: Table = text.parse().expect("the profile was read before");
    if let Some(channels) = channels {
        set_channels(&mut table, channels.into());
    }
    if let Some(connections) = connections {
        set_connections(&mut table, connections.into());
    }
    let stem = Path::new(name).file_stem().unwrap_or_default();
    let path = folder.join(stem).with_extension("toml");
    write_file(&path, table.to_string().as_bytes())?;
    Profile::load(&path.to_string_lossy())?;
    Ok(path.into_os_string())
}

fn set_channels(table: &mut Table, channels: i64) {
    let limit = |table: &mut Table, section: &str, key: &str, most: i64| {
        let value = table.get_mut(section).and_then(|section| section.get_mut(key));
        if let Some(Value::Integer(number)) = value {
            *number = (*number).min(most);
        }
    };
    limit(table, "population", "keys", channels);
    limit(table, "population", "connections", channels);
    limit(table, "activity", "payers", channels);
    let population = section(table, "population");
    // Channels are spread evenly over keys.
    let keys = population["keys"].as_integer().unwrap_or(1).max(1);
    let even = channels - channels % keys;
    population.insert("channels".into(), Value::Integer(even));
}

/// As many payments may be under way in all as before, or nearly: fewer connections have more each.
fn set_connections(table: &mut Table, connections: i64) {
    let before = section(table, "population").insert("connections".into(), Value::Integer(connections));
    let before = before.and_then(|value| value.as_integer()).unwrap_or(connections);
    if let Some(Value::Integer(window)) = section(table, "run").get_mut("window_per_connection") {
        *window = (*window * before / connections).max(1);
    }
}

fn section<'a>(table: &'a mut Table, name: &str) -> &'a mut Table {
    let section = table.get_mut(name).and_then(Value::as_table_mut);
    section.expect("every profile has this section")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(channels: Option<u32>, connections: Option<u32>) -> Profile {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = resize("many-connections", channels, connections, folder.path()).expect("it holds");
        Profile::load(&path.to_string_lossy()).expect("it was checked")
    }

    #[test]
    fn a_profile_keeps_what_it_was_not_asked_to_change() {
        let (whole, fewer) = (resized(None, None), resized(None, Some(100)));
        assert_eq!(fewer.population.connections, 100);
        assert_eq!(
            (fewer.population.keys, fewer.population.channels),
            (whole.population.keys, whole.population.channels)
        );
        let window = |profile: &Profile| profile.run.window_per_connection * profile.population.connections;
        assert_eq!(window(&fewer), window(&whole), "as many payments under way");
        let small = resized(Some(500), Some(50));
        assert_eq!((small.population.channels, small.population.connections), (500, 50));
    }
}

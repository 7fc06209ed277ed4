//! Where values come from: file, environment, flags.

use std::path::{Path, PathBuf};
use std::{fs, io};

use toml::{Table, Value};

use super::check::first_breach;
use super::{Breach, Config, KEYS, environment_name};

/// Where a configuration is to be read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// What stands where nobody says otherwise.
    pub base: Config,
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// Variables of the environment that begin with `TIDEGATE_`, by name.
    pub environment: Vec<(String, String)>,
    /// Flags: `section.key=value`.
    pub flags: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{origin}:{line}: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A variable or flag names no key, or its value is of the wrong kind.
    #[error("{origin}: {message}")]
    Override {
        /// The variable or flag.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A value that cannot be, or does not fit another.
    #[error("{origin}: {breach}")]
    Breach {
        /// The file, or what else the values are from.
        origin: String,
        /// The rule.
        breach: Breach,
    },
}

impl Sources {
    /// A file and flags, with the environment of this process.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        let ours = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok()?;
            let value = value.to_string_lossy().into_owned();
            name.starts_with("TIDEGATE_").then_some((name, value))
        };
        Self {
            base: Config::default(),
            file,
            environment: std::env::vars_os().filter_map(ours).collect(),
            flags,
        }
    }

    /// Reads, overlays and checks.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        let origin = self.file.as_ref().map(|path| path.display().to_string());
        let mut table = self.base.to_table();
        if let Some(path) = &self.file {
            overlay(&mut table, read_file(path)?);
        }
        for (name, value) in &self.environment {
            if let Some(path) = path_of_variable(name)? {
                set(&mut table, name, path, value)?;
            }
        }
        for flag in &self.flags {
            let (path, value) = split_flag(flag)?;
            set(&mut table, &format!("--set {flag}"), path, value)?;
        }
        let origin = origin.unwrap_or_else(|| "configuration".into());
        let config: Config = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::Override {
                origin: origin.clone(),
                message: one_line(error.message()),
            })?;
        checked(config, origin)
    }
}

fn checked(config: Config, origin: String) -> Result<Config, ConfigError> {
    match first_breach(&config) {
        None => Ok(config),
        Some(breach) => Err(ConfigError::Breach { origin, breach }),
    }
}

impl Config {
    /// Reads and checks the text of a file. `origin` is what complaints call it.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] or [`ConfigError::Breach`].
    pub fn parse(origin: &str, text: &str) -> Result<Self, ConfigError> {
        checked(parse(origin, text)?, origin.to_owned())
    }

    /// Checks values that were set by a program.
    ///
    /// # Errors
    /// [`ConfigError::Breach`].
    pub fn check(self, origin: &str) -> Result<Self, ConfigError> {
        checked(self, origin.to_owned())
    }
}

/// Puts the values of `above` over those of `table`, section by section.
fn overlay(table: &mut Table, above: Table) {
    for (section, values) in above {
        // A list, of routes, replaces the one below it.
        if values.is_array() {
            table.insert(section, values);
            continue;
        }
        let under = table.get_mut(&section).and_then(Value::as_table_mut);
        if let (Some(under), Value::Table(values)) = (under, values) {
            under.extend(values);
        }
    }
}

/// The file's values. Its keys and kinds are checked here, where a complaint can still name the line.
fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let origin = path.display().to_string();
    parse(&origin, &text)?;
    text.parse().map_err(|error| syntax(&origin, &text, &error))
}

fn parse(origin: &str, text: &str) -> Result<Config, ConfigError> {
    toml::from_str(text).map_err(|error| syntax(origin, text, &error))
}

fn syntax(origin: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start);
    let newlines = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    ConfigError::Syntax {
        origin: origin.to_owned(),
        line: newlines + 1,
        message: one_line(error.message()),
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The key that a variable sets. Variables of other programs' making are none of ours, unless they begin like a section.
fn path_of_variable(name: &str) -> Result<Option<&'static str>, ConfigError> {
    if let Some(key) = KEYS.iter().find(|key| environment_name(key.path) == name) {
        return Ok(Some(key.path));
    }
    let section_of = |path: &str| path.split('.').next().unwrap_or_default().to_uppercase();
    let is_ours = |key: &super::Key| name.starts_with(&format!("TIDEGATE_{}_", section_of(key.path)));
    if KEYS.iter().any(is_ours) {
        return Err(ConfigError::Override {
            origin: name.to_owned(),
            message: "names no key of the configuration".into(),
        });
    }
    Ok(None)
}

fn split_flag(flag: &str) -> Result<(&'static str, &str), ConfigError> {
    let wrong = |message: String| ConfigError::Override {
        origin: format!("--set {flag}"),
        message,
    };
    let (path, value) = flag
        .split_once('=')
        .ok_or_else(|| wrong("has not the form section.key=value".into()))?;
    let key = KEYS.iter().find(|key| key.path == path.trim());
    let key = key.ok_or_else(|| wrong(format!("unknown key `{path}`")))?;
    Ok((key.path, value.trim()))
}

/// Sets one value: of the kind that its default has.
fn set(table: &mut Table, origin: &str, path: &'static str, text: &str) -> Result<(), ConfigError> {
    let (section, key) = path.split_once('.').expect("keys are section.key");
    let wrong = |what| ConfigError::Override {
        origin: origin.to_owned(),
        message: format!("`{text}` is {what}"),
    };
    let value = match default_of(path) {
        Value::Integer(_) => {
            let number = text.replace('_', "").parse::<i64>().ok().filter(|number| *number >= 0);
            Value::Integer(number.ok_or_else(|| wrong("not a whole number of at least 0"))?)
        }
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("neither true nor false"))?),
        _ => Value::String(text.to_owned()),
    };
    let alone = Table::from_iter([(
        section.to_owned(),
        Value::Table(Table::from_iter([(key.to_owned(), value)])),
    )]);
    overlay(table, alone.clone());
    // Read alone, so that a complaint is about this value.
    let read: Result<Config, toml::de::Error> = alone.try_into();
    read.map(drop).map_err(|error| ConfigError::Override {
        origin: origin.to_owned(),
        message: one_line(error.message()),
    })
}

fn default_of(path: &str) -> Value {
    let table = Config::default().to_table();
    let (section, key) = path.split_once('.').expect("keys are section.key");
    table[section][key].clone()
}

impl Config {
    /// The values, section by section.
    pub(super) fn to_table(&self) -> Table {
        Table::try_from(self).expect("a configuration is two levels of plain values")
    }

    /// The text of a file with every value, each under its meaning and its variable.
    ///
    /// # Panics
    /// Never: every key has a value.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let table = self.to_table();
        let mut text = String::new();
        let mut within = "";
        for key in &KEYS {
            let (section, name) = key.path.split_once('.').expect("keys are section.key");
            if section != within {
                let gap = if within.is_empty() { "" } else { "\n" };
                text += &format!("{gap}[{section}]\n");
                within = section;
            }
            let value = &table[section][name];
            text += &format!("# {}  {}\n{name} = {value}\n", key.about, environment_name(key.path));
        }
        text += &self.routes_toml();
        text
    }
}

//! Passwords of key files: from a file, from the environment, or typed unseen.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tidegate_client::key_file::{KeyFile, KeyFileError, Seed};
use tidegate_disk::RealDisk;
use zeroize::Zeroizing;

use super::output::read_file;
use crate::error::Error;
use crate::keys::HubKeys;

/// The variable that may hold a password.
const VARIABLE: &str = "TIDEGATE_PASSWORD";

/// Where the password of a key file comes from.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PasswordFlag {
    /// Read the password from the first line of FILE (else TIDEGATE_PASSWORD, else it is asked for on the terminal)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

type Password = Zeroizing<Vec<u8>>;

impl PasswordFlag {
    /// The password for a key that is to be made; typed twice.
    pub(super) fn new_password(&self, path: &Path) -> Result<Password, Error> {
        if let Some(password) = self.given()? {
            return Ok(password);
        }
        let first = ask(path, "New password: ")?;
        let second = ask(path, "The same again: ")?;
        if first != second || first.is_empty() {
            return Err(KeyFileError::Wrong(path.to_owned()).into());
        }
        Ok(first)
    }

    /// The seed of a key file, by the password that it needs.
    pub(super) fn seed(&self, path: &Path) -> Result<Seed, Error> {
        // A hub is a client of the next hub by its own key.
        if let Ok(hub) = HubKeys::load_file(&RealDisk, path) {
            return Ok(hub.identity_seed());
        }
        let file = KeyFile::open(path)?;
        if !file.is_encrypted() {
            return Ok(file.seed(None)?);
        }
        let password = match self.given()? {
            Some(password) => password,
            None => ask(path, &format!("Password of {}: ", path.display()))?,
        };
        Ok(file.seed(Some(&password))?)
    }

    fn given(&self) -> Result<Option<Password>, Error> {
        if let Some(path) = &self.password_file {
            let mut bytes = Zeroizing::new(read_file(path)?);
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            bytes.truncate(end.unwrap_or(usize::MAX));
            return Ok(Some(bytes));
        }
        let set = std::env::var_os(VARIABLE).map(|text| Zeroizing::new(text.into_encoded_bytes()));
        Ok(set.filter(|password| !password.is_empty()))
    }
}

/// Asks on the terminal, with what is typed not shown.
fn ask(path: &Path, prompt: &str) -> Result<Password, Error> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(KeyFileError::PasswordNeeded(path.to_owned()).into());
    }
    let failed = |source| Error::Io {
        action: "read",
        path: "the terminal".into(),
        source,
    };
    let shown = tcgetattr(&stdin).map_err(|errno| failed(errno.into()))?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let _ = write!(io::stderr(), "{prompt}");
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|errno| failed(errno.into()))?;
    let mut line = Zeroizing::new(String::with_capacity(256));
    let read = stdin.lock().read_line(&mut line);
    // Put back also when reading failed; a terminal that is gone needs nothing.
    let _ = tcsetattr(&stdin, OptionalActions::Flush, &shown);
    let _ = writeln!(io::stderr());
    read.map_err(failed)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).as_bytes().to_vec()))
}

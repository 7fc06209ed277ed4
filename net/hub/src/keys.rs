//! The hub's own secrets, and the address that follows from them.
//!
//! ```text
//! tidegate-hub-keys 1
//! identity   64 hex digits      Ed25519 seed: signs batch headers, proves the hub's end of a session,
//!                               and makes the blocks of an embedded ledger
//! noise      64 hex digits      Noise static private key
//! salt       64 hex digits      makes the salts under receipts' roots
//! crc32c     8 hex digits       of the lines before
//! ```
//!
//! The file is for its owner alone (mode 0600) and is written once, by `tidegate format`. It is no backup format: a hub
//! whose keys are restored from a copy beside an older log must never sign again (protocol rule 19).
//!
//! Nothing here signs, and nothing shows a secret.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use tidegate_client::address::HubAddress;
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, DiskError, OpenMode};
use tidegate_session::NoiseSecret;
use tidegate_types::KeyBytes;
use zeroize::Zeroizing;

/// The name of the file in the data directory. A directory is formatted once it is there: it is written last.
pub const HUB_KEYS_FILE: &str = "hub.key";

/// The name of the file in a ledger's directory: the validator's key in the place of the hub's identity.
pub const LEDGER_KEYS_FILE: &str = "ledger.key";
/// The name of the file in a tower's directory.
pub const TOWER_KEYS_FILE: &str = "tower.key";
const MAGIC: &str = "tidegate-hub-keys 1";
/// The file is shorter than this.
const BYTES_MAX: u64 = 1024;

/// The secrets of one hub.
pub struct HubKeys {
    identity: Zeroizing<[u8; 32]>,
    noise: Zeroizing<[u8; 32]>,
    salt: Zeroizing<[u8; 32]>,
}

/// Why a hub's keys cannot be made, written or read.
#[derive(Debug, thiserror::Error)]
pub enum HubKeysError {
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The file cannot be written or read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file is not what [`HubKeys::save`] writes.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

impl HubKeys {
    /// Fresh keys from the system's randomness.
    ///
    /// # Errors
    /// [`HubKeysError::Random`].
    pub fn generate() -> Result<Self, HubKeysError> {
        Ok(Self {
            identity: random()?,
            noise: random()?,
            salt: random()?,
        })
    }

    /// The keys of a service whose identity is given: a ledger's validator, say. The others are fresh.
    ///
    /// # Errors
    /// [`HubKeysError::Random`].
    pub fn of_identity(identity: Zeroizing<[u8; 32]>) -> Result<Self, HubKeysError> {
        Ok(Self {
            identity,
            noise: random()?,
            salt: random()?,
        })
    }

    /// The seed of the identity.
    #[must_use]
    pub fn identity_seed(&self) -> Zeroizing<[u8; 32]> {
        self.identity.clone()
    }

    /// Writes the keys into the data directory `dir`, durably, under their own name only once they are whole.
    ///
    /// # Errors
    /// [`HubKeysError::Disk`].
    pub fn save(&self, disk: &dyn Disk, dir: &Path) -> Result<(), HubKeysError> {
        self.save_as(disk, dir, HUB_KEYS_FILE)
    }

    /// As [`HubKeys::save`], under another name.
    ///
    /// # Errors
    /// [`HubKeysError::Disk`].
    pub fn save_as(&self, disk: &dyn Disk, dir: &Path, name: &str) -> Result<(), HubKeysError> {
        let (new, path) = (dir.join(format!("{name}.new")), dir.join(name));
        if disk.exists(&new)? {
            disk.remove(&new)?;
        }
        let text = self.to_text();
        let file = disk.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, text.as_bytes())?;
        file.sync_data()?;
        disk.rename(&new, &path)?;
        Ok(disk.sync_dir(dir)?)
    }

    /// Reads the keys of the data directory `dir`.
    ///
    /// # Errors
    /// [`HubKeysError::Disk`] with `NotFound` where no hub was formatted, [`HubKeysError::Damaged`].
    pub fn load(disk: &dyn Disk, dir: &Path) -> Result<Self, HubKeysError> {
        Self::load_file(disk, &dir.join(HUB_KEYS_FILE))
    }

    /// Reads the keys in a file.
    ///
    /// # Errors
    /// As [`HubKeys::load`].
    pub fn load_file(disk: &dyn Disk, path: &Path) -> Result<Self, HubKeysError> {
        let damaged = |what| HubKeysError::Damaged {
            path: path.to_owned(),
            what,
        };
        let file = disk.open(path, OpenMode::Read)?;
        let length = file.len()?;
        let length = usize::try_from(length).ok().filter(|_| length < BYTES_MAX);
        let mut bytes = Zeroizing::new(vec![0; length.ok_or_else(|| damaged("it is too long"))?]);
        file.read_at(0, &mut bytes)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not text"))?;
        parse(text).map_err(damaged)
    }

    /// The key that signs batch headers and proves the hub's end of a session.
    #[must_use]
    pub fn identity(&self) -> SecretKey {
        SecretKey::from_seed(*self.identity)
    }

    /// The public half of [`HubKeys::identity`]: the hub in every channel's terms.
    #[must_use]
    pub fn public(&self) -> KeyBytes {
        self.identity().public().bytes()
    }

    /// The Noise key.
    #[must_use]
    pub fn noise(&self) -> NoiseSecret {
        NoiseSecret::from_bytes(*self.noise)
    }

    /// The secret behind the salts of receipts.
    #[must_use]
    pub fn salt_secret(&self) -> [u8; 32] {
        *self.salt
    }

    /// The hub's address at a place.
    #[must_use]
    pub fn address(&self, host: &str, port: u16) -> HubAddress {
        HubAddress {
            identity: self.identity().public(),
            noise: self.noise().public(),
            host: host.to_owned(),
            port,
        }
    }

    fn to_text(&self) -> Zeroizing<String> {
        // Room for all, so that no half of it is left behind in memory by growing.
        let mut text = Zeroizing::new(String::with_capacity(512));
        writeln!(text, "{MAGIC}").expect("writing to a string");
        for (name, secret) in [
            ("identity", &self.identity),
            ("noise", &self.noise),
            ("salt", &self.salt),
        ] {
            let hex = Zeroizing::new(hex::encode(secret.as_slice()));
            writeln!(text, "{name:<10} {}", *hex).expect("writing to a string");
        }
        let crc = crc32c::crc32c(text.as_bytes());
        writeln!(text, "crc32c     {crc:08x}").expect("writing to a string");
        text
    }
}

impl fmt::Debug for HubKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HubKeys(of {})", self.public())
    }
}

fn parse(text: &str) -> Result<HubKeys, &'static str> {
    let (body, last) = text
        .strip_suffix('\n')
        .and_then(|text| text.rsplit_once('\n'))
        .ok_or("it has no lines")?;
    let summed = &text.as_bytes()[..=body.len()];
    if last != format!("crc32c     {:08x}", crc32c::crc32c(summed)) {
        return Err("its checksum does not hold");
    }
    let mut lines = body.lines();
    if lines.next() != Some(MAGIC) {
        return Err("it is of another version");
    }
    let mut field = |name: &str| Some(lines.next()?.strip_prefix(name)?.trim_start());
    let secret = |hex: Option<&str>| {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(hex?, &mut *bytes).ok()?;
        Some(bytes)
    };
    let missing = "a line is missing";
    Ok(HubKeys {
        identity: secret(field("identity")).ok_or(missing)?,
        noise: secret(field("noise")).ok_or(missing)?,
        salt: secret(field("salt")).ok_or(missing)?,
    })
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, HubKeysError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(HubKeysError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use tidegate_disk::RealDisk;

    use super::*;

    #[test]
    fn keys_read_back_and_are_never_written_twice() {
        let folder = tempfile::tempdir().unwrap();
        let keys = HubKeys::generate().unwrap();
        keys.save(&RealDisk, folder.path()).unwrap();
        let read = HubKeys::load(&RealDisk, folder.path()).unwrap();
        assert_eq!(read.to_text(), keys.to_text());
        assert_eq!(read.address("h", 1), keys.address("h", 1));
        assert_ne!(HubKeys::generate().unwrap().public(), keys.public());
    }

    #[test]
    fn no_changed_character_reads() {
        let text = HubKeys::generate().unwrap().to_text().to_string();
        assert!(parse(&text).is_ok());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            assert!(parse(std::str::from_utf8(&bytes).unwrap()).is_err(), "character {at}");
        }
        assert!((0..text.len()).all(|len| parse(&text[..len]).is_err()));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let keys = HubKeys::generate().unwrap();
        let shown = format!("{keys:?}");
        assert!(!shown.contains(&hex::encode(*keys.identity)), "{shown}");
    }
}

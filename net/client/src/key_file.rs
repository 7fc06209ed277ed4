//! Key files: one secret key each, as a few lines of text for its owner alone (mode 0600).
//!
//! ```text
//! tidegate-key 1
//! public   64 hex digits
//! cipher   none | argon2id-chacha20poly1305
//! kdf      m=65536 t=3 p=1          memory in KiB, passes, lanes      ┐
//! salt     32 hex digits                                              │ not with cipher none
//! nonce    24 hex digits                                              ┘
//! seed     64 hex digits, or 96 when encrypted (the tag behind the seed)
//! ```
//!
//! The lines before `seed` are authenticated with it. The password comes from the caller; nothing here asks for one.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use tidegate_crypto::keys::SecretKey;
use tidegate_types::KeyBytes;
use zeroize::{Zeroize as _, Zeroizing};

const MAGIC: &str = "tidegate-key 1";
const NO_CIPHER: &str = "none";
const CIPHER: &str = "argon2id-chacha20poly1305";
/// A key file is shorter than this.
const MAX_BYTES: u16 = 1024;

/// The seed of a secret key; wiped when dropped.
pub type Seed = Zeroizing<[u8; 32]>;

/// How a seed is kept.
#[derive(Clone, Copy)]
pub enum Protection<'a> {
    /// As it is: for tests, and for machines that must start without a person.
    Plain,
    /// Encrypted under a password.
    Password(&'a [u8], KdfCost),
}

/// What a guess of a password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for KdfCost {
    /// 64 MiB and three passes: about a quarter of a second.
    fn default() -> Self {
        Self {
            memory_kib: 64 << 10,
            passes: 3,
            lanes: 1,
        }
    }
}

impl KdfCost {
    /// No file may ask for more: opening one must not take the machine down.
    const MAX: Self = Self {
        memory_kib: 1 << 20,
        passes: 64,
        lanes: 16,
    };
}

/// Why a key file was not written or does not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system says no.
    #[error("cannot {action} key file {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// A key is there already; none is ever overwritten.
    #[error("{} exists; a key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Others than the owner can read it.
    #[error("{} can be read by others (mode {mode:o}); make it yours alone: chmod 600", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// A line is missing, unknown or malformed.
    #[error("{} is no key file: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The key is encrypted, and no password was given.
    #[error("{} is encrypted and needs its password", .0.display())]
    PasswordNeeded(PathBuf),
    /// The password is wrong, or the file was changed.
    #[error("the password of {} is wrong, or the file was changed", .0.display())]
    Wrong(PathBuf),
    /// The key derivation does not run with these costs.
    #[error("the key derivation of {} failed: {what}", path.display())]
    Kdf {
        /// The file.
        path: PathBuf,
        /// What it says.
        what: argon2::Error,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// A fresh seed from the system's randomness.
///
/// # Errors
/// [`KeyFileError::Random`].
pub fn random_seed() -> Result<Seed, KeyFileError> {
    random().map(Zeroizing::new)
}

fn random<const N: usize>() -> Result<[u8; N], KeyFileError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeyFileError::Random)?;
    Ok(bytes)
}

/// A key file that was read and not unlocked yet.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    public: KeyBytes,
    /// The lines before the seed, as they stand in the file.
    head: String,
    sealed: Zeroizing<Vec<u8>>,
    encryption: Option<Encryption>,
}

#[derive(Clone, Copy, Debug)]
struct Encryption {
    cost: KdfCost,
    salt: [u8; 16],
    nonce: [u8; 12],
}

impl KeyFile {
    /// Writes a new key file durably and returns the public key.
    ///
    /// # Errors
    /// [`KeyFileError`]; no file is left behind then.
    pub fn create(path: &Path, seed: &Seed, protection: Protection<'_>) -> Result<KeyBytes, KeyFileError> {
        let public = SecretKey::from_seed(**seed).public().bytes();
        let mut text = Zeroizing::new(format!("{MAGIC}\npublic   {public}\n"));
        match protection {
            Protection::Plain => {
                writeln!(text, "cipher   {NO_CIPHER}").expect("writing to a string");
                writeln!(text, "seed     {}", *Zeroizing::new(hex::encode(**seed))).expect("writing to a string");
            }
            Protection::Password(password, cost) => {
                let encryption = Encryption {
                    cost,
                    salt: random()?,
                    nonce: random()?,
                };
                encryption.write_head(&mut text);
                let sealed = encryption.cipher(path, password)?.encrypt(
                    &Nonce::from(encryption.nonce),
                    Payload {
                        msg: &**seed,
                        aad: text.as_bytes(),
                    },
                );
                let sealed = sealed.expect("32 bytes are within the cipher's limits");
                writeln!(text, "seed     {}", hex::encode(sealed)).expect("writing to a string");
            }
        }
        write_new(path, text.as_bytes())?;
        Ok(public)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let text = read_private(path)?;
        parse(path, &text).map_err(|what| KeyFileError::Malformed {
            path: path.to_owned(),
            what,
        })
    }

    /// The public key. Of an encrypted file it is proved only by [`KeyFile::unlock`].
    #[must_use]
    pub const fn public(&self) -> KeyBytes {
        self.public
    }

    /// True if it takes a password.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }

    /// The secret key. A plain file takes no password; one that is given is not looked at.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn unlock(&self, password: Option<&[u8]>) -> Result<SecretKey, KeyFileError> {
        self.seed(password).map(|seed| SecretKey::from_seed(*seed))
    }

    /// The seed itself, for keys that are not Ed25519 keys.
    ///
    /// # Errors
    /// As [`KeyFile::unlock`].
    pub fn seed(&self, password: Option<&[u8]>) -> Result<Seed, KeyFileError> {
        let wrong = || KeyFileError::Wrong(self.path.clone());
        let opened = match (&self.encryption, password) {
            (None, _) => self.sealed.clone(),
            (Some(_), None) => return Err(KeyFileError::PasswordNeeded(self.path.clone())),
            (Some(encryption), Some(password)) => {
                let payload = Payload {
                    msg: &self.sealed,
                    aad: self.head.as_bytes(),
                };
                let cipher = encryption.cipher(&self.path, password)?;
                Zeroizing::new(
                    cipher
                        .decrypt(&Nonce::from(encryption.nonce), payload)
                        .map_err(|_| wrong())?,
                )
            }
        };
        let seed: Seed = Zeroizing::new(opened.as_slice().try_into().map_err(|_| wrong())?);
        if SecretKey::from_seed(*seed).public().bytes() == self.public {
            Ok(seed)
        } else {
            Err(wrong())
        }
    }
}

impl Encryption {
    fn write_head(&self, text: &mut String) {
        let KdfCost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        writeln!(text, "cipher   {CIPHER}").expect("writing to a string");
        writeln!(text, "kdf      m={memory_kib} t={passes} p={lanes}").expect("writing to a string");
        writeln!(text, "salt     {}", hex::encode(self.salt)).expect("writing to a string");
        writeln!(text, "nonce    {}", hex::encode(self.nonce)).expect("writing to a string");
    }

    fn cipher(&self, path: &Path, password: &[u8]) -> Result<ChaCha20Poly1305, KeyFileError> {
        let fail = |what| KeyFileError::Kdf {
            path: path.to_owned(),
            what,
        };
        let params = Params::new(self.cost.memory_kib, self.cost.passes, self.cost.lanes, Some(32)).map_err(fail)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password, &self.salt, &mut *key)
            .map_err(fail)?;
        Ok(ChaCha20Poly1305::new(&Key::from(*key)))
    }
}

fn parse(path: &Path, text: &str) -> Result<KeyFile, &'static str> {
    let (head, last) = text
        .strip_suffix('\n')
        .and_then(|text| text.rsplit_once('\n'))
        .ok_or("it has no lines")?;
    let head = format!("{head}\n");
    let mut lines = head.lines();
    if lines.next() != Some(MAGIC) {
        return Err("it does not begin with 'tidegate-key 1'");
    }
    let mut field = |name: &str| {
        let line = lines.next()?.strip_prefix(name)?;
        line.starts_with(' ').then(|| line.trim_start())
    };
    let public = field("public")
        .and_then(|hex| hex.parse().ok())
        .ok_or("the public key is missing")?;
    let encryption = match field("cipher").ok_or("the cipher is missing")? {
        NO_CIPHER => None,
        CIPHER => Some(Encryption {
            cost: field("kdf")
                .and_then(parse_cost)
                .ok_or("the key derivation is missing or too dear")?,
            salt: field("salt").and_then(parse_hex).ok_or("the salt is missing")?,
            nonce: field("nonce").and_then(parse_hex).ok_or("the nonce is missing")?,
        }),
        _ => return Err("the cipher is unknown"),
    };
    if lines.next().is_some() {
        return Err("a line is unknown");
    }
    let seed = last.strip_prefix("seed     ").and_then(|hex| hex::decode(hex).ok());
    Ok(KeyFile {
        path: path.to_owned(),
        public,
        sealed: Zeroizing::new(seed.ok_or("the seed is missing")?),
        encryption,
        head,
    })
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn parse_cost(text: &str) -> Option<KdfCost> {
    let mut parts = text.split(' ');
    let mut part = |name: &str, max: u32| {
        let number: u32 = parts.next()?.strip_prefix(name)?.parse().ok()?;
        (number <= max).then_some(number)
    };
    Some(KdfCost {
        memory_kib: part("m=", KdfCost::MAX.memory_kib)?,
        passes: part("t=", KdfCost::MAX.passes)?,
        lanes: part("p=", KdfCost::MAX.lanes)?,
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let fail = |action| {
        move |source| KeyFileError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(KeyFileError::Exists(path.to_owned())),
        Err(e) => return Err(fail("create")(e)),
    };
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder(path));
    written.map_err(|e| {
        // Half a key is worse than none: the next attempt would be told that one exists.
        let _ = std::fs::remove_file(path);
        fail("write")(e)
    })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let fail = |source| KeyFileError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES.into()));
    file.take(MAX_BYTES.into()).read_to_end(&mut bytes).map_err(fail)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => {
            bytes.zeroize();
            Err(KeyFileError::Malformed {
                path: path.to_owned(),
                what: "it is not text",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const CHEAP: KdfCost = KdfCost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    fn seed() -> Seed {
        Zeroizing::new([7; 32])
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        (folder, path)
    }

    #[test]
    fn a_plain_key_reads_back_and_is_never_overwritten() {
        let (_folder, path) = folder();
        let public = KeyFile::create(&path, &seed(), Protection::Plain).unwrap();
        let file = KeyFile::open(&path).unwrap();
        assert!(!file.is_encrypted());
        assert_eq!(
            (file.public(), file.unlock(None).unwrap().public().bytes()),
            (public, public)
        );
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = KeyFile::create(&path, &seed(), Protection::Plain);
        assert!(matches!(again, Err(KeyFileError::Exists(_))));
    }

    #[test]
    fn an_encrypted_key_needs_its_password_and_shows_no_seed() {
        let (_folder, path) = folder();
        let public = KeyFile::create(&path, &seed(), Protection::Password(b"open", CHEAP)).unwrap();
        let file = KeyFile::open(&path).unwrap();
        assert!(file.is_encrypted());
        assert_eq!(file.unlock(Some(b"open")).unwrap().public().bytes(), public);
        assert!(matches!(file.unlock(Some(b"Open")), Err(KeyFileError::Wrong(_))));
        assert!(matches!(file.unlock(None), Err(KeyFileError::PasswordNeeded(_))));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode(*seed())), "{text}");
    }

    #[test]
    fn no_changed_character_opens() {
        let (_folder, path) = folder();
        KeyFile::create(&path, &seed(), Protection::Password(b"open", CHEAP)).unwrap();
        let text = std::fs::read(&path).unwrap();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            std::fs::write(&path, &changed).unwrap();
            let opened = KeyFile::open(&path).and_then(|file| file.unlock(Some(b"open")));
            assert!(opened.is_err(), "character {at}: {}", String::from_utf8_lossy(&changed));
        }
    }

    #[test]
    fn a_file_that_others_can_read_or_that_asks_for_too_much_does_not_open() {
        let (_folder, path) = folder();
        KeyFile::create(&path, &seed(), Protection::Password(b"open", CHEAP)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("m=8 ", "m=4294967295 ")).unwrap();
        assert!(matches!(KeyFile::open(&path), Err(KeyFileError::Malformed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            KeyFile::open(&path),
            Err(KeyFileError::Permissions { mode: 0o640, .. })
        ));
        assert!(matches!(
            KeyFile::open(&path.join("none")),
            Err(KeyFileError::Io { .. })
        ));
    }
}

//! The vault's content, sealed and opened: bytes in, bytes out, no files.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    iter,
    path::PathBuf,
    sync::Arc,
};

use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient, scrypt, secrecy, x25519};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{ErrorClass, Secret};

/// Work of opening by passphrase, as a power of two: 128 MiB and about half a second for every
/// guess.
pub(super) const WORK_FACTOR: u8 = 17;

/// Most work that a file may ask of us. `age` itself writes 18; each step doubles time and memory,
/// and a hostile file could ask for hours.
const WORK_FACTOR_MAX: u8 = 19;

/// Shortest passphrase of a new vault.
const PASSPHRASE_BYTES_MIN: usize = 12;

/// The layout of the content, for later ones.
const FORMAT: u32 = 1;

/// Why a vault cannot be opened or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Something that is no file stands in its place.
    #[error("it is not a regular file")]
    NotAFile,
    /// Others could read or replace it.
    #[error("it is open to other users (mode {mode:o}); run `chmod 600` on it")]
    OpenToOthers {
        /// Its permissions.
        mode: u32,
    },
    /// It is larger than any vault.
    #[error("it is larger than {bytes_max} bytes, the most a vault may have")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Neither passphrase nor key.
    #[error("no passphrase is set; write `passphrase` as a reference, or `key_file`")]
    NoPassphrase,
    /// The passphrase is too easy to guess for a file that may be copied.
    #[error("the passphrase has fewer than {PASSPHRASE_BYTES_MIN} bytes, too few for a new vault")]
    WeakPassphrase,
    /// The passphrase or key is another one than it was written with.
    #[error("the {opener} does not open it; it was written with another one")]
    WrongKey {
        /// `passphrase` or `key file`.
        opener: &'static str,
    },
    /// The key file is not usable.
    #[error("the key file `{}` {problem}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It asks for more work than any vault of ours.
    #[error(
        "it asks for 2^{asked} steps of work to open, more than the 2^{WORK_FACTOR_MAX} allowed; it was not written by marketlake"
    )]
    TooCostly {
        /// The power of two.
        asked: u8,
    },
    /// Its bytes are not those that were written.
    #[error("it is damaged: {what}; restore it from a copy")]
    Damaged {
        /// What was noticed.
        what: &'static str,
    },
    /// A later release wrote it.
    #[error("it has format {format}, and this release knows {FORMAT}; use a newer release")]
    NewerFormat {
        /// The format.
        format: u32,
    },
    /// Another writer does not come to its end.
    #[error("another process holds the lock `{}` and does not release it; see which one, and end it", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// The program is ending.
    #[error("the program is ending")]
    Interrupted,
}

impl VaultError {
    pub(super) fn io(doing: &'static str, source: io::Error) -> Self {
        Self::Io { doing, source: Arc::new(source) }
    }

    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::Locked { .. } | Self::Interrupted => ErrorClass::Transient,
            Self::WrongKey { .. } => ErrorClass::Permission,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorClass::Permission
            }
            _ => ErrorClass::Config,
        }
    }
}

/// The keys and values of a vault.
#[derive(Clone, Default)]
pub(super) struct Entries(BTreeMap<String, Secret>);

impl Entries {
    pub(super) fn get(&self, key: &str) -> Option<&Secret> {
        self.0.get(key)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn insert(&mut self, key: String, value: Secret) {
        self.0.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && iter::zip(&self.0, &other.0).all(|((key, value), (other_key, other_value))| {
                key == other_key && value.expose() == other_value.expose()
            })
    }
}

/// The content as it is encrypted.
#[derive(Serialize)]
struct Written<'entries> {
    format: u32,
    secrets: BTreeMap<&'entries str, &'entries str>,
}

#[derive(Deserialize)]
struct Stored {
    format: u32,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
}

/// What opens a vault, and seals it again.
pub(super) enum Opener {
    Passphrase { passphrase: Secret, cost: u8 },
    Key(Box<x25519::Identity>),
}

impl Opener {
    /// Takes the first identity of a key file in age's own format.
    pub(super) fn from_key_file(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let line = text.lines().map(str::trim).find(|line| line.starts_with("AGE-SECRET-KEY-1"))?;
        line.parse().ok().map(|identity| Self::Key(Box::new(identity)))
    }

    pub(super) fn open(&self, sealed: &[u8]) -> Result<Entries, VaultError> {
        let plain = match self {
            Self::Passphrase { passphrase, .. } => {
                let mut identity = scrypt::Identity::new(secret_string(passphrase));
                identity.set_max_work_factor(WORK_FACTOR_MAX);
                self.decrypt(&identity, sealed)
            }
            Self::Key(identity) => self.decrypt(identity.as_ref(), sealed),
        }?;
        let damaged = VaultError::Damaged { what: "its content is no vault" };
        let content: Stored = serde_json::from_slice(&plain).map_err(|_| damaged)?;
        if content.format != FORMAT {
            return Err(VaultError::NewerFormat { format: content.format });
        }
        let entries = content.secrets.into_iter().map(|(key, value)| (key, Secret::new(value)));
        Ok(Entries(entries.collect()))
    }

    fn decrypt(
        &self,
        identity: &dyn Identity,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let explain = |error| match error {
            DecryptError::ExcessiveWork { required, .. } => {
                VaultError::TooCostly { asked: required }
            }
            DecryptError::NoMatchingKeys
            | DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed => VaultError::WrongKey {
                opener: match self {
                    Self::Passphrase { .. } => "passphrase",
                    Self::Key(_) => "key file",
                },
            },
            DecryptError::InvalidMac => VaultError::Damaged { what: "its header was changed" },
            _ => VaultError::Damaged { what: "it is no file of age, or a part of one" },
        };
        let decryptor = Decryptor::new_buffered(sealed).map_err(explain)?;
        let mut reader = decryptor.decrypt(iter::once(identity)).map_err(explain)?;
        // The plain text is shorter than the sealed one, so the buffer never moves.
        let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
        reader
            .read_to_end(&mut plain)
            .map_err(|_| VaultError::Damaged { what: "its content was changed or cut off" })?;
        Ok(plain)
    }

    pub(super) fn seal(&self, entries: &Entries) -> Result<Vec<u8>, VaultError> {
        let secrets = entries.0.iter().map(|(key, value)| (key.as_str(), value.expose()));
        let content = Written { format: FORMAT, secrets: secrets.collect() };
        let failed = |source| VaultError::io("encrypting it", source);
        let plain = serde_json::to_vec(&content).map_err(|error| failed(error.into()))?;
        let plain = Zeroizing::new(plain);
        let recipient: Box<dyn Recipient> = match self {
            Self::Passphrase { passphrase, .. }
                if passphrase.expose().len() < PASSPHRASE_BYTES_MIN =>
            {
                return Err(VaultError::WeakPassphrase);
            }
            Self::Passphrase { passphrase, cost } => {
                let mut recipient = scrypt::Recipient::new(secret_string(passphrase));
                recipient.set_work_factor(*cost);
                Box::new(recipient)
            }
            Self::Key(identity) => Box::new(identity.to_public()),
        };
        let encryptor = Encryptor::with_recipients(iter::once(recipient.as_ref()))
            .map_err(|error| failed(io::Error::other(error.to_string())))?;
        let mut sealed = Vec::new();
        let mut writer = encryptor.wrap_output(&mut sealed).map_err(failed)?;
        writer.write_all(&plain).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(sealed)
    }
}

fn secret_string(secret: &Secret) -> secrecy::SecretString {
    secrecy::SecretString::from(secret.expose().to_owned())
}

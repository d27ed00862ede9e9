//! What can go wrong between a reference and its value; no variant can carry a value.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use crate::{http::RemoteError, provider::vault::VaultError};

/// What a failure asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Network, throttling, a service that is down: the same call may succeed later.
    Transient,
    /// Settings, a missing key, an unusable value: an operator has to mend it.
    Config,
    /// The service knows us and says no, or does not accept our credential.
    Permission,
}

/// A secret could not be had. Never carries the value itself, nor a credential.
///
/// Clones share their causes: all callers that waited for one request get the same answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The reference names a scope that no `[secrets.scopes.…]` table defines.
    #[error(
        "secret `{key}` of scope `{scope}`: no such scope; add `[secrets.scopes.{scope}]` with a \
         `provider`, known scopes are {known}"
    )]
    UnknownScope {
        /// The scope that was asked for.
        scope: String,
        /// The key that was asked for.
        key: String,
        /// The scopes that exist, for the message.
        known: String,
    },
    /// A scope needs a secret that, in the end, needs the scope itself.
    #[error(
        "scope `{scope}` waits for itself: {path}; take one of these credentials from a scope that \
         needs none, such as `env`, `file` or a vault with a key file"
    )]
    Cycle {
        /// A scope of the circle.
        scope: String,
        /// The circle, for the message.
        path: String,
    },
    /// The provider answered, and has no such key.
    #[error("secret `{key}` of scope `{scope}` is not set: {remedy}")]
    Missing {
        /// The scope.
        scope: String,
        /// The key.
        key: String,
        /// How to set it.
        remedy: String,
    },
    /// The value exists and must not be used.
    #[error("secret `{key}` of scope `{scope}`: {reason}")]
    Unusable {
        /// The scope.
        scope: String,
        /// The key.
        key: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The provider is never written through marketlake.
    #[error("scope `{scope}` is read-only: {reason}")]
    ReadOnly {
        /// The scope.
        scope: String,
        /// Why, and how the key is set instead.
        reason: String,
    },
    /// The provider could not be asked.
    #[error("reading secret `{key}` of scope `{scope}` from `{}`", path.display())]
    Read {
        /// The scope.
        scope: String,
        /// The key.
        key: String,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// The keys of a scope could not be listed.
    #[error("listing scope `{scope}` in `{}`", path.display())]
    List {
        /// The scope.
        scope: String,
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// The local vault cannot be opened or written.
    #[error("opening the vault `{}` of scope `{scope}`", path.display())]
    Vault {
        /// The scope.
        scope: String,
        /// The vault's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: VaultError,
    },
    /// A service could not be asked, or refused.
    #[error("{action} of scope `{scope}` at `{host}`")]
    Remote {
        /// The scope.
        scope: String,
        /// What was being done, and to which key.
        action: String,
        /// The service's host; never a whole address, which may have a query.
        host: String,
        /// The cause.
        #[source]
        source: Box<RemoteError>,
    },
    /// A credential that the scope itself needs could not be had.
    #[error("reading `{field}` for scope `{scope}`")]
    Credential {
        /// The scope that needs the credential.
        scope: String,
        /// The setting with the reference.
        field: &'static str,
        /// The cause.
        #[source]
        source: Arc<Self>,
    },
}

impl Error {
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownScope { .. }
            | Self::Cycle { .. }
            | Self::Missing { .. }
            | Self::Unusable { .. }
            | Self::ReadOnly { .. } => ErrorClass::Config,
            Self::Read { source, .. } | Self::List { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => ErrorClass::Permission,
                _ => ErrorClass::Config,
            },
            Self::Vault { source, .. } => source.class(),
            Self::Remote { source, .. } => source.class(),
            Self::Credential { source, .. } => source.class(),
        }
    }

    /// Returns whether the provider spoke about the secret itself: it is not there, must not be
    /// used, or must not be read. Whatever else goes wrong says nothing about a value that was read
    /// before.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Unusable { .. } => true,
            Self::Remote { source, .. } => {
                matches!(
                    source.as_ref(),
                    RemoteError::Refused { class: ErrorClass::Config | ErrorClass::Permission, .. }
                )
            }
            _ => false,
        }
    }

    /// Returns how long the service asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Remote { source, .. } => source.retry_after(),
            Self::Credential { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}

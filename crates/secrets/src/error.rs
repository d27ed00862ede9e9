//! What can go wrong between a reference and its value; no variant can carry a value.

use std::{io, path::PathBuf};

/// A secret could not be had. Always something an operator has to mend, never the value itself.
#[derive(Debug, thiserror::Error)]
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
        source: io::Error,
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
        source: io::Error,
    },
}

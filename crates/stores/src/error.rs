//! What can go wrong with a store, and what it asks of the caller.

use std::path::PathBuf;

use model::ErrorKind;

use crate::{Trouble, Unresolved};

/// A failure of this crate. No variant ever carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address names no store. It is not shown: what is wrong with it may be a key inside.
    #[error("reading the address of a store: {problem}")]
    Address {
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The store has no such option, or not with this value.
    #[error("reading the options of `{store}`: {problem}")]
    Option {
        /// The store's canonical address.
        store: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A secret among the options could not be resolved.
    #[error("reading the options of `{store}`")]
    Options {
        /// The store's canonical address.
        store: String,
        /// What the source of the secrets said.
        source: Unresolved,
    },
    /// A folder or file of this machine could not be used.
    #[error("{doing} `{}`", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The store refused an operation, or did not answer.
    #[error("{doing} the store `{store}`")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// The store, as it names itself.
        store: String,
        /// The store's answer, with what is wrong and how to mend it.
        source: object_store::Error,
    },
    /// The store does not refuse to create an object twice.
    #[error(
        "probing the store `{store}`: {problem}; use a store with conditional create (a local folder, S3, Azure Blob, GCS), or switch it on"
    )]
    NotCreateOnly {
        /// The store, as it names itself.
        store: String,
        /// How it was noticed.
        problem: &'static str,
    },
}

impl Error {
    /// Returns what this failure asks of the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address { .. } | Self::Option { .. } | Self::NotCreateOnly { .. } => {
                ErrorKind::Config
            }
            Self::Options { source, .. } => source.kind,
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::Interrupted => {
                    ErrorKind::Transient
                }
                _ => ErrorKind::Config,
            },
            Self::Store { source, .. } => store_kind(source),
        }
    }

    /// Returns what is wrong with the store, where its answer tells.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Store { source, .. } => Trouble::of(source),
            Self::NotCreateOnly { .. } => Some(Trouble::NotSupported),
            _ => None,
        }
    }
}

/// Returns what a store's answer asks of the caller.
///
/// What nobody recognises is taken for passing: trying again is harmless, giving up is not.
#[must_use]
pub fn store_kind(error: &object_store::Error) -> ErrorKind {
    match (Trouble::of(error), error) {
        (Some(trouble), _) => trouble.kind(),
        (None, object_store::Error::InvalidPath { .. }) => ErrorKind::Internal,
        (None, object_store::Error::UnknownConfigurationKey { .. }) => ErrorKind::Config,
        (None, _) => ErrorKind::Transient,
    }
}

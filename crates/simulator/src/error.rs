//! What can go wrong in the simulator itself; errors it serves on purpose are in `reply`.

use std::{io, path::PathBuf};

use model::ErrorKind;

/// A failure of the simulator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recorded bars cannot be read.
    #[error("reading recorded bars `{}`", path.display())]
    ReadBars {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of the recorded bars is no bar.
    #[error("recorded bars `{}`, line {line}: {reason}", path.display())]
    InvalidBar {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A setting's text means nothing.
    #[error("`{text}` is no {what}; {known}")]
    InvalidSetting {
        /// What was expected: `semantics`, `quirk`, …
        what: &'static str,
        /// What was given.
        text: String,
        /// What would be understood.
        known: &'static str,
    },
    /// Settings that are fine one by one do not fit together.
    #[error("{reason}")]
    Unusable {
        /// Which settings, and why not.
        reason: &'static str,
    },
    /// The truth file cannot be written.
    #[error("writing the truth file `{}`", path.display())]
    WriteTruth {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Working out the truth was cut short.
    #[error("stating the truth")]
    StateTruth {
        /// Why.
        source: tokio::task::JoinError,
    },
    /// The HTTP server stopped by itself.
    #[error("serving the simulated vendor")]
    Serve {
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What this failure asks of the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ReadBars { .. } | Self::InvalidSetting { .. } | Self::Unusable { .. } => {
                ErrorKind::Config
            }
            Self::InvalidBar { .. } => ErrorKind::Data,
            Self::StateTruth { .. } => ErrorKind::Internal,
            Self::WriteTruth { .. } | Self::Serve { .. } => ErrorKind::Transient,
        }
    }
}

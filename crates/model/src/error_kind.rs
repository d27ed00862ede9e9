//! What a failure asks of the caller: the only thing control flow may look at.

use std::fmt;

/// What a failure asks of the caller.
///
/// | kind | meaning | what the supervisor does |
/// |---|---|---|
/// | `Transient` | network, throttling, timeout; nothing changed | back off, try again, bounded |
/// | `Conflict` | another writer came first | reload and decide again, bounded |
/// | `Config` | settings, credentials, quota, missing table | stop this stage, tell the operator |
/// | `Data` | stored bytes break their contract | stop this stage, keep everything, tell the operator |
/// | `Internal` | a bug of ours | stop the process, non-zero exit |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing changed; the same call may succeed later.
    Transient,
    /// Another writer came first; reload and decide again.
    Conflict,
    /// An operator has to change a setting, a credential or a quota.
    Config,
    /// Stored bytes break their contract; nothing may be overwritten.
    Data,
    /// A bug of ours.
    Internal,
}

impl ErrorKind {
    /// Returns the process exit code for a failure of this kind.
    ///
    /// Code 1 stays free for the shell and 2 for command line usage.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Config => 3,
            Self::Data => 4,
            Self::Transient => 5,
            Self::Conflict => 6,
            Self::Internal => 7,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Conflict => "conflict",
            Self::Config => "config",
            Self::Data => "data",
            Self::Internal => "internal",
        })
    }
}

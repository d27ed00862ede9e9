//! Turns the errors of our crates into failures with their kind.

use model::ErrorKind;

use crate::failure::Failure;

/// An error type of one of our crates.
pub(crate) trait OurError: std::error::Error + Send + Sync + Sized + 'static {
    /// Returns what the error asks of the caller.
    fn error_kind(&self) -> ErrorKind;

    /// Wraps the error, with everything the supervisor may look at.
    fn into_failure(self) -> Failure {
        Failure::new(self.error_kind(), self)
    }
}

impl OurError for ingest::Error {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }

    fn into_failure(self) -> Failure {
        let retry_after = self.retry_after();
        Failure { retry_after, ..Failure::new(self.kind(), self) }
    }
}

impl OurError for stores::Error {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl OurError for lake::Error {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl OurError for serve::Error {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl OurError for simulator::Error {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl<E> OurError for autoloader::Error<E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl<E> OurError for autoloader::files::error::Error<E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

impl OurError for autoloader::files::ports::PortError {
    fn error_kind(&self) -> ErrorKind {
        self.kind
    }
}

/// `result.or_fail()?` for results of our crates.
pub(crate) trait ResultExt<T> {
    /// Turns the error into a failure of its kind.
    fn or_fail(self) -> Result<T, Failure>;
}

impl<T, E: OurError> ResultExt<T> for Result<T, E> {
    fn or_fail(self) -> Result<T, Failure> {
        self.map_err(OurError::into_failure)
    }
}

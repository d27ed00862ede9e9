//! An error with the one thing control flow may look at, and how it is shown to people.

use std::{fmt::Write as _, time::Duration};

use model::ErrorKind;
use secrets::{ErrorClass, Redactor};

/// A failure on its way to the supervisor or to the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    /// How long the other side asked us to wait.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// Wraps an error of one of our crates.
    pub(crate) fn new(kind: ErrorKind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, retry_after: None, error: error.into() }
    }

    /// An operator has to change something; `message` says what.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, anyhow::Error::msg(message.into()))
    }

    /// A bug of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, anyhow::Error::msg(message.into()))
    }

    /// Adds what was being done.
    #[must_use]
    pub(crate) fn context(self, text: impl Into<String>) -> Self {
        Self { error: self.error.context(text.into()), ..self }
    }

    /// Returns what a failure asks of an operator.
    ///
    /// A stage tries again whatever a store refuses, for what is missing may come. Who waits for an
    /// answer at a terminal is told what will not come by itself.
    pub(crate) fn kind_for_operator(&self) -> ErrorKind {
        let stored = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref().and_then(stores::Trouble::of).map(|trouble| trouble.kind())
        };
        self.error.chain().find_map(stored).unwrap_or(self.kind)
    }

    /// Returns the causes, outermost first, without those that the one before has said already: some
    /// libraries put their causes into their own text as well.
    fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        for cause in self.error.chain().map(ToString::to_string) {
            if !causes.last().is_some_and(|said| said.contains(&cause)) {
                causes.push(cause);
            }
        }
        causes
    }

    /// Returns the causes in one line, outermost first, without secrets.
    pub(crate) fn in_one_line(&self, redactor: &Redactor) -> String {
        redactor.scrub(&self.causes().join(": ")).replace('\n', "; ")
    }

    /// Returns the causes, one a line, without secrets; in color for a terminal.
    pub(crate) fn in_lines(&self, redactor: &Redactor, is_terminal: bool) -> String {
        let (red, bold, reset) =
            if is_terminal { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut text = String::new();
        for (depth, cause) in self.causes().into_iter().enumerate() {
            let cause = redactor.scrub(&cause).replace('\n', "\n  ");
            let written = match depth {
                0 => writeln!(text, "{red}error{reset}{bold}: {cause}{reset}"),
                _ => writeln!(text, "  because: {cause}"),
            };
            written.expect("writing to a text cannot fail");
        }
        text
    }
}

impl From<secrets::Error> for Failure {
    fn from(error: secrets::Error) -> Self {
        Self { retry_after: error.retry_after(), ..Self::new(kind_of(&error), error) }
    }
}

/// Returns what a secret that cannot be had asks of the caller.
pub(crate) fn kind_of(error: &secrets::Error) -> ErrorKind {
    match error.class() {
        ErrorClass::Transient => ErrorKind::Transient,
        ErrorClass::Config | ErrorClass::Permission => ErrorKind::Config,
    }
}

impl From<crate::config::Problems> for Failure {
    fn from(problems: crate::config::Problems) -> Self {
        Self::new(ErrorKind::Config, problems)
    }
}

#[cfg(test)]
mod tests {
    use model::ErrorKind;
    use secrets::{Redactor, Secret};

    use super::Failure;

    #[test]
    fn causes_stand_one_a_line_without_secrets_and_without_color_in_a_pipe() {
        let redactor = Redactor::default();
        redactor.register(&Secret::new("cnry-0123".to_owned()));
        let failure =
            Failure::new(ErrorKind::Transient, anyhow::anyhow!("GET /?access_key=cnry-0123"))
                .context("fetching page 2 of `AAPL`");
        assert_eq!(
            failure.in_lines(&redactor, false),
            "error: fetching page 2 of `AAPL`\n  because: GET /?access_key=[redacted]\n"
        );
        assert_eq!(
            failure.in_one_line(&redactor),
            "fetching page 2 of `AAPL`: GET /?access_key=[redacted]"
        );
        assert!(failure.in_lines(&redactor, true).starts_with("\x1b[1;31merror"));
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let error = anyhow::anyhow!("connection refused")
            .context("asking the store: connection refused")
            .context("listing `landing`");
        let failure = Failure::new(ErrorKind::Transient, error);
        let line = failure.in_one_line(&Redactor::default());
        assert_eq!(line, "listing `landing`: asking the store: connection refused");
    }
}

//! What a client is told when something is refused or fails: a gRPC status and one sentence.

use std::{error::Error as _, sync::Arc, time::Duration};

use tonic::{Code, Status};

use crate::postgres::{Failure, MUST_WAIT, WRONG_PASSWORD};

/// Longest text that a client is told: it travels in a header, and clients take 8 KiB of those.
const TEXT_CHARS_MAX: usize = 1_000;

/// The SQL port's answer as gRPC says it. The SQLSTATE stands at its end.
pub(super) fn status(failure: &Failure) -> Status {
    let Failure { code, message, hint, .. } = failure;
    let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    coded(kind(code), &format!("{}{hint}", short(message)), code)
}

/// What a status says beside its own code, for the audit. It is not sent but in the text.
#[derive(Debug, thiserror::Error)]
#[error("SQLSTATE {0}")]
struct SqlState(&'static str);

fn coded(code: Code, text: &str, sqlstate: &'static str) -> Status {
    let mut status = Status::new(code, format!("{text} [SQLSTATE {sqlstate}]"));
    status.set_source(Arc::new(SqlState(sqlstate)));
    status
}

/// Returns the SQLSTATE of a status: without one it tells of a fault of ours.
pub(super) fn sqlstate(status: &Status) -> &'static str {
    let source = status.source().and_then(|source| source.downcast_ref::<SqlState>());
    source.map_or("XX000", |SqlState(code)| code)
}

/// Some texts repeat what the client has sent.
fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(TEXT_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn kind(sqlstate: &str) -> Code {
    match sqlstate {
        // Writes: the tables are not the client's to change.
        "25006" | "42501" => Code::PermissionDenied,
        "42P01" | "3D000" | "3F000" => Code::NotFound,
        "57P01" => Code::Unavailable,
        _ => match sqlstate.get(..2).unwrap_or_default() {
            "0A" => Code::Unimplemented,
            "53" | "54" => Code::ResourceExhausted,
            "58" | "XX" => Code::Internal,
            _ => Code::InvalidArgument,
        },
    }
}

pub(super) fn timed_out() -> Status {
    let text = "the statement ran into the server's timeout";
    coded(Code::DeadlineExceeded, text, "57014")
}

/// The client stood still in the middle of a result, which it may hear of when it goes on.
pub(super) fn unread(waited: Duration) -> Status {
    let seconds = waited.as_secs();
    let text = format!(
        "the result was not read for {seconds} s, so the statement was ended; run it again"
    );
    coded(Code::DeadlineExceeded, &text, "57014")
}

/// The client went away in the middle of a result; it is not told.
pub(super) fn gone() -> Status {
    Status::cancelled("the client went away")
}

pub(super) fn cancelled() -> Status {
    coded(Code::Cancelled, "the statement was cancelled", "57014")
}

pub(super) fn shutdown() -> Status {
    coded(Code::Unavailable, "the server is shutting down", "57P01")
}

pub(super) fn panicked() -> Status {
    status(&Failure::panicked())
}

/// There is no room for one more statement.
pub(super) fn busy(why: &str) -> Status {
    coded(Code::ResourceExhausted, &format!("{why}; try again in a second"), "53300")
}

/// Neither of the two is told which of them it is.
pub(super) fn wrong_password() -> Status {
    let text = "the user name or the password is wrong";
    coded(Code::Unauthenticated, text, WRONG_PASSWORD)
}

/// Whoever guessed too often has to wait.
pub(super) fn must_wait(wait: Duration) -> Status {
    let seconds = wait.as_secs().saturating_add(1);
    let text = format!("too many failed logins; try again in {seconds} s");
    coded(Code::ResourceExhausted, &text, MUST_WAIT)
}

/// What was asked for is no part of this server.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{} is not supported here", short(what)))
}

/// What would change the tables.
pub(super) fn read_only(what: &str) -> Status {
    let text = format!("{what} is refused: this server only reads");
    coded(Code::PermissionDenied, &text, "25006")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_learns_whose_fault_it_is() {
        for (sqlstate, expected) in [
            ("25006", Code::PermissionDenied),
            ("0A000", Code::Unimplemented),
            ("42601", Code::InvalidArgument),
            ("42P01", Code::NotFound),
            ("22012", Code::InvalidArgument),
            ("53200", Code::ResourceExhausted),
            ("54001", Code::ResourceExhausted),
            ("58030", Code::Internal),
            ("XX000", Code::Internal),
            ("", Code::InvalidArgument),
        ] {
            assert_eq!(kind(sqlstate), expected, "{sqlstate}");
        }
        assert_eq!(sqlstate(&status(&Failure::new("42P01", "x"))), "42P01");
        assert_eq!(sqlstate(&Status::internal("x")), "XX000");
        let long = status(&Failure::new("42601", "é".repeat(100_000)));
        assert!(long.message().len() < 4_096, "a header has bounds");
        let failure = Failure::new("42P01", "relation \"x\" does not exist");
        let told = status(&failure);
        assert_eq!(told.message(), "relation \"x\" does not exist [SQLSTATE 42P01]");
    }
}

//! What a client is told when something is refused or fails: a gRPC status and one sentence.

use std::time::Duration;

use tonic::{Code, Status};

use crate::postgres::Failure;

/// Longest text that a client is told: it travels in a header, and clients take 8 KiB of those.
const TEXT_CHARS_MAX: usize = 1_000;

/// The SQL port's answer as gRPC says it. The SQLSTATE stands at its end.
pub(super) fn status(failure: &Failure) -> Status {
    let Failure { code, message, hint, .. } = failure;
    let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    Status::new(kind(code), format!("{}{hint} [SQLSTATE {code}]", short(message)))
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
    Status::deadline_exceeded("the statement ran into the server's timeout [SQLSTATE 57014]")
}

/// The client stood still in the middle of a result, which it may hear of when it goes on.
pub(super) fn unread(waited: Duration) -> Status {
    let seconds = waited.as_secs();
    Status::deadline_exceeded(format!(
        "the result was not read for {seconds} s, so the statement was ended; run it again \
         [SQLSTATE 57014]"
    ))
}

/// The client went away in the middle of a result; it is not told.
pub(super) fn gone() -> Status {
    Status::cancelled("the client went away")
}

pub(super) fn cancelled() -> Status {
    Status::cancelled("the statement was cancelled [SQLSTATE 57014]")
}

pub(super) fn shutdown() -> Status {
    Status::unavailable("the server is shutting down [SQLSTATE 57P01]")
}

pub(super) fn panicked() -> Status {
    status(&Failure::panicked())
}

/// There is no room for one more statement.
pub(super) fn busy(why: String) -> Status {
    Status::resource_exhausted(format!("{why}; try again in a second [SQLSTATE 53300]"))
}

/// What was asked for is no part of this server.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{} is not supported here", short(what)))
}

/// What would change the tables.
pub(super) fn read_only(what: &str) -> Status {
    Status::permission_denied(format!("{what} is refused: this server only reads [SQLSTATE 25006]"))
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
        let long = status(&Failure::new("42601", "é".repeat(100_000)));
        assert!(long.message().len() < 4_096, "a header has bounds");
        let failure = Failure::new("42P01", "relation \"x\" does not exist");
        let told = status(&failure);
        assert_eq!(told.message(), "relation \"x\" does not exist [SQLSTATE 42P01]");
    }
}

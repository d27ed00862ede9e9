//! Reduces an error of Microsoft's client to what may be shown: status, code, our own words.
//!
//! Its texts repeat bodies and addresses, so none of them is kept.

use std::error::Error as StdError;

use azure_core::error::ErrorKind;
use serde::Deserialize;

use crate::{
    ErrorClass, RemoteError,
    http::{class_of, parse_retry_after},
};

/// What went wrong.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: RemoteError,
    /// Whether the vault said that there is no such secret or version.
    pub(super) is_missing: bool,
}

#[derive(Deserialize)]
struct Body {
    error: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<String>,
    innererror: Option<Box<Self>>,
}

/// What a service or the connection to it has to do with an error.
pub(super) enum Reason<'error> {
    /// There was no usable answer.
    Ours(&'error RemoteError),
    /// There was an answer: its status, and the error that holds it.
    Reply(u16, &'error ErrorKind),
}

/// Finds the reason in the chain of causes; says as well whether it concerns signing in.
pub(super) fn reason(error: &azure_core::Error) -> (Option<Reason<'_>>, bool) {
    let mut is_sign_in = false;
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<RemoteError>() {
            return (Some(Reason::Ours(error)), is_sign_in);
        }
        if let Some(error) = error.downcast_ref::<azure_core::Error>() {
            match error.kind() {
                ErrorKind::Credential => is_sign_in = true,
                kind @ ErrorKind::HttpResponse { status, .. } => {
                    return (Some(Reason::Reply(u16::from(*status), kind)), is_sign_in);
                }
                _ => {}
            }
        }
        cause = error.source();
    }
    (None, is_sign_in)
}

/// Says in our words what went wrong.
pub(super) fn explain(error: &azure_core::Error) -> Fault {
    let (reason, is_sign_in) = reason(error);
    match reason {
        Some(Reason::Ours(error)) => return Fault { error: error.clone(), is_missing: false },
        Some(Reason::Reply(status, kind)) => return refusal(kind, status, is_sign_in),
        None => {}
    }
    let error = match error.kind() {
        _ if is_sign_in => RemoteError::NoCredential {
            explanation: "the credential of the scope found nothing to sign in with; see \
                          `credential`, and the identity of this machine"
                .to_owned(),
        },
        ErrorKind::Io | ErrorKind::Connection => {
            RemoteError::BadReply { what: "with a broken connection" }
        }
        ErrorKind::Other => {
            RemoteError::BadReply { what: "by asking for a token of another domain than its own" }
        }
        _ => RemoteError::BadReply { what: "with something other than expected" },
    };
    Fault { error, is_missing: false }
}

fn refusal(kind: &ErrorKind, status: u16, is_sign_in: bool) -> Fault {
    let ErrorKind::HttpResponse { error_code, raw_response, .. } = kind else {
        let error = RemoteError::BadReply { what: "with something other than expected" };
        return Fault { error, is_missing: false };
    };
    let body = raw_response
        .as_ref()
        .and_then(|reply| serde_json::from_slice::<Body>(reply.body()).ok())
        .and_then(|body| body.error);
    // The inner code is the telling one: `Forbidden` may be a policy, a firewall, a disabled secret.
    let inner = body.and_then(|detail| match detail.innererror {
        Some(inner) if inner.code.is_some() => inner.code,
        _ => detail.code,
    });
    let code = inner.or_else(|| error_code.clone()).unwrap_or_default();
    let class = class_of(status);
    // Entra's codes are numbers, and 400 is its answer to a wrong identity, too.
    let is_identity = is_sign_in && class == ErrorClass::Config;
    let class = if is_identity { ErrorClass::Permission } else { class };
    let code = match is_sign_in && code.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("AADSTS{code}"),
        false => code,
    };
    let explanation = match (class, is_sign_in) {
        (ErrorClass::Transient, _) => "",
        (_, true) => {
            "Entra does not accept the identity; see `tenant_id`, `client_id`, and whether the \
             client secret or token has expired"
        }
        (ErrorClass::Permission, false) => {
            "the identity needs the role `Key Vault Secrets User` or an access policy with get \
             and list, and the vault's firewall must let this machine in"
        }
        (ErrorClass::Config, false) if status == 404 => {
            "there is no vault at this address; correct `vault_url`"
        }
        (ErrorClass::Config, false) => "the vault does not accept the request",
    };
    let wish = raw_response.as_ref().and_then(|reply| {
        let name = azure_core::http::headers::HeaderName::from_static("retry-after");
        parse_retry_after(reply.headers().get_optional_str(&name)?)
    });
    let error = RemoteError::refused(status, &code, class, explanation, wish);
    // Any server says 404; only a vault knows this code.
    let is_missing = status == 404 && code == "SecretNotFound" && !is_sign_in;
    Fault { error, is_missing }
}

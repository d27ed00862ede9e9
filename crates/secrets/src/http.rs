//! One question to a service: no redirects, no referer, no proxy, a bounded answer, and errors
//! without addresses or bodies, for both may hold credentials.

use std::{error::Error as StdError, io, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, Request, header::HeaderMap, redirect::Policy};
use tokio::sync::OnceCell;
use url::Host;
use zeroize::Zeroizing;

use crate::{ErrorClass, provider::VALUE_BYTES_MAX};

mod tls;

/// Largest answer: a value of 128 KiB in which JSON escapes every byte as `\u00xx`, twice, or a
/// page of some thousand keys.
const REPLY_BYTES_MAX: usize = 12 * VALUE_BYTES_MAX;

/// Longest error code that is shown; a longer one is not a code.
const CODE_BYTES_MAX: usize = 64;

/// Why a service gave no usable answer.
///
/// No variant holds a body or an address: what a service says is reduced to its error code.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The answer did not arrive in time.
    #[error(
        "no complete answer within {timeout:?}; see whether the service is up, or raise `timeout`"
    )]
    Timeout {
        /// The bound of one attempt.
        timeout: Duration,
    },
    /// There was no connection, or it broke.
    #[error("no connection; see whether address, name resolution and firewall are right")]
    Connection {
        /// The cause, without the address.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The server could not prove who it is.
    #[error("the connection is not secure: {problem}")]
    Tls {
        /// What is wrong with the server, and the remedy.
        problem: &'static str,
        /// The cause.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The address leads elsewhere.
    #[error(
        "answered with a redirect (status {status}), which is never followed with a credential; correct the address"
    )]
    Redirected {
        /// The status.
        status: u16,
    },
    /// The answer is larger than any answer of such a service.
    #[error(
        "answered with more than {REPLY_BYTES_MAX} bytes; this is not the service it should be"
    )]
    TooLarge,
    /// The answer is not what the service's protocol says.
    #[error("answered {what}; see whether the address is that of the service")]
    BadReply {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The service said no.
    #[error("answered status {status} ({code}): {explanation}")]
    Refused {
        /// The status.
        status: u16,
        /// The service's own error code.
        code: String,
        /// What it means here, and the remedy.
        explanation: String,
        /// What it asks of the caller.
        class: ErrorClass,
        /// How long the service asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// There is nothing to sign in with.
    #[error("no credential to sign in with: {explanation}")]
    NoCredential {
        /// What was looked for, and the remedy.
        explanation: String,
    },
    /// What there was to sign in with has ended, and nothing new can be had.
    #[error(
        "the credential of this machine cannot be renewed for now; see whether its identity \
         service answers"
    )]
    NotRenewed,
    /// The certificates to trust cannot be read.
    #[error("reading the certificates of `ca_file` = `{}`", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
}

impl RemoteError {
    /// Makes the error of a service that said no. `code` is what the service calls it,
    /// `explanation` what it means for those that are the operator's to mend; what passes by itself
    /// is explained here.
    pub(crate) fn refused(
        status: u16,
        code: &str,
        class: ErrorClass,
        explanation: &str,
        retry_after: Option<Duration>,
    ) -> Self {
        let explanation = match (class, status) {
            // AWS throttles with status 400.
            (ErrorClass::Transient, 400 | 429) => "too many requests for now",
            (ErrorClass::Transient, _) => "the service is not able to answer for now",
            (ErrorClass::Config | ErrorClass::Permission, _) => explanation,
        };
        let (code, explanation) = (plain_code(code), explanation.to_owned());
        Self::Refused { status, code, explanation, class, retry_after }
    }

    /// Returns what this failure asks of the caller.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Timeout { .. } | Self::Connection { .. } | Self::NotRenewed => {
                ErrorClass::Transient
            }
            Self::Tls { .. }
            | Self::Redirected { .. }
            | Self::TooLarge
            | Self::BadReply { .. }
            | Self::CaFile { .. } => ErrorClass::Config,
            Self::NoCredential { .. } => ErrorClass::Permission,
            Self::Refused { class, .. } => *class,
        }
    }

    /// Returns how long the service asked to be left alone.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// An answer, whatever its status.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Reply {
    /// Parses the body as JSON.
    pub(crate) fn json<'body, T: serde::Deserialize<'body>>(&'body self) -> Result<T, RemoteError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| RemoteError::BadReply { what: "with something other than expected" })
    }

    /// Makes the error of a status that is not expected.
    pub(crate) fn refused(&self, code: &str, explanation: &str) -> RemoteError {
        self.refused_as(class_of(self.status), code, explanation)
    }

    /// The same for an answer whose status does not say what it asks of the caller.
    pub(crate) fn refused_as(
        &self,
        class: ErrorClass,
        code: &str,
        explanation: &str,
    ) -> RemoteError {
        let wish = retry_after(&self.headers);
        RemoteError::refused(self.status, code, class, explanation, wish)
    }
}

/// Returns what a status asks of the caller.
pub(crate) fn class_of(status: u16) -> ErrorClass {
    match status {
        401 | 403 => ErrorClass::Permission,
        // 408 and 425 ask for another attempt; 472 and 473 are standby servers of Vault.
        408 | 425 | 429 | 472 | 473 | 500.. => ErrorClass::Transient,
        _ => ErrorClass::Config,
    }
}

/// Returns the code if it looks like one; a server's free text may repeat what was sent to it.
fn plain_code(code: &str) -> String {
    let is_code = (1..=CODE_BYTES_MAX).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-,".contains(&byte));
    if is_code { code.to_owned() } else { "no code".to_owned() }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    parse_retry_after(headers.get("retry-after")?.to_str().ok()?)
}

/// Parses the seconds of `Retry-After`. Its other form, a date, is not used by these services.
pub(crate) fn parse_retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

/// The client of one scope; connections are kept between questions.
#[derive(Debug)]
pub(crate) struct Http {
    timeout: Duration,
    ca_file: Option<PathBuf>,
    client: OnceCell<Client>,
}

impl Http {
    /// Creates a client; `ca_file` is read at the first question.
    pub(crate) fn new(timeout: Duration, ca_file: Option<PathBuf>) -> Self {
        Self { timeout, ca_file, client: OnceCell::new() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// There is no complete answer. A status is an answer, except a redirect.
    pub(crate) async fn send(&self, request: Request) -> Result<Reply, RemoteError> {
        let url = request.url();
        if url.scheme() != "https" && !is_near(url.host()) {
            return Err(RemoteError::BadReply { what: "with an address that is not https" });
        }
        let client = self.client.get_or_try_init(|| self.build()).await?;
        let failed = |error: reqwest::Error| self.explain(error);
        let mut response = client.execute(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            return Err(RemoteError::Redirected { status });
        }
        let headers = response.headers().clone();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if REPLY_BYTES_MAX < body.len() + chunk.len() {
                return Err(RemoteError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body })
    }

    async fn build(&self) -> Result<Client, RemoteError> {
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .timeout(self.timeout)
            .connect_timeout(self.timeout);
        if let Some(path) = &self.ca_file {
            let failed =
                |source| RemoteError::CaFile { path: path.clone(), source: Arc::new(source) };
            let pem = tokio::fs::read(path).await.map_err(failed)?;
            let none =
                || failed(io::Error::new(io::ErrorKind::InvalidData, "no certificate in it"));
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| none())?;
            if certificates.is_empty() {
                return Err(none());
            }
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map_err(|error| self.explain(error))
    }

    /// Turns the client's error into ours; its address goes.
    fn explain(&self, error: reqwest::Error) -> RemoteError {
        let error = error.without_url();
        if error.is_timeout() {
            return RemoteError::Timeout { timeout: self.timeout };
        }
        match tls::problem(&error) {
            Some(problem) => RemoteError::Tls { problem, source: Arc::new(error) },
            None => RemoteError::Connection { source: Arc::new(error) },
        }
    }
}

/// Returns whether a host is this machine or its hypervisor, which hands out identities over http.
fn is_near(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{class_of, plain_code};
    use crate::ErrorClass;

    #[test]
    fn a_status_says_whether_to_come_back() {
        for (status, class) in [
            (400, ErrorClass::Config),
            (401, ErrorClass::Permission),
            (403, ErrorClass::Permission),
            (404, ErrorClass::Config),
            (429, ErrorClass::Transient),
            (473, ErrorClass::Transient),
            (500, ErrorClass::Transient),
            (503, ErrorClass::Transient),
        ] {
            assert_eq!(class_of(status), class, "{status}");
        }
    }

    #[test]
    fn free_text_of_a_server_is_no_code() {
        assert_eq!(plain_code("AccessDeniedException"), "AccessDeniedException");
        assert_eq!(plain_code("AADSTS7000215,7000222"), "AADSTS7000215,7000222");
        for text in ["", "you sent cnry-1", "a\nb", &"x".repeat(65)] {
            assert_eq!(plain_code(text), "no code", "{text:?}");
        }
    }
}

//! One question to a queue: tried a few times, its answer bounded, its errors free of secrets.

use std::{fmt, sync::Arc, time::Duration};

use futures::TryStreamExt;
use model::{Clock, ErrorKind, hint::HintError};
use object_store::client::{HttpClient, HttpRequest};

use super::failed;
use crate::{redact::Secrets, store_kind, trouble::mend};

/// Tries of one question. A hiccup is hidden; what lasts longer is the caller's to wait for.
const TRIES_MAX: u32 = 3;
const WAIT_FIRST: Duration = Duration::from_millis(200);

/// Largest answer: ten messages of SQS have a megabyte together, 32 of Azure two; XML and JSON
/// escape some of it.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Why a queue gives nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It said no.
    #[error("the queue `{queue}` answered status {status} ({code}): {remedy}")]
    Refused {
        queue: String,
        status: u16,
        /// What the service calls it.
        code: String,
        /// What it means, and what to do.
        remedy: &'static str,
    },
    /// There was no answer, or no credential to ask with.
    #[error("asking the queue `{queue}`")]
    Silent { queue: String, source: object_store::Error },
    /// What it answered is not of its protocol.
    #[error("the queue `{queue}` answered {what}; see whether the address is that of a queue")]
    Answer { queue: String, what: &'static str },
}

/// What the codes of both services mean: the kind, and what to do.
const CODES: [(&str, ErrorKind, &str); 25] = [
    ("QueueDoesNotExist", ErrorKind::Config, NO_QUEUE),
    ("AWS.SimpleQueueService.NonExistentQueue", ErrorKind::Config, NO_QUEUE),
    ("InvalidAddress", ErrorKind::Config, NO_QUEUE),
    ("QueueNotFound", ErrorKind::Config, NO_QUEUE),
    ("AccessDenied", ErrorKind::Config, NO_RIGHT),
    ("AccessDeniedException", ErrorKind::Config, NO_RIGHT),
    ("AuthorizationFailure", ErrorKind::Config, NO_RIGHT),
    ("AuthorizationPermissionMismatch", ErrorKind::Config, NO_RIGHT),
    ("InsufficientAccountPermissions", ErrorKind::Config, NO_RIGHT),
    ("AuthorizationServiceMismatch", ErrorKind::Config, "the SAS token is not for queues"),
    ("InvalidClientTokenId", ErrorKind::Config, WRONG_KEY),
    ("UnrecognizedClientException", ErrorKind::Config, WRONG_KEY),
    ("SignatureDoesNotMatch", ErrorKind::Config, WRONG_KEY),
    ("InvalidSignatureException", ErrorKind::Config, WRONG_KEY),
    ("MissingAuthenticationToken", ErrorKind::Config, WRONG_KEY),
    ("AuthenticationFailed", ErrorKind::Config, WRONG_KEY),
    ("InvalidAuthenticationInfo", ErrorKind::Config, WRONG_KEY),
    ("ExpiredToken", ErrorKind::Config, EXPIRED),
    ("ExpiredTokenException", ErrorKind::Config, EXPIRED),
    ("RequestExpired", ErrorKind::Config, EXPIRED),
    ("KmsAccessDenied", ErrorKind::Config, "grant kms:Decrypt on the key of the queue"),
    ("OverLimit", ErrorKind::Transient, LATER),
    ("RequestThrottled", ErrorKind::Transient, LATER),
    ("ThrottlingException", ErrorKind::Transient, LATER),
    ("KmsThrottled", ErrorKind::Transient, LATER),
];

const NO_QUEUE: &str = "there is no such queue; create it, or correct its address and region";
const NO_RIGHT: &str = "the credentials may not do this; grant receiving and deleting messages \
                        (sqs:ReceiveMessage and sqs:DeleteMessage; Storage Queue Data Message \
                        Processor)";
const WRONG_KEY: &str = "the queue does not accept the key; correct the credentials in the options";
const EXPIRED: &str = "the credentials have run out, or this machine's clock is wrong";
const LATER: &str = "it is asked again later";
const OTHER: &str = "see whether the address is that of a queue";

/// The client of one queue.
pub(super) struct Client {
    http: HttpClient,
    queue: String,
    secrets: Arc<Secrets>,
    pub(super) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The clients of object_store show headers and proxies.
        f.debug_tuple("Client").field(&self.queue).finish()
    }
}

impl Client {
    pub(super) fn new(
        http: HttpClient,
        queue: String,
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { http, queue, secrets, clock }
    }

    /// Asks until there is an answer that is no passing trouble. `request` signs anew each time.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn ask<R>(
        &self,
        request: impl Fn() -> R + Send,
        code: fn(&Answer) -> String,
    ) -> Result<Answer, HintError>
    where
        R: Future<Output = object_store::Result<HttpRequest>> + Send,
    {
        let mut tries = 1;
        loop {
            let error = match self.ask_once(request().await).await {
                Ok(answer) if answer.status < 300 => return Ok(answer),
                Ok(answer) => self.refused(&answer, &code(&answer)),
                Err(error) => self.silent(error),
            };
            if error.kind != ErrorKind::Transient || TRIES_MAX <= tries {
                return Err(error);
            }
            self.clock.sleep(WAIT_FIRST * 2_u32.saturating_pow(tries - 1)).await;
            tries += 1;
        }
    }

    async fn ask_once(
        &self,
        request: object_store::Result<HttpRequest>,
    ) -> object_store::Result<Answer> {
        let lost = |error| object_store::Error::Generic { store: "queue", source: Box::new(error) };
        let response = self.http.execute(request?).await.map_err(lost)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut chunks = response.into_body().bytes_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(lost)? {
            if ANSWER_BYTES_MAX < body.len() + chunk.len() {
                let source = "the answer is longer than any of a queue".into();
                return Err(object_store::Error::Generic { store: "queue", source });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    fn silent(&self, error: object_store::Error) -> HintError {
        let source = mend(error, &self.secrets);
        failed(store_kind(&source), Refusal::Silent { queue: self.queue.clone(), source })
    }

    fn refused(&self, answer: &Answer, code: &str) -> HintError {
        let status = answer.status;
        let known = CODES.iter().find(|(known, _, _)| *known == code);
        let (kind, remedy) = match (known, status) {
            (Some((_, kind, remedy)), _) => (*kind, *remedy),
            (None, 408 | 429 | 500..) => (ErrorKind::Transient, LATER),
            (None, _) => (ErrorKind::Config, OTHER),
        };
        // What is no code may repeat what was sent.
        let is_code = (1..=64).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let code = if is_code { code } else { "no code" }.to_owned();
        failed(kind, Refusal::Refused { queue: self.queue.clone(), status, code, remedy })
    }

    /// Makes the error of an answer that is none.
    pub(super) fn odd(&self, what: &'static str) -> HintError {
        failed(ErrorKind::Config, Refusal::Answer { queue: self.queue.clone(), what })
    }
}

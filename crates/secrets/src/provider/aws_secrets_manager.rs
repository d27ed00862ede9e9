//! Secrets from AWS Secrets Manager: one signed POST for each question.
//!
//! Signing and the search for credentials (environment, web identity, container, instance) are
//! those of `object_store`, so that no AWS SDK is needed. Profiles of `~/.aws` are not read.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use object_store::{
    BackoffConfig, RetryConfig,
    aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential, AwsCredentialProvider},
    client::{HttpRequest, HttpRequestBody},
};
use reqwest::{
    Method, Request,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::listing::Listing;
use crate::{
    AwsConfig, Clock, Credential, Error, ErrorClass, Redactor, RemoteError, Secret, SecretName,
    SecretProvider,
    config::is_version,
    http::{Http, Reply},
    retry::{Retries, retry},
};

/// The service's name in signatures.
const SERVICE: &str = "secretsmanager";

/// Longest search for credentials on the machine's own endpoints.
const CREDENTIAL_ATTEMPTS_MAX: usize = 2;

/// Reads the secrets of one account and region whose names begin with a prefix.
pub(crate) struct AwsSecretsManager {
    scope: SecretName,
    config: AwsConfig,
    /// Access key id and secret access key, when the settings name them.
    access_key: Option<(Credential, Credential)>,
    /// Finds credentials on this machine otherwise.
    machine: OnceCell<AwsCredentialProvider>,
    /// Whether this machine had a credential before.
    is_found: AtomicBool,
    redactor: Redactor,
    http: Http,
    retries: Retries,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    secret_list: Vec<Listed>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    name: String,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(rename = "__type", default)]
    code: String,
}

/// An answer, or the service's word that there is no such secret or version.
enum Answer {
    Reply(Reply),
    NotFound,
}

impl AwsSecretsManager {
    /// Creates a provider; the service is asked at first use. `credentials` holds the access key
    /// id and the secret access key, or nothing.
    #[must_use]
    pub(crate) fn new(
        scope: SecretName,
        config: AwsConfig,
        credentials: Vec<Credential>,
        redactor: Redactor,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut credentials = credentials.into_iter();
        let access_key = credentials.next().zip(credentials.next());
        let http = Http::new(config.remote.timeout, config.remote.ca_file.clone());
        Self {
            scope,
            config,
            access_key,
            machine: OnceCell::new(),
            is_found: AtomicBool::new(false),
            redactor,
            http,
            retries: Retries::default(),
            clock,
        }
    }

    async fn ask(&self, action: &str, operation: &str, body: &Value) -> Result<Answer, Error> {
        let credential = self.credential(action).await?;
        let body = body.to_string();
        let ask = || async {
            let request = self.request(&credential, operation, &body)?;
            judge(self.http.send(request).await?)
        };
        let result = retry(self.clock.as_ref(), &self.retries, ask).await;
        if let (Err(error), Some((id, key))) = (&result, &self.access_key)
            && error.class() == ErrorClass::Permission
        {
            // A key that was replaced is read again for the next question.
            id.invalidate().await;
            key.invalidate().await;
        }
        result.map_err(|source| self.failed(action, source))
    }

    async fn credential(&self, action: &str) -> Result<Arc<AwsCredential>, Error> {
        if let Some((id, key)) = &self.access_key {
            let (id, key) = (id.get().await?, key.get().await?);
            return Ok(Arc::new(AwsCredential {
                key_id: id.expose().to_owned(),
                secret_key: key.expose().to_owned(),
                token: None,
            }));
        }
        let found = async {
            let machine = self.machine.get_or_try_init(|| async { self.search() }).await?;
            machine.get_credential().await
        };
        // The cause stays out of the error: it may repeat what the identity service sent.
        let credential = found.await.map_err(|_| self.failed(action, self.no_credential()))?;
        self.is_found.store(true, Ordering::Release);
        self.redactor.register_token(&Secret::new(credential.secret_key.clone()));
        if let Some(token) = &credential.token {
            self.redactor.register_token(&Secret::new(token.clone()));
        }
        Ok(credential)
    }

    /// Returns why there is no credential of this machine: it has none, or, once it had one, that
    /// one could not be renewed.
    fn no_credential(&self) -> RemoteError {
        if self.is_found.load(Ordering::Acquire) {
            return RemoteError::NotRenewed;
        }
        RemoteError::NoCredential {
            explanation: "neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor a web \
                          identity, nor a container or instance role; set one, or \
                          `access_key_id` and `secret_access_key` as references"
                .to_owned(),
        }
    }

    /// Returns what finds credentials on this machine. The builder is one of a store that is
    /// never asked for anything else.
    fn search(&self) -> object_store::Result<AwsCredentialProvider> {
        let retry = RetryConfig {
            max_retries: CREDENTIAL_ATTEMPTS_MAX,
            retry_timeout: self.config.remote.timeout,
            backoff: BackoffConfig::default(),
        };
        let store = AmazonS3Builder::from_env()
            .with_region(&self.config.region)
            .with_bucket_name("none")
            .with_retry(retry)
            .build()?;
        Ok(Arc::clone(store.credentials()))
    }

    fn request(
        &self,
        credential: &AwsCredential,
        operation: &str,
        body: &str,
    ) -> Result<Request, RemoteError> {
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| RemoteError::NoCredential {
                explanation: "the access key has characters that no header may have".to_owned(),
            })
        };
        // The signer expects values that fit into headers.
        header(&credential.key_id)?;
        if let Some(token) = &credential.token {
            header(token)?;
        }
        let mut signed = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
        *signed.method_mut() = Method::POST;
        *signed.uri_mut() = self.config.endpoint.as_str().parse().map_err(|_| {
            RemoteError::NoCredential { explanation: "`endpoint` is no address".to_owned() }
        })?;
        let headers = signed.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert("x-amz-target", header(&format!("{SERVICE}.{operation}"))?);
        AwsAuthorizer::new(credential, SERVICE, &self.config.region).authorize(&mut signed, None);

        let mut request = Request::new(Method::POST, self.config.endpoint.clone());
        *request.headers_mut() = std::mem::take(signed.headers_mut());
        for value in request.headers_mut().values_mut() {
            value.set_sensitive(true);
        }
        *request.body_mut() = Some(body.to_owned().into());
        Ok(request)
    }

    async fn value(&self, key: &SecretName, mut body: Value) -> Result<Option<Secret>, Error> {
        let action = format!("reading secret `{key}`");
        body["SecretId"] = json!(format!("{}{key}", self.config.prefix));
        let Answer::Reply(reply) = self.ask(&action, "GetSecretValue", &body).await? else {
            return Ok(None);
        };
        let value: Found = reply.json().map_err(|source| self.failed(&action, source))?;
        let unusable = |reason| self.unusable(key, reason);
        let text = match (value.secret_string, value.secret_binary) {
            (Some(text), _) => text,
            (None, Some(encoded)) => {
                let bytes = STANDARD.decode(encoded);
                let bytes = bytes.map_err(|_| unusable("its binary value is not base64"))?;
                String::from_utf8(bytes).map_err(|_| unusable("the value is not UTF-8 text"))?
            }
            (None, None) => return Err(unusable("the secret has no value yet")),
        };
        Ok(Some(Secret::new(text)))
    }

    fn failed(&self, action: &str, source: RemoteError) -> Error {
        Error::Remote {
            scope: self.scope.to_string(),
            action: action.to_owned(),
            host: self.config.endpoint.host_str().unwrap_or_default().to_owned(),
            source: Box::new(source),
        }
    }
}

/// Sorts an answer by the service's error code: its statuses say little, most are 400.
fn judge(reply: Reply) -> Result<Answer, RemoteError> {
    if reply.status == 200 {
        return Ok(Answer::Reply(reply));
    }
    let fault: Option<Fault> = reply.json().ok();
    let code = fault.map(|fault| fault.code).unwrap_or_default();
    // The code may come with a namespace before a `#`.
    let code = code.rsplit('#').next().unwrap_or_default();
    let (class, explanation) = match code {
        "ResourceNotFoundException" => return Ok(Answer::NotFound),
        "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "InternalServiceError"
        | "InternalServiceErrorException"
        | "ServiceUnavailable" => (ErrorClass::Transient, ""),
        "AccessDeniedException" | "AccessDenied" => (
            ErrorClass::Permission,
            "the role needs secretsmanager:GetSecretValue, and ListSecrets for a listing",
        ),
        "DecryptionFailure" | "DecryptionFailureException" => {
            (ErrorClass::Permission, "the role needs kms:Decrypt on the secret's key")
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => (
            ErrorClass::Permission,
            "the access key is not accepted; see whether it is active, and `region` is right",
        ),
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            (ErrorClass::Permission, "the credential has expired, or this machine's clock is wrong")
        }
        "InvalidRequestException" => (
            ErrorClass::Config,
            "the secret is marked for deletion; restore it, or write it anew under another name",
        ),
        _ => return Err(reply.refused(code, "the service does not accept the request")),
    };
    Err(reply.refused_as(class, code, explanation))
}

impl fmt::Debug for AwsSecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsSecretsManager")
            .field("scope", &self.scope)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretProvider for AwsSecretsManager {
    fn scope(&self) -> &SecretName {
        &self.scope
    }

    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error> {
        self.value(key, json!({"VersionStage": self.config.version_stage})).await
    }

    async fn get_version(&self, key: &SecretName, version: &str) -> Result<Option<Secret>, Error> {
        if !is_version(version) {
            let reason = "a version in Secrets Manager is letters, digits and `-`";
            return Err(self.unusable(key, reason));
        }
        self.value(key, json!({"VersionId": version})).await
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let action = "listing the keys";
        let prefix = &self.config.prefix;
        let mut body = json!({"MaxResults": 100});
        if !prefix.is_empty() {
            body["Filters"] = json!([{"Key": "name", "Values": [prefix]}]);
        }
        let mut listing = Listing::default();
        while let Answer::Reply(reply) = self.ask(action, "ListSecrets", &body).await? {
            let page: Page = reply.json().map_err(|source| self.failed(action, source))?;
            let names = page
                .secret_list
                .into_iter()
                .filter_map(|listed| listed.name.strip_prefix(prefix.as_str()).map(str::to_owned));
            let next = page.next_token.filter(|token| !token.is_empty());
            if !listing.take(names, next.is_some()) {
                break;
            }
            body["NextToken"] = json!(next);
        }
        Ok(listing.finish(&self.scope))
    }

    fn remedy(&self, key: &SecretName) -> String {
        let AwsConfig { region, prefix, .. } = &self.config;
        format!(
            "write it with `aws secretsmanager create-secret --region {region} --name \
             {prefix}{key} --secret-string file://…`"
        )
    }
}

#[cfg(test)]
mod tests;

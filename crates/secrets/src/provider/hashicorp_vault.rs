//! Secrets from HashiCorp Vault or OpenBao: secrets engine KV version 2, signed in with a token or
//! as an application role.
//!
//! A secret of that engine has fields, a key of a scope has none: the value is the field that
//! `field` names, or the only one there is.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use reqwest::{
    Method, Request,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use url::Url;

mod session;

use session::Sessions;

use super::listing::Listing;
use crate::{
    Clock, Credential, Error, HashicorpConfig, Redactor, RemoteError, Secret, SecretName,
    SecretProvider,
    http::{Http, Reply, class_of},
    retry::{Retries, retry},
};

/// A write that loses this often to others writes against a loop, not against people.
const WRITE_ATTEMPTS_MAX: u32 = 5;

/// Reads and writes one folder of a KV engine.
pub(crate) struct HashicorpVault {
    scope: SecretName,
    config: HashicorpConfig,
    server: Server,
    sessions: Sessions,
}

/// The server without who asks it.
struct Server {
    address: Url,
    namespace: Option<String>,
    http: Http,
    retries: Retries,
    clock: Arc<dyn Clock>,
}

/// One question, to be asked again as often as needed.
struct Question<'question> {
    method: Method,
    /// Parts of the path after `/v1/`.
    path: Vec<&'question str>,
    query: Option<(&'question str, &'question str)>,
    body: Option<Value>,
}

#[derive(Deserialize)]
struct Read {
    data: Version,
}

#[derive(Deserialize)]
struct Absent {
    data: Option<Version>,
    errors: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Version {
    /// Null when this version was deleted.
    data: Option<BTreeMap<String, Value>>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

#[derive(Deserialize)]
struct Page {
    data: Keys,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

impl HashicorpVault {
    /// Creates a provider; the server is asked at first use. `credentials` holds the token or
    /// secret id.
    #[must_use]
    pub(crate) fn new(
        scope: SecretName,
        config: HashicorpConfig,
        credentials: Vec<Credential>,
        redactor: Redactor,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let server = Server {
            address: config.address.clone(),
            namespace: config.namespace.clone(),
            http: Http::new(config.remote.timeout, config.remote.ca_file.clone()),
            retries: Retries::default(),
            clock,
        };
        let credential = credentials.into_iter().next();
        let sessions = Sessions::new(config.auth.clone(), credential, redactor);
        Self { scope, config, server, sessions }
    }

    /// Asks as whoever the scope signs in as; a session that is refused is given up, for the next
    /// question to sign in anew.
    async fn ask(&self, action: &str, question: &Question<'_>) -> Result<Reply, Error> {
        let failed = |source| self.failed(action, source);
        let session = self.sessions.get(&self.server).await.map_err(|error| error.of(failed))?;
        let reply = self.server.ask(Some(&session), question).await.map_err(failed)?;
        if reply.status == 403 {
            self.sessions.refused(&self.server, &session).await;
        }
        Ok(reply)
    }

    async fn version(
        &self,
        key: &SecretName,
        version: Option<&str>,
    ) -> Result<Option<Version>, Error> {
        let name = format!("{}{key}", self.config.prefix);
        let action = format!("reading secret `{key}`");
        let question = Question {
            method: Method::GET,
            path: self.path("data", &name),
            query: version.map(|version| ("version", version)),
            body: None,
        };
        let reply = self.ask(&action, &question).await?;
        match reply.status {
            200 => {
                let read: Read = reply.json().map_err(|source| self.failed(&action, source))?;
                Ok(Some(read.data))
            }
            404 => self.absent(&action, &reply),
            _ => Err(self.refused(&action, &reply)),
        }
    }

    /// Tells the engine's word that there is nothing from a path where there is no engine, and from
    /// other servers: all have status 404. What is left of a deleted version still has its number.
    fn absent(&self, action: &str, reply: &Reply) -> Result<Option<Version>, Error> {
        let absent: Absent = reply.json().map_err(|source| self.failed(action, source))?;
        match absent {
            Absent { data: Some(version), .. } => Ok(Some(version)),
            Absent { errors: Some(errors), .. } if errors.is_empty() => Ok(None),
            Absent { .. } => Err(self.refused(action, reply)),
        }
    }

    async fn value(
        &self,
        key: &SecretName,
        version: Option<&str>,
    ) -> Result<Option<Secret>, Error> {
        let Some(fields) = self.version(key, version).await?.and_then(|found| found.data) else {
            return Ok(None);
        };
        match pick(fields, &self.config.field) {
            Ok(value) => Ok(Some(Secret::new(value))),
            Err(reason) => Err(self.unusable(key, &reason)),
        }
    }

    fn path<'name>(&'name self, part: &'name str, name: &'name str) -> Vec<&'name str> {
        let mount = self.config.mount.split('/');
        mount.chain([part]).chain(name.split('/').filter(|part| !part.is_empty())).collect()
    }

    fn refused(&self, action: &str, reply: &Reply) -> Error {
        let explanation = match reply.status {
            400 => {
                "the server does not accept the request; see whether `mount` is an engine of KV version 2"
            }
            403 => {
                "the policy of the token or role must allow read on data/… and list on metadata/…; \
                 to write, create and update on data/… and delete on metadata/…"
            }
            404 => "no KV engine of version 2 is mounted at `mount`",
            _ => "the server does not accept the request",
        };
        self.failed(action, reply.refused("", explanation))
    }

    fn failed(&self, action: &str, source: RemoteError) -> Error {
        Error::Remote {
            scope: self.scope.to_string(),
            action: action.to_owned(),
            host: self.server.address.host_str().unwrap_or_default().to_owned(),
            source: Box::new(source),
        }
    }
}

impl Server {
    /// Asks until there is an answer that another attempt would not change.
    async fn ask(
        &self,
        token: Option<&Secret>,
        question: &Question<'_>,
    ) -> Result<Reply, RemoteError> {
        retry(self.clock.as_ref(), &self.retries, || async move {
            let reply = self.http.send(self.request(token, question)?).await?;
            match class_of(reply.status) {
                crate::ErrorClass::Transient => Err(reply.refused("", "")),
                _ => Ok(reply),
            }
        })
        .await
    }

    fn request(
        &self,
        token: Option<&Secret>,
        question: &Question<'_>,
    ) -> Result<Request, RemoteError> {
        let mut url = self.address.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(&question.path);
        }
        if let Some((name, value)) = question.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = Request::new(question.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        let header = |text: &str, what: &str| {
            HeaderValue::from_str(text).map_err(|_| RemoteError::NoCredential {
                explanation: format!("{what} has characters that no header may have"),
            })
        };
        if let Some(namespace) = &self.namespace {
            headers.insert("x-vault-namespace", header(namespace, "the namespace")?);
        }
        if let Some(token) = token {
            let mut value = header(token.expose(), "the token")?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        if let Some(body) = &question.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_string().into());
        }
        Ok(request)
    }
}

/// Returns the value among the fields of a secret.
fn pick(mut fields: BTreeMap<String, Value>, field: &str) -> Result<String, String> {
    let name = field_name(&fields, field)?;
    match fields.remove(&name) {
        Some(Value::String(value)) => Ok(value),
        _ => Err(format!("field `{name}` is not a text")),
    }
}

/// Returns the name of the field with the value: the one that was asked for, or the only one.
fn field_name(fields: &BTreeMap<String, Value>, field: &str) -> Result<String, String> {
    let mut names = fields.keys();
    match (fields.contains_key(field), names.next(), names.next()) {
        (true, _, _) | (false, None, _) => Ok(field.to_owned()),
        (false, Some(name), None) => Ok(name.clone()),
        (false, Some(_), Some(_)) => {
            let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
            Err(format!(
                "it has the fields {}, and none is `{field}`; name one in the scope's `field`",
                names.join(", ")
            ))
        }
    }
}

impl fmt::Debug for HashicorpVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashicorpVault")
            .field("scope", &self.scope)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretProvider for HashicorpVault {
    fn scope(&self) -> &SecretName {
        &self.scope
    }

    async fn get(&self, key: &SecretName) -> Result<Option<Secret>, Error> {
        self.value(key, None).await
    }

    async fn get_version(&self, key: &SecretName, version: &str) -> Result<Option<Secret>, Error> {
        if version.parse::<u32>().is_err() {
            return Err(self.unusable(key, "a version of KV is a number, such as 3"));
        }
        self.value(key, Some(version)).await
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let action = "listing the keys";
        let question = Question {
            method: Method::GET,
            path: self.path("metadata", &self.config.prefix),
            query: Some(("list", "true")),
            body: None,
        };
        let reply = self.ask(action, &question).await?;
        match reply.status {
            200 => {
                let page: Page = reply.json().map_err(|source| self.failed(action, source))?;
                let mut listing = Listing::default();
                // Names that end in a slash are folders, and no keys.
                listing.take(page.data.keys, false);
                Ok(listing.finish(&self.scope))
            }
            404 => self.absent(action, &reply).map(|_| Vec::new()),
            _ => Err(self.refused(action, &reply)),
        }
    }

    async fn put(&self, key: &SecretName, value: &Secret) -> Result<(), Error> {
        let action = format!("writing secret `{key}`");
        let name = format!("{}{key}", self.config.prefix);
        for _ in 0..WRITE_ATTEMPTS_MAX {
            let (mut fields, number) = match self.version(key, None).await? {
                Some(version) => (
                    version.data.unwrap_or_default(),
                    version.metadata.map_or(0, |metadata| metadata.version),
                ),
                None => (BTreeMap::new(), 0),
            };
            let field = field_name(&fields, &self.config.field)
                .map_err(|reason| self.unusable(key, &reason))?;
            fields.insert(field, Value::String(value.expose().to_owned()));
            // Written only over the version that was read, so that no other field gets lost.
            let question = Question {
                method: Method::POST,
                path: self.path("data", &name),
                query: None,
                body: Some(json!({"options": {"cas": number}, "data": fields})),
            };
            let reply = self.ask(&action, &question).await?;
            match reply.status {
                200 | 204 => return Ok(()),
                // Another writer was faster, or an earlier attempt of ours came through although
                // its answer was lost: the next round reads what is there.
                400 => {}
                _ => return Err(self.refused(&action, &reply)),
            }
        }
        let reason = "the server refuses each write; other writers are faster, or `mount` is no \
                      engine of KV version 2";
        Err(self.unusable(key, reason))
    }

    async fn delete(&self, key: &SecretName) -> Result<bool, Error> {
        let Some(version) = self.version(key, None).await? else { return Ok(false) };
        let action = format!("deleting secret `{key}`");
        let name = format!("{}{key}", self.config.prefix);
        // All versions and the name itself, or the key would be listed for ever.
        let question = Question {
            method: Method::DELETE,
            path: self.path("metadata", &name),
            query: None,
            body: None,
        };
        let reply = self.ask(&action, &question).await?;
        match reply.status {
            200 | 204 => Ok(version.data.is_some()),
            _ => Err(self.refused(&action, &reply)),
        }
    }

    fn remedy(&self, key: &SecretName) -> String {
        let HashicorpConfig { mount, prefix, field, .. } = &self.config;
        format!("write it with `vault kv put -mount={mount} {prefix}{key} {field}=…`")
    }
}

#[cfg(test)]
mod tests;

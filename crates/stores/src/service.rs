//! Clients of the services: how each is built from an address and its options.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, Certificate, ClientConfigKey, ClientOptions, HeaderValue, ObjectStore, Result,
    RetryConfig, StaticCredentialProvider,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider},
    azure::{AzureConfigKey, AzureCredentialProvider, MicrosoftAzureBuilder},
    client::{HttpClient, HttpConnector, ReqwestConnector},
    gcp::{GcpCredential, GcpCredentialProvider, GoogleCloudStorageBuilder, GoogleConfigKey},
    signer::Signer,
};
use url::Url;

use crate::{
    Error, StoreKind,
    address::Bucket,
    credentials::{Issuer, Provider, Rotating},
    options::{CA_FILE, Options, Role, client_key, role},
    redact::Secrets,
};

/// Connecting takes a round trip or two; after this the next address or the next try is better.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The whole request, body included: 64 MiB, the largest object written in one piece, at 9 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Tries of one request after the first, and the time within which they begin. A hiccup is hidden;
/// an outage comes back to the caller in seconds, and the caller's own waits outlast it.
const RETRIES_MAX: usize = 4;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// The first wait and the longest; each is drawn at random, up to twice the one before.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Option values by name, secrets included.
pub(crate) type Values = BTreeMap<String, String>;

/// What a client is built from beside its options.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) bucket: Bucket,
    pub(crate) allow_http: bool,
    /// Roots to trust beside the system's own.
    pub(crate) roots: Vec<Certificate>,
}

impl Plan {
    fn client(&self) -> ClientOptions {
        let name = HeaderValue::from_static(concat!("marketlake/", env!("CARGO_PKG_VERSION")));
        let client = ClientOptions::new()
            .with_user_agent(name)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT);
        self.roots.iter().cloned().fold(client, ClientOptions::with_root_certificate)
    }

    /// Returns the options in object_store's own keys. The one about plain http comes last: what
    /// was decided for the endpoint holds, not what the option says alone.
    fn keys<K: FromStr + From<ClientKey>>(&self, values: &Values) -> Vec<(K, String)> {
        let own = values.iter().filter(|(name, _)| *name != CA_FILE);
        let mut keys: Vec<(K, String)> =
            own.filter_map(|(name, value)| Some((name.parse().ok()?, value.clone()))).collect();
        keys.push((ClientKey(ClientConfigKey::AllowHttp).into(), self.allow_http.to_string()));
        keys
    }
}

/// A key of the HTTP client, to be wrapped as each service wants it.
struct ClientKey(ClientConfigKey);

impl From<ClientKey> for AmazonS3ConfigKey {
    fn from(key: ClientKey) -> Self {
        Self::Client(key.0)
    }
}

impl From<ClientKey> for AzureConfigKey {
    fn from(key: ClientKey) -> Self {
        Self::Client(key.0)
    }
}

impl From<ClientKey> for GoogleConfigKey {
    fn from(key: ClientKey) -> Self {
        Self::Client(key.0)
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: WAIT_FIRST, max_backoff: WAIT_MAX, base: 2.0 },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// Returns whether the options say who we are. If not, this machine's own identity does: a role,
/// a workload identity, a metadata service, as the cloud's own tools find it.
fn has_credentials(kind: StoreKind, values: &Values) -> bool {
    values.keys().any(|name| role(kind, name) == Some(Role::Credential))
}

/// The client of a service, as what reads and writes and as what signs.
pub(crate) struct Client {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) signer: Arc<dyn Signer>,
}

impl Client {
    fn new<C: ObjectStore + Signer>(client: C) -> Self {
        let client = Arc::new(client);
        Self { store: Arc::clone(&client) as Arc<dyn ObjectStore>, signer: client }
    }
}

/// Builds the client of a service. Its credentials come from `options`, again and again.
///
/// # Errors
/// An option has a value that the service does not take.
pub(crate) fn build(
    plan: &Plan,
    values: &Values,
    options: Arc<dyn Options>,
    secrets: Arc<Secrets>,
) -> Result<Client> {
    Ok(match plan.bucket.kind {
        StoreKind::Azure => {
            let client = azure(MicrosoftAzureBuilder::new(), plan, values);
            let credentials = rotating(azure_credentials, plan, values, options, secrets)?;
            Client::new(client.with_credentials(credentials).build()?)
        }
        StoreKind::Gcs => {
            let client = gcs(GoogleCloudStorageBuilder::new(), plan, values);
            let credentials = if is_unsigned(values) {
                // object_store asks for a token even so: an empty one stands for nobody.
                let nobody = GcpCredential { bearer: String::new() };
                Arc::new(StaticCredentialProvider::new(nobody))
            } else {
                rotating(gcs_credentials, plan, values, options, secrets)?
            };
            Client::new(client.with_credentials(credentials).build()?)
        }
        StoreKind::S3 | StoreKind::Local => {
            let client = s3(AmazonS3Builder::new(), plan, values);
            let credentials = rotating(s3_credentials, plan, values, options, secrets)?;
            Client::new(client.with_credentials(credentials).build()?)
        }
    })
}

/// Builds a client for a queue beside the store. It waits longer than a long poll lasts.
///
/// # Errors
/// An option of the HTTP client cannot be used.
pub(crate) fn http(plan: &Plan, values: &Values, queue: &Url) -> Result<HttpClient> {
    let own = values.iter();
    let own = own.filter_map(|(name, value)| Some((client_key(plan.bucket.kind, name)?, value)));
    let set = |client: ClientOptions, (key, value)| client.with_config(key, value);
    let client = own.fold(plan.client(), set);
    // Whether this address may be asked over plain http was decided before; no other may.
    let client = client.with_allow_http(queue.scheme() == "http").with_timeout(REQUEST_TIMEOUT);
    ReqwestConnector::default().connect(&client)
}

/// Returns credentials that follow their options. They are issued once at this moment, so that a bad
/// value shows now and not later.
///
/// # Errors
/// An option has a value that the service does not take.
pub(crate) fn rotating<C: fmt::Debug + Send + Sync + 'static>(
    issuer: Issuer<C>,
    plan: &Plan,
    values: &Values,
    options: Arc<dyn Options>,
    secrets: Arc<Secrets>,
) -> Result<Provider<C>> {
    issuer(plan, values)?;
    Ok(Arc::new(Rotating::new(plan.clone(), options, secrets, issuer)))
}

fn s3(start: AmazonS3Builder, plan: &Plan, values: &Values) -> AmazonS3Builder {
    let client = start.with_client_options(plan.client()).with_retry(retry());
    let set = |client: AmazonS3Builder, (key, value)| client.with_config(key, value);
    plan.keys(values).into_iter().fold(client, set).with_bucket_name(&plan.bucket.bucket)
}

pub(crate) fn s3_credentials(plan: &Plan, values: &Values) -> Result<AwsCredentialProvider> {
    let start = if has_credentials(StoreKind::S3, values) {
        AmazonS3Builder::new()
    } else {
        AmazonS3Builder::from_env()
    };
    s3(start, plan, values).build().map(|store| Arc::clone(store.credentials()))
}

fn azure(start: MicrosoftAzureBuilder, plan: &Plan, values: &Values) -> MicrosoftAzureBuilder {
    let client = start.with_client_options(plan.client()).with_retry(retry());
    let set = |client: MicrosoftAzureBuilder, (key, value)| client.with_config(key, value);
    let client =
        plan.keys(values).into_iter().fold(client, set).with_container_name(&plan.bucket.bucket);
    match &plan.bucket.account {
        Some(account) => client.with_account(account),
        None => client,
    }
}

pub(crate) fn azure_credentials(plan: &Plan, values: &Values) -> Result<AzureCredentialProvider> {
    let start = if has_credentials(StoreKind::Azure, values) {
        MicrosoftAzureBuilder::new()
    } else {
        MicrosoftAzureBuilder::from_env()
    };
    azure(start, plan, values).build().map(|store| Arc::clone(store.credentials()))
}

fn gcs(
    start: GoogleCloudStorageBuilder,
    plan: &Plan,
    values: &Values,
) -> GoogleCloudStorageBuilder {
    let client = start.with_client_options(plan.client()).with_retry(retry());
    let set = |client: GoogleCloudStorageBuilder, (key, value)| client.with_config(key, value);
    plan.keys(values).into_iter().fold(client, set).with_bucket_name(&plan.bucket.bucket)
}

fn gcs_credentials(plan: &Plan, values: &Values) -> Result<GcpCredentialProvider> {
    let start = if has_credentials(StoreKind::Gcs, values) {
        GoogleCloudStorageBuilder::new()
    } else {
        GoogleCloudStorageBuilder::from_env()
    };
    gcs(start, plan, values).build().map(|store| Arc::clone(store.credentials()))
}

/// Returns whether a bucket of GCS is open to everybody, and asked without saying who we are.
fn is_unsigned(values: &Values) -> bool {
    values.iter().any(|(name, value)| {
        matches!(name.parse(), Ok(GoogleConfigKey::SkipSignature))
            && value.trim().eq_ignore_ascii_case("true")
    })
}

/// Reads the file of roots that the options name, if they do.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub(crate) fn roots(values: &Values, store: &Url) -> std::result::Result<Vec<Certificate>, Error> {
    let Some(file) = values.get(CA_FILE) else { return Ok(Vec::new()) };
    let path = PathBuf::from(file);
    let pem = std::fs::read(&path).map_err(|source| Error::File {
        doing: "reading the roots to trust from",
        path,
        source,
    })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(Error::Option {
            store: store.to_string(),
            problem: format!("`{CA_FILE}`: `{file}` holds no certificate in PEM"),
        }),
    }
}

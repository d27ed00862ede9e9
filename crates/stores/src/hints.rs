//! Hints of new objects: SQS, Azure Storage Queue, and the watching of a local folder.
//!
//! A queue is asked with the credentials and the HTTP options of the store whose events it holds,
//! and belongs to one stream: whatever it holds, other people's messages included, is received and
//! deleted by it.

use std::{fmt, sync::Arc};

use model::{
    Clock, ErrorKind,
    hint::{HintError, Hints},
};
use object_store::{aws::AmazonS3ConfigKey, azure::AzureConfigKey};
use url::Url;

use crate::{
    Error, Options,
    address::{Address, Bucket, StoreKind},
    credentials::{Issuer, Provider},
    options::{bare, canonical, is_endpoint, may_ask},
    plan, read, refused,
    service::{self, Values},
};

mod azure_queue;
mod client;
mod event;
mod scope;
mod sqs;
mod watch;

use client::Client;
use scope::Scope;

/// Where hints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queue {
    /// An SQS queue of S3 events, by URL.
    Sqs(String),
    /// An Azure Storage queue of Event Grid events: its name, in the account of the container, or
    /// its URL.
    Azure(String),
    /// The system's watching of a local folder.
    Watch,
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqs(_) => f.write_str("an SQS queue"),
            Self::Azure(_) => f.write_str("a queue of Azure Storage"),
            Self::Watch => f.write_str("the watching of a folder"),
        }
    }
}

/// Subscribes to hints of new objects below `address`. Of a queue nothing is asked yet; a folder is
/// watched from now on.
///
/// # Errors
/// Address or option are wrong, the queue does not belong to that kind of store, or the folder
/// cannot be watched.
pub async fn open(
    address: &str,
    queue: &Queue,
    options: Arc<dyn Options>,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn Hints>, Error> {
    let (address, values) = read(address, &*options).await?;
    match (address, queue) {
        (Address::Folder(folder), Queue::Watch) => Ok(Box::new(watch::open(&folder, clock)?)),
        (Address::Bucket(bucket), Queue::Sqs(url)) if bucket.kind == StoreKind::S3 => {
            let url = parse(url, "queueUrl", &bucket, &values)?;
            let beside = Beside { bucket: &bucket, values: &values };
            let (client, keys) = beside.client(&url, service::s3_credentials, options, clock)?;
            let scope = Scope::of(&bucket, None);
            let region = beside.value(AmazonS3ConfigKey::Region.as_ref());
            Ok(Box::new(sqs::Sqs::new(client, url, region, keys, scope)))
        }
        (Address::Bucket(bucket), Queue::Azure(name)) if bucket.kind == StoreKind::Azure => {
            let beside = Beside { bucket: &bucket, values: &values };
            let named = beside.value(AzureConfigKey::AccountName.as_ref());
            let account = bucket.account.clone().or(named);
            let url = azure_queue::url(name, account.as_deref(), beside.is_elsewhere())
                .map_err(|problem| option(&bucket, "queueName", &problem))?;
            let url = parse(&url, "queueName", &bucket, &values)?;
            let account = account.unwrap_or_else(|| azure_queue::account(&url));
            let (client, keys) = beside.client(&url, service::azure_credentials, options, clock)?;
            let scope = Scope::of(&bucket, Some(account.clone()));
            Ok(Box::new(azure_queue::AzureQueue::new(client, url, account, keys, scope)))
        }
        (Address::Folder(folder), _) => Err(Error::Option {
            store: folder.display().to_string(),
            problem: "a local folder has no queue of events; set `useNotifications` alone".into(),
        }),
        (Address::Bucket(bucket), _) => Err(Error::Option {
            store: bucket.url.to_string(),
            problem: format!(
                "{queue} tells nothing of such a store; give `queueUrl` for S3, `queueName` for \
                 Azure, and list others"
            ),
        }),
    }
}

/// A bucket and its options, as those need them who ask the queue beside it.
struct Beside<'a> {
    bucket: &'a Bucket,
    values: &'a Values,
}

impl Beside<'_> {
    /// Builds the client of a queue, and what it asks with.
    fn client<C: fmt::Debug + Send + Sync + 'static>(
        &self,
        queue: &Url,
        issuer: Issuer<C>,
        options: Arc<dyn Options>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Client, Provider<C>), Error> {
        let Self { bucket, values } = self;
        let (plan, secrets) = plan(bucket, values)?;
        let wrong = |error| refused(bucket, &secrets, &error);
        let keys = service::rotating(issuer, &plan, values, options, Arc::clone(&secrets));
        let keys = keys.map_err(wrong)?;
        let http = service::http(&plan, values, queue).map_err(wrong)?;
        Ok((Client::new(http, queue.to_string(), secrets, clock), keys))
    }

    /// Returns the value of an option, under any of its names.
    fn value(&self, name: &str) -> Option<String> {
        let is_it = |other: &str| canonical(self.bucket.kind, other).as_deref() == Some(name);
        self.values.iter().find(|(other, _)| is_it(other)).map(|(_, value)| value.clone())
    }

    /// Returns whether the store is not where its account's name alone says.
    fn is_elsewhere(&self) -> bool {
        let emulator = self.value(AzureConfigKey::UseEmulator.as_ref());
        emulator.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
            || self.values.keys().any(|name| is_endpoint(self.bucket.kind, name))
    }
}

/// Reads the address of a queue.
fn parse(text: &str, name: &str, bucket: &Bucket, values: &Values) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| option(bucket, name, &error))?;
    bare(&url).map_err(|problem| option(bucket, name, &problem))?;
    if may_ask(bucket.kind, values, &url) {
        return Ok(url);
    }
    let problem = "plain http would show every message to the network; use https, or set \
                   `allow_http` to `true`";
    Err(option(bucket, name, &problem))
}

fn option(bucket: &Bucket, name: &str, problem: &dyn fmt::Display) -> Error {
    Error::Option { store: bucket.url.to_string(), problem: format!("`{name}`: {problem}") }
}

fn failed(kind: ErrorKind, source: impl std::error::Error + Send + Sync + 'static) -> HintError {
    HintError { kind, source: Box::new(source) }
}

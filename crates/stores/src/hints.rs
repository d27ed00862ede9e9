//! Hints of new objects: SQS, Azure Storage Queue, and the watching of a local folder.
//!
//! A queue is asked with the credentials and the HTTP options of the store whose events it holds,
//! and belongs to one stream: whatever it holds, other people's messages included, is received and
//! deleted by it.

use std::{fmt, str::FromStr, sync::Arc};

use model::{
    Clock, ErrorKind,
    hint::{HintError, Hints},
};
use object_store::{aws::AmazonS3ConfigKey, azure::AzureConfigKey};
use url::Url;

use crate::{
    Error, Options,
    address::{Address, Bucket, StoreKind},
    options::may_ask,
    read,
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
            Self::Sqs(queue) | Self::Azure(queue) => f.write_str(queue),
            Self::Watch => f.write_str("the watching of the folder"),
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
            let (plan, secrets) = crate::plan(&bucket, &values)?;
            let url = parse(url, "queueUrl", &bucket, &values)?;
            let wrong = |error| option(&bucket, "queueUrl", &error);
            let keys = service::s3_keys(&plan, &values, options, Arc::clone(&secrets));
            let keys = keys.map_err(wrong)?;
            let http = service::http(&plan, &values, &url).map_err(wrong)?;
            let client = Client::new(http, url.to_string(), secrets, clock);
            let scope = Scope::of(&bucket, None);
            let region = region(&values);
            Ok(Box::new(sqs::Sqs::new(client, url, region, keys, scope)))
        }
        (Address::Bucket(bucket), Queue::Azure(name)) if bucket.kind == StoreKind::Azure => {
            let (plan, secrets) = crate::plan(&bucket, &values)?;
            let account = bucket.account.clone().or_else(|| account(&values));
            let url = azure_queue::url(name, account.as_deref())
                .map_err(|problem| option(&bucket, "queueName", &problem))?;
            let url = parse(&url, "queueName", &bucket, &values)?;
            let account = account.unwrap_or_else(|| azure_queue::account(&url));
            let wrong = |error| option(&bucket, "queueName", &error);
            let keys = service::azure_keys(&plan, &values, options, Arc::clone(&secrets));
            let keys = keys.map_err(wrong)?;
            let http = service::http(&plan, &values, &url).map_err(wrong)?;
            let client = Client::new(http, url.to_string(), secrets, clock);
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

/// Reads the address of a queue.
fn parse(text: &str, name: &str, bucket: &Bucket, values: &Values) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| option(bucket, name, &error))?;
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

fn region(values: &Values) -> Option<String> {
    let is_region = |name: &str| {
        matches!(
            AmazonS3ConfigKey::from_str(name),
            Ok(AmazonS3ConfigKey::Region | AmazonS3ConfigKey::DefaultRegion)
        )
    };
    values.iter().find(|(name, _)| is_region(name)).map(|(_, value)| value.clone())
}

fn account(values: &Values) -> Option<String> {
    let is_account =
        |name: &str| matches!(AzureConfigKey::from_str(name), Ok(AzureConfigKey::AccountName));
    values.iter().find(|(name, _)| is_account(name)).map(|(_, value)| value.clone())
}

fn failed(kind: ErrorKind, source: impl std::error::Error + Send + Sync + 'static) -> HintError {
    HintError { kind, source: Box::new(source) }
}

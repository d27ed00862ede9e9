//! Object stores by address: a local folder, S3 and compatibles, Azure Blob and ADLS Gen2, GCS.
//!
//! [`open`] turns an address and its options into a store that all others take as
//! `Arc<dyn ObjectStore>`. What is special about a service stays in here: keys that rotate,
//! certificates, replies that are lost, a disk that forgets when the power fails.

mod address;
#[cfg(feature = "test-util")]
pub mod contract;
mod credentials;
mod error;
#[cfg(feature = "test-util")]
pub mod fault_proxy;
#[cfg(feature = "test-util")]
pub mod gcs_double;
pub mod hints;
#[cfg(feature = "test-util")]
mod http;
mod links;
mod local;
mod options;
mod probe;
mod redact;
mod remote;
mod service;
mod trouble;

use std::{fmt, sync::Arc};

use model::Clock;
use object_store::{ObjectStore, path::Path, prefix::PrefixStore};
use url::Url;

pub use address::{StoreKind, check_address};
pub use error::{Error, store_kind};
pub use links::Links;
pub use local::Durability;
#[cfg(feature = "test-util")]
pub use options::fixed::FixedOptions;
pub use options::{Options, Unresolved, check_option, is_secret_option};
pub use probe::probe_create_only;
pub use trouble::Trouble;

use crate::{
    address::{Address, Bucket},
    redact::Secrets,
    service::{Client, Plan, Values},
};

/// An open store. Nothing has been asked of it yet, except that a local folder is there.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The store at the address: its keys begin below the prefix.
    pub store: Arc<dyn ObjectStore>,
    /// The store at the root of the URL, for those who put the prefix into every key: the bucket,
    /// or the file system (of which only the folder can be reached).
    pub root: Arc<dyn ObjectStore>,
    /// The address in its one canonical form, with a slash at the end.
    pub url: Url,
    /// Opens objects to others for a while; a local folder has nothing of the kind.
    pub links: Option<Links>,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// Opens the store at `address`.
///
/// A local folder is created, for its owner alone, when it is not there. Of a service nothing is
/// asked: [`probe_create_only`] does that. The options are read now, and those that say who we are
/// again for every request.
///
/// # Errors
/// The address or an option is wrong, a secret could not be resolved, or the folder or the file of
/// roots could not be used.
pub async fn open(
    address: &str,
    options: Arc<dyn Options>,
    durability: Durability,
    clock: Arc<dyn Clock>,
) -> Result<Opened, Error> {
    match read(address, &*options).await? {
        (Address::Folder(folder), _) => local::open(&folder, durability),
        (Address::Bucket(bucket), values) => open_bucket(bucket, &values, options, clock),
    }
}

/// Reads an address, and the options that belong to it.
async fn read(address: &str, options: &dyn Options) -> Result<(Address, Values), Error> {
    let parsed = Address::parse(address).map_err(|problem| Error::Address { problem })?;
    let store = match &parsed {
        Address::Folder(folder) => folder.display().to_string(),
        Address::Bucket(bucket) => bucket.url.to_string(),
    };
    let values = match options.current().await {
        Ok(values) => values,
        Err(source) => return Err(Error::Options { store, source }),
    };
    for name in values.keys() {
        check_option(parsed.kind(), name)
            .map_err(|problem| Error::Option { store: store.clone(), problem })?;
    }
    Ok((parsed, values))
}

/// Reads from the options what every client of a service is built from, and what must not be shown.
fn plan(bucket: &Bucket, values: &Values) -> Result<(Plan, Arc<Secrets>), Error> {
    let wrong = |problem| Error::Option { store: bucket.url.to_string(), problem };
    let allow_http = options::allow_http(bucket.kind, values).map_err(wrong)?;
    let roots = service::roots(values, &bucket.url)?;
    let plan = Plan { bucket: bucket.clone(), allow_http, roots };
    let secrets = Arc::new(Secrets::default());
    credentials::learn(&secrets, &plan, values);
    Ok((plan, secrets))
}

/// Says which store an option was refused for. The client of a service names the values it refuses.
fn refused(bucket: &Bucket, secrets: &Secrets, error: &object_store::Error) -> Error {
    let problem = secrets.redact(&error.to_string());
    Error::Option { store: bucket.url.to_string(), problem }
}

fn open_bucket(
    bucket: Bucket,
    values: &Values,
    options: Arc<dyn Options>,
    clock: Arc<dyn Clock>,
) -> Result<Opened, Error> {
    let (plan, secrets) = plan(&bucket, values)?;
    let Client { store: client, signer } =
        service::build(&plan, values, options, Arc::clone(&secrets))
            .map_err(|error| refused(&bucket, &secrets, &error))?;

    let Bucket { prefix, url, .. } = bucket;
    let mut base = url.clone();
    base.set_path("/");
    let honest = |inner: Arc<dyn ObjectStore>, name: &Url| -> Arc<dyn ObjectStore> {
        let (secrets, clock) = (Arc::clone(&secrets), Arc::clone(&clock));
        Arc::new(remote::Remote::new(inner, name.to_string(), secrets, clock))
    };
    let store = if prefix == Path::default() {
        honest(Arc::clone(&client), &url)
    } else {
        honest(Arc::new(PrefixStore::new(Arc::clone(&client), prefix)), &url)
    };
    let links = Links::new(signer, base.to_string(), Arc::clone(&secrets));
    Ok(Opened { store, root: honest(client, &base), url, links: Some(links) })
}

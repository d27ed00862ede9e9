//! Addresses of stores: what an operator writes, and the one form it takes inside.

use std::path::{Component, PathBuf};

use object_store::path::Path;
use url::Url;

#[cfg(test)]
mod tests;

/// The kinds of store, by who arbitrates between two writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreKind {
    /// A folder of this machine.
    Local,
    /// S3 and compatibles.
    S3,
    /// Azure Blob and ADLS Gen2.
    Azure,
    /// Google Cloud Storage.
    Gcs,
}

/// How to write an address; every refusal ends with it.
const FORMS: &str = "write a folder's path, `file:///path`, `s3://bucket/prefix`, \
     `az://container/prefix`, `abfss://container@account.dfs.core.windows.net/prefix` or \
     `gs://bucket/prefix`";

/// Hosts of Azure storage, behind the account's name.
const AZURE_HOSTS: [&str; 2] = ["dfs.core.windows.net", "blob.core.windows.net"];

/// An address taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A folder, absolute, not yet resolved.
    Folder(PathBuf),
    /// A prefix in a bucket of a service.
    Bucket(Bucket),
}

/// A prefix in a bucket (a container, on Azure).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) kind: StoreKind,
    pub(crate) bucket: String,
    /// The storage account, where the address of an Azure store names it.
    pub(crate) account: Option<String>,
    pub(crate) prefix: Path,
    /// The canonical form; its path is the prefix, with a slash at the end.
    pub(crate) url: Url,
}

impl Address {
    /// Parses an address. A relative path is taken from the folder the process runs in.
    ///
    /// # Errors
    /// What is wrong with it, and how to write it.
    pub(crate) fn parse(address: &str) -> Result<Self, String> {
        if address.trim().is_empty() {
            return Err(format!("it is empty; {FORMS}"));
        }
        let Some((scheme, _)) = address.split_once("://") else {
            return folder(PathBuf::from(address));
        };
        let url = Url::parse(address).map_err(|error| format!("{error}; {FORMS}"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("nothing may follow `?` or `#`; {FORMS}"));
        }
        if url.password().is_some() {
            return Err(format!("a password has no place in an address; {FORMS}"));
        }
        if url.port().is_some() {
            return Err(format!("a port belongs into the option `endpoint`; {FORMS}"));
        }
        match scheme.to_ascii_lowercase().as_str() {
            "file" => {
                let path = url.to_file_path();
                folder(path.map_err(|()| format!("it names another machine; {FORMS}"))?)
            }
            "s3" | "s3a" => Bucket::of(StoreKind::S3, "s3", &url),
            "gs" => Bucket::of(StoreKind::Gcs, "gs", &url),
            "az" | "azure" | "adl" | "abfs" | "abfss" => azure(&url),
            "https" => azure_https(&url),
            other => Err(format!("`{other}` is no kind of store; {FORMS}")),
        }
    }

    pub(crate) const fn kind(&self) -> StoreKind {
        match self {
            Self::Folder(_) => StoreKind::Local,
            Self::Bucket(bucket) => bucket.kind,
        }
    }
}

fn folder(path: PathBuf) -> Result<Address, String> {
    // `a/../b` means another folder when `a` is a link, and which one is for the reader to guess.
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(format!("a folder is named without `..`; {FORMS}"));
    }
    let absolute = std::path::absolute(path).map_err(|error| format!("{error}; {FORMS}"))?;
    Ok(Address::Folder(absolute))
}

impl Bucket {
    fn of(kind: StoreKind, scheme: &str, url: &Url) -> Result<Address, String> {
        if !url.username().is_empty() {
            return Err(format!("nothing may stand before `@`; {FORMS}"));
        }
        Self::parse(kind, scheme, url.host_str().unwrap_or_default(), None, url.path())
    }

    /// Puts the parts together. `path` is percent-encoded, as it comes out of a URL.
    fn parse(
        kind: StoreKind,
        scheme: &str,
        bucket: &str,
        account: Option<&str>,
        path: &str,
    ) -> Result<Address, String> {
        let is_letter = |letter: char| {
            letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '$')
        };
        if bucket.is_empty() || !bucket.chars().all(is_letter) {
            return Err(format!("`{bucket}` is no name of a bucket; {FORMS}"));
        }
        let prefix = Path::from_url_path(path).map_err(|error| format!("{error}; {FORMS}"))?;
        let authority = match account {
            Some(account) => format!("{bucket}@{account}.{}", AZURE_HOSTS[0]),
            None => bucket.to_owned(),
        };
        let mut url = Url::parse(&format!("{scheme}://{authority}/"))
            .map_err(|error| format!("{error}; {FORMS}"))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            // The empty segment at the end is the slash.
            segments.clear().extend(prefix.parts()).push("");
        }
        let (bucket, account) = (bucket.to_owned(), account.map(str::to_owned));
        Ok(Address::Bucket(Self { kind, bucket, account, prefix, url }))
    }
}

/// `az://container/…`, or `abfss://container@account.dfs.core.windows.net/…` as Spark writes it.
fn azure(url: &Url) -> Result<Address, String> {
    let host = url.host_str().unwrap_or_default();
    if url.username().is_empty() {
        return Bucket::parse(StoreKind::Azure, "az", host, None, url.path());
    }
    let account = azure_account(host)?;
    Bucket::parse(StoreKind::Azure, "abfss", url.username(), Some(account), url.path())
}

/// `https://account.blob.core.windows.net/container/…`, as the portal shows it.
fn azure_https(url: &Url) -> Result<Address, String> {
    let account = azure_account(url.host_str().unwrap_or_default())?;
    if !url.username().is_empty() {
        return Err(format!("nothing may stand before `@`; {FORMS}"));
    }
    let path = url.path().trim_start_matches('/');
    let (container, prefix) = path.split_once('/').unwrap_or((path, ""));
    Bucket::parse(StoreKind::Azure, "abfss", container, Some(account), prefix)
}

fn azure_account(host: &str) -> Result<&str, String> {
    let account = host.split_once('.').and_then(|(account, rest)| {
        let is_plain =
            !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_plain && AZURE_HOSTS.contains(&rest)).then_some(account)
    });
    account.ok_or_else(|| {
        format!(
            "`{host}` is no account of Azure storage; for another service give its address as the \
             option `endpoint`, and {FORMS}"
        )
    })
}

/// Returns the kind of store an address names.
///
/// # Errors
/// What is wrong with the address, and how to write it.
pub fn check_address(address: &str) -> Result<StoreKind, String> {
    Address::parse(address).map(|address| address.kind())
}

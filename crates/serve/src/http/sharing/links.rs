//! Addresses of data files that open them for a while: of the store's making, or of ours where the
//! files lie in a folder.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lake::TableFile;
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use url::Url;

/// Signs addresses of a bucket's objects.
#[async_trait]
pub trait FileLinks: fmt::Debug + Send + Sync {
    /// Returns an address for each of `objects`, which opens it, to read it, until `lifetime` has
    /// passed.
    ///
    /// # Errors
    /// The store's credentials cannot be had, or cannot sign.
    async fn sign(
        &self,
        objects: &[Path],
        lifetime: Duration,
    ) -> Result<Vec<Url>, object_store::Error>;
}

/// The parameters of our addresses, called as in Azure's: the reader behind the Python client knows an
/// address that needs no login by its parameters, and takes one without `sp` for a path of its own.
const READ: &str = "sp=r";
pub(super) const EXPIRES: &str = "se";
pub(super) const SIGNATURE: &str = "sig";

/// Who opens data files.
#[derive(Debug)]
pub enum Links {
    /// The store that has them.
    Store(Arc<dyn FileLinks>),
    /// This server, to who has an address that was signed with this key.
    Own(LinkKey),
}

/// The key of addresses of our own. Every process that serves the same lake needs the same.
#[derive(Clone)]
pub struct LinkKey([u8; 32]);

impl LinkKey {
    /// Takes random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the address of a file below `endpoint`, good until `expires`.
    pub(super) fn address(
        &self,
        endpoint: &str,
        table: &str,
        file: &TableFile,
        expires: DateTime<Utc>,
    ) -> String {
        let path = utf8_percent_encode(&file.path, IN_PATH);
        let expires = expires.timestamp();
        let signature = URL_SAFE_NO_PAD.encode(self.signature(table, &file.path, expires));
        format!(
            "{endpoint}/files/{table}/{path}?{READ}&{EXPIRES}={expires}&{SIGNATURE}={signature}"
        )
    }

    /// Whether an address is ours and still good.
    pub(super) fn opens(
        &self,
        table: &str,
        path: &str,
        given: (i64, &str),
        now: DateTime<Utc>,
    ) -> bool {
        let (expires, signature) = given;
        let given = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        let is_ours = bool::from(self.signature(table, path, expires).ct_eq(&given));
        is_ours && now.timestamp() < expires
    }

    fn signature(&self, table: &str, path: &str, expires: i64) -> Vec<u8> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        // No part holds a zero byte: a table is one of ours, and no path of a log has one.
        mac.update(format!("marketlake data file\0{table}\0{path}\0{expires}").as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(…)")
    }
}

/// What may stand in a path as it is. `=` may: clients write it so, whatever they were given.
const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'=').remove(b'/');

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> TableFile {
        TableFile {
            path: path.to_owned(),
            object: Path::from(path),
            size: 1,
            modification_time: 0,
            partition_values: Default::default(),
            stats: None,
        }
    }

    fn ts(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn an_address_opens_one_file_for_a_while() {
        let key = LinkKey::new([7; 32]);
        let path = "session_date=2019-02-11/part ü.parquet";
        let address = key.address("http://h/delta-sharing", "gold.bar_1m", &file(path), ts(100));
        let (place, query) = address.split_once('?').unwrap();
        assert_eq!(
            place,
            "http://h/delta-sharing/files/gold.bar_1m/session_date=2019-02-11/part%20%C3%BC.parquet"
        );
        let signature = query.strip_prefix("sp=r&se=100&sig=").unwrap();
        let opens = |table, path, expires, signature, now| {
            key.opens(table, path, (expires, signature), ts(now))
        };
        assert!(opens("gold.bar_1m", path, 100, signature, 99));
        assert!(!opens("gold.bar_1m", path, 100, signature, 100), "it has expired");
        assert!(!opens("gold.bar_1m", path, 200, signature, 99), "another end");
        assert!(!opens("gold.bar_5m", path, 100, signature, 99), "another table");
        assert!(!opens("gold.bar_1m", "other.parquet", 100, signature, 99), "another file");
        for wrong in ["", "?", &signature[1..]] {
            assert!(!opens("gold.bar_1m", path, 100, wrong, 99), "{wrong:?}");
        }
        let other = LinkKey::new([8; 32]);
        assert!(!other.opens("gold.bar_1m", path, (100, signature), ts(99)), "another key");
    }
}

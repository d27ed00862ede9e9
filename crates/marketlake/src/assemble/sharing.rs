//! Delta Sharing from settings: who opens the files, with which key.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use model::ErrorKind;
use object_store::path::Path;
use serve::http::sharing::{FileLinks, LinkKey, Links, Sharing};
use url::Url;

use super::Workbench;
use crate::{assemble::Access, failure::Failure};

/// The key file's name in the data folder.
const KEY_FILE: &str = "sharing.key";

impl Workbench {
    /// Returns what is shared, if anything is.
    pub(crate) async fn sharing(&self) -> Result<Option<Sharing>, Failure> {
        let config = &self.config.sharing;
        if !config.is_enabled {
            return Ok(None);
        }
        let links = match self.lake_links(Access::Read).await? {
            Some(links) => Links::Store(Arc::new(StoreLinks(links))),
            None => Links::Own(self.link_key()?),
        };
        let endpoint = config.endpoint.as_ref();
        Ok(Some(Sharing {
            shares: config.shares.clone(),
            recipients: config.recipients.clone(),
            url_lifetime: config.url_lifetime,
            endpoint: endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned()),
            links,
        }))
    }

    /// Returns the key of our own addresses: made once, so that they outlive a restart and every
    /// process on the data folder knows them.
    fn link_key(&self) -> Result<LinkKey, Failure> {
        let path = self.data.serve().join(KEY_FILE);
        let bytes: [u8; 32] = rand::random();
        let fresh: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = self.data.create_or_read(&path, &format!("{fresh}\n"))?;
        key_of(kept.trim()).ok_or_else(|| {
            let message = format!("`{}` holds no key; delete it to get a new one", path.display());
            Failure::new(ErrorKind::Data, anyhow::Error::msg(message))
        })
    }
}

fn key_of(text: &str) -> Option<LinkKey> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    is_hex.then_some(LinkKey::new(key))
}

/// The store of the lake as what opens its files.
#[derive(Debug)]
struct StoreLinks(stores::Links);

#[async_trait]
impl FileLinks for StoreLinks {
    async fn sign(
        &self,
        objects: &[Path],
        lifetime: Duration,
    ) -> Result<Vec<Url>, object_store::Error> {
        self.0.sign(objects, lifetime).await
    }
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn a_key_is_64_digits() {
        assert!(key_of(&"0f".repeat(32)).is_some());
        for text in
            ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"ä".repeat(32), &"+1".repeat(32)]
        {
            assert!(key_of(text).is_none(), "{text}");
        }
    }
}

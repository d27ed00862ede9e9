//! Addresses that open single objects for a while, to whoever has them.

use std::{fmt, sync::Arc, time::Duration};

use http::Method;
use object_store::{Result, path::Path, signer::Signer};
use url::Url;

use crate::{redact::Secrets, trouble::mend};

/// Signs with the credentials of a service, for reading alone. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    signer: Arc<dyn Signer>,
    name: String,
    secrets: Arc<Secrets>,
}

impl Links {
    pub(crate) fn new(signer: Arc<dyn Signer>, name: String, secrets: Arc<Secrets>) -> Self {
        Self { signer, name, secrets }
    }

    /// Returns an address for each of `objects`, which begin at the root of the bucket. It opens that
    /// object alone, to read it, until `lifetime` has passed.
    ///
    /// # Errors
    /// Our credentials cannot be had, or are of a kind that cannot sign.
    pub async fn sign(&self, objects: &[Path], lifetime: Duration) -> Result<Vec<Url>> {
        let signed = self.signer.signed_urls(Method::GET, objects, lifetime).await;
        signed.map_err(|error| mend(error, &self.secrets))
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The clients of object_store show headers and proxies.
        f.debug_tuple("Links").field(&self.name).finish()
    }
}

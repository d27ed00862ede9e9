//! The real services that tests use, as `scripts/services` starts them.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use model::{Clock, clock::Sleep};
use object_store::ObjectStore;
use stores::{Durability, FixedOptions, Opened};

/// The system's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "this is the clock that others are given")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default())
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told where the services are")]
fn address(variable: &str) -> String {
    let unset = format!("{variable} names a running service; run scripts/services start");
    std::env::var(variable).expect(&unset)
}

pub(crate) fn s3_endpoint() -> String {
    address("MARKETLAKE_TEST_S3")
}

pub(crate) fn aws_endpoint() -> String {
    address("MARKETLAKE_TEST_AWS")
}

pub(crate) fn azure_endpoint() -> String {
    address("MARKETLAKE_TEST_AZURE")
}

pub(crate) fn azure_queue_endpoint() -> String {
    address("MARKETLAKE_TEST_AZURE_QUEUE")
}

pub(crate) fn gcs_endpoint() -> String {
    address("MARKETLAKE_TEST_GCS")
}

/// The key that every Azurite has; it is printed in its manual.
pub(crate) const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(crate) async fn open(address: &str, options: &[(&str, &str)]) -> Opened {
    let options = Arc::new(FixedOptions::new(options.iter().copied()));
    stores::open(address, options, Durability::Process, Arc::new(SystemClock))
        .await
        .unwrap_or_else(|error| panic!("opening {address}: {error:?}"))
}

/// Options of MinIO, at its own address or a proxy's.
pub(crate) fn minio_options(endpoint: &str) -> Vec<(&str, &str)> {
    vec![
        ("endpoint", endpoint),
        ("access_key_id", "marketlake"),
        ("secret_access_key", "marketlake-minio-test"),
        ("region", "us-east-1"),
    ]
}

pub(crate) async fn minio(endpoint: &str, prefix: &str) -> Arc<dyn ObjectStore> {
    open(&format!("s3://marketlake/{prefix}"), &minio_options(endpoint)).await.store
}

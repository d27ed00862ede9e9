//! One contract, every store.

use std::{path::Path, sync::Arc};

use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path as Key};
use stores::{
    Durability, Error, FixedOptions, contract::store_contract, gcs_double::GcsDouble,
    probe_create_only,
};

use crate::services::{
    AZURITE_KEY, SystemClock, aws_endpoint, azure_endpoint, gcs_endpoint, minio, open, s3_endpoint,
};

/// What the chain of a year may hold for one partition, and then some.
const MANY: usize = 10_000;

/// Beyond one page of S3, where a page has 1,000 objects; on Azure it has 5,000, which Azurite takes
/// two minutes to write and delete.
const TWO_PAGES: usize = 1_100;

async fn folder(folder: &Path, durability: Durability) -> Arc<dyn ObjectStore> {
    let options = Arc::new(FixedOptions::default());
    let address = folder.to_str().expect("a temporary folder has a plain name");
    stores::open(address, options, durability, Arc::new(SystemClock)).await.expect("opening").store
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    store_contract(async || Arc::clone(&store), MANY).await;
}

#[tokio::test]
async fn a_local_folder_keeps_the_contract() {
    let place = tempfile::tempdir().expect("a folder");
    store_contract(async || folder(place.path(), Durability::Process).await, MANY).await;
}

#[tokio::test]
async fn a_power_safe_folder_keeps_the_contract() {
    let place = tempfile::tempdir().expect("a folder");
    store_contract(async || folder(place.path(), Durability::Power).await, TWO_PAGES).await;
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn minio_keeps_the_contract() {
    let endpoint = s3_endpoint();
    store_contract(async || minio(&endpoint, "contract").await, MANY).await;
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn moto_keeps_the_contract() {
    let endpoint = aws_endpoint();
    let options =
        [("endpoint", endpoint.as_str()), ("access_key_id", "a"), ("secret_access_key", "b")];
    make_moto_bucket(&endpoint).await;
    store_contract(async || open("s3://marketlake/contract", &options).await.store, TWO_PAGES)
        .await;
}

/// Creates the bucket: moto begins empty. Done twice it stays the same.
async fn make_moto_bucket(endpoint: &str) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = endpoint.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(host).await.expect("moto answers");
    let scope = "Credential=a/20260101/us-east-1/s3/aws4_request";
    let request = format!(
        "PUT /marketlake HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\
         Authorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("asking for a bucket");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn azurite_keeps_the_contract() {
    let endpoint = azure_endpoint();
    let options = [
        ("endpoint", endpoint.as_str()),
        ("account_name", "devstoreaccount1"),
        ("account_key", AZURITE_KEY),
    ];
    store_contract(async || open("az://marketlake/contract", &options).await.store, TWO_PAGES)
        .await;
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn fake_gcs_cannot_arbitrate_and_is_refused() {
    let endpoint = gcs_endpoint();
    let options = [("base_url", endpoint.as_str()), ("skip_signature", "true")];
    let store = open("gs://marketlake/contract", &options).await.store;
    store.list_with_delimiter(None).await.expect("it answers, and has the bucket");
    // It creates on a condition over the JSON interface only, and object_store speaks XML.
    let refused = probe_create_only(&store).await.expect_err("it cannot arbitrate");
    assert!(matches!(refused, Error::NotCreateOnly { .. }), "{refused:?}");
}

#[tokio::test]
async fn gcs_keeps_the_contract_as_far_as_a_double_of_it_tells() {
    let double =
        GcsDouble::start("127.0.0.1:0", "marketlake", Arc::new(SystemClock)).await.expect("a port");
    let options = [("base_url", double.url()), ("skip_signature", "true")];
    store_contract(async || open("gs://marketlake/contract", &options).await.store, TWO_PAGES)
        .await;
}

#[tokio::test]
async fn an_address_has_its_store_and_its_root() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("lake");
    let opened = open(path.to_str().expect("a plain name"), &[]).await;
    assert!(opened.url.as_str().starts_with("file:///") && opened.url.as_str().ends_with("/lake/"));
    let key = Key::from("bronze/a.json");
    opened.store.put(&key, "x".into()).await.expect("writing");
    let whole = Key::from_url_path(opened.url.join("bronze/a.json").expect("a URL").path());
    let found = opened.root.get(&whole.expect("a key")).await.expect("the same object");
    assert_eq!(found.bytes().await.expect("its body"), "x");
}

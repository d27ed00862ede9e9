//! Queues of real services: events are received, read and deleted, and refusals say what to do.

use std::{sync::Arc, time::Duration};

use model::{
    ErrorKind, Hints,
    hint::{Hint, Oddity, Place, Ticket},
};
use object_store::{
    HeaderValue, ObjectStoreExt,
    aws::{AwsAuthorizer, AwsCredential},
    azure::{AzureAuthorizer, AzureCredential},
    client::{ClientOptions, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector},
};
use serde_json::{Value, json};
use stores::{
    FixedOptions,
    hints::{Queue, open},
};
use uuid::Uuid;

use crate::services::{
    AZURITE_KEY, SystemClock, aws_endpoint, azure_queue_endpoint, open as open_store,
};

const WAIT: Duration = Duration::from_secs(5);

async fn subscribe(address: &str, queue: &Queue, options: &[(&str, &str)]) -> Box<dyn Hints> {
    let options = Arc::new(FixedOptions::new(options.iter().copied()));
    open(address, queue, options, Arc::new(SystemClock)).await.expect("a queue")
}

fn tickets(hints: &[Hint]) -> Vec<Ticket> {
    hints.iter().map(|hint| hint.ticket.clone()).collect()
}

/// Sends a request as it is, and returns the answer's text.
async fn send(request: HttpRequest) -> String {
    let options = ClientOptions::new().with_allow_http(true);
    let client = ReqwestConnector::default().connect(&options).expect("a client");
    let answer = client.execute(request).await.expect("an answer");
    let status = answer.status();
    let body = answer.into_body().bytes().await.expect("a body");
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(status.is_success(), "{status}: {text}");
    text
}

fn request(method: &str, url: &str, body: String) -> HttpRequest {
    let mut request = HttpRequest::new(HttpRequestBody::from(body));
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = url.parse().expect("an address");
    request
}

/// Asks SQS what the product never does: to make a queue, to send.
async fn sqs(operation: &str, body: &Value) -> Value {
    let mut request = request("POST", &format!("{}/", aws_endpoint()), body.to_string());
    let target = HeaderValue::from_str(&format!("AmazonSQS.{operation}")).expect("a header");
    let headers = request.headers_mut();
    headers.insert("x-amz-target", target);
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    let credential = AwsCredential {
        key_id: "marketlake".to_owned(),
        secret_key: "marketlake-test".to_owned(),
        token: None,
    };
    AwsAuthorizer::new(&credential, "sqs", "us-east-1").authorize(&mut request, None);
    serde_json::from_str(&send(request).await).expect("JSON")
}

fn aws_options(endpoint: &str) -> Vec<(&str, &str)> {
    vec![
        ("endpoint", endpoint),
        ("access_key_id", "marketlake"),
        ("secret_access_key", "marketlake-test"),
        ("region", "us-east-1"),
    ]
}

fn created(bucket: &str, key: &str) -> String {
    json!({"Records": [{
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
    }]})
    .to_string()
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn sqs_messages_are_received_read_and_deleted() {
    let endpoint = aws_endpoint();
    let name = format!("hints-{}", Uuid::new_v4().simple());
    let made = sqs("CreateQueue", &json!({"QueueName": name})).await;
    let url = made["QueueUrl"].as_str().expect("a queue").to_owned();
    let queue = Queue::Sqs(url.clone());
    let mut hints = subscribe("s3://lake/in", &queue, &aws_options(&endpoint)).await;

    assert_eq!(hints.receive(Duration::ZERO).await.expect("no messages"), []);
    for body in [created("lake", "in/a+b.json"), "no event".to_owned()] {
        sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": body})).await;
    }
    let mut received = hints.receive(WAIT).await.expect("messages");
    while received.len() < 2 {
        received.extend(hints.receive(WAIT).await.expect("messages"));
    }
    received.sort_by_key(|hint| hint.oddity);
    assert_eq!(received[0].places, [Place::Object("a b.json".to_owned())]);
    assert!(received[0].ts_sent.is_some(), "the queue says when");
    assert_eq!(received[1].oddity, Some(Oddity::Broken));

    hints.done(&tickets(&received)).await.expect("deleted");
    hints.done(&tickets(&received)).await.expect("and once more, which is no failure");
    assert_eq!(hints.receive(Duration::ZERO).await.expect("no messages"), []);
    sqs("DeleteQueue", &json!({"QueueUrl": url})).await;
    let gone = hints.receive(Duration::ZERO).await.expect_err("no queue");
    assert_eq!(gone.kind, ErrorKind::Config);
    assert!(gone.source.to_string().contains("there is no such queue"), "{}", gone.source);
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn an_object_of_s3_is_told_of_through_sqs() {
    let endpoint = aws_endpoint();
    let name = format!("hints-{}", Uuid::new_v4().simple());
    let made = sqs("CreateQueue", &json!({"QueueName": name})).await;
    let url = made["QueueUrl"].as_str().expect("a queue").to_owned();
    let signed = |mut request: HttpRequest| {
        let credential = AwsCredential {
            key_id: "marketlake".to_owned(),
            secret_key: "marketlake-test".to_owned(),
            token: None,
        };
        AwsAuthorizer::new(&credential, "s3", "us-east-1").authorize(&mut request, None);
        request
    };
    send(signed(request("PUT", &format!("{endpoint}/{name}"), String::new()))).await;
    let notify = format!(
        "<NotificationConfiguration><QueueConfiguration>\
         <Queue>arn:aws:sqs:us-east-1:123456789012:{name}</Queue>\
         <Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>"
    );
    let place = format!("{endpoint}/{name}?notification=");
    send(signed(request("PUT", &place, notify))).await;

    let address = format!("s3://{name}/in");
    let mut hints = subscribe(&address, &Queue::Sqs(url), &aws_options(&endpoint)).await;
    let store = open_store(&address, &aws_options(&endpoint)).await.store;
    let path = object_store::path::Path::from("day=2026-11-23/größe a+b.json");
    store.put(&path, "{}".into()).await.expect("an object");
    let mut places = Vec::new();
    for _ in 0..10 {
        let received = hints.receive(WAIT).await.expect("messages");
        places.extend(received.iter().flat_map(|hint| hint.places.clone()));
        hints.done(&tickets(&received)).await.expect("deleted");
        if !places.is_empty() {
            break;
        }
    }
    assert_eq!(places, [Place::Object(path.to_string())]);
}

fn azure_options() -> Vec<(&'static str, &'static str)> {
    vec![("account_name", "devstoreaccount1"), ("account_key", AZURITE_KEY)]
}

/// Asks the queue service what the product never does.
async fn azure(method: &str, url: &str, body: String) -> String {
    let key = object_store::azure::AzureAccessKey::try_new(AZURITE_KEY).expect("a key");
    let mut request = request(method, url, body.clone());
    let headers = request.headers_mut();
    if !body.is_empty() {
        let length = HeaderValue::from_str(&body.len().to_string()).expect("a header");
        headers.insert("content-length", length);
    }
    AzureAuthorizer::new(&AzureCredential::AccessKey(key), "devstoreaccount1")
        .authorize(&mut request);
    send(request).await
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn azure_messages_are_received_read_and_deleted() {
    let url = format!("{}/hints-{}", azure_queue_endpoint(), Uuid::new_v4().simple());
    azure("PUT", &url, String::new()).await;
    let queue = Queue::Azure(url.clone());
    let mut hints = subscribe("az://lake/in", &queue, &azure_options()).await;
    assert_eq!(hints.receive(Duration::ZERO).await.expect("no messages"), []);

    let event = json!({
        "eventType": "Microsoft.Storage.BlobCreated",
        "subject": "/blobServices/default/containers/lake/blobs/in/a b.json",
        "data": {"api": "PutBlob"},
    });
    for text in [event.to_string().replace('"', "&quot;"), "no event".to_owned()] {
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        azure("POST", &format!("{url}/messages"), body).await;
    }
    let mut received = hints.receive(WAIT).await.expect("messages");
    received.sort_by_key(|hint| hint.oddity);
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].places, [Place::Object("a b.json".to_owned())]);
    assert!(received[0].ts_sent.is_some(), "the queue says when");
    assert_eq!(received[1].oddity, Some(Oddity::Broken));

    hints.done(&tickets(&received)).await.expect("deleted");
    hints.done(&tickets(&received)).await.expect("and once more, which is no failure");
    azure("DELETE", &url, String::new()).await;
    let gone = hints.receive(Duration::ZERO).await.expect_err("no queue");
    assert_eq!(gone.kind, ErrorKind::Config);
    assert!(gone.source.to_string().contains("there is no such queue"), "{}", gone.source);
}

#[tokio::test]
#[ignore = "needs scripts/services start"]
async fn a_wrong_key_is_told_and_not_shown() {
    let url = format!("{}/hints", azure_queue_endpoint());
    let wrong = "d3Jvbmcta2V5LWNhbmFyeQ==";
    let options = [("account_name", "devstoreaccount1"), ("account_key", wrong)];
    let mut hints = subscribe("az://lake/in", &Queue::Azure(url), &options).await;
    let error = hints.receive(Duration::ZERO).await.expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Config);
    let shown = format!("{error:?} {}", error.source);
    assert!(shown.contains("correct the credentials") && !shown.contains(wrong), "{shown}");
}

#[tokio::test]
async fn a_queue_that_does_not_fit_its_store_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("a path");
    let sqs = |url: &str| Queue::Sqs(url.to_owned());
    // The row, the source, its queue and options, and what the refusal says.
    type Row<'a> = (&'a str, &'a str, Queue, &'a [(&'a str, &'a str)], &'a str);
    let rows: [Row<'_>; 8] = [
        (
            "a token in the address, which is shown",
            "az://lake",
            Queue::Azure("https://acme.queue.core.windows.net/q?sig=canary".to_owned()),
            &[("bearer_token", "canary")],
            "options of their own",
        ),
        (
            "a name beside an endpoint",
            "az://lake",
            Queue::Azure("q".to_owned()),
            &[("account_name", "acme"), ("endpoint", "https://store.example.com")],
            "give the queue's URL",
        ),
        (
            "SQS for a folder",
            folder,
            sqs("https://sqs.eu-west-1.amazonaws.com/1/q"),
            &[],
            "no queue",
        ),
        (
            "SQS for GCS",
            "gs://lake",
            sqs("https://sqs.eu-west-1.amazonaws.com/1/q"),
            &[],
            "list others",
        ),
        ("a watch for S3", "s3://lake", Queue::Watch, &[], "queueUrl"),
        (
            "plain http to another machine",
            "s3://lake",
            sqs("http://queue.example.com/1/q"),
            &[("access_key_id", "a"), ("secret_access_key", "bcdefg")],
            "plain http",
        ),
        ("no address", "s3://lake", sqs("q"), &[], "queueUrl"),
        (
            "a name without an account",
            "az://lake",
            Queue::Azure("q".to_owned()),
            &[("bearer_token", "canary")],
            "whose queue?",
        ),
    ];
    for (name, address, queue, options, expected) in rows {
        let options = Arc::new(FixedOptions::new(options.iter().copied()));
        let opened = open(address, &queue, options, Arc::new(SystemClock)).await;
        let error = opened.expect_err(name).to_string();
        assert!(error.contains(expected) && !error.contains("canary"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_queue_that_nobody_serves_is_asked_again_later() {
    // Nothing listens on the port of a listener that was dropped.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/1/q", listener.local_addr().expect("an address"));
    drop(listener);
    let options = [("access_key_id", "marketlake"), ("secret_access_key", "marketlake-test")];
    let mut hints = subscribe("s3://lake", &Queue::Sqs(url), &options).await;
    let error = hints.receive(Duration::ZERO).await.expect_err("nobody");
    assert_eq!(error.kind, ErrorKind::Transient);
}

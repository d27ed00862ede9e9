//! S3 events from an SQS queue, over its JSON protocol.

use std::time::Duration;

use chrono::DateTime;
use model::hint::{Hint, Hints, Pending, Ticket};
use object_store::{
    HeaderValue, Result,
    aws::{AwsAuthorizer, AwsCredential},
    client::{HttpRequest, HttpRequestBody},
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Scope,
    client::{Answer, Client},
    event::{Said, read_s3},
};
use crate::credentials::Provider;

/// Messages that SQS hands out, and deletes, at a time.
const MESSAGES_MAX: usize = 10;

/// The longest wait that SQS offers, and the shortest in which it asks all of its machines.
const WAIT_MAX: Duration = Duration::from_secs(20);
const WAIT_MIN: Duration = Duration::from_secs(1);

/// The region of queues, and of services that only look like AWS, when nothing says which.
const REGION: &str = "us-east-1";

/// One queue.
#[derive(Debug)]
pub(super) struct Sqs {
    client: Client,
    url: Url,
    region: String,
    keys: Provider<AwsCredential>,
    scope: Scope,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    message_id: String,
    receipt_handle: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    /// Milliseconds.
    sent_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Deleted {
    #[serde(default)]
    failed: Vec<NotDeleted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotDeleted {
    code: String,
}

impl Sqs {
    pub(super) fn new(
        client: Client,
        url: Url,
        region: Option<String>,
        keys: Provider<AwsCredential>,
        scope: Scope,
    ) -> Self {
        let region = region_of(&url).or(region).unwrap_or_else(|| REGION.to_owned());
        Self { client, url, region, keys, scope }
    }

    async fn ask(&self, operation: &str, body: Value) -> Result<Answer, model::HintError> {
        let body = body.to_string();
        let ask = || async {
            let credential = self.keys.get_credential().await?;
            signed(&credential, &self.region, &self.url, operation, &body)
        };
        self.client.ask(ask, code).await
    }
}

impl Hints for Sqs {
    fn is_durable(&self) -> bool {
        true
    }

    fn receive(&mut self, wait: Duration) -> Pending<'_, Vec<Hint>> {
        Box::pin(async move {
            let body = json!({
                "QueueUrl": self.url.as_str(),
                "MaxNumberOfMessages": MESSAGES_MAX,
                "WaitTimeSeconds": wait.clamp(WAIT_MIN, WAIT_MAX).as_secs(),
                // Older services know the second name only.
                "MessageSystemAttributeNames": ["SentTimestamp"],
                "AttributeNames": ["SentTimestamp"],
            });
            let answer = self.ask("ReceiveMessage", body).await?;
            let received: Received = serde_json::from_slice(&answer.body)
                .map_err(|_| self.client.odd("something else than messages"))?;
            Ok(received.messages.into_iter().map(|message| hint(message, &self.scope)).collect())
        })
    }

    fn done<'a>(&'a mut self, tickets: &'a [Ticket]) -> Pending<'a, ()> {
        Box::pin(async move {
            for batch in tickets.chunks(MESSAGES_MAX) {
                let entry = |(number, ticket): (usize, &Ticket)| json!({"Id": number.to_string(), "ReceiptHandle": ticket.receipt});
                let entries: Vec<Value> = batch.iter().enumerate().map(entry).collect();
                let body = json!({"QueueUrl": self.url.as_str(), "Entries": entries});
                let answer = self.ask("DeleteMessageBatch", body).await?;
                let deleted: Deleted = serde_json::from_slice(&answer.body)
                    .map_err(|_| self.client.odd("something else than deletions"))?;
                for NotDeleted { code } in deleted.failed {
                    // It comes again, and will be known.
                    tracing::debug!(%code, "a message could not be deleted");
                }
            }
            Ok(())
        })
    }
}

fn hint(message: Message, scope: &Scope) -> Hint {
    let Said { places, oddity } = read_s3(&message.body, scope);
    let sent = message.attributes.sent_timestamp.and_then(|text| text.parse().ok());
    Hint {
        ticket: Ticket { id: message.message_id, receipt: message.receipt_handle },
        ts_sent: sent.and_then(DateTime::from_timestamp_millis),
        places,
        oddity,
    }
}

/// Returns the code of a refusal; it may come with a namespace in front.
fn code(answer: &Answer) -> String {
    let fault: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = fault["__type"].as_str().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().to_owned()
}

/// Returns the region that the address of a queue names, in any of its forms.
fn region_of(url: &Url) -> Option<String> {
    let labels: Vec<&str> = url.host_str()?.split('.').collect();
    let region = match labels.as_slice() {
        ["sqs" | "sqs-fips", region, "amazonaws", ..]
        | [region, "queue", "amazonaws", ..]
        | [_, "sqs", region, "vpce", ..]
        | ["sqs", region, "api", "aws", ..] => *region,
        _ => return None,
    };
    Some(region.to_owned())
}

/// Builds a signed question.
fn signed(
    credential: &AwsCredential,
    region: &str,
    queue: &Url,
    operation: &str,
    body: &str,
) -> Result<HttpRequest> {
    let header = |text: &str| HeaderValue::from_str(text).map_err(unusable);
    // The signer expects what fits into headers.
    header(&credential.key_id)?;
    credential.token.as_deref().map(header).transpose()?;
    let mut endpoint = queue.clone();
    endpoint.set_path("/");
    let mut request = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
    *request.method_mut() = "POST".parse().map_err(unusable)?;
    *request.uri_mut() = endpoint.as_str().parse().map_err(unusable)?;
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert("x-amz-target", header(&format!("AmazonSQS.{operation}"))?);
    AwsAuthorizer::new(credential, "sqs", region).authorize(&mut request, None);
    Ok(request)
}

/// The error of a key, or an address, that no request can have; it must not be shown.
fn unusable<E>(_: E) -> object_store::Error {
    let source = "the access key, its token or the address has characters that it may not have";
    object_store::Error::Generic { store: "queue", source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_s_address_names_its_region() {
        for (name, url, expected) in [
            ("AWS", "https://sqs.eu-central-1.amazonaws.com/1/q", Some("eu-central-1")),
            ("AWS in China", "https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1")),
            ("AWS, FIPS", "https://sqs-fips.us-east-2.amazonaws.com/1/q", Some("us-east-2")),
            ("AWS, dual stack", "https://sqs.us-west-1.api.aws/1/q", Some("us-west-1")),
            ("AWS, old form", "https://eu-west-1.queue.amazonaws.com/1/q", Some("eu-west-1")),
            (
                "a private end",
                "https://vpce-1.sqs.us-east-1.vpce.amazonaws.com/1/q",
                Some("us-east-1"),
            ),
            ("another service", "https://queue.example.com/1/q", None),
            ("this machine", "http://127.0.0.1:5000/1/q", None),
        ] {
            let url = Url::parse(url).expect(name);
            assert_eq!(region_of(&url).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_refusal_s_code_is_found_behind_its_namespace() {
        for (body, expected) in [
            (r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}"#, "QueueDoesNotExist"),
            (r#"{"__type":"OverLimit"}"#, "OverLimit"),
            ("<html>", ""),
            ("", ""),
        ] {
            let answer = Answer { status: 400, body: body.into() };
            assert_eq!(code(&answer), expected, "{body}");
        }
    }

    #[test]
    fn a_key_that_fits_into_no_header_is_refused_and_not_shown() {
        let url = Url::parse("https://sqs.eu-central-1.amazonaws.com/1/q").expect("a URL");
        let credential = AwsCredential {
            key_id: "canary\n".to_owned(),
            secret_key: "secret".to_owned(),
            token: None,
        };
        let error = signed(&credential, "eu-central-1", &url, "X", "{}").expect_err("no header");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

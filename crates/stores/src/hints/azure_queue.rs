//! Event Grid's events from an Azure Storage queue, over its XML protocol.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::hint::{Hint, Hints, Pending, Ticket};
use object_store::{
    Result,
    azure::{AzureAuthorizer, AzureCredential},
    client::{HttpRequest, HttpRequestBody},
};
use serde::Deserialize;
use url::Url;

use super::{
    Scope,
    client::{Answer, Client},
    event::{Said, read_azure},
};
use crate::credentials::Provider;

/// Messages that the service hands out at a time.
const MESSAGES_MAX: &str = "32";

/// How long a message stays away before it comes again, in seconds: about as long as a batch takes.
const VISIBILITY_S: &str = "300";

/// The service does not wait by itself; it is asked this often.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// One queue.
#[derive(Debug)]
pub(super) struct AzureQueue {
    client: Client,
    url: Url,
    account: String,
    keys: Provider<AzureCredential>,
    scope: Scope,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    #[serde(rename = "QueueMessage", default)]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    message_id: String,
    pop_receipt: String,
    #[serde(default)]
    insertion_time: String,
    #[serde(default)]
    message_text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fault {
    code: String,
}

/// Returns the address of a queue that is given by name or by address.
///
/// # Errors
/// A name without an account, or with a store that is elsewhere than the account's name says: what
/// its address says of queues, nobody knows.
pub(super) fn url(
    queue: &str,
    account: Option<&str>,
    is_elsewhere: bool,
) -> Result<String, &'static str> {
    if queue.contains("://") {
        return Ok(queue.trim_end_matches('/').to_owned());
    }
    let is_name = queue.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if queue.is_empty() || !is_name {
        return Err("it is no name of a queue (letters, digits and `-`), and no URL");
    }
    match account {
        _ if is_elsewhere => Err("give the queue's URL: `endpoint` says nothing of queues"),
        Some(account) => Ok(format!("https://{account}.queue.core.windows.net/{queue}")),
        None => Err("whose queue? give its URL, or the option `account_name`"),
    }
}

/// Returns the account that the address of a queue names: the first part of its host, or of its path
/// where the host is a number or this machine, as emulators have it.
pub(super) fn account(url: &Url) -> String {
    let first = match url.host() {
        Some(url::Host::Domain(name)) if name.contains('.') => name.split('.').next(),
        _ => url.path_segments().and_then(|mut parts| parts.next()),
    };
    first.unwrap_or_default().to_owned()
}

impl AzureQueue {
    pub(super) fn new(
        client: Client,
        url: Url,
        account: String,
        keys: Provider<AzureCredential>,
        scope: Scope,
    ) -> Self {
        Self { client, url, account, keys, scope }
    }

    async fn ask(&self, method: &str, url: &Url) -> Result<Answer, model::HintError> {
        let ask = || async {
            let credential = self.keys.get_credential().await?;
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.method_mut() = method.parse().map_err(unusable)?;
            *request.uri_mut() = url.as_str().parse().map_err(unusable)?;
            AzureAuthorizer::new(&credential, &self.account).authorize(&mut request);
            Ok(request)
        };
        self.client.ask(ask, code).await
    }

    /// Returns the address of the queue's messages, or of one of them.
    fn messages(&self, id: Option<&str>, query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().push("messages").extend(id);
        }
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    async fn receive_now(&self) -> Result<Vec<Hint>, model::HintError> {
        let query = [("numofmessages", MESSAGES_MAX), ("visibilitytimeout", VISIBILITY_S)];
        let answer = self.ask("GET", &self.messages(None, &query)).await?;
        let odd = |_| self.client.odd("something else than messages");
        let received = parse(&answer.body).map_err(odd)?;
        Ok(received.messages.into_iter().map(|message| hint(message, &self.scope)).collect())
    }
}

impl Hints for AzureQueue {
    fn is_durable(&self) -> bool {
        true
    }

    fn receive(&mut self, wait: Duration) -> Pending<'_, Vec<Hint>> {
        Box::pin(async move {
            let mut left = wait;
            loop {
                let hints = self.receive_now().await?;
                if !hints.is_empty() || left.is_zero() {
                    return Ok(hints);
                }
                let pause = left.min(POLL_EVERY);
                self.client.clock.sleep(pause).await;
                left = left.saturating_sub(pause);
            }
        })
    }

    fn done<'a>(&'a mut self, tickets: &'a [Ticket]) -> Pending<'a, ()> {
        Box::pin(async move {
            for Ticket { id, receipt } in tickets {
                let url = self.messages(Some(id), &[("popreceipt", receipt)]);
                match self.ask("DELETE", &url).await {
                    Ok(_) => (),
                    // Deleted before, or handed out anew: it comes again, and will be known.
                    Err(error) if is_gone(&error) => (),
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }
}

fn is_gone(error: &model::HintError) -> bool {
    let refusal = error.source.downcast_ref::<super::client::Refusal>();
    matches!(
        refusal,
        Some(super::client::Refusal::Refused { code, .. })
            if code == "MessageNotFound" || code == "PopReceiptMismatch"
    )
}

fn hint(message: Message, scope: &Scope) -> Hint {
    let Said { places, oddity } = read_azure(&message.message_text, scope);
    let sent = DateTime::parse_from_rfc2822(&message.insertion_time).ok();
    Hint {
        ticket: Ticket { id: message.message_id, receipt: message.pop_receipt },
        ts_sent: sent.map(|sent| sent.with_timezone(&Utc)),
        places,
        oddity,
    }
}

fn parse(body: &[u8]) -> Result<Received, quick_xml::DeError> {
    quick_xml::de::from_str(&text(body))
}

fn code(answer: &Answer) -> String {
    quick_xml::de::from_str::<Fault>(&text(&answer.body))
        .map(|fault| fault.code)
        .unwrap_or_default()
}

/// Returns the text of an answer, which the service begins with a byte order mark.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim_start_matches('\u{feff}').to_owned()
}

/// The error of an address that no request can have.
fn unusable<E>(_: E) -> object_store::Error {
    let source = "the address has characters that it may not have".into();
    object_store::Error::Generic { store: "queue", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_given_by_name_or_address() {
        for (name, queue, account, expected) in [
            ("a name", "events", Some("acme"), Ok("https://acme.queue.core.windows.net/events")),
            (
                "an address",
                "http://127.0.0.1:10001/dev/q/",
                None,
                Ok("http://127.0.0.1:10001/dev/q"),
            ),
            ("a name of nobody's", "events", None, Err("whose queue?")),
            ("no name", "a/b", Some("acme"), Err("no name of a queue")),
            ("nothing", "", Some("acme"), Err("no name of a queue")),
        ] {
            let found = url(queue, account, false);
            let is_expected = match (&found, expected) {
                (Ok(found), Ok(expected)) => found == expected,
                (Err(found), Err(expected)) => found.contains(expected),
                _ => false,
            };
            assert!(is_expected, "{name}: {found:?}");
        }
    }

    #[test]
    fn a_queue_s_address_names_its_account() {
        for (url, expected) in [
            ("https://acme.queue.core.windows.net/q", "acme"),
            ("http://127.0.0.1:10001/devstoreaccount1/q", "devstoreaccount1"),
            ("http://localhost:10001/devstoreaccount1/q", "devstoreaccount1"),
        ] {
            assert_eq!(account(&Url::parse(url).expect("a URL")), expected, "{url}");
        }
    }

    #[test]
    fn messages_are_read_as_the_service_writes_them() {
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>\
            <QueueMessage><MessageId>1f</MessageId>\
            <InsertionTime>Mon, 23 Nov 2026 01:02:03 GMT</InsertionTime>\
            <ExpirationTime>Mon, 30 Nov 2026 01:02:03 GMT</ExpirationTime>\
            <PopReceipt>AgAA/A+b=</PopReceipt><TimeNextVisible>x</TimeNextVisible>\
            <DequeueCount>1</DequeueCount><MessageText>a &lt; b</MessageText></QueueMessage>\
            </QueueMessagesList>";
        let received = parse(xml.as_bytes()).expect("messages");
        let [message] = <[Message; 1]>::try_from(received.messages).expect("one");
        assert_eq!(
            (message.pop_receipt.as_str(), message.message_text.as_str()),
            ("AgAA/A+b=", "a < b")
        );
        let empty = parse(b"<?xml version=\"1.0\"?><QueueMessagesList />").expect("none");
        assert!(empty.messages.is_empty());
        assert!(parse(b"<html></html").is_err());
    }
}

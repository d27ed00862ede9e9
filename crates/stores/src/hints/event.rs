//! What an event says, in each shape it comes in: S3's own, through SNS, through EventBridge, and
//! Event Grid's in either of its schemas. Pure.
//!
//! Only where a new object lies is taken from an event. Its size and tag may be old by now, and are
//! asked of the store.

use base64::{Engine, engine::general_purpose::STANDARD};
use model::hint::{Oddity, Place};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Scope;

#[cfg(test)]
mod tests;

/// A message wrapped more often than this is none of a service.
const WRAPS_MAX: u32 = 3;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) places: Vec<Place>,
    pub(super) oddity: Option<Oddity>,
}

impl Said {
    fn odd(oddity: Oddity) -> Self {
        Self { places: Vec::new(), oddity: Some(oddity) }
    }

    fn place(&mut self, place: Option<Place>) {
        match place {
            Some(place) => self.places.push(place),
            None => self.note(Oddity::Foreign),
        }
    }

    /// Keeps the gravest.
    fn note(&mut self, oddity: Oddity) {
        self.oddity = self.oddity.max(Some(oddity));
    }

    fn add(&mut self, other: Self) {
        self.places.extend(other.places);
        self.oddity = self.oddity.max(other.oddity);
    }
}

/// Reads a message of SQS.
pub(super) fn read_s3(text: &str, scope: &Scope) -> Said {
    let mut text = text.to_owned();
    for _ in 0..WRAPS_MAX {
        let Ok(value) = serde_json::from_str::<Value>(&text) else { break };
        match value["Type"].as_str() {
            // Without raw delivery SNS wraps what it sends on.
            Some("Notification") => match value["Message"].as_str() {
                Some(message) => text = message.to_owned(),
                None => break,
            },
            Some("SubscriptionConfirmation" | "UnsubscribeConfirmation") => {
                return Said::odd(Oddity::Other);
            }
            _ => return s3(&value, scope),
        }
    }
    Said::odd(Oddity::Broken)
}

fn s3(value: &Value, scope: &Scope) -> Said {
    if value["Event"] == "s3:TestEvent" {
        return Said::odd(Oddity::Test);
    }
    if value["source"] == "aws.s3" {
        return event_bridge(value, scope);
    }
    let Some(records) = value["Records"].as_array() else { return Said::odd(Oddity::Broken) };
    let mut said = Said::default();
    for record in records {
        said.add(s3_record(record, scope));
    }
    if said == Said::default() {
        said.note(Oddity::Other);
    }
    said
}

/// One record of S3's own events. MinIO puts `s3:` in front of the name.
fn s3_record(record: &Value, scope: &Scope) -> Said {
    let Some(name) = record["eventName"].as_str() else { return Said::odd(Oddity::Broken) };
    let name = name.strip_prefix("s3:").unwrap_or(name);
    if name == "TestEvent" {
        return Said::odd(Oddity::Test);
    }
    if !name.starts_with("ObjectCreated:") {
        return Said::odd(Oddity::Other);
    }
    let (bucket, key) = (&record["s3"]["bucket"]["name"], &record["s3"]["object"]["key"]);
    let (Some(bucket), Some(key)) = (bucket.as_str(), key.as_str()) else {
        return Said::odd(Oddity::Broken);
    };
    // The key is encoded as a form is: a space is `+`.
    let Some(key) = decode(&key.replace('+', " ")) else { return Said::odd(Oddity::Broken) };
    let mut said = Said::default();
    said.place(scope.object(bucket, &key));
    said
}

/// An event of EventBridge, whose keys are as they are.
fn event_bridge(value: &Value, scope: &Scope) -> Said {
    match value["detail-type"].as_str() {
        Some("Object Created") => (),
        Some(_) => return Said::odd(Oddity::Other),
        None => return Said::odd(Oddity::Broken),
    }
    let detail = &value["detail"];
    let (bucket, key) = (&detail["bucket"]["name"], &detail["object"]["key"]);
    let (Some(bucket), Some(key)) = (bucket.as_str(), key.as_str()) else {
        return Said::odd(Oddity::Broken);
    };
    let mut said = Said::default();
    said.place(scope.object(bucket, key));
    said
}

/// Reads a message of Azure Storage Queue. Event Grid writes base64; others may not.
pub(super) fn read_azure(text: &str, scope: &Scope) -> Said {
    let text = text.trim();
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let value = serde_json::from_str(decoded.as_deref().unwrap_or(text));
    match value {
        Ok(Value::Array(events)) if !events.is_empty() => {
            let mut said = Said::default();
            for event in &events {
                said.add(event_grid(event, scope));
            }
            said
        }
        Ok(event) => event_grid(&event, scope),
        Err(_) => Said::odd(Oddity::Broken),
    }
}

/// One event of Event Grid: in its own schema its type is `eventType`, in that of CloudEvents `type`.
fn event_grid(event: &Value, scope: &Scope) -> Said {
    let kind = event["eventType"].as_str().or_else(|| event["type"].as_str());
    let Some(kind) = kind else { return Said::odd(Oddity::Broken) };
    let data = &event["data"];
    let (url, is_folder) = match kind {
        // A file of a hierarchical namespace is created empty, then written, then flushed or
        // committed: only the last means that it is whole.
        "Microsoft.Storage.BlobCreated" if data["api"].as_str().is_some_and(is_begun) => {
            return Said::odd(Oddity::Other);
        }
        "Microsoft.Storage.BlobCreated" => (&data["url"], false),
        "Microsoft.Storage.BlobRenamed" => (&data["destinationUrl"], false),
        "Microsoft.Storage.DirectoryRenamed" => (&data["destinationUrl"], true),
        "Microsoft.EventGrid.SubscriptionValidationEvent" => return Said::odd(Oddity::Test),
        _ => return Said::odd(Oddity::Other),
    };
    // The subject has the name as it is; the URL, where there is nothing else, has it encoded.
    let subject = event["subject"].as_str().filter(|_| kind == "Microsoft.Storage.BlobCreated");
    let named = match subject.and_then(subject_parts) {
        Some((container, name)) => Some((container.to_owned(), name.to_owned())),
        None => url.as_str().and_then(|url| url_parts(url, scope)),
    };
    let Some((container, name)) = named else { return Said::odd(Oddity::Broken) };
    let mut said = Said::default();
    said.place(if is_folder {
        scope.folder(&container, &name)
    } else {
        scope.object(&container, &name)
    });
    said
}

/// Returns whether a call leaves a file that is not whole yet. SFTP tells of every step (schema of
/// Event Grid's Blob Storage events, learn.microsoft.com).
fn is_begun(api: &str) -> bool {
    matches!(api, "CreateFile" | "SftpCreate" | "SftpWrite")
}

/// Takes `/blobServices/default/containers/CONTAINER/blobs/NAME` apart.
fn subject_parts(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("/blobServices/default/containers/")?.split_once("/blobs/")
}

/// Takes `https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME` apart; the emulator has the account
/// in the path.
fn url_parts(url: &str, scope: &Scope) -> Option<(String, String)> {
    let (_, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let path = decode(path.split(['?', '#']).next()?)?;
    // Where the host names the account, a container may have the same name.
    let account = scope
        .account
        .as_deref()
        .filter(|account| host.split('.').next() != Some(*account))
        .and_then(|account| path.strip_prefix(account).and_then(|rest| rest.strip_prefix('/')));
    let (container, name) = account.unwrap_or(&path).split_once('/')?;
    Some((container.to_owned(), name.to_owned()))
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

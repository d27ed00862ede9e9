//! Events as the services write them, each shape with the place that it names.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A source below `in/bound` of the bucket `lake`, in the account `acme`.
fn scope(prefix: &str) -> Scope {
    let (bucket, account) = ("lake".to_owned(), Some("acme".to_owned()));
    Scope { bucket, prefix: prefix.to_owned(), account }
}

fn object(path: &str) -> Said {
    Said { places: vec![Place::Object(path.to_owned())], oddity: None }
}

fn folder(path: &str) -> Said {
    Said { places: vec![Place::Folder(path.to_owned())], oddity: None }
}

fn everywhere() -> Said {
    Said { places: vec![Place::Everywhere], oddity: None }
}

/// An event as S3 writes it.
fn s3_event(name: &str, bucket: &str, key: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-23T01:02:03.456Z",
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtT"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "new-files",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": {
                "key": key,
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }]})
}

fn sns(message: &Value) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:new-files",
        "Subject": "Amazon S3 Notification",
        "Message": message.to_string(),
        "Timestamp": "2026-11-23T01:02:04.000Z",
        "SignatureVersion": "1",
    })
}

fn bridge(detail_type: &str, bucket: &str, key: &str) -> Value {
    json!({
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-11-23T01:02:03Z",
        "region": "eu-central-1",
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 5, "etag": "b57f9512698f4b09e608f4f2a65852e5", "sequencer": "00617F08299329D189"},
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "reason": "PutObject",
        },
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_shape_of_s3_names_its_object() {
    use Oddity::{Broken, Foreign, Other, Test};

    let put = |key| s3_event("ObjectCreated:Put", "lake", key);
    let mut two = put("a.json");
    let more = s3_event("ObjectCreated:Copy", "lake", "b.json")["Records"][0].clone();
    two["Records"].as_array_mut().expect("records").push(more);
    let mut mixed = put("a.json");
    let deleted = s3_event("ObjectRemoved:Delete", "lake", "b.json")["Records"][0].clone();
    mixed["Records"].as_array_mut().expect("records").push(deleted);
    let test = json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-11-23T01:02:03.000Z",
        "Bucket": "lake",
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR",
    });
    let confirm =
        json!({"Type": "SubscriptionConfirmation", "Token": "2336412f37", "Message": "…"});
    let odd = Said::odd;
    for (name, message, prefix, expected) in [
        ("a put", put("a.json"), "", object("a.json")),
        ("a post", s3_event("ObjectCreated:Post", "lake", "a"), "", object("a")),
        ("a copy", s3_event("ObjectCreated:Copy", "lake", "a"), "", object("a")),
        (
            "an upload in parts",
            s3_event("ObjectCreated:CompleteMultipartUpload", "lake", "a"),
            "",
            object("a"),
        ),
        ("MinIO's name of it", s3_event("s3:ObjectCreated:Put", "lake", "a"), "", object("a")),
        ("an encoded space", put("a+b.json"), "", object("a b.json")),
        ("an encoded plus", put("a%2Bb.json"), "", object("a+b.json")),
        ("an encoded slash, as MinIO writes it", put("x%2Fa.json"), "", object("x/a.json")),
        ("an encoded percent", put("100%25.json"), "", object("100%.json")),
        ("another script", put("%D0%BA%D0%BE%D1%82.json"), "", object("кот.json")),
        ("a partition", put("day%3D2026-11-23/a.json"), "", object("day=2026-11-23/a.json")),
        ("no UTF-8", put("%FF.json"), "", odd(Broken)),
        ("below the source", put("in/bound/a.json"), "in/bound", object("a.json")),
        ("beside the source", put("in/boundary/a.json"), "in/bound", odd(Foreign)),
        ("the source itself", put("in/bound/"), "in/bound", odd(Foreign)),
        ("another bucket", s3_event("ObjectCreated:Put", "pond", "a"), "", odd(Foreign)),
        (
            "two at once",
            two,
            "",
            Said {
                places: [object("a.json").places, object("b.json").places].concat(),
                oddity: None,
            },
        ),
        ("one of two is a deletion", mixed, "", Said { oddity: Some(Other), ..object("a.json") }),
        ("a deletion", s3_event("ObjectRemoved:Delete", "lake", "a"), "", odd(Other)),
        (
            "a deletion's marker",
            s3_event("ObjectRemoved:DeleteMarkerCreated", "lake", "a"),
            "",
            odd(Other),
        ),
        ("a tag", s3_event("ObjectTagging:Put", "lake", "a"), "", odd(Other)),
        ("a restore", s3_event("ObjectRestore:Completed", "lake", "a"), "", odd(Other)),
        ("no records", json!({"Records": []}), "", odd(Other)),
        ("S3 tries out its events", test.clone(), "", odd(Test)),
        ("and does so through SNS", sns(&test), "", odd(Test)),
        ("through SNS", sns(&put("a+b.json")), "", object("a b.json")),
        ("through SNS twice", sns(&sns(&put("a"))), "", object("a")),
        ("through SNS without end", sns(&sns(&sns(&sns(&put("a"))))), "", odd(Broken)),
        ("SNS asks for a confirmation", confirm, "", odd(Other)),
        ("through EventBridge", bridge("Object Created", "lake", "a.json"), "", object("a.json")),
        (
            "through EventBridge, where keys are not encoded",
            bridge("Object Created", "lake", "a+b%20c.json"),
            "",
            object("a+b%20c.json"),
        ),
        (
            "through EventBridge and SNS",
            sns(&bridge("Object Created", "lake", "a")),
            "",
            object("a"),
        ),
        ("EventBridge, a deletion", bridge("Object Deleted", "lake", "a"), "", odd(Other)),
        ("EventBridge, another bucket", bridge("Object Created", "pond", "a"), "", odd(Foreign)),
        (
            "EventBridge without an object",
            json!({"source": "aws.s3", "detail-type": "Object Created"}),
            "",
            odd(Broken),
        ),
        ("EventBridge without a type", json!({"source": "aws.s3"}), "", odd(Broken)),
        ("a record without a name", json!({"Records": [{}]}), "", odd(Broken)),
        (
            "a record without a key",
            json!({"Records": [{"eventName": "ObjectCreated:Put"}]}),
            "",
            odd(Broken),
        ),
        ("records that are none", json!({"Records": 7}), "", odd(Broken)),
        ("other JSON", json!({"hello": "world"}), "", odd(Broken)),
        ("JSON that is no object", json!([1, 2]), "", odd(Broken)),
    ] {
        assert_eq!(read_s3(&message.to_string(), &scope(prefix)), expected, "{name}");
    }
    for text in ["", "hello", "{", "\u{0}", "{\"Records\":[{\"eventName\":1}]}"] {
        assert_eq!(read_s3(text, &scope("")), odd(Broken), "{text:?}");
    }
}

/// An event in Event Grid's own schema.
fn grid(kind: &str, api: &str, container: &str, name: &str) -> Value {
    json!({
        "topic": "/subscriptions/0/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acme",
        "subject": format!("/blobServices/default/containers/{container}/blobs/{name}"),
        "eventType": kind,
        "eventTime": "2026-11-23T01:02:03.4567890Z",
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "data": {
            "api": api,
            "clientRequestId": "6d79dbfb-0e37-4fc4-981f-442c9ca65760",
            "requestId": "831e1650-001e-001b-66ab-eeb76e000000",
            "eTag": "0x8D4BCC2E4835CD0",
            "contentType": "application/json",
            "contentLength": 524_288,
            "blobType": "BlockBlob",
            "url": format!("https://acme.blob.core.windows.net/{container}/{name}"),
            "sequencer": "00000000000004420000000000028963",
            "storageDiagnostics": {"batchId": "b68529f3-68cd-4744-baa4-3c0498ec19f0"},
        },
        "dataVersion": "",
        "metadataVersion": "1",
    })
}

fn cloud(kind: &str, subject: &str, data: Value) -> Value {
    json!({
        "source": "/subscriptions/0/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acme",
        "subject": subject,
        "type": kind,
        "time": "2026-11-23T01:02:03.4567890Z",
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "data": data,
        "specversion": "1.0",
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_shape_of_event_grid_names_its_object() {
    use Oddity::{Broken, Foreign, Other, Test};

    let created = |api, name| grid("Microsoft.Storage.BlobCreated", api, "lake", name);
    let renamed = |kind, to: &str| {
        let data = json!({"api": "RenameFile", "sourceUrl": "https://acme.dfs.core.windows.net/lake/tmp/a", "destinationUrl": to});
        cloud(kind, "/blobServices/default/containers/lake/blobs/tmp/a", data)
    };
    let file = "Microsoft.Storage.BlobRenamed";
    let directory = "Microsoft.Storage.DirectoryRenamed";
    let odd = Said::odd;
    for (name, message, prefix, expected) in [
        ("a put", created("PutBlob", "a.json"), "", object("a.json")),
        ("a put in blocks", created("PutBlockList", "x/a.json"), "", object("x/a.json")),
        ("a copy", created("CopyBlob", "a"), "", object("a")),
        ("a file that was flushed and closed", created("FlushWithClose", "a"), "", object("a")),
        ("a file that is only begun", created("CreateFile", "a"), "", odd(Other)),
        ("a file that SFTP has begun", created("SftpCreate", "a"), "", odd(Other)),
        ("a file that SFTP goes on with", created("SftpWrite", "a"), "", odd(Other)),
        ("a file that SFTP has committed", created("SftpCommit", "a"), "", object("a")),
        (
            "a subject is not encoded",
            created("PutBlob", "a b%20+.json"),
            "",
            object("a b%20+.json"),
        ),
        (
            "CloudEvents",
            cloud(
                "Microsoft.Storage.BlobCreated",
                "/blobServices/default/containers/lake/blobs/in/a.json",
                json!({"api": "PutBlob"}),
            ),
            "in",
            object("a.json"),
        ),
        (
            "without a subject the URL tells, which is encoded",
            cloud(
                "Microsoft.Storage.BlobCreated",
                "",
                json!({"url": "https://acme.blob.core.windows.net/lake/in/a%20b%2Bc.json?x=y"}),
            ),
            "in",
            object("a b+c.json"),
        ),
        (
            "an emulator's URL",
            cloud(
                "Microsoft.Storage.BlobCreated",
                "",
                json!({"url": "http://127.0.0.1:10000/acme/lake/a.json"}),
            ),
            "",
            object("a.json"),
        ),
        (
            "a rename",
            renamed(file, "https://acme.dfs.core.windows.net/lake/in/a%20b.json"),
            "in",
            object("a b.json"),
        ),
        (
            "a rename out of the source",
            renamed(file, "https://acme.dfs.core.windows.net/lake/out/a.json"),
            "in",
            odd(Foreign),
        ),
        (
            "a rename in a container named as its account",
            renamed(file, "https://acme.dfs.core.windows.net/acme/lake/a.json"),
            "in",
            odd(Foreign),
        ),
        (
            "a folder renamed into the source",
            renamed(directory, "https://acme.dfs.core.windows.net/lake/in/day"),
            "in",
            folder("day"),
        ),
        (
            "a folder renamed to be the source",
            renamed(directory, "https://acme.dfs.core.windows.net/lake/in"),
            "in",
            everywhere(),
        ),
        (
            "a folder renamed to hold the source",
            renamed(directory, "https://acme.dfs.core.windows.net/lake/a"),
            "a/b",
            everywhere(),
        ),
        (
            "a folder renamed beside the source",
            renamed(directory, "https://acme.dfs.core.windows.net/lake/inside"),
            "in",
            odd(Foreign),
        ),
        (
            "another container",
            grid("Microsoft.Storage.BlobCreated", "PutBlob", "pond", "a"),
            "",
            odd(Foreign),
        ),
        (
            "a deletion",
            grid("Microsoft.Storage.BlobDeleted", "DeleteBlob", "lake", "a"),
            "",
            odd(Other),
        ),
        (
            "a tier",
            grid("Microsoft.Storage.BlobTierChanged", "SetBlobTier", "lake", "a"),
            "",
            odd(Other),
        ),
        (
            "Event Grid tries out its events",
            json!({"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {}}),
            "",
            odd(Test),
        ),
        ("an array of one", json!([created("PutBlob", "a")]), "", object("a")),
        (
            "an array of two, one of them a deletion",
            json!([created("PutBlob", "a"), {"type": "Microsoft.Storage.BlobDeleted"}]),
            "",
            Said { oddity: Some(Other), ..object("a") },
        ),
        ("an array of none", json!([]), "", odd(Broken)),
        ("no type", json!({"data": {}}), "", odd(Broken)),
        ("no address", json!({"type": "Microsoft.Storage.BlobCreated"}), "", odd(Broken)),
        ("an address that is none", renamed(file, "acme"), "", odd(Broken)),
        ("a text", json!("hello"), "", odd(Broken)),
    ] {
        let text = message.to_string();
        assert_eq!(read_azure(&text, &scope(prefix)), expected, "{name}");
        assert_eq!(read_azure(&STANDARD.encode(&text), &scope(prefix)), expected, "{name}, base64");
    }
    for text in ["", "hello", "aGVsbG8=", "{", "\u{0}"] {
        assert_eq!(read_azure(text, &scope("")), odd(Broken), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_message_is_too_odd(text in ".{0,200}", prefix in "[a-c/]{0,4}") {
        let scope = scope(&prefix);
        prop_assert!(read_s3(&text, &scope).places.is_empty());
        prop_assert!(read_azure(&text, &scope).places.is_empty());
    }

    #[test]
    fn a_key_comes_back_as_it_was_written(key in "[^/\u{0}][^\u{0}]{0,40}") {
        let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
        let said = read_s3(&s3_event("ObjectCreated:Put", "lake", &encoded).to_string(), &scope(""));
        prop_assert_eq!(said, object(&key));
        let said = read_s3(&bridge("Object Created", "lake", &key).to_string(), &scope(""));
        prop_assert_eq!(said, object(&key));
        let grid = grid("Microsoft.Storage.BlobCreated", "PutBlob", "lake", &key);
        prop_assert_eq!(read_azure(&grid.to_string(), &scope("")), object(&key));
    }
}

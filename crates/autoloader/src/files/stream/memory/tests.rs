//! Files of the state folder that cannot be used, and what is said of each.

use object_store::{ObjectStoreExt, PutPayload, memory::InMemory, path::Path};
use proptest::prelude::*;

use super::*;
use crate::files::discover::tests::seen;

fn zipped(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), LEVEL).unwrap()
}

#[test]
fn a_snapshot_is_whole_or_refused() {
    let head = |format: u32, batch: u64, files: usize| {
        format!("{{\"format\":{format},\"batch\":{batch},\"notes\":2,\"files\":{files}}}")
    };
    let whole = packed(&Seen::default(), BatchId(3), 2, 1_000).unwrap();
    let snapshot = unpacked(&whole, BatchId(3)).unwrap();
    assert_eq!((snapshot.seen.len(), snapshot.batch, snapshot.notes), (0, BatchId(3), 2));
    for (name, bytes) in [
        ("nothing", Vec::new()),
        ("no zstd", b"{}".to_vec()),
        ("an empty text", zipped("")),
        ("no head", zipped("{\"path\":\"a\"}")),
        ("another format", zipped(&head(FORMAT + 1, 3, 0))),
        ("another batch", zipped(&head(FORMAT, 4, 0))),
        ("fewer files than it says", zipped(&head(FORMAT, 3, 1))),
        ("a line that is no file", zipped(&format!("{}\n{{}}", head(FORMAT, 3, 1)))),
        ("cut off", whole[..whole.len() - 3].to_vec()),
    ] {
        assert!(unpacked(&bytes, BatchId(3)).is_err(), "{name}");
    }
}

#[test]
fn a_snapshot_that_nobody_would_read_is_not_written() {
    let seen = seen(&["a", "b"]);
    let whole = packed(&seen, BatchId(0), 0, SNAPSHOT_BYTES_MAX).unwrap();
    let text = zstd::decode_all(&whole[..]).unwrap();
    let bytes = text.len() as u64;
    assert_eq!(unpacked(&whole, BatchId(0)).unwrap().seen, seen);
    assert!(packed(&seen, BatchId(0), 0, bytes).is_ok());
    let refused = packed(&seen, BatchId(0), 0, bytes - 1).unwrap_err();
    assert!(refused.to_string().contains("more than a snapshot may hold"), "{refused}");
}

#[tokio::test]
async fn a_plan_of_another_format_or_batch_is_refused() {
    for (name, text, words) in [
        ("no JSON", "{", "EOF"),
        (
            "another format",
            "{\"format\":9,\"release\":\"9\",\"stream\":\"s\",\"batch\":0,\"planned_at\":\"2026-01-01T00:00:00Z\",\"files\":[]}",
            "its format is 9, and this release knows 1",
        ),
        (
            "another batch",
            "{\"format\":1,\"release\":\"1\",\"stream\":\"s\",\"batch\":5,\"planned_at\":\"2026-01-01T00:00:00Z\",\"files\":[]}",
            "it is of batch 5",
        ),
        (
            "a field that this release does not know",
            "{\"format\":1,\"surprise\":1}",
            "unknown field `surprise`",
        ),
    ] {
        let store = Arc::new(InMemory::new());
        let text = PutPayload::from(text.to_owned());
        store.put(&Path::from("s/offsets/0.json"), text).await.unwrap();
        let refused = Memory::new(store, "s").plan(BatchId(0)).await.expect_err(name);
        assert!(refused.to_string().contains(words), "{name}: {refused}");
    }
}

proptest! {
    /// No bytes make a snapshot panic.
    #[test]
    fn any_bytes_are_a_snapshot_or_not(text in ".{0,60}", cut in 0_usize..40) {
        let bytes = zipped(&text);
        drop(unpacked(&bytes[..bytes.len().saturating_sub(cut)], BatchId(0)));
        drop(unpacked(text.as_bytes(), BatchId(0)));
    }
}

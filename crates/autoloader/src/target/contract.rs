//! What every [`Target`] must do. Each implementation runs this from its own tests.

use arrow::record_batch::RecordBatch;
use model::landing::{Footer, LandingKey, LandingKind};

use crate::{
    decode::{Decoder, LINE_BYTES_MAX},
    object::{sha256_hex, verify_object},
    schema::RowSchema,
    target::{Appended, BatchId, Target},
};

/// Two writers of one batch may each lose a race a few times before they find it committed.
const ATTEMPTS_MAX: u32 = 8;

/// Checks that a target keeps each batch exactly once, in order, across handles.
///
/// `open` gives another handle to the same, at first empty target; `count` its rows.
///
/// # Panics
/// The target breaks the contract.
pub async fn target_contract<T: Target>(
    schema: &RowSchema,
    open: impl AsyncFn() -> T,
    count: impl AsyncFn() -> u64,
) {
    let mut ours = open().await;
    assert_eq!(ours.last_batch().await.expect("reads"), None, "an empty target has no batch");
    refuses(&mut ours, schema, BatchId(1)).await;
    assert_eq!(count().await, 0, "a refused batch leaves nothing");

    let appended =
        ours.append_once(BatchId(0), rows(schema, BatchId(0), 3)).await.expect("appends");
    assert!(matches!(appended, Appended::Committed { .. }), "{appended:?}");
    assert_eq!(ours.last_batch().await.expect("reads"), Some(BatchId(0)));
    already_there(&mut ours, schema, BatchId(0)).await;
    assert_eq!(count().await, 3, "a second run of the same batch adds nothing");

    let mut theirs = open().await;
    assert_eq!(theirs.last_batch().await.expect("reads"), Some(BatchId(0)), "handles agree");
    theirs.append_once(BatchId(1), rows(schema, BatchId(1), 2)).await.expect("appends");
    // `ours` has not looked since; its view of the target is old.
    already_there(&mut ours, schema, BatchId(1)).await;
    already_there(&mut ours, schema, BatchId(0)).await;
    assert_eq!(ours.last_batch().await.expect("reads"), Some(BatchId(1)), "never from memory");
    refuses(&mut ours, schema, BatchId(3)).await;
    assert_eq!(count().await, 5, "neither old nor early batches add anything");

    ours.append_once(BatchId(2), Vec::new()).await.expect("a batch without rows is a batch");
    assert_eq!(theirs.last_batch().await.expect("reads"), Some(BatchId(2)));
    let mut several = rows(schema, BatchId(3), 2);
    several.extend(rows(schema, BatchId(3), 1));
    theirs.append_once(BatchId(3), several).await.expect("appends");
    assert_eq!(count().await, 8, "all record batches of a batch count");

    let batch = BatchId(4);
    futures::future::join(insists(&mut ours, schema, batch), insists(&mut theirs, schema, batch))
        .await;
    assert_eq!(count().await, 12, "two writers at once append a batch once");
    assert_eq!(open().await.last_batch().await.expect("reads"), Some(batch));
}

async fn already_there<T: Target>(target: &mut T, schema: &RowSchema, batch: BatchId) {
    let appended = target.append_once(batch, rows(schema, batch, 1)).await.expect("appends");
    assert_eq!(appended, Appended::AlreadyThere, "batch {batch}");
}

async fn refuses<T: Target>(target: &mut T, schema: &RowSchema, batch: BatchId) {
    let before = target.last_batch().await.expect("reads");
    let refused = target.append_once(batch, rows(schema, batch, 1)).await;
    assert!(refused.is_err(), "batch {batch} must not come before the one it follows");
    assert_eq!(target.last_batch().await.expect("reads"), before);
}

async fn insists<T: Target>(target: &mut T, schema: &RowSchema, batch: BatchId) {
    for attempt in 1..=ATTEMPTS_MAX {
        match target.append_once(batch, rows(schema, batch, 4)).await {
            Ok(_) => return,
            Err(error) => assert!(attempt < ATTEMPTS_MAX, "never settled: {error}"),
        }
    }
}

/// Returns `count` rows as a loader would hand them over.
///
/// # Panics
/// The schema cannot be used.
#[must_use]
pub fn rows(schema: &RowSchema, batch: BatchId, count: u64) -> Vec<RecordBatch> {
    let key = LandingKey {
        generation: 0,
        topic: "intraday".to_owned(),
        partition: 0,
        first_offset: 0,
        kind: LandingKind::Records,
    };
    let mut object: String = (0..count).map(|row| format!("row {row} is no envelope\n")).collect();
    let footer = Footer {
        first: 0,
        next: count.max(1),
        count,
        sha256: sha256_hex(object.as_bytes()),
        last_record_crc: 0,
    };
    object.push_str(&footer.to_line());
    let object = verify_object(&key, object.as_bytes()).expect("sealed above");
    let decoded = Decoder::new(schema, LINE_BYTES_MAX).decode(&key, &object, batch);
    decoded.expect("the schema can be used").batches
}

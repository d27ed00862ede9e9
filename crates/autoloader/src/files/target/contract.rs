//! What every [`FileTarget`] must do. Each implementation runs this from its own tests.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, StringArray, StructArray},
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
    record_batch::RecordBatch,
};

use super::{Change, FileTarget, Sealed};
use crate::{
    files::metadata::metadata_fields,
    target::{Appended, BatchId},
};

/// The metadata column of the tables that are tested.
pub const METADATA: &str = "_metadata";

/// Two writers of one batch may each lose a race a few times before they find it committed.
const ATTEMPTS_MAX: u32 = 8;

/// What a table holds: for each row its file, `a`, and `b` where there is one.
type Rows = Vec<(String, i64, Option<String>)>;

/// Checks that a target keeps each batch exactly once, in order, across handles.
///
/// `open` gives another handle to the table of a name, which is not there at first and whose
/// metadata column is [`METADATA`]; `read` gives everything in it.
///
/// # Panics
/// The target breaks the contract.
pub async fn file_target_contract<T: FileTarget>(
    open: impl AsyncFn(&str) -> T,
    read: impl AsyncFn(&str) -> Vec<RecordBatch>,
) {
    let rows = async || held(&read("batches").await);
    let mut ours = open("batches").await;
    let mut theirs = open("batches").await;
    assert_eq!(ours.last_batch().await.expect("reads"), None, "an empty target has no batch");
    assert!(ours.columns().await.expect("reads").is_none(), "there is no table yet");

    keeps_batches_in_order(&mut ours, &mut theirs, &rows).await;
    takes_rows_away(&mut ours, &mut theirs, &rows).await;
    grows_columns(&mut ours, &mut theirs, &rows).await;
    settles_races(&mut ours, &mut theirs, &rows).await;
    assert_eq!(open("batches").await.last_batch().await.expect("reads"), Some(BatchId(10)));

    leaves_out_batches(&mut open("quarantine").await).await;
    assert_eq!(held(&read("quarantine").await).len(), 3);
    begins_without_rows(&mut open("empty").await).await;
    assert_eq!(held(&read("empty").await).len(), 1);
}

async fn keeps_batches_in_order<T: FileTarget>(
    ours: &mut T,
    theirs: &mut T,
    rows: &impl AsyncFn() -> Rows,
) {
    let none = Change::default();
    let early = seal(ours, &narrow(), &[("x", 9)]).await;
    let refused = ours.commit_once(BatchId(1), Some(&early), &none).await;
    assert!(refused.is_err(), "a batch must not come before the one it follows");
    let mut dropped = ours.begin(narrow()).await.expect("begins");
    ours.stage(&mut dropped, batch(&narrow(), &[("dropped", 1)])).await.expect("stages");
    drop(dropped);
    assert_eq!(ours.last_batch().await.expect("reads"), None);

    let first = seal(ours, &narrow(), &[("f1", 1), ("f1", 2), ("f2", 3)]).await;
    let done = ours.commit_once(BatchId(0), Some(&first), &none).await.expect("commits");
    assert!(matches!(done, Appended::Committed { .. }), "{done:?}");
    assert_eq!(rows().await.len(), 3, "what was refused, dropped or never committed is not there");
    let columns = ours.columns().await.expect("reads").expect("there is a table");
    assert!(columns.field_with_name("a").is_ok(), "{columns}");

    let other = seal(ours, &narrow(), &[("other", 1)]).await;
    for sealed in [&first, &other] {
        let done = ours.commit_once(BatchId(0), Some(sealed), &none).await.expect("commits");
        assert_eq!(done, Appended::AlreadyThere, "a batch is committed once");
    }
    assert_eq!(theirs.last_batch().await.expect("reads"), Some(BatchId(0)), "handles agree");

    // One process seals, writes it down, and dies; another commits what it reads.
    let written =
        serde_json::to_string(&seal(ours, &narrow(), &[("f3", 4)]).await).expect("writes");
    let sealed: Sealed = serde_json::from_str(&written).expect("reads");
    theirs.commit_once(BatchId(1), Some(&sealed), &none).await.expect("commits");
    let done = ours.commit_once(BatchId(1), Some(&sealed), &none).await.expect("commits");
    assert_eq!(done, Appended::AlreadyThere, "an old view of the table does not matter");
    assert_eq!(ours.last_batch().await.expect("reads"), Some(BatchId(1)), "never from memory");

    let empty = seal(ours, &narrow(), &[]).await;
    ours.commit_once(BatchId(2), Some(&empty), &none).await.expect("no rows are a batch");
    theirs.commit_once(BatchId(3), None, &none).await.expect("nothing is a batch");
    assert_eq!(ours.last_batch().await.expect("reads"), Some(BatchId(3)));
    assert_eq!(rows().await.len(), 4);
}

async fn takes_rows_away<T: FileTarget>(
    ours: &mut T,
    theirs: &mut T,
    rows: &impl AsyncFn() -> Rows,
) {
    let removing = |paths: &[&str]| Change {
        removes: paths.iter().map(|&path| path.to_owned()).collect(),
        ..Change::default()
    };
    let replaced = seal(ours, &narrow(), &[("f1", 10)]).await;
    let change = removing(&["f1", "never there"]);
    ours.commit_once(BatchId(4), Some(&replaced), &change).await.expect("commits");
    let own = |found: Rows, path: &str| -> Vec<i64> {
        found.into_iter().filter(|row| row.0 == path).map(|row| row.1).collect()
    };
    assert_eq!(own(rows().await, "f1"), [10], "the batch's own rows stay, older ones go");
    let done = theirs.commit_once(BatchId(4), Some(&replaced), &change).await.expect("commits");
    assert_eq!(done, Appended::AlreadyThere);
    assert_eq!(own(rows().await, "f1"), [10], "a second run takes nothing away");
    theirs.commit_once(BatchId(5), None, &removing(&["f2"])).await.expect("commits");
    assert!(own(rows().await, "f2").is_empty(), "rows go without others coming");
    assert_eq!(rows().await.len(), 2, "rows of other files stay");
}

async fn grows_columns<T: FileTarget>(ours: &mut T, theirs: &mut T, rows: &impl AsyncFn() -> Rows) {
    let none = Change::default();
    let wider = seal(ours, &wide(), &[("f4", 5)]).await;
    ours.commit_once(BatchId(6), Some(&wider), &none).await.expect("commits");
    let columns = theirs.columns().await.expect("reads").expect("there is a table");
    assert!(columns.field_with_name("b").is_ok(), "a new column is in the table: {columns}");
    let by_file: BTreeMap<String, Option<String>> =
        rows().await.into_iter().map(|(file, _, b)| (file, b)).collect();
    assert_eq!(by_file["f4"].as_deref(), Some("b5"));
    assert_eq!(by_file["f3"], None, "rows of before have no value in it");
    let lacking = theirs.begin(narrow()).await;
    assert!(lacking.is_err(), "rows must have all columns of the table");
    let again = seal(theirs, &wide(), &[("f5", 6)]).await;
    let change = Change { removes: ["f3".to_owned()].into(), ..Change::default() };
    theirs.commit_once(BatchId(7), Some(&again), &change).await.expect("commits");
    assert_eq!(rows().await.len(), 3, "rows of narrower files can go too");
}

async fn settles_races<T: FileTarget>(ours: &mut T, theirs: &mut T, rows: &impl AsyncFn() -> Rows) {
    for number in 8..=10 {
        let before = rows().await.len();
        let one = seal(ours, &wide(), &[("race", 1), ("race", 2)]).await;
        let (a, b) = futures::future::join(
            insist(ours, BatchId(number), &one),
            insist(theirs, BatchId(number), &one),
        )
        .await;
        let committed = [a, b].iter().filter(|a| matches!(a, Appended::Committed { .. })).count();
        assert!(committed <= 1, "two writers at once commit a batch once");
        assert_eq!(rows().await.len(), before + 2);
    }
}

async fn insist<T: FileTarget>(target: &mut T, batch: BatchId, sealed: &Sealed) -> Appended {
    let mut attempt = 1;
    loop {
        match target.commit_once(batch, Some(sealed), &Change::default()).await {
            Ok(done) => return done,
            Err(error) => assert!(attempt < ATTEMPTS_MAX, "never settled: {error}"),
        }
        attempt += 1;
    }
}

async fn leaves_out_batches<T: FileTarget>(target: &mut T) {
    let change = Change { may_skip: true, ..Change::default() };
    for (number, is_new) in [(3, true), (3, false), (1, false), (9, true)] {
        let path = format!("q{number}");
        let sealed = seal(target, &narrow(), &[(&path, 1)]).await;
        let done = target.commit_once(BatchId(number), Some(&sealed), &change).await;
        let done = done.expect("batches may be left out");
        assert_eq!(matches!(done, Appended::Committed { .. }), is_new, "batch {number}");
    }
    assert_eq!(target.last_batch().await.expect("reads"), Some(BatchId(9)));
    let sealed = seal(target, &narrow(), &[("q10", 1)]).await;
    target.commit_once(BatchId(10), Some(&sealed), &Change::default()).await.expect("follows");
}

async fn begins_without_rows<T: FileTarget>(target: &mut T) {
    let none = Change::default();
    target.commit_once(BatchId(0), None, &none).await.expect("a first batch may have no rows");
    assert_eq!(target.last_batch().await.expect("reads"), Some(BatchId(0)));
    let sealed = seal(target, &narrow(), &[("f", 1)]).await;
    target.commit_once(BatchId(1), Some(&sealed), &none).await.expect("columns come later");
}

async fn seal<T: FileTarget>(target: &mut T, columns: &SchemaRef, rows: &[(&str, i64)]) -> Sealed {
    let mut staged = target.begin(Arc::clone(columns)).await.expect("begins");
    // In two stretches, as a stream stages them.
    for stretch in rows.chunks(2) {
        target.stage(&mut staged, batch(columns, stretch)).await.expect("stages");
    }
    target.seal(staged).await.expect("seals")
}

fn narrow() -> SchemaRef {
    let metadata = Field::new(METADATA, DataType::Struct(metadata_fields()), true);
    Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), metadata]))
}

fn wide() -> SchemaRef {
    let mut fields = narrow().fields().to_vec();
    fields.push(Arc::new(Field::new("b", DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
}

/// Returns rows of these files and values; `b` follows `a`.
fn batch(columns: &SchemaRef, rows: &[(&str, i64)]) -> RecordBatch {
    let fields = metadata_fields();
    let metadata: Vec<ArrayRef> = fields
        .iter()
        .map(|field| match field.name().as_str() {
            "file_path" => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
            _ => arrow::array::new_null_array(field.data_type(), rows.len()),
        })
        .collect();
    let arrays = columns.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "a" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
            "b" => Arc::new(StringArray::from_iter_values(
                rows.iter().map(|row| format!("b{}", row.1)),
            )),
            _ => Arc::new(StructArray::new(fields.clone(), metadata.clone(), None)),
        }
    });
    RecordBatch::try_new(Arc::clone(columns), arrays.collect()).expect("fits")
}

/// Returns what a table holds, whatever text type its reader gives.
fn held(batches: &[RecordBatch]) -> Rows {
    let mut rows = Rows::new();
    let text = |array: &ArrayRef, row: usize| {
        let plain = arrow::compute::cast(array, &DataType::Utf8).expect("is text");
        (!plain.is_null(row)).then(|| plain.as_string::<i32>().value(row).to_owned())
    };
    for batch in batches {
        let a = batch.column_by_name("a").expect("has `a`").as_primitive::<Int64Type>().clone();
        let metadata = batch.column_by_name(METADATA).expect("has metadata").as_struct();
        let path = metadata.column_by_name("file_path").expect("has the path");
        for row in 0..batch.num_rows() {
            let b = batch.column_by_name("b").and_then(|b| text(b, row));
            rows.push((text(path, row).expect("is there"), a.value(row), b));
        }
    }
    rows
}

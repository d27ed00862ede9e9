//! The contract of file targets, and what Delta has beside it: partitions, types, tables of others.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray,
    },
    datatypes::{Int64Type, TimeUnit},
};
use autoloader::files::{
    metadata::metadata_fields,
    target::contract::{METADATA, file_target_contract},
};
use deltalake_core::kernel::LogicalFileView;
use url::Url;

use super::*;
use crate::schema::timestamp;

fn location(store: &Location, name: &str) -> Location {
    let url: Url = store.url.join(&format!("files/{name}/")).expect("an address");
    Location { store: Arc::clone(&store.store), url }
}

async fn table(store: &Location, name: &str, partition_by: &[&str]) -> FileTable {
    let config = FileTableConfig {
        stream: "main".to_owned(),
        metadata_column: Some(METADATA.to_owned()),
        partition_by: partition_by.iter().map(|&name| name.to_owned()).collect(),
    };
    FileTable::open(&location(store, name), config).await.expect("opens")
}

/// Returns everything in a table, in its columns.
async fn read(table: &mut FileTable) -> Vec<RecordBatch> {
    let columns = table.columns().await.expect("reads").expect("there is a table");
    let files: Vec<LogicalFileView> = table.state().expect("is there").log_data().iter().collect();
    let mut rows = Vec::new();
    for file in files {
        let (kept, _) = table.kept(&file, &Change::default()).await.expect("reads");
        rows.extend(kept.iter().map(|rows| fit::in_columns(rows, &columns).expect("fits")));
    }
    rows
}

async fn append(table: &mut FileTable, batch: u64, rows: RecordBatch) -> Result<Appended, Error> {
    let mut staged = table.begin(rows.schema()).await?;
    table.stage(&mut staged, rows).await?;
    let sealed = table.seal(staged).await?;
    table.commit_once(BatchId(batch), Some(&sealed), &Change::default()).await
}

fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("rows")
}

#[tokio::test]
async fn a_delta_table_keeps_the_contract() {
    let store = Location::in_memory();
    file_target_contract(
        async |name| table(&store, name, &[]).await,
        async |name| read(&mut table(&store, name, &[]).await).await,
    )
    .await;
}

#[tokio::test]
async fn rows_lie_in_the_partition_that_they_name() {
    let store = Location::in_memory();
    let mut table = table(&store, "partitioned", &["day", "region"]).await;
    let days = || Arc::new(Date32Array::from(vec![Some(0), Some(1), Some(0), None])) as ArrayRef;
    let regions = Arc::new(StringArray::from(vec![Some("eu"), Some("a/b"), Some("eu"), Some("")]));
    let batch = rows(vec![
        ("day", days()),
        ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        ("region", regions),
    ]);
    append(&mut table, 0, batch).await.expect("commits");
    let mut found = BTreeMap::new();
    for file in table.state().expect("is there").log_data().iter() {
        let mut values: Vec<_> = file.partition_values_map().into_iter().collect();
        values.sort();
        let texts = values.into_iter().map(|(_, value)| value.unwrap_or_else(|| "null".to_owned()));
        let folder = file.path().rsplit_once('/').map(|(folder, _)| folder.to_owned());
        found.insert(texts.collect::<Vec<_>>().join(" "), folder.unwrap_or_default());
    }
    let expected = [
        ("1970-01-01 eu", "day=1970-01-01/region=eu"),
        ("1970-01-02 a/b", ""),
        ("null null", "day=__HIVE_DEFAULT_PARTITION__/region=__HIVE_DEFAULT_PARTITION__"),
    ];
    let expected = expected.map(|(values, folder)| (values.to_owned(), folder.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
    let numbers = |rows: &[RecordBatch]| -> Vec<(i64, bool)> {
        let rows = rows.iter().flat_map(|rows| {
            let n = rows["n"].as_primitive::<Int64Type>().values().to_vec();
            let days: Vec<bool> = (0..n.len()).map(|at| rows["day"].is_null(at)).collect();
            n.into_iter().zip(days).collect::<Vec<_>>()
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        rows
    };
    let read = read(&mut table).await;
    assert_eq!(numbers(&read), [(1, false), (2, false), (3, false), (4, true)]);
}

#[tokio::test]
async fn a_type_that_widens_rewrites_what_is_there() {
    let store = Location::in_memory();
    let mut table = table(&store, "widened", &[]).await;
    let narrow = rows(vec![("n", Arc::new(Int32Array::from(vec![Some(7), None])))]);
    append(&mut table, 0, narrow.clone()).await.expect("commits");
    let wide = Decimal128Array::from(vec![125]).with_precision_and_scale(12, 2).expect("fits");
    append(&mut table, 1, rows(vec![("n", Arc::new(wide))])).await.expect("commits");
    // Rows of the narrow type still fit, and do not make the table narrow again.
    append(&mut table, 2, narrow).await.expect("commits");
    let mut found = Vec::new();
    for rows in read(&mut table).await {
        let texts = arrow::compute::cast(&rows["n"], &DataType::Utf8).expect("casts");
        found.extend(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)));
    }
    found.sort();
    let expected = [None, None, Some("1.25"), Some("7.00"), Some("7.00")];
    assert_eq!(found, expected.map(|text| text.map(str::to_owned)));
    let text = rows(vec![("n", Arc::new(StringArray::from(vec!["x"])))]);
    let error = append(&mut table, 3, text).await.expect_err("no number is every text");
    assert!(error.to_string().contains("`n`"), "{error}");
}

#[tokio::test]
async fn a_clock_without_a_zone_is_a_feature_of_the_table() {
    let store = Location::in_memory();
    let kind = DataType::Timestamp(TimeUnit::Microsecond, None);
    let column = |kind: &DataType| arrow::array::new_null_array(kind, 1);
    for (name, first) in [("from birth", kind.clone()), ("later", timestamp())] {
        let mut table = table(&store, name, &[]).await;
        append(&mut table, 0, rows(vec![("a", column(&first))])).await.expect("commits");
        let more = rows(vec![("a", column(&first)), ("b", column(&kind))]);
        append(&mut table, 1, more).await.expect("commits");
        let protocol = serde_json::to_string(table.state().expect("is there").protocol());
        let protocol = protocol.expect("writes");
        assert_eq!(protocol.matches("timestampNtz").count(), 2, "{name}: {protocol}");
        assert!(protocol.contains("invariants"), "what version 2 stood for: {name}: {protocol}");
    }
}

#[tokio::test]
async fn staged_files_that_are_gone_are_named() {
    let store = Location::in_memory();
    let mut table = table(&store, "vacuumed", &[]).await;
    let batch = rows(vec![("n", Arc::new(Int64Array::from(vec![1])))]);
    let mut staged = table.begin(batch.schema()).await.expect("begins");
    table.stage(&mut staged, batch).await.expect("stages");
    let sealed = table.seal(staged).await.expect("seals");
    let path = sealed.0["adds"][0]["path"].as_str().expect("a path").to_owned();
    let files = table.log_store.object_store(None);
    object_store::ObjectStoreExt::delete(&files, &path.as_str().into()).await.expect("deletes");
    let done = table.commit_once(BatchId(0), Some(&sealed), &Change::default()).await;
    let error = done.expect_err("nothing to commit");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains(&path), "{error}");
    assert_eq!(table.last_batch().await.expect("reads"), None);
}

#[tokio::test]
async fn tables_with_rules_of_their_own_are_refused() {
    let store = Location::in_memory();
    for (name, key, value, needle) in [
        ("mapped", "delta.columnMapping.mode", "name", "maps its columns"),
        ("ruled", "delta.constraints.positive", "n > 0", "`positive`"),
    ] {
        let mut table = table(&store, name, &[]).await;
        let batch = rows(vec![("n", Arc::new(Int64Array::from(vec![1])))]);
        append(&mut table, 0, batch).await.expect("commits");
        let metadata = table.state().expect("is there").metadata().clone();
        let metadata =
            deltalake_core::kernel::MetadataExt::add_config_key(metadata, key.into(), value.into());
        let action = Action::Metadata(metadata.expect("a key"));
        table.commit(vec![action], true, None, &[]).await.expect("commits");
        let error = table.last_batch().await.expect_err("refused");
        assert!(error.to_string().contains(needle), "{error}");
        assert_eq!(error.kind(), ErrorKind::Data);
    }
}

#[tokio::test]
async fn a_long_log_gets_a_checkpoint() {
    let store = Location::in_memory();
    let mut first = table(&store, "long", &[]).await;
    for batch in 0..CHECKPOINT_EVERY {
        let done = first.commit_once(BatchId(batch), None, &Change::default()).await;
        done.expect("commits");
    }
    let files = first.log_store.object_store(None);
    let path = "_delta_log/_last_checkpoint".into();
    let hint = object_store::ObjectStoreExt::get(&files, &path)
        .await
        .expect("is there")
        .bytes()
        .await
        .expect("reads");
    let hint: serde_json::Value = serde_json::from_slice(&hint).expect("JSON");
    assert_eq!(hint["version"], CHECKPOINT_EVERY);
    let mut again = table(&store, "long", &[]).await;
    assert_eq!(again.last_batch().await.expect("reads"), Some(BatchId(CHECKPOINT_EVERY - 1)));
}

#[tokio::test]
async fn rows_of_a_struct_that_grew_can_be_replaced() {
    let store = Location::in_memory();
    let mut table = table(&store, "nested", &[]).await;
    let record = |path: &str, names: &[&str]| {
        let fields: Vec<Arc<Field>> =
            names.iter().map(|&name| Arc::new(Field::new(name, DataType::Int64, true))).collect();
        let values =
            names.iter().map(|_| Arc::new(Int64Array::from(vec![1])) as ArrayRef).collect();
        let s = arrow::array::StructArray::new(fields.into(), values, None);
        let metadata: Vec<ArrayRef> = metadata_fields()
            .iter()
            .map(|field| match field.name().as_str() {
                "file_path" => Arc::new(StringArray::from(vec![path])) as ArrayRef,
                _ => arrow::array::new_null_array(field.data_type(), 1),
            })
            .collect();
        let metadata = arrow::array::StructArray::new(metadata_fields(), metadata, None);
        rows(vec![("s", Arc::new(s)), (METADATA, Arc::new(metadata))])
    };
    let both = arrow::compute::concat_batches(
        &record("a", &["x"]).schema(),
        &[record("a", &["x"]), record("b", &["x"])],
    );
    append(&mut table, 0, both.expect("one schema")).await.expect("commits");
    append(&mut table, 1, record("c", &["x", "y"])).await.expect("commits");
    let change = Change { removes: ["a".to_owned()].into(), ..Change::default() };
    table.commit_once(BatchId(2), None, &change).await.expect("rewrites a file of before");
    let rows: usize = read(&mut table).await.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 2, "b and c");
}

#[tokio::test]
async fn removing_rows_leaves_data_files_of_others_alone() {
    let store = Location::in_memory();
    let mut table = table(&store, "pruned", &[]).await;
    // Longer than what a footer keeps of the least and the greatest value.
    let path = |name: &str| format!("s3://bucket/{}/{name}.json", "folder".repeat(20));
    let record = |names: &[&str]| {
        let paths: StringArray = names.iter().map(|name| Some(path(name))).collect();
        let fields = metadata_fields();
        let arrays = fields.iter().map(|field| match field.name().as_str() {
            "file_path" => Arc::new(paths.clone()) as ArrayRef,
            _ => arrow::array::new_null_array(field.data_type(), names.len()),
        });
        let metadata = arrow::array::StructArray::new(fields.clone(), arrays.collect(), None);
        rows(vec![(METADATA, Arc::new(metadata))])
    };
    for (batch, names) in [&["b", "d"][..], &["e"], &["c"]].into_iter().enumerate() {
        append(&mut table, batch as u64, record(names)).await.expect("commits");
    }
    let files = |table: &FileTable| -> std::collections::BTreeSet<String> {
        let state = table.state().expect("is there");
        state.log_data().iter().map(|file| file.path().into_owned()).collect()
    };
    let before = files(&table);
    for (batch, name, gone, left) in
        [(3, "a", 0, 4), (4, "c", 1, 3), (5, "d", 2, 2), (6, "d", 2, 2)]
    {
        let change = Change { removes: [path(name)].into(), ..Change::default() };
        table.commit_once(BatchId(batch), None, &change).await.expect("commits");
        assert_eq!(
            before.difference(&files(&table)).count(),
            gone,
            "{name}: only its own file goes"
        );
        let rows: usize = read(&mut table).await.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, left, "{name}");
    }
}

#[tokio::test]
async fn rows_that_were_staged_before_a_column_came_are_committed() {
    let store = Location::in_memory();
    let (mut ours, mut theirs) =
        (table(&store, "grown", &[]).await, table(&store, "grown", &[]).await);
    let narrow = rows(vec![("a", Arc::new(Int64Array::from(vec![1])))]);
    let wide = rows(vec![
        ("a", Arc::new(Int64Array::from(vec![2]))),
        ("b", Arc::new(Int64Array::from(vec![3]))),
    ]);
    append(&mut ours, 0, narrow.clone()).await.expect("commits");
    let mut staged = ours.begin(narrow.schema()).await.expect("begins");
    ours.stage(&mut staged, narrow).await.expect("stages");
    let sealed = ours.seal(staged).await.expect("seals");
    theirs.app = "another stream".to_owned();
    append(&mut theirs, 0, wide).await.expect("commits");
    ours.commit_once(BatchId(1), Some(&sealed), &Change::default()).await.expect("commits");
    let rows: usize = read(&mut ours).await.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 3);
}

#[tokio::test]
async fn rows_that_were_staged_before_a_type_grew_are_written_anew() {
    let store = Location::in_memory();
    let (mut ours, mut theirs) =
        (table(&store, "wider", &["day"]).await, table(&store, "wider", &["day"]).await);
    let day: ArrayRef = Arc::new(Date32Array::from(vec![1]));
    let narrow = rows(vec![
        ("day", Arc::clone(&day)),
        ("n", Arc::new(Int32Array::from(vec![1])) as ArrayRef),
    ]);
    let wide = rows(vec![("day", day), ("n", Arc::new(Int64Array::from(vec![1 << 40])))]);
    append(&mut ours, 0, narrow.clone()).await.expect("commits");
    let mut staged = ours.begin(narrow.schema()).await.expect("begins");
    ours.stage(&mut staged, narrow).await.expect("stages");
    let sealed = ours.seal(staged).await.expect("seals");
    theirs.app = "another stream".to_owned();
    append(&mut theirs, 0, wide).await.expect("commits");
    ours.commit_once(BatchId(1), Some(&sealed), &Change::default()).await.expect("commits");
    let mut found = Vec::new();
    for file in ours.state().expect("is there").log_data().iter() {
        for rows in ours.read(&file.path()).await.expect("reads") {
            let column = rows.column_by_name("n").expect("is there");
            found.extend(column.as_primitive::<Int64Type>().values().iter().copied());
        }
    }
    found.sort_unstable();
    assert_eq!(found, [1, 1, 1 << 40]);
}

#[tokio::test]
async fn partitions_wait_for_their_columns() {
    let store = Location::in_memory();
    let mut table = table(&store, "later", &["day"]).await;
    table.commit_once(BatchId(0), None, &Change::default()).await.expect("commits");
    let batch = rows(vec![
        ("day", Arc::new(Date32Array::from(vec![1])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![1]))),
    ]);
    append(&mut table, 1, batch).await.expect("commits");
    assert_eq!(table.state().expect("is there").metadata().partition_columns(), &["day"]);
    let columns = table.columns().await.expect("reads").expect("is there");
    assert_eq!(columns.fields().len(), 2, "the place holder is gone: {columns}");
}

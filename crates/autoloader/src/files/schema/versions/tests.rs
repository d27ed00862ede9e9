//! Versions as files, and two processes that create the same one.

use object_store::{ObjectStoreExt as _, PutPayload, memory::InMemory, path::Path};

use super::*;
use crate::files::schema::ddl::parse_fields;

fn schema(version: u64, columns: &str) -> SchemaVersion {
    SchemaVersion {
        version,
        columns: parse_fields(columns).unwrap(),
        hinted: vec![vec!["b".to_owned(), "c d".to_owned()]],
        partition_columns: vec!["y".to_owned()],
        sample: vec![SampledFile { path: "y=1/f".to_owned(), etag: None }],
    }
}

#[test]
fn a_version_is_written_so_that_one_can_read_it() {
    let schema = schema(3, "a BIGINT, b STRUCT<`c d`: DECIMAL(18,6)>, y INT");
    let text = serde_json::to_string_pretty(&schema).unwrap();
    let expected = r#"{
  "format": 1,
  "version": 3,
  "columns": [
    {
      "name": "a",
      "type": "BIGINT"
    },
    {
      "name": "b",
      "type": "STRUCT<`c d`: DECIMAL(18,6)>"
    },
    {
      "name": "y",
      "type": "INT"
    }
  ],
  "hinted": [
    "b.`c d`"
  ],
  "partition_columns": [
    "y"
  ],
  "sample": [
    {
      "path": "y=1/f"
    }
  ]
}"#;
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<SchemaVersion>(&text).unwrap(), schema);
}

#[test]
fn refuses_files_that_are_no_version() {
    let text = serde_json::to_string(&schema(1, "a INT, y INT")).unwrap();
    for (name, from, to, expected) in [
        ("a later format", "\"format\":1", "\"format\":2", "format 2 is not the one"),
        ("an unknown field", "\"format\":1", "\"format\":1,\"x\":1", "unknown field `x`"),
        ("a type that is none", "\"INT\"", "\"IN\"", "type of column `a`: expected a type"),
        ("a column twice", "\"y\",\"type\"", "\"A\",\"type\"", "column `A` is there twice"),
        ("a lost partition", "[\"y\"]", "[\"z\"]", "partition column `z` is not among"),
        ("a path that is none", "b.`c d`", "b.", "hinted path `b.`: expected a name"),
    ] {
        assert!(text.contains(from), "{name}: {text}");
        let found = serde_json::from_str::<SchemaVersion>(&text.replacen(from, to, 1));
        let found = found.unwrap_err().to_string();
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn readers_are_told_what_the_options_say() {
    let schema = schema(1, "a INT, y INT");
    let options = SchemaOptions::default();
    let read = schema.read_schema(&options);
    assert_eq!(read.columns.fields().len(), 1);
    assert!(read.ignored.contains("y") && read.is_rescuing && read.is_observing);
    let frozen = SchemaOptions { evolution: EvolutionMode::None, rescued_column: None, ..options };
    let read = schema.read_schema(&frozen);
    assert!(!read.is_rescuing && !read.is_observing);
}

#[tokio::test]
async fn who_creates_a_version_first_decides() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (ours, theirs) =
        (SchemaStore::new(Arc::clone(&store), "stream"), SchemaStore::new(store, "stream"));
    assert_eq!(ours.newest().await.unwrap(), None);

    let first = schema(1, "a INT, y INT");
    let late = schema(1, "a INT, b INT, y INT");
    assert_eq!(ours.create(first.clone()).await.unwrap(), first);
    assert_eq!(theirs.create(late).await.unwrap(), first, "the winner is adopted");
    assert_eq!(theirs.create(first.clone()).await.unwrap(), first, "twice is harmless");

    // Ten comes after nine, whatever the alphabet says.
    for version in 2..=10 {
        ours.create(schema(version, "a INT, b INT, y INT")).await.unwrap();
    }
    assert_eq!(theirs.newest().await.unwrap().unwrap().version, 10);
    assert_eq!(theirs.get(1).await.unwrap(), Some(first));
    assert_eq!(theirs.get(11).await.unwrap(), None);
}

#[tokio::test]
async fn files_that_are_no_version_are_an_error_and_others_are_none() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let put = async |name: &str, bytes: Vec<u8>| {
        store
            .put(&Path::from(format!("stream/schemas/{name}")), PutPayload::from(bytes))
            .await
            .unwrap();
    };
    let versions = SchemaStore::new(Arc::clone(&store), "stream");
    put("notes.txt", b"x".to_vec()).await;
    put("x.json", b"x".to_vec()).await;
    assert_eq!(versions.newest().await.unwrap(), None);

    put("7.json", serde_json::to_vec(&schema(6, "a INT, y INT")).unwrap()).await;
    let error = versions.newest().await.unwrap_err().to_string();
    assert!(error.contains("stream/schemas/7.json") && error.contains("version 6"), "{error}");
    let error = versions.create(schema(7, "a INT, y INT")).await.unwrap_err().to_string();
    assert!(error.contains("version 6"), "{error}");

    put("8.json", b"{".to_vec()).await;
    let error = versions.newest().await.unwrap_err().to_string();
    assert!(error.contains("stream/schemas/8.json"), "{error}");
}

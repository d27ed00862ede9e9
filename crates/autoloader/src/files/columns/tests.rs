//! The first columns of files that say their types, and their rows in them.

use std::collections::BTreeSet;

use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use tokio::sync::mpsc;

use super::*;
use crate::files::{
    decoded::Decoded,
    ports::ReadRows as _,
    reading::StoreReader,
    schema::{Iso, field_text},
};

macro_rules! sample {
    ($name:literal) => {
        &include_bytes!(concat!("../../../tests/typed/", $name))[..]
    };
}

async fn put(store: &InMemory, name: &str, bytes: &'static [u8]) -> SourceFile {
    let path = Path::from(name);
    store.put(&path, bytes.into()).await.unwrap();
    store.head(&path).await.unwrap().into()
}

fn stored_columns(store: &Arc<InMemory>, format: Format) -> StoredColumns {
    let source = Arc::<InMemory>::clone(store) as _;
    StoredColumns {
        versions: SchemaStore::new(Arc::new(InMemory::new()), "state"),
        source,
        format,
        options: SchemaOptions::default(),
        times: Arc::new(Iso),
        prepared: None,
    }
}

#[tokio::test]
async fn files_that_say_their_types_make_columns_and_fill_them() {
    let store = Arc::new(InMemory::new());
    for (name, format, bytes, ddl, rows) in [
        ("a.parquet", Format::Parquet, sample!("codec_zstd.parquet"), "a BIGINT,b STRING", 300),
        (
            "b.parquet",
            Format::Parquet,
            sample!("nested.parquet"),
            "list ARRAY<BIGINT>,point STRUCT<x: INT, y: STRING>,map MAP<STRING, BIGINT>,points ARRAY<STRUCT<x: INT>>",
            3,
        ),
        ("c.avro", Format::Avro, sample!("codec_snappy.avro"), "a BIGINT,b STRING", 300),
    ] {
        let file = put(&store, name, bytes).await;
        let broken = put(&store, "broken", b"PAR1, or is it Obj?").await;
        let mut columns = stored_columns(&store, format.clone());
        let shape = columns.newest(&[file.clone(), broken]).await.unwrap().unwrap();
        let fields = shape.read.columns.fields();
        let found: Vec<_> = fields.iter().map(|field| field_text(field)).collect();
        assert_eq!(found.join(","), ddl, "{name}");

        let source = Arc::<InMemory>::clone(&store) as _;
        let reader =
            StoreReader { store: source, url: String::new(), format, times: Arc::new(Iso) };
        let (sender, mut stretches) = mpsc::channel::<Decoded>(1);
        let read = shape.read;
        let (late, again) = (file.clone(), Arc::clone(&read));
        let reading = tokio::spawn(async move {
            let done = reader.read(&file, read, &sender).await;
            (reader, sender, done)
        });
        let (mut count, mut rescued) = (0, BTreeSet::new());
        let counting = async {
            while count < rows {
                let Some(mut stretch) = stretches.recv().await else { break };
                count += stretch.batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
                rescued.append(&mut stretch.rescued_fields);
            }
        };
        counting.await;
        let (reader, sender, done) = reading.await.unwrap();
        done.unwrap();
        assert_eq!((count, rescued.len()), (rows, 0), "{name}");

        put(&store, name, b"something else").await;
        let changed = reader.read(&late, Arc::clone(&again), &sender).await;
        assert!(matches!(changed, Err(ReadError::Changed)), "{name}: {changed:?}");
        store.delete(&Path::from(name)).await.unwrap();
        let gone = reader.read(&late, again, &sender).await;
        assert!(matches!(gone, Err(ReadError::Missing)), "{name}: {gone:?}");
    }
}

#[tokio::test]
async fn files_of_different_types_make_columns_that_hold_both() {
    let store = Arc::new(InMemory::new());
    let files = [
        put(&store, "1.parquet", sample!("flat.parquet")).await,
        put(&store, "2.parquet", sample!("int96.parquet")).await,
        put(&store, "3.parquet", sample!("empty.parquet")).await,
        put(&store, "4.parquet", sample!("codec_none.parquet")).await,
    ];
    let mut columns = stored_columns(&store, Format::Parquet);
    let shape = columns.newest(&files).await.unwrap().unwrap();
    let names: Vec<_> =
        shape.read.columns.fields().iter().map(|field| field.name().as_str()).collect();
    // In the order of the first file, then what the others have more.
    assert_eq!(names.first_chunk(), Some(&["bool", "i8", "i16"]));
    assert_eq!(names.last_chunk(), Some(&["clock", "a", "b"]));
}

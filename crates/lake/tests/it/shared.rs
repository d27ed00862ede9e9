//! What a version of a table consists of, for whoever reads its files without us.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use lake::{AsOf, Error, Reader, TableVersion};
use model::Dataset;
use object_store::{GetOptions, ObjectStoreExt as _};
use serde_json::Value;

use crate::landing::{World, reading};

const TABLE: &str = "gold.bar_1m";

/// A lake that was refined twice, so that its tables have several versions.
async fn world() -> World {
    let mut world = World::new();
    for minutes in [0..3, 3..7] {
        let rows: Vec<_> = minutes
            .map(|minute| reading("AAA", minute, 1, [10_000, 10_010, 9_990, 10_000], 100))
            .collect();
        world.land(&rows).await;
        world.load(Dataset::Intraday).await;
        world.refine().await;
    }
    world
}

fn rows(version: &TableVersion) -> u64 {
    let rows = |stats: &String| {
        let stats: Value = serde_json::from_str(stats).expect("JSON");
        stats["numRecords"].as_u64().expect("a count")
    };
    version.files.iter().filter_map(|file| file.stats.as_ref()).map(rows).sum()
}

async fn at(reader: &Reader, as_of: AsOf) -> Option<TableVersion> {
    reader.table_version(TABLE, as_of).await.expect("reads")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_names_its_files_and_no_others() {
    let world = world().await;
    let reader = world.reader().await;
    let newest = at(&reader, AsOf::Newest).await.expect("is there");
    assert_eq!(rows(&newest), 7);
    assert_eq!(newest.protocol["minReaderVersion"], 1);
    assert_eq!(newest.metadata["partitionColumns"][0], "session_date");
    for file in &newest.files {
        let stored = world.location.store.head(&file.object).await.expect("lies there");
        let read = reader.data_file(TABLE, &file.path, GetOptions::new()).await.expect("reads");
        let bytes = read.bytes().await.expect("reads");
        assert_eq!((stored.size, bytes.len() as u64), (file.size, file.size));
        let day = file.partition_values["session_date"].as_deref();
        assert_eq!(day, Some("2019-02-11"), "{}", file.path);
    }
    let gone = reader.data_file(TABLE, "nothing.parquet", GetOptions::new()).await;
    assert!(matches!(gone, Err(Error::File { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_are_found_by_number_and_by_time() {
    let world = world().await;
    let reader = world.reader().await;
    let newest = reader.version(TABLE).await.expect("reads");
    let mut counts = Vec::new();
    let mut moments = Vec::new();
    for version in 0..=newest {
        let found = at(&reader, AsOf::Version(version)).await.expect("is there");
        assert_eq!(found.version, version);
        counts.push(rows(&found));
        moments.push(found.ts_committed.expect("when"));
    }
    assert!(counts.is_sorted() && counts.contains(&3), "{counts:?}");
    assert_eq!((counts[0], counts.last()), (0, Some(&7)));
    assert!(moments.is_sorted(), "{moments:?}");
    assert!(at(&reader, AsOf::Version(newest + 1)).await.is_none());

    let (first, last) = (moments[0], moments[moments.len() - 1]);
    let version = async |ts| at(&reader, AsOf::Time(ts)).await.map(|found| found.version);
    assert_eq!(version(first - TimeDelta::milliseconds(1)).await, None);
    assert_eq!(version(last + TimeDelta::hours(1)).await, Some(newest));
    let since = async |ts: DateTime<Utc>| reader.version_since(TABLE, ts).await.expect("reads");
    assert_eq!(since(DateTime::UNIX_EPOCH).await, Some(0));
    assert_eq!(since(last + TimeDelta::milliseconds(1)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_nobody_has_made_yet_has_no_files() {
    let world = World::new();
    let location = &world.location;
    let reader =
        Reader::open(Arc::clone(&location.store), location.url.clone()).await.expect("opens");
    let empty = at(&reader, AsOf::Newest).await.expect("is there");
    assert_eq!((empty.version, empty.files.len()), (0, 0));
    let unknown = reader.table_version("gold.none", AsOf::Newest).await;
    assert!(matches!(unknown, Err(Error::UnknownTable { .. })), "{unknown:?}");
}

//! What every store must do. Each kind runs it from its tests, against a real server.
#![expect(clippy::panic, reason = "a suite of checks: a failed one panics")]

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all};
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, path::Path,
};
use uuid::Uuid;

use crate::probe_create_only;

/// Writers that create one object at the same time: enough that some meet inside the server.
const CREATORS: usize = 16;

/// Writes under way at once while the listing's objects are put there.
const PUTS_AT_ONCE: usize = 32;

/// The size of a large object, 8 MiB: the usual limit of a landing object is twice that.
const LARGE_BYTES: usize = 8 * 1024 * 1024;

/// Names that a URL, an XML answer or a file system could trip over. A key has no empty part, and
/// ends in no `#` with a number: local stores keep these names for unfinished files.
const ODD_NAMES: [&str; 12] = [
    "a space",
    "p=00001",
    "50%",
    "already%20encoded",
    "plus+plus",
    "und&amp;und",
    "quote'quote",
    "semi;colon,comma",
    "(round)[square]{curly}",
    "grüße-東京-🐟",
    "dots..and...dots",
    "hash#sign",
];

/// Runs the whole contract, each case below a prefix of its own.
///
/// `objects` is how many objects the listing holds: 10,000 where a write is cheap, and more than
/// 1,000 everywhere, so that a listing has several pages.
///
/// # Panics
/// The store breaks the contract.
pub async fn store_contract(open: impl AsyncFn() -> Arc<dyn ObjectStore>, objects: usize) {
    let run = format!("contract-{}", Uuid::new_v4().simple());
    let case = |name: &str| Path::from(format!("{run}/{name}"));
    probe_create_only(&open().await).await.expect("a store that creates once passes the probe");
    creates_once(&open, &case("create")).await;
    reads_what_was_written(&open().await, &case("read")).await;
    reads_on_a_condition(&open().await, &case("condition")).await;
    keeps_odd_names(&open().await, &case("odd")).await;
    lists_at_once(&open, &case("strong")).await;
    lists_by_prefix_and_offset(&open().await, &case("list")).await;
    lists_many(&open().await, &case("many"), objects).await;
    writes_in_parts(&open().await, &case("parts")).await;
    sweep(&open().await, &Path::from(run)).await;
}

fn create() -> PutOptions {
    PutOptions::from(PutMode::Create)
}

async fn body(store: &Arc<dyn ObjectStore>, at: &Path) -> Bytes {
    let found = store.get(at).await.unwrap_or_else(|error| panic!("reading `{at}`: {error}"));
    found.bytes().await.unwrap_or_else(|error| panic!("reading `{at}`: {error}"))
}

async fn listed(store: &Arc<dyn ObjectStore>, below: &Path) -> Vec<Path> {
    let found = store.list(Some(below)).map_ok(|found| found.location);
    found.try_collect().await.unwrap_or_else(|error| panic!("listing `{below}`: {error}"))
}

/// Of many that create one object, one is told so, and all find its content.
async fn creates_once(open: impl AsyncFn() -> Arc<dyn ObjectStore>, below: &Path) {
    for round in 0..4 {
        let at = below.clone().join(format!("{round}"));
        let mut stores = Vec::new();
        for _ in 0..CREATORS {
            stores.push(open().await);
        }
        let contenders = stores.iter().enumerate().map(|(writer, store)| {
            let (at, content) = (&at, format!("written by {writer}"));
            async move { (content.clone(), store.put_opts(at, content.into(), create()).await) }
        });
        let mut winners = Vec::new();
        for (content, outcome) in join_all(contenders).await {
            match outcome {
                Ok(_) => winners.push(content),
                Err(Error::AlreadyExists { .. }) => (),
                Err(error) => panic!("creating `{at}` at the same time: {error}"),
            }
        }
        assert_eq!(winners.len(), 1, "one creator wins: {winners:?}");
        for store in &stores {
            assert_eq!(body(store, &at).await, winners[0], "the losers see the winner's object");
        }
        let late = stores[0].put_opts(&at, "late".into(), create()).await;
        assert!(matches!(late, Err(Error::AlreadyExists { .. })), "late: {late:?}");
        // Even with the very same content: only one of two may think that it was first.
        let twin = stores[0].put_opts(&at, winners[0].clone().into(), create()).await;
        assert!(matches!(twin, Err(Error::AlreadyExists { .. })), "twin: {twin:?}");
    }
}

async fn reads_what_was_written(store: &Arc<dyn ObjectStore>, below: &Path) {
    let large: Bytes = (0..LARGE_BYTES).map(|at| (at % 251).to_le_bytes()[0]).collect();
    for (name, content) in
        [("empty", Bytes::new()), ("small", Bytes::from_static(b"0123456789")), ("large", large)]
    {
        let at = below.clone().join(name);
        store.put_opts(&at, content.clone().into(), create()).await.expect(name);
        assert!(body(store, &at).await == content, "`{name}` comes back whole");
        let found = store.head(&at).await.expect(name);
        assert_eq!(usize::try_from(found.size).ok(), Some(content.len()), "size of `{name}`");
    }
    let small = below.clone().join("small");
    assert_eq!(store.get_range(&small, 2..5).await.expect("a range"), "234");
    let ranges = store.get_ranges(&small, &[0..1, 9..10]).await.expect("two ranges");
    assert_eq!(ranges, ["0", "9"]);
    let tail = GetOptions { range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    match store.get_opts(&small, tail).await {
        Ok(tail) => assert_eq!(tail.bytes().await.expect("a tail"), "789"),
        // Azure has no such ranges; whoever reads a tail there asks for the size first.
        Err(error) => assert!(matches!(error, Error::NotSupported { .. }), "a tail: {error}"),
    }
    store.put(&small, "replaced".into()).await.expect("replacing");
    assert_eq!(body(store, &small).await, "replaced");
    store.delete(&small).await.expect("deleting");
    for outcome in [store.get(&small).await.map(drop), store.head(&small).await.map(drop)] {
        assert!(matches!(outcome, Err(Error::NotFound { .. })), "deleted: {outcome:?}");
    }
    store.put_opts(&small, "again".into(), create()).await.expect("creating what was deleted");
}

/// An object read by the tag it was planned with is that object, or is refused.
async fn reads_on_a_condition(store: &Arc<dyn ObjectStore>, below: &Path) {
    let at = below.clone().join("tagged");
    store.put(&at, "first".into()).await.expect("writing");
    let planned = store.head(&at).await.expect("asking").e_tag.expect("every object has a tag");
    let with = |tag: &str| GetOptions { if_match: Some(tag.to_owned()), ..GetOptions::default() };
    let same = store.get_opts(&at, with(&planned)).await.expect("the planned object");
    assert_eq!(same.bytes().await.expect("its body"), "first");
    let tags = store.list(Some(below)).map_ok(|found| found.e_tag);
    let tags: Vec<Option<String>> = tags.try_collect().await.expect("listing");
    assert_eq!(tags, [Some(planned.clone())], "a listing has the tag that asking has");
    // Another size too: the tag of a local file is made of its time and size.
    store.put(&at, "second, and longer".into()).await.expect("replacing");
    let other = store.get_opts(&at, with(&planned)).await;
    assert!(matches!(other, Err(Error::Precondition { .. })), "replaced: {other:?}");
}

async fn keeps_odd_names(store: &Arc<dyn ObjectStore>, below: &Path) {
    let mut expected = BTreeSet::new();
    for name in ODD_NAMES {
        // Taken literally, as a key that a listing gave.
        let at = Path::parse(format!("{below}/{name}/{name}.json")).expect(name);
        store.put_opts(&at, name.into(), create()).await.unwrap_or_else(|error| {
            panic!("creating `{at}`: {error}");
        });
        assert_eq!(body(store, &at).await, name, "`{at}`");
        expected.insert(at);
    }
    let found: BTreeSet<Path> = listed(store, below).await.into_iter().collect();
    assert_eq!(found, expected, "a listing gives every name back as it was written");
    for at in &expected {
        store.delete(at).await.unwrap_or_else(|error| panic!("deleting `{at}`: {error}"));
    }
    assert!(listed(store, below).await.is_empty(), "deleted under their names");
}

/// What one has written, the other lists at once.
async fn lists_at_once(open: impl AsyncFn() -> Arc<dyn ObjectStore>, below: &Path) {
    let (writer, reader) = (open().await, open().await);
    for count in 1..=20 {
        let at = below.clone().join(format!("{count:05}"));
        writer.put_opts(&at, "x".into(), create()).await.expect("creating");
        assert_eq!(listed(&reader, below).await.len(), count, "after {count} writes");
    }
}

async fn lists_by_prefix_and_offset(store: &Arc<dyn ObjectStore>, below: &Path) {
    for key in ["a/1", "a/2", "a/3", "a/b/4", "ab/5", "c"] {
        let at = Path::from(format!("{below}/{key}"));
        store.put(&at, key.into()).await.expect("writing");
    }
    let sorted = |mut found: Vec<Path>| -> Vec<String> {
        found.sort_unstable();
        let short = |at: Path| at.as_ref().replace(&format!("{below}/"), "");
        found.into_iter().map(short).collect()
    };
    let a = below.clone().join("a");
    // A prefix ends at a slash: `a` is not the beginning of `ab`.
    assert_eq!(sorted(listed(store, &a).await), ["a/1", "a/2", "a/3", "a/b/4"]);
    let offset = Path::from(format!("{a}/1"));
    let after = store.list_with_offset(Some(&a), &offset).map_ok(|found| found.location);
    let after = sorted(after.try_collect().await.expect("listing from an offset"));
    assert_eq!(after, ["a/2", "a/3", "a/b/4"], "the offset itself is left out");
    let flat = store.list_with_delimiter(Some(below)).await.expect("listing one level");
    assert_eq!(sorted(flat.common_prefixes), ["a", "ab"]);
    assert_eq!(sorted(flat.objects.into_iter().map(|found| found.location).collect()), ["c"]);
    let nowhere = below.clone().join("nowhere");
    assert!(listed(store, &nowhere).await.is_empty(), "an empty prefix lists nothing");
}

/// A listing of many pages has each object once, and can be taken up in the middle.
async fn lists_many(store: &Arc<dyn ObjectStore>, below: &Path, objects: usize) {
    let name = |number: usize| below.clone().join(format!("{number:020}.ndjson.zst"));
    let puts = futures::stream::iter((0..objects).map(|number| {
        let (store, at) = (Arc::clone(store), name(number));
        async move { store.put(&at, "x".into()).await }
    }));
    let written: Vec<_> =
        puts.buffer_unordered(PUTS_AT_ONCE).try_collect().await.expect("writing many");
    assert_eq!(written.len(), objects);
    let expected: Vec<Path> = (0..objects).map(name).collect();
    let mut found = listed(store, below).await;
    found.sort_unstable();
    assert!(found == expected, "{} of {objects} objects are listed", found.len());
    let middle = objects / 2;
    let after = store.list_with_offset(Some(below), &name(middle)).map_ok(|found| found.location);
    let mut after: Vec<Path> = after.try_collect().await.expect("listing from the middle");
    after.sort_unstable();
    assert!(after == expected[middle + 1..], "{} objects follow the middle", after.len());
}

async fn writes_in_parts(store: &Arc<dyn ObjectStore>, below: &Path) {
    let at = below.clone().join("parts");
    let mut upload = store.put_multipart(&at).await.expect("beginning an upload");
    let part = Bytes::from(vec![7; 5 * 1024 * 1024]);
    upload.put_part(part.clone().into()).await.expect("the first part");
    upload.put_part("the end".into()).await.expect("the last part");
    assert!(listed(store, below).await.is_empty(), "nothing is to be seen before the end");
    upload.complete().await.expect("completing");
    let whole = body(store, &at).await;
    assert!(whole.len() == part.len() + 7 && whole.ends_with(b"the end"), "{} bytes", whole.len());
    let given_up = below.clone().join("given up");
    let mut upload = store.put_multipart(&given_up).await.expect("beginning an upload");
    upload.put_part(part.into()).await.expect("a part");
    // Not every service can; then its own rules for unfinished uploads clear it away.
    drop(upload.abort().await);
    let gone = store.head(&given_up).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "given up: {gone:?}");
}

/// Deletes what the contract wrote, some at a time: an emulator takes seconds for a hundred.
async fn sweep(store: &Arc<dyn ObjectStore>, below: &Path) {
    let written = listed(store, below).await;
    assert!(!written.is_empty());
    for some in written.chunks(100) {
        let some: Vec<_> = some.iter().cloned().map(Ok).collect();
        let deleted = store.delete_stream(futures::stream::iter(some).boxed());
        deleted.try_collect::<Vec<_>>().await.expect("deleting what was written");
    }
    assert!(listed(store, below).await.is_empty(), "deleted and no longer listed");
}

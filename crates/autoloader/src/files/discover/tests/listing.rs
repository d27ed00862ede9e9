//! Listing: names, kinds of objects, what a look keeps for the next one.

use super::*;

/// A change of the usual discoverer.
type Change = fn(&mut Source, &mut Discovery);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn files_are_found_as_documented() {
    const ODD: [&str; 6] = [
        "a b+c&d.json",
        "percent%20and%2Fslash.json",
        "Größe/котировки 行情.json",
        "hash#1.json",
        "question?.json",
        "curly{}.json",
    ];
    let none: Change = |_, _| ();
    // The row, keys and sizes in the bucket, what the stream has loaded, and what is found.
    type Row<'a> = (&'a str, &'a [(&'a str, u64)], &'a [&'a str], Change, &'a [&'a str]);
    let odd: Vec<(&str, u64)> = ODD.iter().map(|path| (*path, 10)).collect();
    let mut odd_sorted = ODD;
    odd_sorted.sort_unstable();
    let rows: &[Row<'_>] = &[
        ("an empty bucket", &[], &[], none, &[]),
        ("files in folders", &[("a", 10), ("x/b", 10)], &[], none, &["a", "x/b"]),
        ("what was loaded is not found again", &[("a", 10), ("b", 10)], &["a"], none, &["b"]),
        ("what was overwritten is found", &[("a", 11)], &["a"], none, &["a"]),
        ("an empty file is a file", &[("a", 0)], &[], none, &["a"]),
        ("a mark of a folder is none", &[("x/", 0), ("x/a", 10)], &[], none, &["x/a"]),
        ("a mark of a folder of nothing is none", &[("x/", 0)], &[], none, &[]),
        ("a hidden file", &[("_SUCCESS", 0), (".a.crc", 4), ("a", 10)], &[], none, &["a"]),
        ("a hidden folder", &[("_delta_log/0.json", 9), ("x/_tmp/a", 9)], &[], none, &[]),
        ("keys with odd letters", &odd, &[], none, &odd_sorted),
        (
            "pathGlobFilter",
            &[("a.csv", 10), ("b.json", 10)],
            &[],
            |source, _| source.names = Arc::new(|path| path.ends_with(".json")),
            &["b.json"],
        ),
        (
            "recursiveFileLookup off",
            &[("a", 10), ("x/b", 10)],
            &[],
            |_, discovery| discovery.is_recursive = false,
            &["a"],
        ),
        (
            "a listing prefix, by whole parts",
            &[("x/a", 10), ("xy/b", 10), ("c", 10)],
            &[],
            |source, _| source.prefix = Some(Path::from("x")),
            &["x/a"],
        ),
        (
            "a prefix that is hidden itself hides nothing",
            &[("_in/a", 10), ("_in/_b", 10)],
            &[],
            |source, _| source.prefix = Some(Path::from("_in")),
            &["_in/a"],
        ),
        (
            "a source that is one file",
            &[("x/a", 10), ("x/a.bak", 10)],
            &[],
            |source, _| source.prefix = Some(Path::from("x/a")),
            &["x/a"],
        ),
        (
            "a source that is one file, loaded before",
            &[("x/a", 10)],
            &["x/a"],
            |source, _| source.prefix = Some(Path::from("x/a")),
            &[],
        ),
        (
            "a source that is not there",
            &[("x/a", 10)],
            &[],
            |source, _| source.prefix = Some(Path::from("y")),
            &[],
        ),
        (
            "recursiveFileLookup off below a prefix",
            &[("x/a", 10), ("x/y/b", 10)],
            &[],
            |source, discovery| {
                source.prefix = Some(Path::from("x"));
                discovery.is_recursive = false;
            },
            &["x/a"],
        ),
        (
            "modifiedAfter",
            &[("a", 10)],
            &[],
            |_, discovery| discovery.modified_after = Some(at(1)),
            &[],
        ),
        (
            "modifiedBefore",
            &[("a", 10)],
            &[],
            |_, discovery| discovery.modified_before = Some(at(2)),
            &["a"],
        ),
        (
            "a writer of ours that has not finished, in a local folder",
            &[("a#1", 10), ("b#c", 10)],
            &[],
            |source, _| source.is_local = true,
            &["b#c"],
        ),
        ("the same name in a bucket is a file", &[("a#1", 10)], &[], none, &["a#1"]),
    ];
    for (name, objects, loaded, change, expected) in rows {
        let store = Arc::new(Pages::default());
        for (key, size) in *objects {
            store.write(key, *size);
        }
        let (mut source, mut discovery) = (source(&store), discovery());
        change(&mut source, &mut discovery);
        let mut discoverer =
            Discoverer::new(source, discovery, Overwrites::Ignore, Vec::new(), None);
        let looked = discoverer.look(&seen(loaded), at(10)).await.expect(name);
        assert_eq!(paths(&looked), *expected, "{name}");
        for candidate in &looked.candidates {
            let location = candidate.file.location().expect(name);
            assert_eq!(location.as_ref(), candidate.file.path, "{name}: a path can be read again");
        }
    }
}

#[tokio::test]
async fn a_path_read_back_reaches_the_same_object_of_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["a b.json", "percent%41.json", "größe.json", "hash#x.json", "plus+.json"];
    for name in names {
        std::fs::write(folder.path().join(name), name).expect("a file");
    }
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(
        object_store::local::LocalFileSystem::new_with_prefix(folder.path()).expect("a store"),
    );
    let source = Source {
        store: Arc::clone(&store),
        prefix: None,
        is_local: true,
        names: Arc::new(|_| true),
    };
    let mut discoverer = Discoverer::new(source, discovery(), Overwrites::Ignore, Vec::new(), None);
    let looked = discoverer.look(&Seen::default(), at(4_000_000_000)).await.expect("a look");
    assert_eq!(looked.candidates.len(), names.len());
    for candidate in looked.candidates {
        let location = candidate.file.location().expect("a path");
        let options = object_store::GetOptions::default();
        let found = store.get_opts(&location, options).await.expect("the file");
        let bytes = found.bytes().await.expect("its bytes");
        assert_eq!(candidate.file.path.as_bytes(), &*bytes);
    }
}

#[tokio::test]
async fn a_listing_costs_a_request_per_thousand_names() {
    for (count, lists) in [(0, 1), (999, 1), (1_500, 2), (2_500, 3)] {
        let store = Arc::new(Pages::default());
        for number in 0..count {
            store.write(&format!("{number:06}"), 10);
        }
        let mut discoverer = discoverer(&store, discovery());
        let looked = discoverer.look(&Seen::default(), at(10)).await.expect("a look");
        assert_eq!((looked.names, looked.lists, looked.heads), (count, lists, 0));
        assert_eq!(store.asked(), (lists, 0), "{count} names");
    }
}

#[tokio::test]
async fn a_mark_of_a_folder_is_asked_about_once() {
    let store = Arc::new(Pages::default());
    store.write("x/", 0);
    store.write("empty", 0);
    let mut discoverer = discoverer(&store, discovery());
    let seen = Seen::default();
    for heads in [2, 0, 0] {
        let looked = discoverer.look(&seen, at(10)).await.expect("a look");
        assert_eq!((paths(&looked), looked.heads), (vec!["empty"], heads));
    }
}

#[tokio::test]
async fn azure_s_mark_of_a_folder_is_no_file() {
    let store = Arc::new(Pages::with(&["x/a"]));
    store.put_meta("x", ObjectMeta { e_tag: Some(store::FOLDER.to_owned()), ..meta("x", 0) });
    let mut discoverer = discoverer(&store, discovery());
    let looked = discoverer.look(&Seen::default(), at(10)).await.expect("a look");
    assert_eq!(paths(&looked), ["x/a"]);
}

#[tokio::test]
async fn a_local_file_that_grows_between_two_looks_waits() {
    let store = Arc::new(Pages::with(&["a", "b"]));
    let (mut source, seen) = (source(&store), Seen::default());
    source.is_local = true;
    let mut discoverer = Discoverer::new(source, discovery(), Overwrites::Ignore, Vec::new(), None);
    let mut look = async |store: &Pages, size: u64| {
        store.write("a", size);
        let looked = discoverer.look(&seen, at(10)).await.expect("a look");
        (paths(&looked).join(","), looked.growing)
    };
    for (name, size, expected, growing) in [
        ("seen for the first time", 10, "a,b", 0),
        ("it grew", 20, "b", 1),
        ("and grew", 30, "b", 1),
        ("and is at rest", 30, "a,b", 0),
    ] {
        assert_eq!(look(&store, size).await, (expected.to_owned(), growing), "{name}");
    }
}

#[tokio::test]
async fn the_time_until_a_file_is_found_is_told_once() {
    let store = Arc::new(Pages::with(&["a"]));
    let mut discoverer = discoverer(&store, discovery());
    let seen = Seen::default();
    for (now, expected) in [(31, Some(30)), (99, None)] {
        let looked = discoverer.look(&seen, at(now)).await.expect("a look");
        assert_eq!(looked.latency_max, expected.map(Duration::from_secs), "at {now}");
    }
}

#[tokio::test]
async fn a_listing_that_breaks_off_loses_nothing() {
    let store = Arc::new(Pages::with(&["a"]));
    let mut discoverer = discoverer(&store, discovery());
    store.set(&store.is_down, true);
    let error = discoverer.look(&Seen::default(), at(10)).await.expect_err("the store is down");
    assert_eq!(error.kind(), model::ErrorKind::Transient);
    store.set(&store.is_down, false);
    let looked = discoverer.look(&Seen::default(), at(10)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"]);
}

#[tokio::test]
async fn what_is_overwritten_and_left_alone_is_told_and_proves_the_rest() {
    let store = Arc::new(Pages::with(&["a", "b"]));
    store.write("a", 11);
    let known = seen(&["a", "b"]);
    let mut discoverer = discoverer(&store, discovery());
    let looked = discoverer.look(&known, at(10)).await.expect("a look");
    assert_eq!(paths(&looked), ["a"]);
    let settled = discoverer.settle(&known, None).await.expect("settled");
    assert_eq!(settled.ts_proven, Some(at(10)));
}

//! Options and the source they are for.

use super::parsed;
use crate::files::options::LoadOptions;

fn moving(destination: &str) -> LoadOptions {
    let destination = format!("cleanSource.moveDestination={destination}");
    parsed(&["cleanSource=MOVE", &destination])
}

#[test]
fn files_are_moved_out_of_the_source_and_stay_in_their_store() {
    for (name, source, destination, told) in [
        ("inside", "/data/in", "/data/in/done", "it lies in the source"),
        ("the source itself", "/data/in", "/data/in/", "it lies in the source"),
        ("inside, by a detour", "/data/in", "/data/x/../in/./done", "it lies in the source"),
        ("above", "/data/in/a", "/data/in", "the source lies in it"),
        ("inside of what a glob lists", "/data/in/*/a", "/data/in/done", "it lies in the source"),
        ("another bucket", "s3://a/in", "s3://b/done", "the source's own store"),
        ("another store", "s3://a/in", "/done", "the source's own store"),
        ("no telling", "/data/in", "done", "begin with a slash"),
        ("a whole bucket", "s3://a", "s3://a/done", "it lies in the source"),
    ] {
        let problems = moving(destination).check_source(source).expect_err(name);
        assert_eq!(problems.0.len(), 1, "{name}: {problems}");
        assert_eq!(problems.0[0].option, "cleanSource.moveDestination", "{name}");
        assert!(problems.0[0].problem.contains(told), "{name}: {problems}");
    }
    for (name, source, destination) in [
        ("beside", "/data/in", "/data/done"),
        ("beside, a name that begins the same", "/data/in", "/data/in-done"),
        ("in the bucket", "s3://a/in", "s3://a/done"),
        ("another notation of a local folder", "file:///data/in", "/data/done"),
        ("from here", "in", "done"),
    ] {
        let path = moving(destination).check_source(source);
        assert!(path.is_ok(), "{name}: {path:?}");
    }
}

#[test]
fn notifications_are_of_the_source_s_own_kind() {
    for (name, line, source, is_right) in [
        ("S3 and SQS", "queueUrl=https://q", "s3://a/in", true),
        ("S3 by its other name", "queueUrl=https://q", "S3A://a/in", true),
        ("Azure and SQS", "queueUrl=https://q", "abfss://c@a.dfs.core.windows.net/in", false),
        ("a folder and SQS", "queueUrl=https://q", "/data", false),
        ("Azure and its queue", "queueName=events", "abfss://c@a.dfs.core.windows.net/in", true),
        ("S3 and Azure's queue", "queueName=events", "s3://a/in", false),
        ("a folder and the file system", "useNotifications=true", "/data", true),
        ("a folder's address", "useNotifications=true", "file:///data", true),
        ("a bucket and the file system", "useNotifications=true", "s3://a/in", false),
    ] {
        assert_eq!(parsed(&[line]).check_source(source).is_ok(), is_right, "{name}");
    }
}

#[test]
fn a_source_is_split_by_the_globber_of_the_options() {
    let (default, strict) = (parsed(&[]), parsed(&["useStrictGlobber=true"]));
    for (options, is_covered) in [(default, true), (strict, false)] {
        let path = options.check_source("s3://a/in/*.json").expect("a source");
        assert_eq!(path.root, "s3://a/in");
        assert!(path.covers("b.json"));
        assert_eq!(path.covers("b/c.json"), is_covered);
    }
    assert!(parsed(&[]).check_source("/data/[").is_err());
}

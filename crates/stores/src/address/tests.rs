//! What an address may look like.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(address: &str, kind: StoreKind, url: &str, prefix: &str) {
    let parsed = Address::parse(address).unwrap_or_else(|problem| panic!("{address}: {problem}"));
    let Address::Bucket(bucket) = parsed else { panic!("{address} is a folder") };
    assert_eq!((bucket.kind, bucket.url.as_str(), bucket.prefix.as_ref()), (kind, url, prefix));
}

#[test]
fn every_form_has_one_canonical_url() {
    check("s3://b/p/q", StoreKind::S3, "s3://b/p/q/", "p/q");
    check("s3a://b", StoreKind::S3, "s3://b/", "");
    check("gs://my.bucket_1/p/", StoreKind::Gcs, "gs://my.bucket_1/p/", "p");
    check("az://c/p", StoreKind::Azure, "az://c/p/", "p");
    let canonical = "abfss://c@acc.dfs.core.windows.net/p/";
    check("abfss://c@acc.dfs.core.windows.net/p", StoreKind::Azure, canonical, "p");
    check("https://acc.blob.core.windows.net/c/p", StoreKind::Azure, canonical, "p");
    check("s3://b/a%20b", StoreKind::S3, "s3://b/a%20b/", "a b");
}

#[test]
fn folders_are_absolute() {
    for address in ["/data/lake", "file:///data/lake", "/data/lake/"] {
        assert_eq!(Address::parse(address), Ok(Address::Folder("/data/lake".into())), "{address}");
    }
    let Ok(Address::Folder(folder)) = Address::parse("data") else { panic!("a path is a folder") };
    assert!(folder.is_absolute());
}

#[test]
fn what_nobody_can_mean_is_refused_with_a_way_out() {
    for address in [
        "",
        "s3://",
        "s3:///p",
        "s3://u@b/p",
        "s3://u:p@b/p",
        "s3://b:9000/p",
        "s3://b/p?x=1",
        "s3://b/p#x",
        "s3://b!/p",
        "s3://b//p",
        "ftp://b/p",
        "https://example.com/c",
        "https://acc.blob.core.windows.net/",
        "https://a.b.dfs.core.windows.net/c",
        "abfss://c@evil.example/p",
        "file://other/p",
        "/data/../etc",
    ] {
        let problem = Address::parse(address).expect_err(address);
        assert!(problem.contains("s3://bucket/prefix"), "{address}: {problem}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_the_canonical_form_stays(address in "(s3|gs|az|abfss|file)?(://)?.{0,40}") {
        if let Ok(Address::Bucket(bucket)) = Address::parse(&address) {
            let again = Address::parse(bucket.url.as_str());
            prop_assert_eq!(again, Ok(Address::Bucket(bucket)));
        }
    }
}

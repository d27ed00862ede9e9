//! Pages, common prefixes, ranges and conditions, as the service documents them.

use super::bucket::{Bucket, Condition, Object, PAGE, Problem, range};

fn bucket(keys: impl IntoIterator<Item = String>) -> Bucket {
    let mut bucket = Bucket::default();
    for key in keys {
        bucket.put(&key, Object::default(), Condition::Always).expect("no condition");
    }
    bucket
}

#[test]
fn one_of_two_creates_wins_and_a_replacement_names_what_it_replaces() {
    let mut bucket = bucket([]);
    let mut put = |condition| bucket.put("a", Object::default(), condition);
    let first = put(Condition::Generation(0)).expect("there is none");
    assert_eq!(put(Condition::Generation(0)), Err(Problem::PreconditionFailed));
    let second = put(Condition::Generation(first)).expect("it is the first");
    assert_eq!(put(Condition::Generation(first)), Err(Problem::PreconditionFailed));
    assert_ne!(first, second);
}

/// Lists whole, page by page.
fn check(bucket: &Bucket, prefix: &str, delimiter: Option<&str>) -> (Vec<String>, Vec<String>) {
    let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
    let mut after = String::new();
    for _ in 0..10 {
        let page = bucket.list(prefix, delimiter, &after);
        assert!(page.objects.len() + page.prefixes.len() <= PAGE);
        objects.extend(page.objects.iter().map(|(key, _)| (*key).to_owned()));
        prefixes.extend(page.prefixes);
        match page.next {
            Some(next) => after = next,
            None => return (objects, prefixes),
        }
    }
    panic!("more pages than there are objects");
}

#[test]
fn pages_have_every_key_once_and_in_order() {
    let keys: Vec<_> = (0..2_500).map(|number| format!("p/{number:05}")).collect();
    let all = bucket(keys.iter().cloned().chain(["o".to_owned(), "q".to_owned()]));
    assert_eq!(check(&all, "p/", None), (keys, vec![]));
    let empty: (Vec<String>, Vec<String>) = (vec![], vec![]);
    assert_eq!(check(&all, "r", None), empty);
}

#[test]
fn a_common_prefix_is_listed_once_over_all_pages() {
    let keys = (0..2_500).map(|number| format!("{}/{number:05}", number / 2));
    let (objects, prefixes) = check(&bucket(keys), "", Some("/"));
    assert!(objects.is_empty());
    let distinct: std::collections::BTreeSet<_> = prefixes.iter().collect();
    assert_eq!((prefixes.len(), distinct.len()), (1_250, 1_250));
}

#[test]
fn a_range_is_cut_to_the_object_and_never_empty() {
    for (asked, expected) in [
        ("bytes=0-0", Ok(0..1)),
        ("bytes=2-99", Ok(2..10)),
        ("bytes=7-", Ok(7..10)),
        ("bytes=-3", Ok(7..10)),
        ("bytes=-99", Ok(0..10)),
        ("bytes=10-", Err(Problem::InvalidRange)),
        ("bytes=3-2", Err(Problem::InvalidRange)),
        ("bytes=-18446744073709551616", Err(Problem::InvalidRange)),
        ("lines=1-2", Err(Problem::InvalidRange)),
    ] {
        assert_eq!(range(asked, 10), expected, "{asked}");
    }
}

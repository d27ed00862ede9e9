//! The choice of files to look into.

use chrono::DateTime;
use proptest::prelude::*;

use super::*;

fn file(path: &str, size: u64) -> SourceFile {
    let modified = DateTime::UNIX_EPOCH;
    SourceFile { path: path.to_owned(), size, modified, etag: None, version: None }
}

fn files(count: usize, size: u64) -> Vec<SourceFile> {
    (0..count).map(|at| file(&format!("{at}"), size)).collect()
}

#[test]
fn picks_within_files_and_bytes() {
    for (name, files, limits, expected) in [
        ("none", files(0, 1), (10, 10), ""),
        ("all", files(3, 1), (10, 10), "0,1,2"),
        ("files are a hard limit", files(8, 1), (2, 100), "3,7"),
        ("spread over all", files(8, 1), (4, 100), "1,3,5,7"),
        ("also where no power of two", files(5, 1), (2, 100), "0,4"),
        ("the newest name comes first", files(9, 1), (1, 100), "8"),
        ("bytes are a soft limit", files(4, 3), (10, 4), "1,3"),
        ("one at least", files(4, 3), (0, 0), "3"),
    ] {
        let picked: Vec<_> = sample(&files, limits).iter().map(|file| file.path.clone()).collect();
        assert_eq!(picked.join(","), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn order_decides_nothing(
        (sizes, shuffled) in proptest::collection::vec(0_u64..9, 0..40)
            .prop_flat_map(|sizes| {
                let files: Vec<_> =
                    sizes.iter().enumerate().map(|(at, size)| file(&format!("{at:02}"), *size)).collect();
                (Just(files.clone()), Just(files).prop_shuffle())
            }),
        files_max in 0_usize..50,
        bytes_max in 0_u64..100,
    ) {
        let picked = sample(&sizes, (files_max, bytes_max));
        prop_assert_eq!(&picked, &sample(&shuffled, (files_max, bytes_max)));
        prop_assert!(picked.is_sorted_by(|left, right| left.path < right.path));
        prop_assert!(picked.len() <= files_max.max(1));
        let bytes: u64 = picked.iter().map(|file| file.size).sum();
        let all: u64 = sizes.iter().map(|file| file.size).sum();
        // Whoever stopped had reached a limit.
        prop_assert!(
            picked.len() == sizes.len() || picked.len() >= files_max.max(1) || bytes >= bytes_max.min(all)
        );
    }

    #[test]
    fn numbers_are_spread_once_each(count in 0_usize..2_000) {
        let mut numbers: Vec<_> = spread(count).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
}

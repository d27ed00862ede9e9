//! Which names are files of a source, and which are somebody's bookkeeping. Pure.

/// Returns whether an object of this path, below the source, is a file to load.
///
/// As in Spark, and so in Auto Loader, parts that begin with `.` or `_` are hidden, with all that
/// lies below them; one with `=` is a partition and is not. So are copies under way, and the folder
/// marks of Hadoop.
pub(super) fn is_file(path: &str) -> bool {
    let is_plain = !path.is_empty() && !path.ends_with('/');
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_unfinished = name.ends_with("._COPYING_") || name.ends_with("_$folder$");
    is_plain && !is_unfinished && !path.split('/').any(is_hidden)
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || (part.starts_with('_') && !part.contains('='))
}

/// Returns whether a local file of this path is one that a writer of ours has not finished: its name
/// ends in `#` and a number, and no listing shows it.
pub(super) fn is_staged(path: &str) -> bool {
    path.rsplit('/').next().and_then(|name| name.split_once('#')).is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Returns the part of a path that lies below a folder; `None` when it does not.
pub(super) fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_files_as_documented() {
        for (name, path, expected) in [
            ("a file in the root", "a.json", true),
            ("a file below folders", "2026/11/23/a.json", true),
            ("a partition", "year=2026/a.json", true),
            ("a partition whose name is hidden otherwise", "_year=2026/a.json", true),
            ("a hidden file, underscore", "_SUCCESS", false),
            ("a hidden file, dot", ".a.json.crc", false),
            ("a hidden folder, underscore", "_delta_log/00000000000000000000.json", false),
            ("a hidden folder, dot", ".spark-staging/a.json", false),
            ("a hidden folder further down", "year=2026/_temporary/0/a.json", false),
            ("a dot partition stays hidden", ".year=2026/a.json", false),
            ("a copy under way", "a.json._COPYING_", false),
            ("Hadoop's mark of a folder", "2026_$folder$", false),
            ("our own temporary file", "_commit_1.json.tmp", false),
            ("a mark of a folder", "2026/", false),
            ("the source itself", "", false),
            ("an underscore further on", "a_b.json", true),
            ("a dot further on", "a..json", true),
            ("spaces and plus", "a b+c.json", true),
            ("percent signs", "a%2Fb%.json", true),
            ("other scripts", "Prüfung/котировки.json", true),
            ("a hash", "a#b.json", true),
        ] {
            assert_eq!(is_file(path), expected, "{name}: {path:?}");
        }
    }

    #[test]
    fn a_writer_that_has_not_finished_is_known_by_its_name() {
        for (path, expected) in [
            ("a.json#1", true),
            ("x/a.json#42", true),
            ("a.json#", false),
            ("a.json#b", false),
            ("a#1/b.json", false),
            ("a.json", false),
        ] {
            assert_eq!(is_staged(path), expected, "{path:?}");
        }
    }

    #[test]
    fn what_lies_below_a_folder_is_told_by_whole_parts() {
        for (path, folder, expected) in [
            ("a/b/c", "a", Some("b/c")),
            ("a/b/c", "a/b", Some("c")),
            ("ab/c", "a", None),
            ("a", "a", None),
            ("a/b", "", Some("a/b")),
        ] {
            assert_eq!(below(path, folder), expected, "{path} below {folder}");
        }
    }

    proptest! {
        #[test]
        fn no_path_is_too_odd(path in ".{0,40}", folder in ".{0,10}") {
            let (is_file, _) = (is_file(&path), is_staged(&path));
            prop_assert!(!is_file || !path.is_empty());
            if let Some(rest) = below(&path, &folder) {
                prop_assert!(path.ends_with(rest));
            }
        }
    }
}

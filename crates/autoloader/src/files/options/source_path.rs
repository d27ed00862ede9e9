//! Globs in the path of a source: what is fixed of it is listed, the rest chooses from the listing.

use super::glob::Glob;

/// Letters that make a part of a path a glob.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// A source as given: a folder, and which paths below it belong to the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePath {
    /// The folder that is listed, whole, with its store: `s3://bucket/landing`; no slash at the end.
    pub root: String,
    /// Which paths below the root; `None`: all of them.
    pub pattern: Option<Glob>,
}

impl SourcePath {
    /// Splits a source in front of the first part that is a glob.
    ///
    /// A strict glob names files, or folders all of whose files are meant. A permissive one is
    /// matched as Auto Loader does by default: `*` reaches into folders, and a path belongs to the
    /// source as soon as its beginning matches.
    ///
    /// # Errors
    /// The source is empty, its store or bucket is a glob, or the glob is none.
    pub fn parse(source: &str, is_strict: bool) -> Result<Self, String> {
        if source.is_empty() {
            return Err(
                "a source has to be named: a folder, or an address such as s3://bucket/folder"
                    .to_owned(),
            );
        }
        let Some(special) = source.find(SPECIAL) else {
            return Ok(Self { root: without_slash(source).to_owned(), pattern: None });
        };
        let (fixed, _) = source.split_at(special);
        // The folder ends at the last slash that is neither in the glob nor part of `s3://`.
        let from = source.find("://").map_or(0, |at| at + 3);
        let Some(slash) = fixed.get(from..).and_then(|path| path.rfind('/')) else {
            if 0 < from {
                return Err(format!(
                    "`{source}`: the bucket has to be named whole; a glob begins behind it"
                ));
            }
            return Self::of(".", source, is_strict);
        };
        // The root of a file system is the slash itself.
        let (root, glob) = source.split_at(from + slash.max(1));
        Self::of(root, glob, is_strict)
    }

    fn of(root: &str, glob: &str, is_strict: bool) -> Result<Self, String> {
        let glob = glob.trim_matches('/');
        let pattern = if is_strict { Glob::new(glob)? } else { Glob::permissive(glob)? };
        Ok(Self { root: root.to_owned(), pattern: Some(pattern) })
    }

    /// Whether a path below the root belongs to the source.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.covers(path))
    }
}

/// Drops slashes at the end, but not the root's own or those of `s3://`.
fn without_slash(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() || trimmed.ends_with(':') { path } else { trimmed }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SourcePath;

    #[test]
    fn only_the_fixed_prefix_is_listed() {
        for (source, root, glob) in [
            ("/a/b", "/a/b", None),
            ("/a/b/", "/a/b", None),
            ("/", "/", None),
            ("a", "a", None),
            ("s3://bucket", "s3://bucket", None),
            ("s3://bucket/", "s3://bucket", None),
            ("s3://bucket/a/*/c", "s3://bucket/a", Some("*/c")),
            ("s3://bucket/*.json", "s3://bucket", Some("*.json")),
            ("s3://bucket/a/day=2026-??-01/", "s3://bucket/a", Some("day=2026-??-01")),
            ("/a/b{1,2}/c", "/a", Some("b{1,2}/c")),
            ("/*.json", "/", Some("*.json")),
            ("*.json", ".", Some("*.json")),
            ("data/x?", "data", Some("x?")),
            ("file:///data/[ab]/x", "file:///data", Some("[ab]/x")),
            ("file:///*.json", "file:///", Some("*.json")),
            ("/a/with\\*star", "/a", Some("with\\*star")),
        ] {
            let parsed = SourcePath::parse(source, true).expect(source);
            assert_eq!(parsed.root, root, "{source}");
            assert_eq!(parsed.pattern.map(|glob| glob.to_string()).as_deref(), glob, "{source}");
        }
    }

    #[test]
    fn a_source_that_cannot_be_listed_is_refused() {
        for (source, told) in [
            ("", "has to be named"),
            ("s3://buck*/a", "the bucket has to be named whole"),
            ("/a/[b", "a `[` is never closed"),
            ("/a/{b", "a `{` is never closed"),
        ] {
            let problem = SourcePath::parse(source, true).expect_err(source);
            assert!(problem.contains(told), "{source}: {problem}");
        }
    }

    /// One row for each line of the table that Auto Loader's documentation has of its two globbers.
    #[test]
    fn the_strict_globber_and_the_permissive_one_differ_as_documented() {
        for (source, path, by_default, strictly) in [
            ("/a/b", "/a/b/c/file.txt", true, true),
            ("/a/b", "/a/b_dir/c/file.txt", false, false),
            ("/a/b", "/a/b.txt", false, false),
            ("/a/b/", "/a/b.txt", false, false),
            ("/a/*/c/", "/a/b/c/file.txt", true, true),
            ("/a/*/c/", "/a/b/c/d/file.txt", true, true),
            ("/a/*/c/", "/a/b/x/y/c/file.txt", true, false),
            ("/a/*/c", "/a/b/c_file.txt", true, false),
            ("/a/*/c/", "/a/b/c_file.txt", true, false),
            ("/a/*/c/", "/a/*/cookie/file.txt", true, false),
            ("/a/b*", "/a/b.txt", true, true),
            ("/a/b*", "/a/b/file.txt", true, true),
            ("/a/{0.txt,1.txt}", "/a/0.txt", true, true),
            ("/a/*/{0.txt,1.txt}", "/a/0.txt", false, false),
            ("/a/b/[cde-h]/i/", "/a/b/c/i/file.txt", true, true),
        ] {
            for (is_strict, expected) in [(false, by_default), (true, strictly)] {
                let parsed = SourcePath::parse(source, is_strict).expect(source);
                let below = path.strip_prefix(&parsed.root).and_then(|path| path.strip_prefix('/'));
                let found = below.is_some_and(|path| parsed.covers(path));
                assert_eq!(found, expected, "{source} of {path}, strict: {is_strict}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_source_is_too_strange(source in "[a/:*?{}\\[\\],\\\\é^!-]{0,16}", path in "[a/é]{0,8}", is_strict: bool) {
            if let Ok(parsed) = SourcePath::parse(&source, is_strict) {
                prop_assert!(!parsed.root.is_empty());
                let _seen = parsed.covers(&path);
            }
        }
    }
}

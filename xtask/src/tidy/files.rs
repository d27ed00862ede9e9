//! What may lie in the repository: small files of known kinds.

use super::{Breach, repository::Repository};

/// More than this is data, and belongs elsewhere or into a `testdata` folder.
const SIZE_MAX: u64 = 256 * 1024;

/// Endings of files that somebody can review.
const ENDINGS: [&str; 26] = [
    "avro",
    "css",
    "csv",
    "gitattributes",
    "gitignore",
    "html",
    "ini",
    "java",
    "js",
    "json",
    "lock",
    "md",
    "mjs",
    "ndjson",
    "npmrc",
    "parquet",
    "py",
    "rs",
    "seed",
    "sh",
    "sql",
    "svelte",
    "svg",
    "toml",
    "ts",
    "txt",
];

/// Folders whose files may have no ending: they are commands.
const COMMANDS: [&str; 2] = ["scripts/", ".ci/"];

/// Checks every file.
pub(super) fn check(repository: &Repository) -> Vec<Breach> {
    let kept = repository.files.iter().flat_map(|file| breaches(&file.path, file.size));
    let ignored = repository.ignored.iter().map(|path| {
        let what = "git ignores this file, so a clone would lack it";
        Breach::new(path, 0, what, "narrow the `.gitignore` (`/target/`), or delete the file")
    });
    kept.chain(ignored).collect()
}

fn breaches(path: &str, size: u64) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let is_testdata = path.contains("testdata/");
    if SIZE_MAX < size && !is_testdata {
        let what = format!("{} KiB, {} are the most", size / 1024, SIZE_MAX / 1024);
        breaches.push(Breach::new(path, 0, what, "make it at run time, or split it"));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_known = match name.rsplit_once('.') {
        Some((_, ending)) => ENDINGS.contains(&ending),
        None => name == "LICENSE" || COMMANDS.iter().any(|folder| path.starts_with(folder)),
    };
    if !is_known {
        let mend = "use a kind that is there already, or add it to `ENDINGS` in xtask";
        breaches.push(Breach::new(path, 0, "an unknown kind of file", mend));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::breaches;

    #[test]
    fn only_small_files_of_known_kinds() {
        for (path, size, expected) in [
            ("crates/model/src/lib.rs", 262_144, 0),
            ("crates/model/src/lib.rs", 262_145, 1),
            ("crates/lake/testdata/log.json", 999_999, 0),
            ("crates/lake/testdata/problems.txt", 9, 0),
            (".gitignore", 9, 0),
            ("LICENSE", 9, 0),
            ("scripts/demo", 9, 0),
            ("demo", 9, 1),
            ("notes.docx", 9, 1),
            ("picture.png", 999_999, 2),
        ] {
            assert_eq!(breaches(path, size).len(), expected, "{path}");
        }
    }
}

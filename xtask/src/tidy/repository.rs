//! The files of the repository: what git keeps, or would keep once added.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

/// Folders that hold nothing of ours, for a copy without git.
const FOREIGN: [&str; 4] = [".git", "target", "node_modules", "dist"];

/// What git keeps, and what it would keep once added.
const KEPT: [&str; 2] = ["--cached", "--others"];

/// What git leaves out, where everything is ours.
const IGNORED: [&str; 7] = ["--others", "--ignored", "--", "config", "crates", "docs", "xtask"];

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// Path from the root, with `/`.
    pub(super) path: String,
    /// Size in bytes.
    pub(super) size: u64,
    /// The content; `None` when it is no UTF-8 text.
    pub(super) text: Option<String>,
}

/// Every file of the repository, sorted by path.
#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) files: Vec<File>,
    /// Files among our sources that git leaves out because of a `.gitignore`.
    pub(super) ignored: Vec<String>,
}

impl Repository {
    /// Reads all files below `root` that git keeps or would keep.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut paths = match listed_by_git(root, &KEPT) {
            Some(paths) => paths,
            None => walked(root)?,
        };
        paths.sort();
        paths.dedup();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match fs::read(root.join(&path)) {
                Ok(bytes) => {
                    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    files.push(File { path, size, text: String::from_utf8(bytes).ok() });
                }
                // Deleted, but git was not told yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                Err(error) => return Err(error),
            }
        }
        let ignored = listed_by_git(root, &IGNORED).unwrap_or_default();
        Ok(Self { files, ignored })
    }

    /// Returns the text of the file at `path`.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).and_then(|file| file.text.as_deref())
    }

    /// Returns path and text of all files with one of these endings.
    pub(super) fn texts(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |file| file.path.ends_with(ending))
            .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    /// Returns whether `path` is a file, or a folder with one in it.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }
}

fn listed_by_git(root: &Path, arguments: &[&str]) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--exclude-standard"])
        .args(arguments)
        .current_dir(root)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> =
        text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walked(root: &Path) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match entry.file_type()? {
                kind if kind.is_dir() && !FOREIGN.contains(&name.as_str()) => folders.push(path),
                kind if kind.is_file() => paths.push(path),
                _ => (),
            }
        }
    }
    Ok(paths)
}

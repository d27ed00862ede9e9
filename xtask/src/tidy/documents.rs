//! Documents name only files that exist: relative links, and paths between backticks.

use super::{Breach, repository::Repository};

/// Folders at the root: a path that begins with one of them is meant to exist.
const FOLDERS: [&str; 6] = ["config/", "console/", "crates/", "docs/", "scripts/", "xtask/"];

/// Endings of paths that are checked wherever they begin; of a bare name only `.rs` is.
const ENDINGS: [&str; 4] = [".md", ".svelte", ".toml", ".ts"];

/// Checks the documents at the root and in `docs`.
pub(super) fn check(repository: &Repository) -> Vec<Breach> {
    repository
        .texts(".md")
        .filter(|(path, _)| !path.contains('/') || path.starts_with("docs/"))
        .flat_map(|(path, text)| breaches(repository, path, text))
        .collect()
}

fn breaches(repository: &Repository, path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut is_fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        if is_fenced {
            continue;
        }
        for target in links(line) {
            if !repository.has(&resolved(path, target)) {
                let what = format!("the link to `{target}` leads nowhere");
                breaches.push(Breach::new(path, index + 1, what, "correct it, or remove it"));
            }
        }
        for name in spans(line).filter(|span| is_path(span)) {
            if !exists(repository, path, name) {
                let what = format!("there is no `{name}`");
                breaches.push(Breach::new(path, index + 1, what, "name the file as it is now"));
            }
        }
    }
    breaches
}

/// Returns the targets of the links in a line that point into the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains(':'))
}

/// Returns what stands between backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_path(span: &str) -> bool {
    let is_plain = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    is_plain
        && (FOLDERS.iter().any(|folder| span.starts_with(folder))
            || span.ends_with(".rs")
            || (span.contains('/') && ENDINGS.iter().any(|ending| span.ends_with(ending))))
}

/// Whether a path is a file from the root, from the document, or the end of one: `poller/plan.rs`.
fn exists(repository: &Repository, document: &str, name: &str) -> bool {
    let ending = format!("/{name}");
    repository.has(name)
        || repository.has(&resolved(document, name))
        || repository.files.iter().any(|file| file.path.ends_with(&ending))
}

/// Returns the path from the root that `target` means in `document`.
fn resolved(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => (),
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{breaches, resolved};
    use crate::tidy::repository::{File, Repository};

    #[test]
    fn links_and_paths_must_exist() {
        let files = ["README.md", "docs/a.md", "docs/adr/0001-a.md", "crates/model/src/lib.rs"];
        let files = files.map(|path| File { path: path.to_owned(), size: 0, text: None });
        let repository = Repository { files: files.into(), ignored: Vec::new() };
        let check = |text: &str| breaches(&repository, "docs/a.md", text).len();
        for text in [
            "[a](adr/0001-a.md#context) [b](https://x/y) [c](../README.md) [d](#here) [e](adr)",
            "`crates/model/src/lib.rs` `model/src/lib.rs` `lib.rs` `a/b` `x::y` `crates/model`",
            "```\n[a](nowhere) `crates/none`\n```",
            "`<data>/topic/topic.db`, `foo/*.rs`, `settings.toml`",
        ] {
            assert_eq!(check(text), 0, "{text}");
        }
        for text in ["[a](b.md)", "`crates/none`", "`none.rs`", "`model/none.rs`", "[a](../docs/b)"]
        {
            assert_eq!(check(text), 1, "{text}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_document() {
        assert_eq!(resolved("docs/adr/0001.md", "../a.md"), "docs/a.md");
        assert_eq!(resolved("README.md", "./docs/"), "docs");
    }
}

//! The rules of the repository that no other linter has.
//!
//! Each rule is a function of text that returns its breaches, so that its tests need no files;
//! `repository` is the only part that reads the disk. A breach says where, what, and how to mend
//! it. The tests at the end run every rule over the repository, so `cargo test` finds a breach.

use std::{fmt, path::Path};

mod decisions;
mod documents;
mod files;
mod lexer;
mod manifests;
mod messages;
mod repository;
mod settings;
mod sources;

use repository::Repository;

/// One place where a rule does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Breach {
    /// Path from the root, with `/`.
    file: String,
    /// Line from 1; 0 when it is about the whole file.
    line: usize,
    /// What is wrong.
    what: String,
    /// How to mend it.
    mend: String,
}

impl Breach {
    fn new(file: &str, line: usize, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what, mend } = self;
        match line {
            0 => write!(f, "{file}: {what}; {mend}"),
            _ => write!(f, "{file}:{line}: {what}; {mend}"),
        }
    }
}

/// A group of rules.
type Check = fn(&Repository) -> Vec<Breach>;

const CHECKS: [Check; 7] = [
    sources::check,
    messages::check,
    manifests::check,
    settings::check,
    files::check,
    documents::check,
    decisions::check,
];

/// Checks everything, prints what was found, and returns whether nothing was.
pub(crate) fn run(root: &Path) -> bool {
    let breaches = check_all(root);
    report(&breaches);
    breaches.is_empty()
}

/// Returns every breach in the repository, in the order of files and lines.
pub(crate) fn check_all(root: &Path) -> Vec<Breach> {
    let repository = match Repository::read(root) {
        Ok(repository) => repository,
        Err(error) => {
            let what = format!("the repository cannot be read: {error}");
            return vec![Breach::new(".", 0, what, "run it inside a complete checkout")];
        }
    };
    let mut breaches: Vec<Breach> = CHECKS.iter().flat_map(|check| check(&repository)).collect();
    breaches.sort();
    breaches
}

/// Prints breaches, one a line.
pub(crate) fn report(breaches: &[Breach]) {
    for breach in breaches {
        println!("{breach}");
    }
    match breaches.len() {
        0 => println!("tidy: every rule holds"),
        1 => println!("tidy: 1 breach"),
        count => println!("tidy: {count} breaches"),
    }
}

#[cfg(test)]
mod tests;

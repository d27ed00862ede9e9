//! Options that contradict the source they are for.

use super::{CleanSource, HintSource, LoadOptions, OptionProblems, SourcePath};

/// Schemes of stores whose events come through a queue of this kind.
const SQS_OF: &[&str] = &["s3", "s3a"];
const AZURE_QUEUE_OF: &[&str] = &["az", "azure", "adl", "abfs", "abfss", "https"];

impl LoadOptions {
    /// Splits a source into what is listed and what chooses from it, and checks that the options
    /// make sense for it.
    ///
    /// # Errors
    /// All problems: a glob that is none; files that would be moved back into the source, or to
    /// another store; notifications of another kind of store.
    pub fn check_source(&self, source: &str) -> Result<SourcePath, OptionProblems> {
        let mut problems = OptionProblems::default();
        let place = Place::of(source);
        for hint in &self.discovery.hints {
            let (option, is_right, problem) = match hint {
                HintSource::Sqs(_) => {
                    ("queueUrl", SQS_OF.contains(&place.scheme()), "SQS has events of S3 alone")
                }
                HintSource::AzureQueue(_) => (
                    "queueName",
                    AZURE_QUEUE_OF.contains(&place.scheme()),
                    "an Azure queue has events of Azure's storage alone",
                ),
                HintSource::LocalWatch => (
                    "useNotifications",
                    place.store.is_empty(),
                    "without `queueUrl` or `queueName` only local folders tell of their files",
                ),
            };
            if !is_right {
                problems.add(option, problem);
            }
        }
        match SourcePath::parse(source, self.discovery.is_glob_strict) {
            Ok(path) => {
                if let CleanSource::Move { destination, .. } = &self.clean
                    && let Some(problem) = wrong_destination(&path.root, destination)
                {
                    problems.add("cleanSource.moveDestination", problem);
                }
                problems.unless(path)
            }
            Err(problem) => {
                problems.add("source", problem);
                Err(problems)
            }
        }
    }
}

fn wrong_destination(source: &str, destination: &str) -> Option<&'static str> {
    let (source, destination) = (Place::of(source), Place::of(destination));
    if source.store != destination.store {
        return Some("it has to be in the source's own store and bucket, written the same way");
    }
    if source.is_absolute != destination.is_absolute {
        return Some("source and destination both have to begin with a slash, or neither");
    }
    if destination.parts.starts_with(&source.parts) {
        return Some("it lies in the source, so files that were moved would be found again");
    }
    let is_above = source.parts.starts_with(&destination.parts);
    is_above.then_some("the source lies in it, so files could be moved into the source again")
}

/// A path, comparable.
struct Place<'p> {
    /// Scheme and bucket in lower case; empty: the local file system.
    store: String,
    is_absolute: bool,
    parts: Vec<&'p str>,
}

impl<'p> Place<'p> {
    fn of(path: &'p str) -> Self {
        let (store, below) = match path.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => (String::new(), rest),
            Some((scheme, rest)) => {
                let (bucket, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (format!("{}://{bucket}", scheme.to_lowercase()), below)
            }
            None => (String::new(), path),
        };
        let mut parts = Vec::new();
        for part in below.split('/') {
            match part {
                "" | "." => (),
                ".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        Self { is_absolute: below.starts_with('/') || !store.is_empty(), store, parts }
    }

    fn scheme(&self) -> &str {
        self.store.split("://").next().unwrap_or_default()
    }
}

//! What is asked of single objects: those that hints name, and those that no listing is sure about.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, stream};
use model::{ErrorKind, hint::Place};
use object_store::{Attribute, GetOptions, ObjectStore, path::Path};

use super::{Discoverer, Look, Reach};
use crate::{
    Error,
    files::{choice::Candidate, plan::Found, seen::Seen, source_file::SourceFile},
};

/// HEAD requests under way at once: enough to hide their latency, too few to be throttled.
const HEADS_AT_ONCE: usize = 16;

/// Looks that one object may stop by not being told of, as stores at times do. After them a full
/// listing decides, which fails when it is the store that does not answer.
const HEAD_TRIES_MAX: u32 = 3;

/// What a store says of one object.
enum Answer {
    /// It is there.
    There(Asked),
    /// It is not.
    Gone,
    /// Neither, and asking again would not help.
    Unclear,
}

/// An object as its store knows it.
struct Asked {
    file: SourceFile,
    /// It stands for a folder.
    is_mark: bool,
}

/// Asks about one object.
async fn head(store: &dyn ObjectStore, path: &str) -> object_store::Result<Answer> {
    // A name that no path can be is in no listing either.
    let Ok(location) = Path::parse(path) else { return Ok(Answer::Gone) };
    match store.get_opts(&location, GetOptions::new().with_head(true)).await {
        Ok(found) => {
            let mark = found.attributes.get(&Attribute::Metadata("hdi_isfolder".into()));
            let is_mark = mark.is_some_and(|value| value.eq_ignore_ascii_case("true"));
            // Some stores answer with a path of their own, from a root above the source's.
            let file = SourceFile { path: path.to_owned(), ..found.meta.into() };
            Ok(Answer::There(Asked { file, is_mark }))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(Answer::Gone),
        Err(error) => Err(error),
    }
}

impl Discoverer {
    /// Asks about the source itself where nothing lies below it: it may be one file.
    pub(super) async fn ask_root(
        &mut self,
        root: &Path,
        seen: &Seen,
        look: &mut Look,
    ) -> Result<(), Error> {
        let question = vec![(root.to_string(), look.looked.reach.found(root.as_ref()))];
        for (found, path, asked) in self.heads(question).await? {
            look.looked.heads += 1;
            if matches!(asked, Answer::Unclear) {
                look.looked.unclear += 1;
                look.unclear.push(path);
                continue;
            }
            let Answer::There(Asked { file, is_mark: false }) = asked else { continue };
            if self.is_ours(&path) && self.is_news(seen, &file) {
                look.found.insert(path, Candidate { file, found });
            }
        }
        Ok(())
    }

    /// Asks about single objects: those that hints name, those that failed and no listing shows,
    /// and those of which a look before was not sure.
    pub(super) async fn ask(
        &mut self,
        seen: &Seen,
        hinted: &BTreeSet<Place>,
        look: &mut Look,
    ) -> Result<(), Error> {
        let mut asked: BTreeMap<&str, Found> = BTreeMap::new();
        for place in hinted {
            let Place::Object(path) = place else { continue };
            if let Some(found) = look.found.get_mut(path) {
                found.found = found.found.min(Found::Hint);
            } else if self.is_ours(path) {
                asked.insert(path, Found::Hint);
            }
        }
        // A full listing has shown all of these, or they are gone.
        if !matches!(look.looked.reach, Reach::Everything(_)) {
            for known in seen.failed() {
                let path = &known.file.path;
                if self.is_ours(path) && !look.found.contains_key(path) {
                    asked.entry(path).or_insert(Found::Retry);
                }
            }
            for (path, waiting) in self.waiting.iter() {
                // Another process may have planned it since.
                if look.found.contains_key(path) || !self.is_news(seen, &waiting.candidate.file) {
                    continue;
                }
                if waiting.is_unsure {
                    asked.insert(path, waiting.candidate.found);
                } else if !asked.contains_key(path.as_str()) {
                    look.found.insert(path.clone(), waiting.candidate.clone());
                }
            }
        }
        let questions: Vec<(String, Found)> =
            asked.into_iter().map(|(path, found)| (path.to_owned(), found)).collect();
        let answers = self.heads(questions).await?;
        for (found, path, answer) in answers {
            look.looked.heads += 1;
            match answer {
                Answer::There(Asked { file, is_mark }) if !is_mark && self.is_news(seen, &file) => {
                    look.found.insert(path, Candidate { file, found });
                }
                Answer::Gone if found == Found::Hint => look.looked.messages.gone += 1,
                Answer::Unclear => {
                    look.looked.unclear += 1;
                    look.unclear.push(path);
                }
                Answer::There(_) | Answer::Gone => (),
            }
        }
        self.tell_marks(look).await
    }

    /// Takes out marks of folders. A service keeps them as objects of no bytes, whose names lose
    /// their last slash in a listing; an empty file is a file, and has no rows.
    async fn tell_marks(&mut self, look: &mut Look) -> Result<(), Error> {
        if self.source.is_local {
            return Ok(());
        }
        let mut empty = Vec::new();
        look.found.retain(|path, Candidate { file, found }| {
            // One that a hint named was asked about already, and so was one that waits.
            let is_known = *found == Found::Hint || self.waiting.get(path).is_some();
            let is_mark = self.marks.contains(path);
            if file.size == 0 && !is_known && !is_mark {
                empty.push((path.clone(), *found));
            }
            !is_mark
        });
        for (_, path, asked) in self.heads(empty).await? {
            look.looked.heads += 1;
            if matches!(asked, Answer::Gone | Answer::There(Asked { is_mark: true, .. })) {
                look.found.remove(&path);
                look.marks.push(path);
            }
        }
        Ok(())
    }

    /// Asks about objects, some at a time. One that cannot be looked at stops nobody, at once or
    /// after some tries: a listing names it, and reading it will tell what is wrong.
    async fn heads(
        &mut self,
        paths: Vec<(String, Found)>,
    ) -> Result<Vec<(Found, String, Answer)>, Error> {
        let asking = paths.into_iter().map(|(path, found)| {
            let store = Arc::clone(&self.source.store);
            async move {
                let answer = head(&*store, &path).await;
                (found, path, answer)
            }
        });
        let mut asking = stream::iter(asking).buffer_unordered(HEADS_AT_ONCE);
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        while failures.len() < HEADS_AT_ONCE
            && let Some((found, path, answer)) = asking.next().await
        {
            match answer {
                Ok(answer) => answers.push((found, path, answer)),
                Err(source) => failures.push((found, path, source)),
            }
        }
        drop(asking);
        for (_, path, _) in &answers {
            self.tries.remove(path);
        }
        let mut unanswered = None;
        for (found, path, source) in failures {
            let error = Error::Store { action: "asking about", key: path.clone(), source };
            let tries = self.tries.entry(path.clone()).or_default();
            *tries += 1;
            let may_pass = !self.source.is_local && error.kind() == ErrorKind::Transient;
            if may_pass && *tries < HEAD_TRIES_MAX {
                unanswered = Some(error);
                continue;
            }
            tracing::warn!(
                object = path,
                error = &error as &dyn std::error::Error,
                "an object cannot be looked at, and is left to a full listing"
            );
            answers.push((found, path, Answer::Unclear));
        }
        unanswered.map_or(Ok(answers), Err)
    }
}

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt, memory::InMemory, prefix::PrefixStore};

    use super::*;

    #[tokio::test]
    async fn an_object_is_known_by_its_path_below_the_source() {
        let bucket = InMemory::new();
        bucket.put(&Path::from("in/a.json"), "{}".into()).await.expect("puts");
        let Answer::There(asked) =
            head(&PrefixStore::new(bucket, "in"), "a.json").await.expect("asks")
        else {
            panic!("it is there");
        };
        assert_eq!(asked.file.path, "a.json");
    }
}

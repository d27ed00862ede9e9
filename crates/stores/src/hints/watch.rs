//! The watching of a local folder: the system tells of files that were closed, linked or renamed.
//!
//! What the system loses, because too much happens at once, becomes a hint to look everywhere. A
//! file that is still empty is not told of before it is closed; one that has been begun may be, and
//! its reader waits until it rests.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{
    Clock,
    hint::{Hint, Hints, Oddity, Pending, Place, Ticket},
};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::Error;

/// Events between two questions. More than a batch takes; beyond, listing is cheaper than asking
/// about each.
const EVENTS_MAX: usize = 4_096;

/// A folder under watch.
#[derive(Debug)]
pub(super) struct Watch {
    root: PathBuf,
    events: Receiver<Told>,
    /// Some were lost.
    is_overrun: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    count: u64,
    /// Ends the watching when it is dropped.
    _watcher: RecommendedWatcher,
}

/// What the system tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// Something is there, and may not be whole.
    Began(PathBuf),
    /// Something is there as its writer left it.
    Ended(PathBuf),
    /// Events were lost.
    Lost,
}

/// Watches a folder and all below it.
///
/// # Errors
/// The folder is not there, or the system watches no more of them.
pub(super) fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Watch, Error> {
    let failed = |source| Error::File { doing: "watching", path: folder.to_owned(), source };
    let root = folder.canonicalize().map_err(failed)?;
    let (sender, events) = channel(EVENTS_MAX);
    let is_overrun = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_overrun);
    let tell = move |event| send(event, &sender, &flag);
    let watching = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(&root, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    let watcher = watching.map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(Watch { root, events, is_overrun, clock, count: 0, _watcher: watcher })
}

/// Hands on what the system tells; what does not fit is lost, and that is told.
fn send(event: notify::Result<Event>, sender: &Sender<Told>, is_overrun: &AtomicBool) {
    let told = match event {
        Ok(event) => told(event),
        Err(error) => {
            tracing::warn!(%error, "the watching of a folder has a gap");
            vec![Told::Lost]
        }
    };
    for told in told {
        if sender.try_send(told).is_err() {
            is_overrun.store(true, Ordering::Release);
        }
    }
}

/// Takes from an event what may be a new file. Linux tells when a file is closed, and only that
/// means that it is whole; elsewhere any writing has to do.
fn told(event: Event) -> Vec<Told> {
    if event.need_rescan() {
        return vec![Told::Lost];
    }
    let paths = event.paths;
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Any))
        | EventKind::Create(CreateKind::Folder) => paths.into_iter().map(Told::Ended).collect(),
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
            paths.into_iter().skip(1).map(Told::Ended).collect()
        }
        EventKind::Create(_) => paths.into_iter().map(Told::Began).collect(),
        EventKind::Modify(ModifyKind::Data(_)) if cfg!(not(target_os = "linux")) => {
            paths.into_iter().map(Told::Began).collect()
        }
        _ => Vec::new(),
    }
}

impl Watch {
    /// Returns where to look for what the system told.
    async fn place(&self, told: Told) -> Result<Option<Place>, Oddity> {
        let (path, is_whole) = match told {
            Told::Lost => return Ok(Some(Place::Everywhere)),
            Told::Ended(path) => (path, true),
            Told::Began(path) => (path, false),
        };
        let key = key(&path, &self.root)?;
        match tokio::fs::metadata(&path).await {
            Ok(found) if key.is_empty() => Ok(found.is_dir().then_some(Place::Everywhere)),
            // What came into a folder before it was watched was told of by nobody.
            Ok(found) if found.is_dir() => Ok(Some(Place::Folder(key))),
            // A link of a whole file is never closed; a file that is about to be written is empty.
            Ok(found) if is_whole || found.len() != 0 => Ok(Some(Place::Object(key))),
            // Empty yet, gone, or not to be looked at: the listing says the same.
            Ok(_) | Err(_) => Ok(None),
        }
    }
}

/// Returns the key of a path below the root.
fn key(path: &Path, root: &Path) -> Result<String, Oddity> {
    let below = path.strip_prefix(root).map_err(|_| Oddity::Foreign)?;
    let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
    Ok(parts.ok_or(Oddity::Broken)?.join("/"))
}

impl Hints for Watch {
    fn is_durable(&self) -> bool {
        false
    }

    fn receive(&mut self, wait: Duration) -> Pending<'_, Vec<Hint>> {
        Box::pin(async move {
            let mut told = BTreeSet::new();
            let clock = Arc::clone(&self.clock);
            if self.events.is_empty() && !self.is_overrun.load(Ordering::Acquire) {
                tokio::select! {
                    biased;
                    first = self.events.recv() => match first {
                        Some(first) => drop(told.insert(first)),
                        // Nobody watches any more: all that is left is to look.
                        None => {
                            clock.sleep(wait).await;
                            told.insert(Told::Lost);
                        }
                    },
                    () = clock.sleep(wait) => (),
                }
            }
            if self.is_overrun.swap(false, Ordering::AcqRel) {
                told.insert(Told::Lost);
            }
            for _ in 0..EVENTS_MAX {
                let Ok(next) = self.events.try_recv() else { break };
                told.insert(next);
            }
            let (mut places, mut oddity) = (Vec::new(), None);
            for told in told {
                match self.place(told).await {
                    Ok(place) => places.extend(place),
                    Err(found) => oddity = oddity.max(Some(found)),
                }
            }
            places.sort();
            places.dedup();
            if places.is_empty() && oddity.is_none() {
                return Ok(Vec::new());
            }
            self.count += 1;
            let ticket = Ticket { id: self.count.to_string(), receipt: String::new() };
            Ok(vec![Hint { ticket, ts_sent: None, places, oddity }])
        })
    }

    fn done<'a>(&'a mut self, _: &'a [Ticket]) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests;

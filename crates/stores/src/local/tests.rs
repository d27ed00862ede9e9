//! A disk that forgets what was not flushed.
//!
//! The power fails at each flush in turn, and what was on the disk at that moment is laid out anew:
//! a file has the content of its last flush, or none; a name is there when its folder was flushed.
//! A disk may also have written names early, so the same is done with all names.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex},
};

use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, path::Path};

use super::{
    flush::{Disk, Flush},
    power_safe,
};

/// What a careless store would leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgets {
    Nothing,
    Contents,
    Names,
}

/// Which names the disk has.
#[derive(Clone, Copy, Debug)]
enum Names {
    /// Those that were flushed.
    Flushed,
    /// All: a disk may write before it is told to.
    All,
}

/// What is there before the store is opened.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    /// The folders, created by another process that was killed before it flushed anything.
    Folders,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    File(u64),
    Folder,
}

#[derive(Debug, Default)]
struct Written {
    /// By the file's number; the open file keeps the number from being given to another.
    files: HashMap<u64, (File, Vec<u8>)>,
    folders: HashMap<PathBuf, BTreeMap<OsString, Entry>>,
    flushes: usize,
}

#[derive(Debug)]
struct Power {
    /// What lies outside is older than the test and outlives it.
    live: PathBuf,
    written: Mutex<Written>,
    forgets: Forgets,
    fails_after: usize,
}

impl Power {
    fn new(live: PathBuf, forgets: Forgets, fails_after: usize) -> Arc<Self> {
        Arc::new(Self { live, written: Mutex::default(), forgets, fails_after })
    }

    /// Counts a flush, and fails it when the power is gone.
    fn draw(&self) -> io::Result<std::sync::MutexGuard<'_, Written>> {
        let mut written = self.written.lock().expect("nobody panics with it");
        if self.fails_after <= written.flushes {
            return Err(io::Error::other("the power is gone"));
        }
        written.flushes += 1;
        Ok(written)
    }

    fn flushes(&self) -> usize {
        self.written.lock().expect("nobody panics with it").flushes
    }

    /// Lays out in `to` what the disk has of the folder `from`.
    fn restore(&self, from: &FilePath, to: &FilePath, names: Names) {
        let entries = match names {
            Names::All => entries(from).expect("the folder is there"),
            Names::Flushed => {
                let written = self.written.lock().expect("nobody panics with it");
                written.folders.get(from).cloned().unwrap_or_default()
            }
        };
        for (name, entry) in entries {
            match entry {
                Entry::Folder => {
                    fs::create_dir(to.join(&name)).expect("a folder");
                    self.restore(&from.join(&name), &to.join(&name), names);
                }
                Entry::File(number) => {
                    let written = self.written.lock().expect("nobody panics with it");
                    let content = written.files.get(&number).map(|(_, content)| content.as_slice());
                    fs::write(to.join(name), content.unwrap_or_default()).expect("a file");
                }
            }
        }
    }
}

fn entries(folder: &FilePath) -> io::Result<BTreeMap<OsString, Entry>> {
    let entry = |found: io::Result<fs::DirEntry>| {
        let found = found?;
        let of = found.metadata()?;
        let entry = if of.is_dir() { Entry::Folder } else { Entry::File(of.ino()) };
        Ok((found.file_name(), entry))
    };
    fs::read_dir(folder)?.map(entry).collect()
}

impl Flush for Power {
    fn file(&self, file: &File, path: &FilePath) -> io::Result<()> {
        let mut written = self.draw()?;
        let number = file.metadata()?.ino();
        assert_eq!(number, fs::metadata(path)?.ino(), "the path is the file's");
        if self.forgets != Forgets::Contents {
            written.files.insert(number, (file.try_clone()?, fs::read(path)?));
        }
        Ok(())
    }

    fn folder(&self, path: &FilePath) -> io::Result<()> {
        let mut written = self.draw()?;
        if self.forgets != Forgets::Names && path.starts_with(&self.live) {
            written.folders.insert(path.to_owned(), entries(path)?);
        }
        Ok(())
    }
}

/// For each key what may be found after a power loss; `None` is that there is no object.
type May = BTreeMap<&'static str, Vec<Option<&'static str>>>;

/// Notes what a write was told: confirmed it is there, and else it may be.
fn note(may: &mut May, key: &'static str, content: &'static str, is_confirmed: bool) {
    let found = may.entry(key).or_insert_with(|| vec![None]);
    if is_confirmed {
        found.clear();
    }
    found.push(Some(content));
}

/// Writes in every way there is, until the power fails.
async fn write_all(store: &Arc<dyn ObjectStore>, folder: &FilePath) -> May {
    let mut may = May::new();
    let create = || PutMode::Create.into();
    for (key, content) in [("a/1", "one"), ("a/2", "two"), ("b/c/3", "three")] {
        let told = store.put_opts(&Path::from(key), content.into(), create()).await;
        note(&mut may, key, content, told.is_ok());
    }
    let late = store.put_opts(&Path::from("a/1"), "other".into(), create()).await;
    if matches!(late, Err(Error::AlreadyExists { .. })) {
        note(&mut may, "a/1", "one", true);
    }
    // Another process has written this one and was killed before it flushed anything.
    fs::create_dir_all(folder.join("d/e")).expect("a folder of theirs");
    fs::write(folder.join("d/e/4"), "theirs").expect("a file of theirs");
    may.insert("d/e/4", vec![None, Some(""), Some("theirs")]);
    let late = store.put_opts(&Path::from("d/e/4"), "ours".into(), create()).await;
    if matches!(late, Err(Error::AlreadyExists { .. })) {
        note(&mut may, "d/e/4", "theirs", true);
    }
    let told = store.put(&Path::from("a/2"), "two, replaced".into()).await;
    note(&mut may, "a/2", "two, replaced", told.is_ok());
    note(&mut may, "f/5", "in parts", upload(store, &Path::from("f/5")).await.is_ok());
    // There can be no copy of what is not there.
    let told = store.copy(&Path::from("b/c/3"), &Path::from("g/6")).await;
    note(&mut may, "g/6", "three", told.is_ok());
    let told = store.rename(&Path::from("a/1"), &Path::from("h/7")).await;
    note(&mut may, "h/7", "one", told.is_ok());
    // Its old name may come back: that is a deletion.
    note(&mut may, "a/1", "one", false);
    may.entry("a/1").or_default().push(None);
    may
}

async fn upload(store: &Arc<dyn ObjectStore>, at: &Path) -> object_store::Result<()> {
    let mut upload = store.put_multipart(at).await?;
    upload.put_part("in ".into()).await?;
    upload.put_part("parts".into()).await?;
    upload.complete().await.map(drop)
}

/// Lets the power fail after some flushes; returns how many there were, and what is wrong then.
async fn lose_power(before: Before, forgets: Forgets, fails_after: usize) -> (usize, Vec<String>) {
    let place = tempfile::tempdir().expect("a folder");
    let top = place.path().canonicalize().expect("it is there");
    let (live, lake) = (top.join("live"), "data/lake");
    fs::create_dir(&live).expect("a folder");
    if let Before::Folders = before {
        fs::create_dir_all(live.join(lake)).expect("folders of theirs");
    }
    let power = Power::new(live.clone(), forgets, fails_after);
    let flush: Arc<dyn Flush> = Arc::clone(&power) as _;
    let may = match power_safe(&live.join(lake), flush) {
        Ok(opened) => write_all(&opened.store, &live.join(lake)).await,
        Err(_) => May::new(),
    };
    let mut wrong = Vec::new();
    for names in [Names::Flushed, Names::All] {
        let after = top.join(format!("{names:?}"));
        fs::create_dir(&after).expect("a folder");
        power.restore(&live, &after, names);
        let opened = power_safe(&after.join(lake), Arc::new(Disk)).expect("opening");
        for (key, may) in &may {
            let found = match opened.store.get(&Path::from(*key)).await {
                Ok(found) => Some(found.bytes().await.expect("a body")),
                Err(Error::NotFound { .. }) => None,
                Err(error) => panic!("reading `{key}` after a power loss: {error:?}"),
            };
            if !may.iter().any(|content| content.map(str::as_bytes) == found.as_deref()) {
                wrong.push(format!(
                    "{before:?} before, after {fails_after} flushes, {names:?}: `{key}` is \
                     {found:?}, not {may:?}"
                ));
            }
        }
    }
    (power.flushes(), wrong)
}

#[tokio::test]
async fn what_was_confirmed_outlives_the_power_at_every_flush() {
    for before in [Before::Nothing, Before::Folders] {
        let (flushes, wrong) = lose_power(before, Forgets::Nothing, usize::MAX).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(20 < flushes, "every write flushes its content and its name: {flushes}");
        for fails_after in 0..flushes {
            let (_, wrong) = lose_power(before, Forgets::Nothing, fails_after).await;
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
}

#[tokio::test]
async fn a_flush_that_is_left_out_would_be_noticed() {
    for forgets in [Forgets::Contents, Forgets::Names] {
        let (_, wrong) = lose_power(Before::Nothing, forgets, usize::MAX).await;
        assert!(!wrong.is_empty(), "{forgets:?}");
    }
}

/// Notes which folders are flushed, and may not flush those outside of its own.
#[derive(Debug)]
struct Notes {
    ours: PathBuf,
    folders: Mutex<Vec<PathBuf>>,
}

impl Notes {
    fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut *self.folders.lock().expect("nobody panics with it"))
    }
}

impl Flush for Notes {
    fn file(&self, _: &File, _: &FilePath) -> io::Result<()> {
        Ok(())
    }

    fn folder(&self, path: &FilePath) -> io::Result<()> {
        if !path.starts_with(&self.ours) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.folders.lock().expect("nobody panics with it").push(path.to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn a_folder_that_somebody_removed_is_made_again_and_its_name_flushed() {
    let place = tempfile::tempdir().expect("a folder");
    let top = place.path().canonicalize().expect("it is there");
    let lake = top.join("lake");
    let notes = Arc::new(Notes { ours: top.clone(), folders: Mutex::default() });
    let opened = power_safe(&lake, Arc::clone(&notes) as _).expect("the system's may stay");
    let store = opened.store;
    let (at, other) = (Path::from("a/b/1"), Path::from("c/1"));
    for gone in ["lake/a/b", "lake/a", "lake"].map(|gone| top.join(gone)) {
        for way in ["create", "replace", "parts", "copy", "rename"] {
            if gone == lake && matches!(way, "copy" | "rename") {
                // Nothing is left to copy.
                continue;
            }
            store.put(&at, "before".into()).await.expect("an object, and its folder is known");
            store.put(&other, "other".into()).await.expect("an object beside it");
            fs::remove_dir_all(&gone).expect("removing it");
            notes.take();
            let told = match way {
                "create" => store.put_opts(&at, way.into(), PutMode::Create.into()).await.map(drop),
                "replace" => store.put(&at, way.into()).await.map(drop),
                "parts" => upload(&store, &at).await,
                "copy" => store.copy(&other, &at).await,
                _ => store.rename(&other, &at).await,
            };
            told.unwrap_or_else(|error| panic!("{way} without `{}`: {error:?}", gone.display()));
            let flushed = notes.take();
            let parent = gone.parent().expect("it has one");
            assert!(flushed.iter().any(|folder| folder == parent), "{way}: {flushed:?}");
            store.head(&at).await.expect("it is there");
        }
    }
    let mode = fs::metadata(&lake).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "made again for its owner alone");
}

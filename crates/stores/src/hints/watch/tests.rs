//! A folder under watch: what is told of, and what becomes of what is lost.

use model::clock::Sleep;
use notify::event::{DataChange, Flag, RemoveKind};

use super::*;

fn path(name: &str) -> PathBuf {
    Path::new("/in").join(name)
}

#[test]
fn events_of_the_system_are_taken_as_documented() {
    let ended = |name| vec![Told::Ended(path(name))];
    let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
    let renamed = |mode| EventKind::Modify(ModifyKind::Name(mode));
    for (name, kind, paths, expected) in [
        ("a file was closed", closed, vec!["a"], ended("a")),
        ("a file was renamed into place", renamed(RenameMode::To), vec!["a"], ended("a")),
        ("a file was renamed within", renamed(RenameMode::Both), vec!["a", "b"], ended("b")),
        ("a file was renamed away", renamed(RenameMode::From), vec!["a"], vec![]),
        ("a folder was made", EventKind::Create(CreateKind::Folder), vec!["x"], ended("x")),
        (
            "a file was made, or linked",
            EventKind::Create(CreateKind::File),
            vec!["a"],
            vec![Told::Began(path("a"))],
        ),
        (
            "a file was read",
            EventKind::Access(AccessKind::Close(AccessMode::Read)),
            vec!["a"],
            vec![],
        ),
        ("a file was removed", EventKind::Remove(RemoveKind::File), vec!["a"], vec![]),
    ] {
        let paths = paths.into_iter().map(path).collect();
        let event = Event { kind, paths, attrs: Default::default() };
        assert_eq!(told(event), expected, "{name}");
    }
    let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert_eq!(told(lost), [Told::Lost], "the system's own queue ran over");
    let written = Event::new(EventKind::Modify(ModifyKind::Data(DataChange::Any)));
    assert_eq!(told(written), [], "a file that is being written is told of when it is closed");
}

#[test]
fn what_does_not_fit_is_told_as_lost() {
    let (sender, _events) = channel(1);
    let is_overrun = AtomicBool::new(false);
    for (count, expected) in [(1, false), (2, true)] {
        let kind = EventKind::Create(CreateKind::File);
        let event = Event::new(kind).add_path(path("a"));
        send(Ok(event), &sender, &is_overrun);
        assert_eq!(is_overrun.load(Ordering::Relaxed), expected, "after {count} events");
    }
}

#[test]
fn a_path_becomes_a_key() {
    for (name, given, expected) in [
        ("a file", "/in/a.json", Ok("a.json")),
        ("a file further down", "/in/x/y/a b.json", Ok("x/y/a b.json")),
        ("the folder itself", "/in", Ok("")),
        ("a file elsewhere", "/out/a", Err(Oddity::Foreign)),
    ] {
        let found = key(Path::new(given), Path::new("/in"));
        assert_eq!(found, expected.map(str::to_owned), "{name}");
    }
}

/// A clock that lets no time pass: whoever waits, waits for the system.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Sleep<'_> {
        Box::pin(std::future::pending())
    }
}

/// Receives until a place is told of.
async fn until(watch: &mut Watch, expected: &Place) {
    let told = async {
        while !watch
            .receive(Duration::ZERO)
            .await
            .expect("hints")
            .iter()
            .any(|hint| hint.places.contains(expected))
        {}
    };
    // Only a test that fails takes this long.
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, told).await.unwrap_or_else(|_| panic!("{expected:?}"));
}

#[tokio::test]
async fn files_written_linked_and_moved_in_are_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere =
        tempfile::tempdir_in(folder.path().parent().expect("a parent")).expect("another");
    let mut watch = open(folder.path(), Arc::new(Still)).expect("a watch");
    let object = |name: &str| Place::Object(name.to_owned());

    std::fs::write(folder.path().join("written"), "x").expect("a file");
    until(&mut watch, &object("written")).await;
    std::fs::write(folder.path().join("empty"), "").expect("a file");
    until(&mut watch, &object("empty")).await;
    std::fs::hard_link(folder.path().join("written"), folder.path().join("linked"))
        .expect("a link");
    until(&mut watch, &object("linked")).await;
    std::fs::rename(folder.path().join("linked"), folder.path().join("renamed")).expect("a name");
    until(&mut watch, &object("renamed")).await;

    std::fs::write(elsewhere.path().join("inside"), "x").expect("a file");
    std::fs::rename(elsewhere.path(), folder.path().join("moved")).expect("a folder");
    until(&mut watch, &Place::Folder("moved".to_owned())).await;
    std::fs::create_dir(folder.path().join("made")).expect("a folder");
    until(&mut watch, &Place::Folder("made".to_owned())).await;
    std::fs::write(folder.path().join("made/late"), "x").expect("a file");
    until(&mut watch, &object("made/late")).await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_no_source() {
    let error = open(Path::new("/nowhere/at/all"), Arc::new(Still)).expect_err("no folder");
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

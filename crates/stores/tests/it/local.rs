//! A local folder is its owner's alone and has no way out.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path as FilePath,
    sync::Arc,
};

use futures::TryStreamExt;
use model::ErrorKind;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, path::Path};
use stores::{Durability, FixedOptions, Opened, Trouble, store_kind};

use crate::services::SystemClock;

async fn open(folder: &FilePath, durability: Durability) -> Opened {
    let address = folder.to_str().expect("a temporary folder has a plain name");
    let options = Arc::new(FixedOptions::default());
    stores::open(address, options, durability, Arc::new(SystemClock)).await.expect("opening")
}

fn mode(path: &FilePath) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_folder_is_its_owners_alone_and_an_old_one_stays_as_it_is() {
    let place = tempfile::tempdir().expect("a folder");
    for durability in [Durability::Process, Durability::Power] {
        let above = place.path().join(format!("{durability:?}"));
        let folder = above.join("lake");
        open(&folder, durability).await;
        assert_eq!((mode(&above), mode(&folder)), (0o700, 0o700), "{durability:?}");
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o750)).expect("sharing it");
        open(&folder, durability).await;
        assert_eq!(mode(&folder), 0o750, "{durability:?}: the operator shared it");
    }
}

fn check_refused<T: std::fmt::Debug>(what: &str, outcome: object_store::Result<T>) {
    let error = outcome.expect_err(what);
    assert_eq!(Trouble::of(&error), Some(Trouble::SymbolicLink), "{what}: {error:?}");
    assert_eq!(store_kind(&error), ErrorKind::Config, "{what}");
}

#[tokio::test]
async fn a_link_leads_nowhere() {
    for durability in [Durability::Process, Durability::Power] {
        let place = tempfile::tempdir().expect("a folder");
        let (folder, outside) = (place.path().join("lake"), place.path().join("outside"));
        let opened = open(&folder, durability).await;
        fs::create_dir(&outside).expect("a folder outside");
        fs::write(outside.join("file"), "theirs").expect("a file outside");
        symlink(&outside, folder.join("out")).expect("a link to a folder");
        symlink(outside.join("file"), folder.join("file")).expect("a link to a file");
        symlink(outside.join("new"), folder.join("new")).expect("a link to nothing");
        opened.store.put(&Path::from("mine"), "mine".into()).await.expect("an object of ours");
        let mine = Path::from("mine");
        let url = opened.url.path().trim_matches('/').to_owned();
        for key in ["out/file", "out/new", "file", "new"] {
            refuses_everything(&opened.store, &Path::from(key), &mine).await;
            let whole = Path::from(format!("{url}/{key}"));
            let mine = Path::from(format!("{url}/mine"));
            refuses_everything(&opened.root, &whole, &mine).await;
        }
        let out = Path::from("out");
        check_refused("listing", opened.store.list_with_delimiter(Some(&out)).await);
        check_refused("listing", opened.store.list(Some(&out)).try_collect::<Vec<_>>().await);
        assert_eq!(fs::read_to_string(outside.join("file")).expect("still there"), "theirs");
        let left: Vec<_> = fs::read_dir(&outside).expect("still there").collect();
        assert_eq!(left.len(), 1, "{durability:?}: nothing was written outside: {left:?}");
        assert_eq!(fs::read_to_string(folder.join("mine")).expect("still there"), "mine");
    }
}

async fn refuses_everything(store: &Arc<dyn ObjectStore>, at: &Path, mine: &Path) {
    check_refused("reading", store.get(at).await.map(drop));
    check_refused("asking", store.head(at).await);
    check_refused("reading a range", store.get_range(at, 0..1).await);
    check_refused("reading ranges", store.get_ranges(at, &[0..1, 1..2]).await);
    check_refused("creating", store.put_opts(at, "x".into(), PutMode::Create.into()).await);
    check_refused("writing", store.put(at, "x".into()).await);
    check_refused("uploading", store.put_multipart(at).await.map(drop));
    check_refused("deleting", store.delete(at).await);
    check_refused("copying from", store.copy(at, mine).await);
    check_refused("copying to", store.copy(mine, at).await);
    check_refused("renaming from", store.rename(at, mine).await);
    check_refused("renaming to", store.rename(mine, at).await);
}

#[tokio::test]
async fn the_root_reaches_the_folder_only() {
    let place = tempfile::tempdir().expect("a folder");
    let opened = open(&place.path().join("lake"), Durability::Process).await;
    fs::write(place.path().join("beside"), "theirs").expect("a file beside");
    let above = opened.url.join("..").expect("a URL");
    let beside = Path::from_url_path(above.join("beside").expect("a URL").path()).expect("a key");
    let read = opened.root.get(&beside).await.map(drop);
    assert!(matches!(read, Err(Error::PermissionDenied { .. })), "{read:?}");
    let written = opened.root.put(&beside, "ours".into()).await.map(drop);
    assert!(matches!(written, Err(Error::PermissionDenied { .. })), "{written:?}");
    assert_eq!(fs::read_to_string(place.path().join("beside")).expect("there"), "theirs");
}

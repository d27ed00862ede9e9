//! The corpus once more, without a search: what was found stays mended.

use std::{fs, panic::catch_unwind, path::Path};

/// Gives every file of a target's corpus to it; a panic says which one it was.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("is listed").path();
        let input = fs::read(&path).expect("is read");
        let ended = catch_unwind(|| target(&input));
        assert!(ended.is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(0 < count, "{} is empty", folder.display());
}

#[test]
fn decode() {
    replay("decode", fuzz::decode);
}

#[test]
fn infer() {
    replay("infer", fuzz::infer);
}

#[test]
fn landing() {
    replay("landing", fuzz::landing);
}

#[test]
fn options() {
    replay("options", fuzz::options);
}

#[test]
fn parquet() {
    replay("parquet", fuzz::parquet);
}

#[test]
fn plans() {
    replay("plans", fuzz::plans);
}

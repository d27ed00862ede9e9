//! The tables of `docs/auto-loader.md` are the registry's.

use std::{fs, path::Path};

use crate::files::options::{help, options, tables};

const BEGIN: &str = "<!-- options: written by the test the_document_has_every_option -->\n";
const END: &str = "<!-- options: end -->\n";

/// Set to anything, it makes the test write the tables: `MARKETLAKE_WRITE_DOCS=1 cargo test …`.
const WRITE: &str = "MARKETLAKE_WRITE_DOCS";

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that writes has to be asked to")]
fn the_document_has_every_option() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/auto-loader.md");
    let document = fs::read_to_string(&path).expect("docs/auto-loader.md");
    let (before, rest) = document.split_once(BEGIN).expect("the mark where the tables begin");
    let (found, after) = rest.split_once(END).expect("the mark where they end");
    let wanted = format!("\n{}\n", tables());
    if found != wanted && std::env::var(WRITE).is_ok() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("writes");
        return;
    }
    assert!(found == wanted, "docs/auto-loader.md is out of date; {WRITE}=1 writes it");
}

#[test]
fn the_help_has_every_option_once() {
    let help = help();
    for option in options() {
        let begin = format!("  {} ", option.name);
        assert_eq!(
            help.lines().filter(|line| line.starts_with(&begin)).count(),
            1,
            "{}",
            option.name
        );
    }
    assert!(help.starts_with("Options of every format:\n"), "{help}");
}

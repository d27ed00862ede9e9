//! Chores of the repository: `cargo xtask tidy`, `cargo xtask fix`, and `cargo ci`.
//!
//! Standard library only, so that the first use compiles in a second or two.
#![expect(clippy::print_stdout, reason = "a command line tool answers on standard output")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

mod ci;
mod tidy;

const USAGE: &str = "\
cargo xtask COMMAND
  ci      fmt, clippy, test, doc, tidy, deny: all that must hold before a push
  tidy    the rules of the repository that no other linter has
  fix     let rustfmt and clippy mend what they can
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let is_done = match arguments.as_slice() {
        ["ci"] => ci::run(&root()),
        ["fix"] => ci::fix(&root()),
        ["tidy"] => tidy::run(&root()),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            true
        }
        _ => {
            print!("no such command\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folder of the workspace; this package lies directly in it.
///
/// Asked of cargo at run time: two checkouts that share a build folder may share this program.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_path_buf)
}

//! Every rule over the whole repository, one test for each group.

use std::fmt::Write as _;

use super::{Check, decisions, documents, files, manifests, messages, settings, sources};
use crate::{root, tidy::Repository};

#[track_caller]
fn check(rules: Check) {
    let repository = Repository::read(&root()).unwrap();
    assert!(repository.files.len() > 100, "only {} files seen", repository.files.len());
    let mut found = String::new();
    for breach in rules(&repository) {
        writeln!(found, "{breach}").unwrap();
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn sources_are_tidy() {
    check(sources::check);
}

#[test]
fn messages_have_one_grammar() {
    check(messages::check);
}

#[test]
fn crates_depend_only_on_what_they_may() {
    check(manifests::check);
}

#[test]
fn every_setting_is_explained() {
    check(settings::check);
}

#[test]
fn files_are_small_and_of_known_kinds() {
    check(files::check);
}

#[test]
fn documents_name_only_what_exists() {
    check(documents::check);
}

#[test]
fn decisions_are_whole() {
    check(decisions::check);
}

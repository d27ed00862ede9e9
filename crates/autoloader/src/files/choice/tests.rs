//! Each documented rule about which files a batch takes, one row each, and properties of all.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    files::{
        plan::{FORMAT, FileOutcome, FilePlan, Outcome, SetAside},
        seen::Status,
    },
    target::BatchId,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("a time")
}

/// A file of ten bytes; its etag follows its text.
fn file(path: &str, seconds: i64, etag: &str) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        size: 10,
        modified: at(seconds),
        etag: Some(etag.to_owned()),
        version: None,
    }
}

fn listed(files: &[SourceFile]) -> Vec<Candidate> {
    let candidate = |file: &SourceFile| Candidate { file: file.clone(), found: Found::Listing };
    files.iter().map(candidate).collect()
}

fn discovery() -> Discovery {
    Discovery { age_min: Duration::ZERO, ..Discovery::default() }
}

const ALL: Limits = Limits { files_max: 1_000, bytes_max: None };

/// A stream that planned `files` as batch 0 and made of each what `outcome` says.
fn seen(files: &[SourceFile], outcome: &FileOutcome) -> Seen {
    let planned = |file: &SourceFile| PlannedFile {
        file: file.clone(),
        action: Action::Append,
        found: Found::Listing,
        failures: 0,
    };
    let plan = plan(0, files.iter().map(planned).collect());
    let mut seen = Seen::default();
    seen.settle(&plan, &decided(&plan, outcome));
    seen
}

fn plan(batch: u64, files: Vec<PlannedFile>) -> FilePlan {
    FilePlan {
        format: FORMAT,
        release: "0".to_owned(),
        stream: "s".to_owned(),
        batch: BatchId(batch),
        planned_at: at(100),
        found_at: None,
        files,
    }
}

/// The outcome of a plan whose files all came to the same.
fn decided(plan: &FilePlan, found: &FileOutcome) -> Outcome {
    let files = plan.files.iter().map(|planned| (planned.file.path.clone(), found.clone()));
    Outcome {
        format: FORMAT,
        batch: plan.batch,
        decided_at: at(101),
        schema_version: Some(0),
        files: files.collect(),
        rows: None,
        quarantine: None,
    }
}

fn loaded(files: &[SourceFile]) -> Seen {
    seen(files, &FileOutcome { rows: 3, ..FileOutcome::default() })
}

fn failed(files: &[SourceFile], why: SetAside) -> Seen {
    seen(files, &FileOutcome { set_aside: Some(why), ..FileOutcome::default() })
}

struct Case {
    name: &'static str,
    seen: Seen,
    found: Vec<SourceFile>,
    discovery: Discovery,
    overwrites: Overwrites,
    limits: Limits,
    /// Paths and what is done with them.
    expected: Vec<(&'static str, Action)>,
}

impl Case {
    fn new(name: &'static str, seen: Seen, found: Vec<SourceFile>) -> Self {
        let (discovery, limits) = (discovery(), ALL);
        let overwrites = Overwrites::Ignore;
        Self { name, seen, found, discovery, overwrites, limits, expected: Vec::new() }
    }

    fn expect(mut self, expected: &[(&'static str, Action)]) -> Self {
        self.expected = expected.to_vec();
        self
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn files_are_chosen_as_documented() {
    use Action::{Append, Replace};

    let (a, b, c) = (file("a", 1, "1"), file("b", 2, "1"), file("c", 3, "1"));
    let a2 = file("a", 9, "2");
    let both = || vec![a.clone(), b.clone()];
    let with_overwrites = |case: Case, overwrites| Case { overwrites, ..case };
    let with_limits =
        |case: Case, files_max, bytes_max| Case { limits: Limits { files_max, bytes_max }, ..case };
    let with_discovery = |case: Case, change: fn(&mut Discovery)| {
        let mut case = case;
        change(&mut case.discovery);
        case
    };
    let cases = [
        Case::new("a file is processed once", loaded(&both()), both()),
        Case::new("a new file is processed", loaded(&both()), vec![a.clone(), c.clone()])
            .expect(&[("c", Append)]),
        Case::new("a listing that names a path twice counts the newest", Seen::default(), {
            vec![a2.clone(), a.clone()]
        })
        .expect(&[("a", Append)]),
        Case::new(
            "an overwritten file is left alone by default",
            loaded(&both()),
            vec![a2.clone()],
        ),
        with_overwrites(
            Case::new("allowOverwrites appends it whole", loaded(&both()), vec![a2.clone()]),
            Overwrites::Append,
        )
        .expect(&[("a", Append)]),
        with_overwrites(
            Case::new("replace swaps its rows", loaded(&both()), vec![a2.clone()]),
            Overwrites::Replace,
        )
        .expect(&[("a", Replace)]),
        with_overwrites(
            Case::new("the same bytes written again are no overwrite", loaded(&both()), {
                vec![file("a", 99, "1")]
            }),
            Overwrites::Append,
        ),
        with_overwrites(
            Case::new(
                "without etags another time is an overwrite",
                loaded(&[SourceFile { etag: None, ..a.clone() }]),
                vec![SourceFile { etag: None, ..file("a", 5, "") }],
            ),
            Overwrites::Append,
        )
        .expect(&[("a", Append)]),
        with_limits(Case::new("maxFilesPerTrigger is hard", Seen::default(), both()), 1, None)
            .expect(&[("a", Append)]),
        with_limits(
            Case::new("maxBytesPerTrigger is soft", Seen::default(), {
                vec![a.clone(), b.clone(), c.clone()]
            }),
            1_000,
            Some(15),
        )
        .expect(&[("a", Append), ("b", Append)]),
        with_limits(Case::new("the lower limit wins", Seen::default(), both()), 1, Some(1_000))
            .expect(&[("a", Append)]),
        with_limits(Case::new("at least one file is taken", Seen::default(), both()), 1, Some(0))
            .expect(&[("a", Append)]),
        Case::new("the oldest file comes first", Seen::default(), vec![c.clone(), b.clone()])
            .expect(&[("b", Append), ("c", Append)]),
        with_discovery(
            Case::new("modifiedAfter is exclusive", Seen::default(), both()),
            |discovery| {
                discovery.modified_after = Some(at(1));
            },
        )
        .expect(&[("b", Append)]),
        with_discovery(
            Case::new("modifiedBefore is exclusive", Seen::default(), both()),
            |discovery| {
                discovery.modified_before = Some(at(2));
            },
        )
        .expect(&[("a", Append)]),
        with_discovery(
            Case::new("a file that may still be written to waits", Seen::default(), {
                vec![a.clone(), file("late", 95, "1")]
            }),
            |discovery| {
                discovery.age_min = Duration::from_secs(10);
            },
        )
        .expect(&[("a", Append)]),
        Case::new("a file that failed is tried again", failed(&both(), SetAside::Failed), {
            vec![a.clone()]
        })
        .expect(&[("a", Append)]),
        Case::new("a poisoned file is not tried again", failed(&both(), SetAside::Poisoned), {
            vec![a.clone()]
        }),
        Case::new("a poisoned file that was repaired is", failed(&both(), SetAside::Poisoned), {
            vec![a2.clone()]
        })
        .expect(&[("a", Append)]),
        Case::new(
            "a file that was missing and is back is new",
            failed(&both(), SetAside::Missing),
            vec![a.clone()],
        )
        .expect(&[("a", Append)]),
        Case::new(
            "a file that changed under the reader is taken as it is now",
            failed(&both(), SetAside::Changed),
            vec![a2.clone()],
        )
        .expect(&[("a", Append)]),
    ];
    for Case { name, seen, found, discovery, overwrites, limits, expected } in cases {
        let rules = Rules { discovery: &discovery, overwrites, limits, now: at(100) };
        let choice = choose(&listed(&found), &seen, rules);
        let chosen: Vec<_> =
            choice.files.iter().map(|chosen| (chosen.file.path.as_str(), chosen.action)).collect();
        assert_eq!(chosen, expected, "{name}");
    }
}

#[test]
fn what_is_not_chosen_is_told() {
    let (a, b) = (file("a", 1, "1"), file("b", 95, "1"));
    let seen = loaded(std::slice::from_ref(&a));
    let discovery = Discovery { age_min: Duration::from_secs(10), ..discovery() };
    let rules =
        Rules { discovery: &discovery, overwrites: Overwrites::Fail, limits: ALL, now: at(100) };
    let choice = choose(&listed(&[file("a", 2, "2"), b]), &seen, rules);
    assert_eq!(choice.refused.as_deref(), Some("a"));
    assert_eq!(choice.overwritten, ["a"]);
    assert_eq!(choice.ripe_at, Some(at(105)));
    let limits = Limits { files_max: 1, bytes_max: None };
    let rules = Rules { limits, overwrites: Overwrites::Ignore, ..rules };
    let many = [file("x", 1, "1"), file("y", 2, "1"), file("z", 3, "1")];
    assert_eq!(choose(&listed(&many), &seen, rules).waiting, (2, 20));
}

#[test]
fn failures_are_counted_until_a_file_is_poisoned() {
    let a = file("a", 1, "1");
    let mut seen = failed(std::slice::from_ref(&a), SetAside::Failed);
    let rules = Rules {
        discovery: &discovery(),
        overwrites: Overwrites::Ignore,
        limits: ALL,
        now: at(100),
    };
    let again = choose(&listed(std::slice::from_ref(&a)), &seen, rules);
    assert_eq!((again.files[0].found, again.files[0].failures), (Found::Retry, 1));
    let plan = plan(1, again.files);
    let bad = FileOutcome { set_aside: Some(SetAside::Poisoned), ..FileOutcome::default() };
    seen.settle(&plan, &decided(&plan, &bad));
    let known = seen.get("a").expect("known");
    assert_eq!((known.status, known.failures), (Status::Poisoned, 2));
    // What was settled before changes nothing when it is read again.
    let before = seen.clone();
    seen.settle(&plan, &decided(&plan, &bad));
    assert_eq!(seen, before);
}

proptest! {
    /// What is asked for comes in its order, a path once in a batch, and all of it in the end.
    #[test]
    fn wishes_come_in_their_order(
        paths in prop::collection::vec(("[a-c]", any::<bool>()), 0..12),
        files_max in 0_usize..4,
    ) {
        let wish = |(path, is_backfill): &(String, bool)| PlannedFile {
            file: file(path, 0, "1"),
            action: Action::Replace,
            found: if *is_backfill { Found::Backfill } else { Found::Command },
            failures: 0,
        };
        let mut asked: Vec<PlannedFile> = paths.iter().map(wish).collect();
        let limits = Limits { files_max, bytes_max: None };
        while !asked.is_empty() {
            let chosen = choose_asked(&asked, limits);
            prop_assert!(!chosen.is_empty());
            prop_assert_eq!(&chosen[..], &asked[..chosen.len()]);
            let paths: BTreeSet<_> = chosen.iter().map(|chosen| &chosen.file.path).collect();
            prop_assert_eq!(paths.len(), chosen.len());
            let backfilled = chosen.iter().filter(|file| file.found == Found::Backfill).count();
            prop_assert!(backfilled <= files_max.max(1));
            asked.drain(..chosen.len());
        }
    }

    /// Batch after batch takes every file once, whatever the order of listings and the limits.
    #[test]
    fn batches_take_every_file_once(
        mut files in prop::collection::btree_map("[a-e]{1,3}", (0_i64..50, 0_u64..40), 0..20),
        files_max in 1_usize..5,
        bytes_max in prop::option::of(0_u64..60),
        order in any::<prop::sample::Index>(),
    ) {
        let found: Vec<SourceFile> = std::mem::take(&mut files)
            .into_iter()
            .map(|(path, (modified, size))| SourceFile { size, ..file(&path, modified, "1") })
            .collect();
        let mut candidates = listed(&found);
        if !candidates.is_empty() {
            let at = order.index(candidates.len());
            candidates.rotate_left(at);
        }
        let discovery = discovery();
        let limits = Limits { files_max, bytes_max };
        let rules =
            Rules { discovery: &discovery, overwrites: Overwrites::Ignore, limits, now: at(100) };
        let mut seen = Seen::default();
        let mut taken = BTreeSet::new();
        for batch in 0..=found.len() as u64 {
            let choice = choose(&candidates, &seen, rules);
            prop_assert!(choice.files.len() <= files_max);
            if choice.files.is_empty() {
                break;
            }
            for chosen in &choice.files {
                prop_assert!(taken.insert(chosen.file.path.clone()), "twice");
            }
            let left = u64::try_from(found.len() - taken.len()).unwrap();
            prop_assert_eq!(choice.waiting.0, left);
            seen.plan(&plan(batch, choice.files));
        }
        prop_assert_eq!(taken.len(), found.len());
    }

    /// A backlog that batches are taken from says the same as one that is sorted anew, whatever
    /// others plan meanwhile and wherever the clock goes.
    #[test]
    fn a_backlog_says_what_a_fresh_look_would(
        files in prop::collection::btree_map("[a-e]{1,2}", (0_i64..50, 0_u64..40), 0..20),
        steps in prop::collection::vec(("[a-e]{1,2}", 0_i64..60, any::<bool>()), 0..20),
        files_max in 1_usize..4,
    ) {
        let found: Vec<SourceFile> = files
            .into_iter()
            .map(|(path, (modified, size))| SourceFile { size, ..file(&path, modified, "1") })
            .collect();
        let discovery = Discovery { age_min: Duration::from_secs(5), ..discovery() };
        let limits = Limits { files_max, bytes_max: None };
        let overwrites = Overwrites::Fail;
        let mut seen = loaded(&[file("a", 0, "0"), file("bb", 1, "0")]);
        let rules = |now| Rules { discovery: &discovery, overwrites, limits, now: at(now) };
        let mut backlog = Backlog::new(listed(&found), &seen, rules(0));
        for (batch, (path, now, is_own)) in (1..).zip(steps) {
            let choice = backlog.choose(&seen, rules(now));
            let fresh = choose(&listed(&found), &seen, rules(now));
            let overwritten: Vec<String> = backlog.overwritten().iter().cloned().collect();
            // A file that was planned is no news to the fresh one, or overwritten for good.
            prop_assert_eq!(&choice.files, &fresh.files);
            prop_assert_eq!((choice.waiting, choice.ripe_at), (fresh.waiting, fresh.ripe_at));
            prop_assert!(overwritten.iter().all(|path| fresh.overwritten.contains(path)));
            prop_assert_eq!(choice.refused, overwritten.first().cloned());
            let files = if is_own { choice.files } else {
                vec![PlannedFile {
                    file: found.iter().find(|found| found.path == path).cloned()
                        .unwrap_or_else(|| file(&path, 1, "1")),
                    action: Action::Append,
                    found: Found::Command,
                    failures: 0,
                }]
            };
            let plan = plan(batch, files);
            plan.files.iter().for_each(|planned| backlog.forget(&planned.file.path));
            seen.plan(&plan);
        }
    }
}

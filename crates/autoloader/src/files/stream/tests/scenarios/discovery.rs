//! Which files a stream takes, when, and how many at a time.

use std::time::Duration;

use super::{
    ONE, ONE_A_BATCH, OTHER, Scenario,
    Step::{Again, Load, Put, Stands, Stops, Told, Waits},
    TWO, WITHOUT_EXISTING, play, row,
};
use crate::files::{
    options::{LoadTrigger, Overwrites},
    stream::tests::world::at,
};

const DISCOVERY: &[Scenario] = &[
    row(
        "a folder is loaded once; a run with nothing to do commits nothing",
        Overwrites::Ignore,
        &[Put("x", 1, TWO), Put("d/y", 2, ONE), Load(1), Load(0)],
        "d/y:a1 x:a1,a2",
    ),
    row("an empty folder commits nothing", Overwrites::Ignore, &[Load(0)], ""),
    row(
        "an empty file is loaded, with no rows",
        Overwrites::Ignore,
        &[Put("x", 1, &[]), Load(1), Stands("x", "loaded"), Load(0)],
        "",
    ),
    row(
        "a later file is a batch of its own",
        Overwrites::Ignore,
        &[Put("x", 1, ONE), Load(1), Put("y", 2, ONE), Load(1)],
        "x:a1 y:a1",
    ),
    row(
        "a file that comes late with an old name and time is found",
        Overwrites::Ignore,
        &[Put("x", 9, ONE), Load(1), Put("b", 1, ONE), Load(1)],
        "b:a1 x:a1",
    ),
    row(
        "files of the same second are all found",
        Overwrites::Ignore,
        &[Put("x", 9, ONE), Load(1), Put("y", 9, ONE), Load(1)],
        "x:a1 y:a1",
    ),
    row(
        "maxFilesPerTrigger: batches of so many files",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.limits.files_max = 2),
            Put("a", 1, ONE),
            Put("b", 2, ONE),
            Put("c", 3, ONE),
            Load(2),
        ],
        "a:a1 b:a1 c:a1",
    ),
    row(
        "maxFilesPerTrigger 0 still takes a file",
        Overwrites::Ignore,
        &[Told(|m| m.config.limits.files_max = 0), Put("a", 1, ONE), Put("b", 2, ONE), Load(2)],
        "a:a1 b:a1",
    ),
    row(
        "maxBytesPerTrigger is soft: the file that passes it is taken",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.limits.bytes_max = Some(3)),
            Put("a", 1, TWO),
            Put("b", 2, TWO),
            Put("c", 3, TWO),
            Load(2),
        ],
        "a:a1,a2 b:a1,a2 c:a1,a2",
    ),
    row(
        "availableNow: what comes after the first look waits for the next run",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Put("b", 2, ONE), Again(0), Stands("b", "unknown"), Load(1)],
        "a:a1 b:a1",
    ),
    row(
        "availableNow obeys the limits",
        Overwrites::Ignore,
        &[ONE_A_BATCH, Put("a", 1, ONE), Put("b", 1, ONE), Load(2), Again(0)],
        "a:a1 b:a1",
    ),
    row(
        "processingTime: the same process finds what comes later",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.trigger = LoadTrigger::ProcessingTime(Duration::from_secs(1))),
            Put("a", 1, ONE),
            Load(1),
            Put("b", 2, ONE),
            Again(1),
            Again(0),
        ],
        "a:a1 b:a1",
    ),
    row(
        "includeExistingFiles=false: what is there is only remembered",
        Overwrites::Ignore,
        &[
            WITHOUT_EXISTING,
            Put("a", 1, ONE),
            Load(1),
            Stands("a", "skipped"),
            Put("b", 2, ONE),
            Load(1),
            Load(0),
        ],
        "b:a1",
    ),
    row(
        "includeExistingFiles=false in an empty folder: what comes next is new",
        Overwrites::Ignore,
        &[WITHOUT_EXISTING, Load(1), Put("b", 2, ONE), Load(1)],
        "b:a1",
    ),
    row(
        "includeExistingFiles=false: a file overwritten later is left alone by default",
        Overwrites::Ignore,
        &[WITHOUT_EXISTING, Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Load(0)],
        "",
    ),
    row(
        "includeExistingFiles=false: a file overwritten later is loaded by allowOverwrites",
        Overwrites::Append,
        &[WITHOUT_EXISTING, Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Load(1)],
        "a:a7",
    ),
    row(
        "includeExistingFiles=false: a file that is too young when it begins is existing too",
        Overwrites::Ignore,
        &[
            Told(|m| {
                m.config.discovery.includes_existing = false;
                m.config.discovery.age_min = Duration::from_secs(60);
            }),
            Put("a", 990, ONE),
            Load(1),
            Waits,
            Load(0),
        ],
        "",
    ),
    row(
        "an option of the first start that changes later is refused",
        Overwrites::Ignore,
        &[
            Told(|m| {
                m.config.pinned.insert("includeExistingFiles".to_owned(), "true".to_owned());
            }),
            Put("a", 1, ONE),
            Load(1),
            Told(|m| {
                m.config.pinned.insert("includeExistingFiles".to_owned(), "false".to_owned());
            }),
            Stops("includeExistingFiles: it was `true` and is `false`"),
        ],
        "a:a1",
    ),
    row(
        "a start that found nothing counts as the first",
        Overwrites::Ignore,
        &[
            Told(|m| {
                m.config.pinned.insert("includeExistingFiles".to_owned(), "true".to_owned());
            }),
            Load(0),
            Told(|m| {
                m.config.pinned.insert("includeExistingFiles".to_owned(), "false".to_owned());
            }),
            Stops("includeExistingFiles: it was `true` and is `false`"),
        ],
        "",
    ),
    row(
        "another source is refused",
        Overwrites::Ignore,
        &[
            Put("a", 1, ONE),
            Load(1),
            Told(|m| m.config.source = "s3://other/".to_owned()),
            Stops("it began with source `s3://bucket/source/`"),
        ],
        "a:a1",
    ),
    row(
        "minFileAge: a file that may still be written to waits",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.discovery.age_min = Duration::from_secs(60)),
            Put("old", 900, ONE),
            Put("young", 990, ONE),
            Load(1),
            Waits,
            Again(1),
        ],
        "old:a1 young:a1",
    ),
    row(
        "without minFileAge a store's clock ahead of ours does not matter",
        Overwrites::Ignore,
        &[Put("a", 9_999, ONE), Load(1)],
        "a:a1",
    ),
    row(
        "modifiedAfter leaves out what is older",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.discovery.modified_after = Some(at(5))),
            Put("a", 5, ONE),
            Put("b", 6, ONE),
            Load(1),
        ],
        "b:a1",
    ),
];

#[tokio::test]
async fn files_are_found_and_limited_as_documented() {
    play(DISCOVERY).await;
}

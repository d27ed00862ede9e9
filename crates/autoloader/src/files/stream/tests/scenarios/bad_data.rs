//! What becomes of broken records, broken files, and files that change under the reader.

use super::{
    BROKEN, ONE, ONE_A_BATCH, ONE_TRY, OTHER, Scenario,
    Step::{Bad, DiesDecided, DiesPlanned, Load, Put, Remove, Stands, Stops, Told},
    TWO, play, row,
};
use crate::files::{
    options::{Overwrites, ParseMode},
    stream::tests::ports::Growing,
};

const BAD_DATA: &[Scenario] = &[
    row(
        "a malformed record goes to quarantine, the others load",
        Overwrites::Ignore,
        &[Put("a", 1, &["a=1", "!", "a=3"]), Load(1), Bad(1), Stands("a", "loaded")],
        "a:a1,a3",
    ),
    row(
        "DROPMALFORMED drops it",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.bad.mode = ParseMode::DropMalformed),
            Put("a", 1, &["a=1", "!", "a=3"]),
            Load(1),
            Bad(0),
        ],
        "a:a1,a3",
    ),
    row(
        "FAILFAST stops the stream and says where",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.bad.mode = ParseMode::FailFast),
            Put("a", 1, &["a=1", "!"]),
            Stops("file `a`, line 2, byte 2: no record; `mode` is FAILFAST"),
            Stops("FAILFAST"),
            Put("a", 2, ONE),
            Load(2),
        ],
        "a:a1",
    ),
    row(
        "a broken file is set aside, the others load",
        Overwrites::Ignore,
        &[
            Put("a", 1, &["#"]),
            Put("b", 1, ONE),
            Load(1),
            Stands("a", "failed"),
            Stands("b", "loaded"),
        ],
        "b:a1",
    ),
    row(
        "a file that breaks behind good rows leaves none of them",
        Overwrites::Ignore,
        &[
            Put("a", 1, &["a=1", "a=2", "a=3", "#"]),
            Put("b", 1, ONE),
            Load(1),
            Stands("a", "failed"),
        ],
        "b:a1",
    ),
    row(
        "a file that breaks behind bad records leaves none in quarantine",
        Overwrites::Ignore,
        &[Put("a", 1, &["!", "a=2", "a=3", "#"]), Put("b", 1, &["!"]), Load(1), Bad(1)],
        "",
    ),
    row(
        "several files that break behind good rows leave the others whole",
        Overwrites::Ignore,
        &[
            Put("a", 1, BROKEN),
            Put("b", 1, TWO),
            Put("c", 1, BROKEN),
            Put("d", 1, TWO),
            Put("e", 1, BROKEN),
            Load(1),
        ],
        "b:a1,a2 d:a1,a2",
    ),
    row(
        "a batch whose every file is broken is a batch, and the stream goes on",
        Overwrites::Ignore,
        &[Put("a", 1, BROKEN), Put("b", 1, &["#"]), Load(1), Put("c", 2, ONE), Load(1)],
        "c:a1",
    ),
    row(
        "a broken file is tried again, and poisoned after maxFileFailures",
        Overwrites::Ignore,
        &[
            Put("a", 1, BROKEN),
            Load(1),
            Stands("a", "failed"),
            Load(1),
            Stands("a", "failed"),
            Load(1),
            Stands("a", "poisoned"),
            Load(0),
            Stands("a", "poisoned"),
        ],
        "",
    ),
    row(
        "a file that recovers before it is poisoned is loaded",
        Overwrites::Ignore,
        &[Put("a", 1, BROKEN), Load(1), Put("a", 2, ONE), Load(1), Stands("a", "loaded"), Load(0)],
        "a:a1",
    ),
    row(
        "a poisoned file that was mended is loaded, whatever the policy",
        Overwrites::Ignore,
        &[
            ONE_TRY,
            Put("a", 1, BROKEN),
            Load(1),
            Stands("a", "poisoned"),
            Put("a", 2, ONE),
            Load(1),
        ],
        "a:a1",
    ),
    row(
        "ignoreCorruptFiles passes a broken file over for good",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.bad.is_corrupt_ignored = true),
            Put("a", 1, BROKEN),
            Put("b", 1, ONE),
            Load(1),
            Stands("a", "skipped"),
            Load(0),
        ],
        "b:a1",
    ),
    row(
        "a file that kills its reader is set aside like any broken one",
        Overwrites::Ignore,
        &[Put("a", 1, &["panic=1"]), Put("b", 1, ONE), Load(1), Stands("a", "failed")],
        "b:a1",
    ),
    row(
        "a planned file that is gone is noted, and loaded when it is back",
        Overwrites::Ignore,
        &[
            Put("a", 1, ONE),
            Put("b", 1, ONE),
            DiesPlanned,
            Remove("a"),
            Load(1),
            Stands("a", "missing"),
            Put("a", 2, OTHER),
            Load(1),
        ],
        "a:a7 b:a1",
    ),
    row(
        "a planned file that was overwritten is loaded as it is now",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), DiesPlanned, Put("a", 2, OTHER), Load(2), Stands("a", "loaded")],
        "a:a7",
    ),
    row(
        "a decided batch needs its files no more: removed",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), DiesDecided, Remove("a"), Load(1), Stands("a", "loaded")],
        "a:a1",
    ),
    row(
        "a decided batch needs its files no more: overwritten",
        Overwrites::Replace,
        &[Put("a", 1, ONE), DiesDecided, Put("a", 2, OTHER), Load(2)],
        "a:a7",
    ),
    row(
        "a decided batch is the same under other options",
        Overwrites::Ignore,
        &[
            Put("a", 1, &["!", "a=2", "b=1"]),
            DiesDecided,
            Told(|m| {
                m.config.bad.mode = ParseMode::FailFast;
                m.growing = Growing::Rescue;
            }),
            Load(1),
            Bad(1),
        ],
        "a:a2,b1",
    ),
    row(
        "a plan is the same under other limits",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Put("b", 1, ONE), DiesPlanned, ONE_A_BATCH, Load(1)],
        "a:a1 b:a1",
    ),
];

#[tokio::test]
async fn bad_records_and_files_are_isolated_and_never_forgotten() {
    play(BAD_DATA).await;
}

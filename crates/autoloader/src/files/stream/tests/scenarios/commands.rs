//! What people ask for: redrive, replay, undo, import.

use super::{
    BROKEN, ONE, ONE_A_BATCH, ONE_TRY, OTHER, Scenario,
    Step::{Import, Load, Put, Redrive, Refuses, Remove, Replay, Stands, Told, Undo},
    TWO, WITHOUT_EXISTING, play, row,
};
use crate::files::options::Overwrites;

const COMMANDS: &[Scenario] = &[
    row(
        "undo takes the rows of a file away",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Put("b", 1, ONE), Load(1), Undo("a", 1), Stands("a", "undone")],
        "b:a1",
    ),
    row(
        "an undone file is not loaded again",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Undo("a", 1), Load(0)],
        "",
    ),
    row(
        "an undone file is replayed",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Undo("a", 1), Replay("a", 1), Stands("a", "loaded")],
        "a:a1",
    ),
    row(
        "undo takes all versions of a file away",
        Overwrites::Append,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Load(1), Undo("a", 1)],
        "",
    ),
    row(
        "undo of a file without rows does nothing",
        Overwrites::Ignore,
        &[Put("a", 1, BROKEN), Load(1), Undo("a", 1), Stands("a", "failed")],
        "",
    ),
    row(
        "replay leaves one set of rows",
        Overwrites::Ignore,
        &[Put("a", 1, TWO), Load(1), Replay("a", 1), Replay("a", 1)],
        "a:a1,a2",
    ),
    row(
        "replay that would lose rows of an older version is refused",
        Overwrites::Append,
        &[
            Put("a", 1, ONE),
            Load(1),
            Put("a", 2, OTHER),
            Load(1),
            Refuses("a", "`a` and 0 more have rows of several versions"),
            Load(0),
        ],
        "a:a1,a7",
    ),
    row(
        "and after an undo the newest is read again",
        Overwrites::Append,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Load(1), Undo("a", 1), Replay("a", 1)],
        "a:a7",
    ),
    row(
        "replay of many files is one transaction",
        Overwrites::Ignore,
        &[ONE_A_BATCH, Put("xa", 1, ONE), Put("xb", 1, ONE), Load(2), Replay("x", 1), Undo("x", 1)],
        "",
    ),
    row(
        "replay of a file that is gone keeps its rows",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Remove("a"), Replay("a", 1), Stands("a", "missing")],
        "a:a1",
    ),
    row(
        "replay of a file that was overwritten takes it as it is now",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Replay("a", 2)],
        "a:a7",
    ),
    row(
        "replay of an existing file that was left out loads it",
        Overwrites::Ignore,
        &[WITHOUT_EXISTING, Put("a", 1, ONE), Load(1), Replay("a", 1)],
        "a:a1",
    ),
    row(
        "redrive tries a poisoned file again",
        Overwrites::Ignore,
        &[
            ONE_TRY,
            Put("a", 1, BROKEN),
            Load(1),
            Stands("a", "poisoned"),
            Redrive("a", 1),
            Stands("a", "poisoned"),
            Load(0),
        ],
        "",
    ),
    row(
        "redrive counts failures from the beginning",
        Overwrites::Ignore,
        &[
            Put("a", 1, BROKEN),
            Load(1),
            Load(1),
            Load(1),
            Stands("a", "poisoned"),
            Redrive("a", 2),
            Stands("a", "failed"),
        ],
        "",
    ),
    row(
        "redrive of a passed over file reads it",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.bad.is_corrupt_ignored = true),
            Put("a", 1, BROKEN),
            Load(1),
            Told(|m| m.config.bad.is_corrupt_ignored = false),
            Redrive("a", 2),
            Stands("a", "failed"),
        ],
        "",
    ),
    row(
        "redrive finds nothing among loaded files",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Redrive("a", 0)],
        "a:a1",
    ),
    row(
        "import: a list of another loader is remembered and not read",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Put("b", 1, ONE), Import("path\na\n", 2), Stands("a", "skipped")],
        "b:a1",
    ),
    row(
        "import: a file that changed since is an overwritten one",
        Overwrites::Replace,
        &[
            Put("a", 1, ONE),
            Put("b", 1, TWO),
            Import("path,size\na,99\nb,2\n", 2),
            Stands("b", "skipped"),
            Stands("a", "loaded"),
        ],
        "a:a1",
    ),
    row(
        "import: a file that is not there yet counts as seen",
        Overwrites::Ignore,
        &[
            Import("{\"path\":\"s3://bucket/source/a\"}", 1),
            Put("a", 1, ONE),
            Load(0),
            Stands("a", "skipped"),
        ],
        "",
    ),
    row(
        "undo without a metadata column is refused",
        Overwrites::Ignore,
        &[
            Told(|m| m.config.keeps_metadata = false),
            Put("a", 1, ONE),
            Load(1),
            Stands("a", "loaded"),
        ],
        "a:a1",
    ),
];

#[tokio::test]
async fn people_redrive_replay_undo_and_import() {
    play(COMMANDS).await;
}

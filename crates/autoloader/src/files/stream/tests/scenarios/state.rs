//! What a stream makes of its state and table after a restart.

use super::{
    ONE, ONE_A_BATCH, Scenario,
    Step::{Load, Lost, Put, Restored, Stands, Stops},
    play, row,
};
use crate::files::options::Overwrites;

const STATE: &[Scenario] = &[
    row(
        "a table that was restored to an earlier batch is repeated from its outcomes",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Put("b", 2, ONE), Load(1), Restored(1), Load(1), Load(0)],
        "a:a1 b:a1",
    ),
    row(
        "a table that goes back under a running stream stops it",
        Overwrites::Ignore,
        &[
            Put("a", 1, ONE),
            Load(1),
            Restored(0),
            Stands("a", "stops: bring back the one that belongs"),
        ],
        "",
    ),
    row(
        "a table with batches that no state tells of is refused",
        Overwrites::Ignore,
        &[
            Put("a", 1, ONE),
            Load(1),
            Lost("s/outcomes/0.json"),
            Stops("no plan and outcome say what that was"),
        ],
        "a:a1",
    ),
    row(
        "snapshots save reading the plans before them",
        Overwrites::Ignore,
        &[
            ONE_A_BATCH,
            Put("a", 1, ONE),
            Put("b", 2, ONE),
            Put("c", 3, ONE),
            Put("d", 4, ONE),
            Put("e", 5, ONE),
            Load(5),
            Lost("s/offsets/0.json"),
            Lost("s/outcomes/2.json"),
            Stands("a", "loaded"),
            Load(0),
        ],
        "a:a1 b:a1 c:a1 d:a1 e:a1",
    ),
    row(
        "a snapshot that cannot be read is no loss while the plans are there",
        Overwrites::Ignore,
        &[
            ONE_A_BATCH,
            Put("a", 1, ONE),
            Put("b", 2, ONE),
            Put("c", 3, ONE),
            Put("d", 4, ONE),
            Put("e", 5, ONE),
            Load(5),
            Lost("s/seen/3.ndjson.zst"),
            Stands("a", "loaded"),
            Load(0),
        ],
        "a:a1 b:a1 c:a1 d:a1 e:a1",
    ),
];

#[tokio::test]
async fn state_and_table_belong_together() {
    play(STATE).await;
}

//! What new columns do to a stream, and what they bring back.

use super::{
    EVOLVE, ONE, OTHER, RESCUE, Scenario,
    Step::{Load, Put, Remove, Stands, Stops, Told, Undo},
    WITH_B, play, row,
};
use crate::files::{options::Overwrites, stream::tests::ports::Growing};

const COLUMNS: &[Scenario] = &[
    row(
        "evolve: a new column comes without a stop",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Put("b", 2, WITH_B), Load(1)],
        "a:a1 b:a3b4",
    ),
    row(
        "evolve: several new columns in one batch",
        Overwrites::Ignore,
        &[Put("a", 1, WITH_B), Put("b", 2, &["a=1 c=1", "d=1"]), Load(1)],
        "a:a3b4 b:a1c1,d1",
    ),
    row(
        "addNewColumns: the stream stops once, and loses nothing",
        Overwrites::Ignore,
        &[Told(|m| m.growing = Growing::Stop), Put("a", 1, WITH_B), Stops("restart"), Load(1)],
        "a:a3b4",
    ),
    row(
        "rescue: the value is kept aside",
        Overwrites::Ignore,
        &[RESCUE, Put("a", 1, WITH_B), Load(1)],
        "a:a3(b4)",
    ),
    row(
        "evolve brings back what was rescued before its column came",
        Overwrites::Ignore,
        &[
            RESCUE,
            Put("a", 1, WITH_B),
            Put("c", 1, ONE),
            Load(1),
            EVOLVE,
            Put("b", 2, WITH_B),
            Load(2),
            Load(0),
        ],
        "a:a3b4 b:a3b4 c:a1",
    ),
    row(
        "the backfill takes no rows of versions that cannot be read again",
        Overwrites::Append,
        &[
            RESCUE,
            Put("a", 1, WITH_B),
            Load(1),
            Put("a", 2, WITH_B),
            Load(1),
            EVOLVE,
            Put("b", 3, WITH_B),
            Load(1),
            Load(0),
        ],
        "a:a3(b4),a3(b4) b:a3b4",
    ),
    row(
        "the backfill keeps to the limits",
        Overwrites::Ignore,
        &[
            RESCUE,
            Put("a", 1, WITH_B),
            Put("b", 1, WITH_B),
            Load(1),
            Told(|m| {
                m.growing = Growing::Evolve;
                m.config.limits.files_max = 1;
            }),
            Put("c", 2, WITH_B),
            Load(3),
            Load(0),
        ],
        "a:a3b4 b:a3b4 c:a3b4",
    ),
    row(
        "a file that is gone keeps its rescued rows, and is not asked for again",
        Overwrites::Ignore,
        &[
            RESCUE,
            Put("a", 1, WITH_B),
            Load(1),
            Remove("a"),
            EVOLVE,
            Put("b", 2, WITH_B),
            Load(2),
            Stands("a", "loaded"),
            Load(0),
        ],
        "a:a3(b4) b:a3b4",
    ),
    row(
        "a file that was overwritten is not taken by the backfill",
        Overwrites::Ignore,
        &[
            RESCUE,
            Put("a", 1, WITH_B),
            Load(1),
            Put("a", 2, OTHER),
            EVOLVE,
            Put("b", 2, WITH_B),
            Load(2),
            Stands("a", "loaded"),
            Load(0),
        ],
        "a:a3(b4) b:a3b4",
    ),
    row(
        "an undone file is not brought back by a new column",
        Overwrites::Ignore,
        &[RESCUE, Put("a", 1, WITH_B), Load(1), Undo("a", 1), EVOLVE, Put("b", 2, WITH_B), Load(1)],
        "b:a3b4",
    ),
    row(
        "a file that is set aside brings no columns",
        Overwrites::Ignore,
        &[Put("a", 1, &["a=1 z=1", "#"]), Put("b", 1, WITH_B), Load(1)],
        "b:a3b4",
    ),
    row(
        "without backfill rescued values stay where they are",
        Overwrites::Ignore,
        &[
            Told(|m| {
                m.growing = Growing::Rescue;
                m.config.backfills = false;
            }),
            Put("a", 1, WITH_B),
            Load(1),
            EVOLVE,
            Put("b", 2, WITH_B),
            Load(1),
        ],
        "a:a3(b4) b:a3b4",
    ),
];

#[tokio::test]
async fn columns_grow_and_take_back_what_was_rescued() {
    play(COLUMNS).await;
}

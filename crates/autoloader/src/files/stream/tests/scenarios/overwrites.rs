//! What becomes of rows when files are overwritten or removed.

use super::{
    BROKEN, ONE, ONE_TRY, OTHER, Scenario,
    Step::{DiesPlanned, Load, Put, Remove, Stands, Stops, Told},
    TWO, play, row,
};
use crate::files::options::Overwrites;

const OVERWRITES: &[Scenario] = &[
    row(
        "overwrites ignore: the first version stays",
        Overwrites::Ignore,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Load(0)],
        "a:a1",
    ),
    row(
        "overwrites append: both versions are there",
        Overwrites::Append,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Load(1), Load(0)],
        "a:a1,a7",
    ),
    row(
        "overwrites append: the whole file is read again",
        Overwrites::Append,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, TWO), Load(1)],
        "a:a1,a1,a2",
    ),
    row(
        "overwrites replace: the rows of the old version go in the same commit",
        Overwrites::Replace,
        &[Put("a", 1, TWO), Put("b", 1, ONE), Load(1), Put("a", 2, OTHER), Load(1)],
        "a:a7 b:a1",
    ),
    row(
        "overwrites replace: an older time is another version too",
        Overwrites::Replace,
        &[Put("a", 5, ONE), Load(1), Put("a", 2, OTHER), Load(1)],
        "a:a7",
    ),
    row(
        "overwrites replace by an empty file takes all rows away",
        Overwrites::Replace,
        &[Put("a", 1, TWO), Load(1), Put("a", 2, &[]), Load(1), Stands("a", "loaded")],
        "",
    ),
    row(
        "overwrites fail: the stream stops and names the file",
        Overwrites::Fail,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, OTHER), Stops("file `a` was overwritten")],
        "a:a1",
    ),
    row(
        "replacing by a broken file keeps the rows of before",
        Overwrites::Replace,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, BROKEN), Load(1), Stands("a", "failed")],
        "a:a1",
    ),
    row(
        "replacing after a failure has the new rows once and the old ones gone",
        Overwrites::Replace,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, BROKEN), Load(1), Put("a", 3, OTHER), Load(1)],
        "a:a7",
    ),
    row(
        "replacing after poison and mending does too",
        Overwrites::Replace,
        &[
            ONE_TRY,
            Put("a", 1, ONE),
            Load(1),
            Put("a", 2, BROKEN),
            Load(1),
            Stands("a", "poisoned"),
            Put("a", 3, OTHER),
            Load(1),
        ],
        "a:a7",
    ),
    row(
        "a file that was replaced while it was gone comes back once",
        Overwrites::Replace,
        &[
            Put("a", 1, ONE),
            Load(1),
            Put("a", 2, OTHER),
            DiesPlanned,
            Remove("a"),
            Load(1),
            Stands("a", "missing"),
            Put("a", 3, TWO),
            Load(1),
        ],
        "a:a1,a2",
    ),
    row(
        "appending after a failure keeps the rows of before",
        Overwrites::Append,
        &[Put("a", 1, ONE), Load(1), Put("a", 2, BROKEN), Load(1), Put("a", 3, OTHER), Load(1)],
        "a:a1,a7",
    ),
    row(
        "rows of a file that was removed stay",
        Overwrites::Replace,
        &[Put("a", 1, ONE), Load(1), Remove("a"), Load(0)],
        "a:a1",
    ),
    row(
        "replace without a metadata column is refused",
        Overwrites::Replace,
        &[Told(|m| m.config.keeps_metadata = false), Put("a", 1, ONE), Stops("`metadataColumn`")],
        "",
    ),
];

#[tokio::test]
async fn overwritten_files_do_what_the_option_says() {
    play(OVERWRITES).await;
}

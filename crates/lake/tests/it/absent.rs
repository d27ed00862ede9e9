//! Whoever only looks finds absent tables empty, creates nothing, and sees them when they come.

use std::sync::Arc;

use autoloader::Target as _;
use futures::StreamExt as _;
use lake::{BronzeTarget, Reader};
use model::Dataset;

use crate::landing::{World, reading, show};

const JOINED: &str = "SELECT count(DISTINCT b.symbol), count(q.price) \
                      FROM bronze.intraday b LEFT JOIN gold.quote_latest q ON b.symbol = q.symbol";

async fn objects(world: &World) -> usize {
    world.location.store.list(None).count().await
}

async fn answer(reader: &Reader, sql: &str) -> Vec<String> {
    show(&reader.query(sql).await.expect("queries"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_creates_nothing_and_sees_tables_that_come_later() {
    let mut world = World::new();
    let reader = Reader::open(Arc::clone(&world.location.store), world.location.url.clone())
        .await
        .expect("opens");
    assert_eq!(answer(&reader, JOINED).await, ["0|0"]);
    let tables = reader.tables().await.expect("reads");
    assert!(tables.iter().all(|table| (table.version, table.rows) == (0, 0)), "{tables:?}");
    assert_eq!(reader.refine_lag(0).await.expect("reads"), 0);
    let mut target = BronzeTarget::open_to_read(&world.location, Dataset::Intraday, "intraday")
        .await
        .expect("opens");
    assert_eq!(target.last_batch().await.expect("reads"), None);
    assert_eq!(objects(&world).await, 0, "looking has created something");

    world.land(&[reading("AAA", 0, 1, [10_000, 10_000, 9_990, 10_000], 100)]).await;
    world.load(Dataset::Intraday).await;
    // One of the two is there: each is read from its own place.
    assert_eq!(answer(&reader, JOINED).await, ["1|0"]);
    assert!(target.last_batch().await.expect("reads").is_some());
    assert!(0 < reader.refine_lag(0).await.expect("reads"));
    world.refine().await;
    assert_eq!(answer(&reader, JOINED).await, ["1|1"]);
    assert_eq!(reader.refine_lag(0).await.expect("reads"), 0);
}

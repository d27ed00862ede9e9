//! A bronze table keeps the contract of a loader's target.

use std::sync::Arc;

use autoloader::target::contract::target_contract;
use lake::{BronzeTarget, Location, Reader, row_schema};
use model::Dataset;

#[tokio::test(flavor = "multi_thread")]
async fn a_bronze_table_keeps_every_batch_once() {
    let location = Location::in_memory();
    let open =
        async || BronzeTarget::open(&location, Dataset::Eod, "contract").await.expect("opens");
    let count = async || {
        let reader =
            Reader::open(Arc::clone(&location.store), location.url.clone()).await.expect("opens");
        let tables = reader.tables().await.expect("reads");
        tables.iter().find(|table| table.name == "bronze.eod").map_or(0, |table| table.rows)
    };
    target_contract(&row_schema(Dataset::Eod), open, count).await;
}

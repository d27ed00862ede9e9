//! Repeatable read: what the statements of one transaction see belongs together.

use super::{
    Server,
    tables::{BARS, bars, reader},
};

const COUNT: &str = "select count(*) from bar_1m";

async fn count(client: &tokio_postgres::Client) -> i64 {
    client.query_one(COUNT, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_transaction_sees_one_version_of_every_table() {
    let reader = reader();
    let commit = |rows: i64| {
        let rows = bars().slice(0, usize::try_from(rows).unwrap());
        reader.replace_in_memory("gold.bar_1m", rows.clone()).unwrap();
        reader.replace_in_memory("silver.bar", rows).unwrap();
    };
    let server = Server::start_over(reader.clone(), |_| ()).await;
    let mut client = server.connect().await;
    assert_eq!(count(&client).await, BARS);
    commit(100);
    assert_eq!(count(&client).await, 100, "without a transaction the newest version is seen");

    let transaction = client.transaction().await.unwrap();
    let rows = async |sql| transaction.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(rows(COUNT).await, 100);
    commit(50);
    assert_eq!(rows(COUNT).await, 100);
    // Not looked at before, but of the same moment.
    assert_eq!(rows("select count(*) from silver.bar").await, 100);
    // The search path is the statement's, not the snapshot's.
    transaction.batch_execute("set search_path = silver").await.unwrap();
    assert_eq!(rows("select count(*) from bar").await, 100);
    transaction.batch_execute("reset search_path").await.unwrap();
    // Savepoints are within.
    transaction.batch_execute("savepoint a").await.unwrap();
    transaction.batch_execute("select nothing").await.unwrap_err();
    transaction.batch_execute("rollback to savepoint a").await.unwrap();
    assert_eq!(rows(COUNT).await, 100);
    transaction.commit().await.unwrap();
    assert_eq!(count(&client).await, 50);

    // The snapshot is of the first statement, not of BEGIN.
    let transaction = client.transaction().await.unwrap();
    commit(20);
    let row = transaction.query_one(COUNT, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 20);
    commit(10);
    transaction.rollback().await.unwrap();
    assert_eq!(count(&client).await, 10);
    client.batch_execute("discard all").await.unwrap();
    commit(5);
    assert_eq!(count(&client).await, 5);
}

#[tokio::test]
async fn a_begin_within_a_message_begins_anew() {
    let reader = reader();
    let server = Server::start_over(reader.clone(), |_| ()).await;
    let client = server.connect().await;
    client.batch_execute(&format!("{COUNT}; begin; {COUNT}")).await.unwrap();
    reader.replace_in_memory("gold.bar_1m", bars().slice(0, 7)).unwrap();
    assert_eq!(count(&client).await, BARS);
    // A second BEGIN is a warning in PostgreSQL, and no new snapshot.
    client.batch_execute("begin").await.unwrap();
    assert_eq!(count(&client).await, BARS);
    client.batch_execute(&format!("commit; {COUNT}")).await.unwrap();
    assert_eq!(count(&client).await, 7);
}

#[tokio::test]
async fn the_isolation_is_the_one_that_is_reported() {
    let server = Server::start().await;
    server
        .psql_with(&["-At"], &["show transaction_isolation"])
        .await
        .succeeds()
        .shows("repeatable read");
}

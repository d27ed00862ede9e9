//! What the door keeps out: writes, files, lifted limits, floods.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_postgres::{SimpleQueryMessage, error::SqlState};

use super::{PASSWORD, PATIENCE, Server};

/// Each with the code of the refusal.
const REFUSED: &[(&str, &str)] = &[
    ("insert into gold.bar_1m (symbol) values ('X')", "25006"),
    ("update gold.bar_1m set close = 0", "25006"),
    ("delete from gold.bar_1m", "25006"),
    ("drop table gold.bar_1m", "25006"),
    ("create table gold.t (a int)", "25006"),
    ("create view gold.v as select 1", "25006"),
    ("create external table t (a int) stored as csv location 'file:///etc/passwd'", "25006"),
    ("create external table t stored as parquet location 'http://127.0.0.1:1/'", "25006"),
    ("copy (select 1) to '/tmp/marketlake-must-not-exist'", "42501"),
    ("copy gold.bar_1m from '/etc/passwd'", "25006"),
    ("select * from '/etc/passwd'", "42P01"),
    ("select * from \"/etc/passwd\"", "42P01"),
    ("select * from \"file:///etc/passwd\"", "42P01"),
    ("set datafusion.runtime.memory_limit = '1T'", "42501"),
    ("set statement_timeout = 0", "22023"),
    ("set statement_timeout = '1h'", "22023"),
    ("set default_transaction_read_only = off", "25006"),
    ("begin read write", "25006"),
    ("explain analyze insert into gold.bar_1m (symbol) values ('X')", "0A000"),
    ("with x as (delete from gold.bar_1m returning *) select * from x", "25006"),
    ("select * into gold.t from gold.bar_1m", "25006"),
    ("prepare p as drop table gold.bar_1m", "0A000"),
    ("set role marketlake", "42501"),
];

#[tokio::test]
async fn nothing_gets_past_the_gate_in_either_protocol() {
    let server = Server::start().await;
    let client = server.connect().await;
    for (sql, code) in REFUSED {
        let simple = client.simple_query(sql).await.unwrap_err();
        assert_eq!(simple.code().map(SqlState::code), Some(*code), "{sql}: {simple:?}");
        let extended = client.query(*sql, &[]).await.unwrap_err();
        assert_eq!(extended.code().map(SqlState::code), Some(*code), "{sql}: {extended:?}");
        let second = client.simple_query(&format!("select 1; {sql}")).await.unwrap_err();
        assert_eq!(second.code().map(SqlState::code), Some(*code), "{sql}: {second:?}");
    }
    // And nothing happened.
    assert!(!std::path::Path::new("/tmp/marketlake-must-not-exist").try_exists().unwrap());
    let row = client.query_one("select count(*) from gold.bar_1m", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 390);
    let tables = client.query("select 1 from pg_tables where tablename = 't'", &[]).await.unwrap();
    assert!(tables.is_empty());
}

#[tokio::test]
async fn a_cancel_request_stops_the_statement_and_spares_the_connection() {
    let server = Server::start().await;
    let client = server.connect().await;
    let cancel = client.cancel_token();
    let endless = "select count(*) from generate_series(1, 1000000000000) a";
    let canceling = async {
        // A request may come before the statement runs; then it has no effect, as documented.
        for _ in 0..100 {
            tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>())
                .await
                .unwrap_err();
            cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        }
    };
    let running = tokio::time::timeout(PATIENCE, client.simple_query(endless));
    let outcome = tokio::select! {
        outcome = running => outcome.expect("the statement ends"),
        () = canceling => panic!("a hundred cancel requests had no effect"),
    };
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    assert!(
        error.to_string().contains("canceling") || format!("{error:?}").contains("user request")
    );
    client.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.simple_query("set statement_timeout = '300ms'").await.unwrap();
    let endless = "select count(*) from generate_series(1, 1000000000000) a";
    let error =
        tokio::time::timeout(PATIENCE, client.query(endless, &[])).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    assert!(format!("{error:?}").contains("statement timeout"), "{error:?}");
    client.simple_query("select 1").await.unwrap();
}

/// The engine gives way between batches only, and these joins think for long about one.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_heard_while_the_engine_is_busy_with_every_thread() {
    let server = Server::start().await;
    let join = "select count(*) from generate_series(1, 30000) a(x), \
                generate_series(1, 30000) b(y) where x * y % 7 = 1";
    let mut clients = Vec::new();
    for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) + 1 {
        let client = server.connect().await;
        client.simple_query("set statement_timeout = '500ms'").await.unwrap();
        clients.push(client);
    }
    let ended = futures::future::join_all(clients.iter().map(|client| client.simple_query(join)));
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("everybody is told in time");
    for outcome in ended {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    }
    server.connect().await;
}

#[tokio::test]
async fn a_result_beyond_the_row_cap_is_an_error_not_a_cut() {
    let server = Server::start_with(|config| config.rows_max = 100).await;
    let client = server.connect().await;
    let rows = client.query("select * from bar_1m limit 100", &[]).await.unwrap();
    assert_eq!(rows.len(), 100);
    let error = client.query("select * from bar_1m limit 101", &[]).await.unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("54000"), "{error:?}");
}

#[tokio::test]
async fn one_client_too_many_is_told_so_and_a_free_slot_is_used_again() {
    let server = Server::start_with(|config| config.connections_max = 1).await;
    let first = server.connect().await;
    let error = server.connect_as(PASSWORD).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error:?}");
    drop(first);
    for attempt in 0..200 {
        match server.connect_as(PASSWORD).await {
            Ok(_) => return,
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error:?}");
                assert!(attempt < 199, "the slot never came back");
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn shutdown_tells_idle_clients_and_ends_in_time() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.simple_query("select 1").await.unwrap();
    server.stop().await;
    assert!(client.simple_query("select 1").await.is_err());
}

#[tokio::test]
async fn an_aborted_transaction_waits_for_its_end() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.simple_query("begin").await.unwrap();
    client.simple_query("select nothing").await.unwrap_err();
    let error = client.simple_query("select 1").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION), "{error:?}");
    client.simple_query("commit").await.unwrap();
    client.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn a_pool_reset_gets_one_answer_for_each_command() {
    let server = Server::start().await;
    let client = server.connect().await;
    let reset = "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;\
                 SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP";
    let answers = client.simple_query(reset).await.unwrap();
    let completed =
        answers.iter().filter(|a| matches!(a, SimpleQueryMessage::CommandComplete(_))).count();
    assert_eq!(completed, 7);
    client.simple_query("DISCARD ALL").await.unwrap();
}

#[tokio::test]
async fn encryption_is_declined_in_the_protocols_own_way() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    stream.write_all(b"\x00\x00\x00\x08\x04\xd2\x16\x2f").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'N');
    stream.write_all(b"\x00\x00\x00\x08\x04\xd2\x16\x30").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'N');
}

//! `COPY … TO STDOUT` in its three formats.

use futures::{StreamExt as _, TryStreamExt as _};
use tokio_postgres::{binary_copy::BinaryCopyOutStream, error::SqlState, types::Type};

use super::{
    Server,
    tables::BARS,
    wire::{Raw, message},
};

async fn copied(client: &tokio_postgres::Client, text: &str) -> String {
    let parts = client.copy_out(text).await.unwrap();
    let parts: Vec<_> = parts.try_collect().await.unwrap();
    String::from_utf8(parts.concat()).unwrap()
}

/// What PostgreSQL 15 writes for the same statements.
#[tokio::test]
async fn text_and_csv_are_escaped_as_in_postgresql() {
    let server = Server::start().await;
    let client = server.connect().await;
    let rows = r#"(values (1, E'a\tb\\c\nd', null::text), (2, 'x,"y"', ''), (3, '\.', '-')) t (a, "B", c)"#;
    let all = format!("copy (select * from {rows} order by 1) to stdout");
    let middle = format!("copy (select \"B\" from {rows} order by a) to stdout");
    for (text, expected) in [
        (all.clone(), "1\ta\\tb\\\\c\\nd\t\\N\n2\tx,\"y\"\t\n3\t\\\\.\t-\n"),
        (
            format!("{all} (header, delimiter ',', null '-')"),
            "a,B,c\n1,a\\tb\\\\c\\nd,-\n2,x\\,\"y\",\n3,\\\\.,-\n",
        ),
        (
            format!("{all} (format csv, header)"),
            "a,B,c\n1,\"a\tb\\c\nd\",\n2,\"x,\"\"y\"\"\",\"\"\n3,\\.,-\n",
        ),
        (
            format!("{all} csv delimiter ';' null '-' escape '\\' force quote a, c"),
            "\"1\";\"a\tb\\\\c\nd\";-\n\"2\";\"x,\\\"y\\\"\";\"\"\n\"3\";\\.;\"-\"\n",
        ),
        (
            format!("{all} (format csv, quote '''', force_quote *)"),
            "'1','a\tb\\c\nd',\n'2','x,\"y\"',''\n'3','\\.','-'\n",
        ),
        // Alone in its line it would be read as the end.
        (format!("{middle} (format csv)"), "\"a\tb\\c\nd\"\n\"x,\"\"y\"\"\"\n\"\\.\"\n"),
        ("copy (select 1 where false) to stdout (format csv, header)".to_owned(), "?column?\n"),
    ] {
        assert_eq!(copied(&client, &text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn every_type_is_copied_as_it_is_selected() {
    let server = Server::start().await;
    let client = server.connect().await;
    assert_eq!(
        copied(&client, "copy bronze.every_type to stdout").await,
        "t\t-2\t-2147483648\t9223372036854775807\t18446744073709551615\t0.1\t\
         -1234567890.1234567890\täöü \\\\ ' \" ☃\ta longer text than twelve bytes\t2026-03-04\t\
         2026-03-04 14:30:00.123\t2026-03-04 14:30:00+00\t\\N\n"
            .to_owned()
            + &["\\N"; 13].join("\t")
            + "\n"
    );
    assert_eq!(
        copied(&client, "copy quote_latest (price, symbol) to stdout csv header").await,
        "price,symbol\n193.330000,AAPL\n402.000001,MSFT\n"
    );
}

#[tokio::test]
async fn binary_rows_are_read_by_a_driver() {
    let server = Server::start().await;
    let client = server.connect().await;
    let sql = "copy (select symbol, fetch_id, null::float8 from quote_latest order by 1) \
               to stdout (format binary)";
    let stream = client.copy_out(sql).await.unwrap();
    let rows = BinaryCopyOutStream::new(stream, &[Type::TEXT, Type::INT8, Type::FLOAT8]);
    let rows: Vec<_> = rows.try_collect().await.unwrap();
    let values: Vec<(&str, i64, Option<f64>)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(values, [("AAPL", 7, None), ("MSFT", 8, None)]);
    let empty = client.copy_out("copy (select 1 where false) to stdout binary").await.unwrap();
    let empty: Vec<_> = empty.try_collect().await.unwrap();
    assert_eq!(empty.concat(), b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
}

#[tokio::test]
async fn the_client_is_told_formats_and_count() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    for (format, code) in [("text", 0), ("csv", 0), ("binary", 1)] {
        let text = format!("copy quote_latest to stdout (format {format})\0");
        raw.send(&message(b'Q', text.as_bytes())).await;
        let (mut kinds, mut tag) = (Vec::new(), Vec::new());
        loop {
            let (kind, body) = raw.receive().await.unwrap();
            kinds.push(char::from(kind));
            match kind {
                b'H' => assert_eq!(body, [code, 0, 3, 0, code, 0, code, 0, code], "{format}"),
                b'C' => tag = body,
                b'Z' => break,
                _ => (),
            }
        }
        let kinds: String = kinds.iter().collect();
        assert_eq!(kinds, if code == 1 { "HdddcCZ" } else { "HddcCZ" }, "{format}");
        assert_eq!(tag, b"COPY 2\0");
    }
}

#[tokio::test]
async fn a_copy_is_bounded_like_a_query() {
    let server = Server::start_with(|config| config.rows_max = 1_000).await;
    let client = server.connect().await;
    let all = "copy (select a.symbol from bar_1m a, bar_1m b) to stdout";
    let mut parts = Box::pin(client.copy_out(all).await.unwrap());
    let mut rows = 0;
    let error = loop {
        match parts.next().await.expect("it does not end well") {
            Ok(_) => rows += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((rows, error.code()), (1_000, Some(&SqlState::PROGRAM_LIMIT_EXCEEDED)));
    client.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn a_copy_that_nobody_wants_any_more_is_cancelled() {
    let server = Server::start_with(|config| config.rows_max = u64::MAX).await;
    let client = server.connect().await;
    let all = "copy (select a.symbol from bar_1m a, bar_1m b, bar_1m c, bar_1m d) to stdout";
    let mut parts = Box::pin(client.copy_out(all).await.unwrap());
    parts.next().await.unwrap().unwrap();
    client.cancel_token().cancel_query(tokio_postgres::NoTls).await.unwrap();
    let error = loop {
        match parts.next().await.expect("it does not end well") {
            Ok(_) => (),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
    client.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn psql_writes_a_file_on_its_own_side() {
    let server = Server::start().await;
    let folder = std::env::temp_dir().join(format!("marketlake-copy-{}", std::process::id()));
    let copy = format!("\\copy gold.bar_1m to '{}' csv header", folder.display());
    server.psql(&[&copy]).await.succeeds().shows(&format!("COPY {BARS}"));
    let written = std::fs::read_to_string(&folder).unwrap();
    std::fs::remove_file(&folder).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), usize::try_from(BARS).unwrap() + 1);
    assert!(lines[0].starts_with("symbol,mic,ts_start,"), "{}", lines[0]);
    assert!(lines[1].starts_with("AAPL,XNAS,2026-03-04 14:30:00+00,"), "{}", lines[1]);
}

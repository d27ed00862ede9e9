//! Cursors that SQL declares, through both protocols: tags, formats, lives, and what is refused.

use std::time::Duration;

use tokio_postgres::{SimpleQueryMessage, error::SqlState};

use super::{
    Server,
    tables::BARS,
    wire::{Raw, code, message},
};

const DECLARE: &str = "declare c cursor for select revision + row_number() over (order by ts_start) \
                       as n from bar_1m order by ts_start";

/// What came back: the tags, the rows between them, and the codes of errors.
async fn answers(raw: &mut Raw) -> Vec<String> {
    let mut answers = Vec::new();
    let mut rows = 0;
    loop {
        let (kind, body) = raw.receive().await.expect("the connection is open");
        let text = || String::from_utf8_lossy(&body).trim_end_matches('\0').to_owned();
        match kind {
            b'D' => rows += 1,
            b'C' if rows > 0 => answers.push(format!("{rows} rows, {}", text())),
            b'C' => answers.push(text()),
            b's' => answers.push(format!("{rows} rows, more")),
            b'E' => answers.push(code(&body)),
            b'n' => answers.push("no data".to_owned()),
            b'Z' => return answers,
            _ => continue,
        }
        if kind != b'D' {
            rows = 0;
        }
    }
}

async fn simple(raw: &mut Raw, text: &str) -> Vec<String> {
    raw.send(&message(b'Q', format!("{text}\0").as_bytes())).await;
    answers(raw).await
}

#[tokio::test]
async fn a_cursor_is_read_in_parts_and_told_of_as_in_postgresql() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    for (text, expected) in [
        ("begin", "BEGIN"),
        (DECLARE, "DECLARE CURSOR"),
        ("fetch c", "1 rows, FETCH 1"),
        ("fetch forward 5 from c", "5 rows, FETCH 5"),
        ("fetch 0 from c", "55000"),
        ("rollback", "ROLLBACK"),
        ("begin", "BEGIN"),
        (DECLARE, "DECLARE CURSOR"),
        ("move 0 in c", "MOVE 0"),
        ("move forward 100 in c", "MOVE 100"),
        ("move 0 in c", "MOVE 1"),
        ("move absolute 380 in c", "MOVE 1"),
        ("fetch relative 2 from c", "1 rows, FETCH 1"),
        ("fetch 5 in c", "5 rows, FETCH 5"),
        ("fetch all in c", "3 rows, FETCH 3"),
        ("fetch all in c", "FETCH 0"),
        ("move all in c", "MOVE 0"),
        ("close c", "CLOSE CURSOR"),
        ("close c", "34000"),
        ("fetch c", "25P02"),
        ("rollback", "ROLLBACK"),
        ("close all", "CLOSE CURSOR ALL"),
    ] {
        assert_eq!(simple(&mut raw, text).await, [expected], "{text}");
    }
}

#[tokio::test]
async fn what_a_cursor_cannot_do_is_refused_as_in_postgresql() {
    let server = Server::start().await;
    for (before, text, expected) in [
        ("", DECLARE, "25P01"),
        ("begin", "fetch c", "34000"),
        ("begin", "declare c scroll cursor for select 1", "0A000"),
        ("begin", "declare c cursor for select $1::int", "42P02"),
        ("begin", "declare c cursor for select nothing", "42703"),
        ("begin; declare c cursor for select 1", DECLARE, "42P03"),
        ("begin; declare c cursor for select 1; fetch c", "fetch prior from c", "55000"),
        ("begin; declare c cursor for select 1; fetch c", "move backward all in c", "55000"),
        ("begin; declare c cursor for select 1; fetch c", "fetch first from c", "55000"),
        ("begin; declare c cursor for select 1; commit", "fetch c", "34000"),
        ("begin; declare c cursor for select 1; rollback", "fetch c", "34000"),
        ("begin; declare c cursor with hold for select 1; rollback", "fetch c", "34000"),
        ("declare c cursor with hold for select 1; discard all", "fetch c", "34000"),
        // A failed fetch closes: nobody is to read on behind the rows that were lost.
        (
            "begin; declare c cursor for select 1 / (revision - 1) from bar_1m; savepoint s; \
             fetch c; rollback to s",
            "fetch c",
            "34000",
        ),
    ] {
        let mut raw = Raw::login(&server).await;
        for text in before.split("; ").filter(|text| !text.is_empty()) {
            simple(&mut raw, text).await;
        }
        assert_eq!(simple(&mut raw, text).await, [expected], "{before}; {text}");
    }
}

#[tokio::test]
async fn a_cursor_with_hold_outlives_its_transaction() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    let declare = DECLARE.replace("cursor", "cursor with hold");
    for (text, expected) in [
        ("begin", "BEGIN"),
        (declare.as_str(), "DECLARE CURSOR"),
        ("fetch 10 from c", "10 rows, FETCH 10"),
        ("commit", "COMMIT"),
        ("fetch 10 from c", "10 rows, FETCH 10"),
        // A later transaction that fails is not the one that declared it.
        ("begin", "BEGIN"),
        ("select nothing", "42703"),
        ("rollback", "ROLLBACK"),
        ("fetch 10 from c", "10 rows, FETCH 10"),
        ("close c", "CLOSE CURSOR"),
        // Without BEGIN it is held from the start.
        (declare.as_str(), "DECLARE CURSOR"),
        ("fetch 10 from c", "10 rows, FETCH 10"),
        ("discard all", "DISCARD ALL"),
        ("fetch 10 from c", "34000"),
    ] {
        assert_eq!(simple(&mut raw, text).await, [expected], "{text}");
    }
    // Statements of one message are one transaction.
    let all = simple(&mut raw, &format!("{DECLARE}; fetch 2 from c; move 3 in c")).await;
    assert_eq!(all, ["DECLARE CURSOR", "2 rows, FETCH 2", "MOVE 3"]);
    assert_eq!(simple(&mut raw, "fetch c").await, ["34000"]);
    assert_eq!(simple(&mut raw, &format!("{declare}; select nothing")).await[1], "42703");
    assert_eq!(simple(&mut raw, "fetch c").await, ["34000"]);
}

/// Parse, Bind with one result format, Describe, Execute.
fn extended(text: &str, format: u8, limit: u8) -> Vec<u8> {
    [
        message(b'P', format!("\0{text}\0\0\0").as_bytes()),
        message(b'B', &[0, 0, 0, 0, 0, 0, 0, 1, 0, format]),
        message(b'D', b"P\0"),
        message(b'E', &[0, 0, 0, 0, limit]),
    ]
    .concat()
}

#[tokio::test]
async fn the_extended_protocol_pages_within_a_fetch() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    let all = [
        extended("begin", 0, 0),
        extended(DECLARE, 0, 0),
        extended("fetch 100 from c", 0, 60),
        message(b'E', b"\0\0\0\0\x3c"),
        extended("fetch 7 from c", 0, 7),
        // The cursor itself is a portal.
        message(b'D', b"Pc\0"),
        message(b'E', b"c\0\0\0\0\x05"),
        extended("move 5 in c", 0, 0),
        extended("close c", 0, 0),
        message(b'S', b""),
    ]
    .concat();
    raw.send(&all).await;
    assert_eq!(
        answers(&mut raw).await,
        [
            "no data",
            "BEGIN",
            "no data",
            "DECLARE CURSOR",
            "60 rows, more",
            "40 rows, FETCH 100",
            "7 rows, FETCH 7",
            "5 rows, more",
            "no data",
            "MOVE 5",
            "no data",
            "CLOSE CURSOR",
        ]
    );
    simple(&mut raw, "commit").await;
    // As with every other portal, only Sync ends a transaction of its own.
    raw.send(&[extended(DECLARE, 0, 0), message(b'S', b"")].concat()).await;
    assert_eq!(answers(&mut raw).await, ["25P01"]);
}

#[tokio::test]
async fn rows_come_in_the_format_that_was_asked_for() {
    let server = Server::start().await;
    let mut raw = Raw::login(&server).await;
    let value = async |raw: &mut Raw, request: &[u8]| {
        raw.send(request).await;
        let (mut format, mut value) = (0, Vec::new());
        while let Some((kind, body)) = raw.receive().await {
            match kind {
                b'T' => format = body[body.len() - 1],
                b'D' => value = body[6..].to_vec(),
                b'Z' => break,
                _ => (),
            }
        }
        (format, value)
    };
    for (kind, format) in [("", 0), ("binary", 1)] {
        let declare = format!("begin; declare c {kind} cursor for select revision from bar_1m");
        simple(&mut raw, &declare).await;
        let expected = if format == 0 { b"1".to_vec() } else { vec![0, 0, 0, 1] };
        let fetched = value(&mut raw, &message(b'Q', b"fetch c\0")).await;
        assert_eq!(fetched, (format, expected), "{kind}");
        // Bind decides in the extended protocol, however the cursor was declared.
        let request = [extended("fetch c", 1 - format, 0), message(b'S', b"")].concat();
        let expected = if format == 1 { b"1".to_vec() } else { vec![0, 0, 0, 1] };
        assert_eq!(value(&mut raw, &request).await, (1 - format, expected), "{kind}");
        simple(&mut raw, "rollback").await;
    }
}

#[tokio::test]
async fn a_cursor_takes_parameters() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let transaction = client.transaction().await.unwrap();
    let declare =
        "declare c cursor for select ts_start from bar_1m where close > $1 and symbol = $2";
    let statement = transaction.prepare_typed(declare, &[tokio_postgres::types::Type::FLOAT8]);
    let statement = statement.await.unwrap();
    assert_eq!(statement.params().len(), 2);
    transaction.execute(&statement, &[&193.29_f64, &"AAPL"]).await.unwrap();
    let rows = transaction.query("fetch all from c", &[]).await.unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0].columns()[0].name(), "ts_start");
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_fetch_is_bounded_like_a_query() {
    let server = Server::start_with(|config| config.rows_max = 100).await;
    let mut raw = Raw::login(&server).await;
    simple(&mut raw, &format!("begin; {DECLARE}")).await;
    assert_eq!(simple(&mut raw, "fetch 60 from c").await, ["60 rows, FETCH 60"]);
    assert_eq!(simple(&mut raw, "fetch 60 from c").await, ["54000"]);

    let server = Server::start_with(|config| {
        config.statement_timeout = Duration::from_millis(500);
    })
    .await;
    let client = server.connect().await;
    client.batch_execute("begin").await.unwrap();
    // Sorting all of it comes before the first row.
    let declare = "declare c cursor for select a.close from bar_1m a, bar_1m b, bar_1m c, bar_1m d \
                   order by a.close * b.close";
    client.batch_execute(declare).await.unwrap();
    let error = client.simple_query("fetch c").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error:?}");
}

#[tokio::test]
async fn a_connection_has_as_many_cursors_as_it_may_have_portals() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.batch_execute("begin").await.unwrap();
    let mut declared = 0;
    let error = loop {
        assert!(declared < 1_000, "no bound");
        let declare = format!("declare c{declared} cursor for select * from bar_1m");
        match client.batch_execute(&declare).await {
            Ok(()) => declared += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((declared, error.code()), (64, Some(&SqlState::INSUFFICIENT_RESOURCES)));
    client.batch_execute("rollback; begin").await.unwrap();
    let all = client.simple_query(&format!("{DECLARE}; fetch all from c")).await.unwrap();
    let rows = all.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count();
    assert_eq!(i64::try_from(rows).unwrap(), BARS);
}

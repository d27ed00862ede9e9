//! SQL over HTTP: the rows and files it answers with, its limits, and who may ask.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use serve::postgres::QueryLimits;

use super::{
    client::{Reply, get, post, send, send_body},
    fixture::{FakeFeed, LIMITS, Server, lake_tables},
};

/// Seven bars to the power of six: 117,649 rows, more than the fixture's limit.
const MANY: &str = "select a.symbol from gold.bar_1m a, gold.bar_1m b, gold.bar_1m c, gold.bar_1m d, \
                    gold.bar_1m e, gold.bar_1m f";
/// Seven to the power of twelve rows: hours of work, unless somebody wants a few of them.
const VAST: &str = "select a.symbol from gold.bar_1m a, gold.bar_1m b, gold.bar_1m c, \
                    gold.bar_1m d, gold.bar_1m e, gold.bar_1m f, gold.bar_1m g, gold.bar_1m h, \
                    gold.bar_1m i, gold.bar_1m j, gold.bar_1m k, gold.bar_1m l";
/// Their sum: hours of work in any case.
const ENDLESS: &str = "select count(*) from gold.bar_1m a, gold.bar_1m b, gold.bar_1m c, \
                       gold.bar_1m d, gold.bar_1m e, gold.bar_1m f, gold.bar_1m g, gold.bar_1m h, \
                       gold.bar_1m i, gold.bar_1m j, gold.bar_1m k, gold.bar_1m l \
                       where a.close + b.close + l.close > 0";

async fn ask(server: SocketAddr, sql: &str, format: &str) -> Reply {
    post(server, "/api/v1/query", &json!({"sql": sql, "format": format})).await
}

fn lines(reply: &Reply) -> Vec<Value> {
    reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn rows_come_as_exact_texts_between_their_columns_and_their_end() {
    let server = Server::start().await;
    let sql = "select symbol, ts_start, close, volume from gold.bar_1m \
               where symbol = 'AAPL' and source <> 'older' order by ts_start desc limit 2;";
    let reply = ask(server.addr, sql, "json").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(reply.header("content-disposition"), None);
    let lines = lines(&reply);
    assert_eq!(
        lines[0]["columns"],
        json!([
            {"name": "symbol", "type": "text"},
            {"name": "ts_start", "type": "timestamp with time zone"},
            {"name": "close", "type": "numeric"},
            {"name": "volume", "type": "numeric"},
        ])
    );
    assert_eq!(lines[1], json!(["AAPL", "2026-01-06 14:32:00+00", "102.000001", "7.0000"]));
    assert_eq!(lines[2], json!(["AAPL", "2026-01-06 14:31:00+00", "102.000000", null]));
    assert_eq!((&lines[3]["rows"], &lines[3]["is_complete"]), (&json!(2), &json!(true)));
}

#[tokio::test]
async fn csv_tells_null_from_nothing() {
    let server = Server::start().await;
    let sql = "select '' as \"a b\", null as n, 'x,\"y\"' as q, true as t, 'two\nlines' as \"l,\"";
    let reply = ask(server.addr, sql, "csv").await;
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"query.csv\""));
    let expected = "a b,n,q,t,\"l,\"\r\n\"\",,\"x,\"\"y\"\"\",t,\"two\nlines\"\r\n";
    assert_eq!((reply.body.as_str(), reply.is_whole), (expected, true));
}

#[tokio::test]
async fn a_plan_is_explained_and_nothing_is_named_on_disk() {
    let server = Server::start().await;
    let reply = ask(server.addr, "explain select symbol from gold.bar_1m", "json").await;
    let lines = lines(&reply);
    assert_eq!(lines[0]["columns"][0]["name"], "QUERY PLAN");
    assert!(2 < lines.len());
}

#[tokio::test]
async fn a_limit_says_that_there_is_more() {
    let server = Server::start().await;
    for (limit, rows, is_complete) in [(3, 3, false), (7, 7, true), (100, 7, true)] {
        let asked = json!({"sql": "select symbol from gold.bar_1m", "limit": limit});
        let reply = post(server.addr, "/api/v1/query", &asked).await;
        let end = lines(&reply).pop().unwrap();
        assert_eq!((&end["rows"], &end["is_complete"]), (&json!(rows), &json!(is_complete)));
    }
}

#[tokio::test]
async fn a_limit_spares_the_work_for_the_other_rows() {
    let server = Server::start().await;
    let asked = json!({"sql": VAST, "limit": 5});
    let some = lines(&post(server.addr, "/api/v1/query", &asked).await);
    let end = &some[6];
    assert_eq!((&end["rows"], &end["is_complete"]), (&json!(5), &json!(false)), "{end}");
    // The order is that of all rows, and an aggregate is of all of them.
    let sql = "select close from gold.bar_1m order by close desc";
    let asked = json!({"sql": sql, "limit": 1});
    let highest = post(server.addr, "/api/v1/query", &asked).await;
    assert_eq!(lines(&highest)[1], json!(["400.000000"]));
    let asked = json!({"sql": "select count(*) from gold.bar_1m", "limit": 1});
    let all = lines(&post(server.addr, "/api/v1/query", &asked).await);
    assert_eq!((&all[1], &all[2]["is_complete"]), (&json!(["7"]), &json!(true)));
}

#[tokio::test]
async fn a_mistake_is_told_with_its_code_and_place() {
    let server = Server::start().await;
    for (sql, state, place) in [
        ("select 1 +\n from gold.bar_1m", "42601", Some((2, 11))),
        ("select symbol,\n clos from gold.bar_1m", "42703", Some((2, 2))),
        ("select * from gold.bars", "42P01", Some((1, 20))),
        ("select 1; select 2", "42601", None),
        ("", "42601", None),
        ("select $1", "42P02", None),
        ("set statement_timeout = 0", "0A000", None),
        ("begin", "0A000", None),
        ("copy (select 1) to stdout", "0A000", None),
        ("insert into gold.bar_1m select * from gold.bar_1m", "25006", None),
        ("create table t (a int)", "25006", None),
        ("select 1 into t", "25006", None),
    ] {
        let reply = ask(server.addr, sql, "csv").await;
        assert_eq!(reply.status, 422, "{sql}: {}", reply.body);
        let error = &reply.json()["error"];
        assert_eq!(error["sqlstate"], state, "{sql}: {error}");
        if let Some((line, column)) = place {
            assert_eq!((&error["line"], &error["column"]), (&json!(line), &json!(column)), "{sql}");
        }
    }
}

#[tokio::test]
async fn too_many_rows_cut_an_answer_so_that_it_is_seen() {
    let server = Server::start().await;
    let csv = ask(server.addr, MANY, "csv").await;
    assert_eq!((csv.status, csv.is_whole), (200, false), "a file that looks whole");
    let json = ask(server.addr, MANY, "json").await;
    let end = lines(&json).pop().unwrap();
    assert_eq!(end["error"]["sqlstate"], "54000", "{end}");
    // The rows of a download are counted as those of a look are.
    for limit in [50_000, 100_000] {
        let asked = json!({"sql": MANY, "limit": limit});
        let reply = post(server.addr, "/api/v1/query", &asked).await;
        assert_eq!(lines(&reply).len(), limit + 2);
    }
}

#[tokio::test]
async fn a_statement_ends_with_its_time() {
    let limits = QueryLimits { timeout: Duration::from_millis(300), ..LIMITS };
    let feed = Arc::new(FakeFeed::default());
    let server = Server::start_limited(lake_tables(), feed, Some(limits)).await;
    let reply = ask(server.addr, ENDLESS, "json").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (503, "timeout"), "{}", reply.body);
}

#[tokio::test]
async fn a_statement_is_canceled_by_its_name() {
    let server = Server::start().await;
    let (addr, id) = (server.addr, "0f8fad5b-d9cb-469f-a165-70867728950e");
    let asked = json!({"sql": ENDLESS, "id": id});
    let running = tokio::spawn(async move { post(addr, "/api/v1/query", &asked).await });
    let head = format!("DELETE /api/v1/query/{id} HTTP/1.1\r\nHost: {addr}\r\n");
    // Until the statement is there.
    while send(addr, &head).await.status != 204 {
        tokio::task::yield_now().await;
    }
    let reply = running.await.unwrap();
    assert_eq!((reply.status, reply.error().0.as_str()), (409, "canceled"));
    assert_eq!(send(addr, &head).await.status, 404);
}

#[tokio::test]
async fn a_table_is_downloaded_with_the_filters_of_the_bars() {
    let server = Server::start().await;
    let path = "/api/v1/tables/gold.bar_1m?symbols=AAPL&from=2026-01-06&to=2026-01-06T14:32:00Z";
    let reply = get(server.addr, path).await;
    assert_eq!(
        reply.header("content-disposition"),
        Some("attachment; filename=\"gold.bar_1m.csv\"")
    );
    let rows: Vec<&str> = reply.body.split_terminator("\r\n").collect();
    assert!(rows[0].starts_with("source,symbol,mic,ts_start,"), "{}", rows[0]);
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows[1..].iter().all(|row| row.contains(",AAPL,XNAS,2026-01-06 14:3")), "{rows:?}");
    for (path, status) in [
        ("/api/v1/tables/gold.nothing", 404),
        ("/api/v1/tables/pg_catalog.pg_class", 404),
        ("/api/v1/tables/gold.bar_1m?format=xlsx", 400),
        ("/api/v1/tables/gold.bar_1m?symbols=A'", 400),
        ("/api/v1/tables/silver.instrument?from=2026-01-06", 400),
    ] {
        assert_eq!(get(server.addr, path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn only_our_own_pages_and_programs_may_ask() {
    let server = Server::start().await;
    let body = json!({"sql": "select 1"}).to_string();
    let kind = "Content-Type: application/json\r\n";
    for (fields, status) in [
        (kind.to_owned(), 200),
        (format!("{kind}Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n"), 200),
        (format!("{kind}Sec-Fetch-Site: same-site\r\n"), 403),
        (format!("{kind}Sec-Fetch-Site: cross-site\r\n"), 403),
        (format!("{kind}Origin: http://localhost:3000\r\n"), 403),
        (format!("{kind}Origin: null\r\n"), 403),
        ("Content-Type: text/plain\r\n".to_owned(), 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n".to_owned(), 415),
        (String::new(), 415),
    ] {
        let head = format!("POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\n{fields}");
        let reply = send_body(server.addr, &head, &body).await;
        assert_eq!(reply.status, status, "{fields:?}: {}", reply.body);
    }
    for (method, path) in [
        ("DELETE", "/api/v1/query"),
        ("POST", "/api/v1/query/0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("POST", "/api/v1/tables/gold.bar_1m"),
        ("PUT", "/api/v1/query"),
    ] {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        assert_eq!(send(server.addr, &head).await.status, 405, "{method} {path}");
    }
    let get = "GET /api/v1/query?sql=select+1 HTTP/1.1\r\nHost: localhost\r\n";
    assert_eq!(send(server.addr, get).await.status, 200);
    assert_eq!(send(server.addr, &format!("{get}Sec-Fetch-Site: same-site\r\n")).await.status, 403);
}

#[tokio::test]
async fn sql_that_is_switched_off_is_not_there() {
    let feed = Arc::new(FakeFeed::default());
    let server = Server::start_limited(lake_tables(), feed, None).await;
    for path in ["/api/v1/query?sql=select+1", "/api/v1/tables/gold.bar_1m"] {
        let reply = get(server.addr, path).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (404, "sql_disabled"), "{path}");
    }
}

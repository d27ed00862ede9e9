//! Logins over HTTP: who is let in, to what, and who has to wait.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use model::{Clock, clock::Sleep};
use serde_json::{Value, json};
use serve::{
    audit::Audit,
    http::{HttpConfig, Services},
    postgres::{Grants, Limits, Role, Users, Verifier},
};

use super::{
    client::{Reply, send, send_body},
    fixture::{FakeFeed, LIMITS, Server, config, lake_tables, services, services_at, ts},
};
use crate::postgres::audit::Kept;

const PASSWORD: &str = "pass word, with: signs";

/// A server that lets in `analyst`, who reads everything, and `desk`.
async fn start(tables: &str, limits: Limits) -> Server {
    start_over(services(lake_tables()), tables, limits).await
}

async fn start_over(services: Services, tables: &str, limits: Limits) -> Server {
    let verifier = Verifier::from_password(PASSWORD, b"0123456789abcdef");
    let mut users = Users::new();
    users.insert("analyst", verifier.clone());
    let grants = Some(Grants::parse(tables).unwrap());
    users.insert_role("desk", Role { verifier, grants, limits });
    let services = services.with_feed(Arc::new(FakeFeed::default())).with_users(users);
    let services = services.with_sql(LIMITS).unwrap();
    let config = HttpConfig { login: true, ..config("127.0.0.1:0") };
    Server::start_as(config, services).await
}

/// A clock on which no time passes between two guesses.
#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> DateTime<Utc> {
        ts("2026-01-06T21:00:00Z")
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the injected clock")]
    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

async fn get(server: SocketAddr, path: &str, fields: &str) -> Reply {
    send(server, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}")).await
}

async fn get_as(server: SocketAddr, user: &str, path: &str) -> Reply {
    get(server, path, &basic(user, PASSWORD)).await
}

async fn ask_as(server: SocketAddr, user: &str, sql: &str) -> Reply {
    let head = format!(
        "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}",
        basic(user, PASSWORD)
    );
    send_body(server, &head, &json!({"sql": sql}).to_string()).await
}

fn lines(reply: &Reply) -> Vec<Value> {
    reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn refuses(reply: &Reply, asked: &str) {
    assert_eq!((reply.status, reply.error().0.as_str()), (401, "login_required"), "{asked}");
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Basic realm=\"marketlake\""), "{challenge}");
}

#[tokio::test]
async fn nothing_but_the_probe_is_there_without_a_login() {
    let server = start("gold", Limits::default()).await;
    assert_eq!(get(server.addr, "/api/v1/health", "").await.status, 200);
    let no_login =
        ["", "Authorization: Bearer x\r\n", "Authorization: Basic !\r\n"].map(str::to_owned);
    for path in [
        "/",
        "/index.html",
        "/sql",
        "/nothing",
        "/metrics",
        "/api/v1/status",
        "/api/v1/stream",
        "/api/v1/query?sql=select+1",
        "/api/v1/tables/gold.bar_1m",
        "/api/v1/openapi.json",
        "/api/v1/connect",
        "/api/v1/nothing",
        "/api/v1/health/",
        "/delta-sharingx",
    ] {
        for fields in &no_login {
            refuses(&get(server.addr, path, fields).await, &format!("{path} {fields}"));
        }
    }
    for wrong in [basic("analyst", "wrong"), basic("nobody", PASSWORD)] {
        refuses(&get(server.addr, "/", &wrong).await, &wrong);
    }
    for path in ["/", "/metrics", "/api/v1/status", "/api/v1/query?sql=select+1"] {
        assert_eq!(get_as(server.addr, "analyst", path).await.status, 200, "{path}");
    }
    let twice = basic("analyst", PASSWORD).repeat(2);
    assert_eq!(get(server.addr, "/", &twice).await.status, 401);
    // Delta Sharing has tokens, and is switched off here.
    let shared = get(server.addr, "/delta-sharing/shares", "").await;
    assert_eq!((shared.status, shared.header("www-authenticate")), (404, None), "{}", shared.body);
}

#[tokio::test]
async fn a_page_elsewhere_cannot_use_the_password_that_a_browser_knows() {
    let server = start("gold", Limits::default()).await;
    let known = basic("analyst", PASSWORD);
    for sign in ["Sec-Fetch-Site: cross-site\r\n", "Origin: http://evil.example\r\n"] {
        let reply = get(server.addr, "/api/v1/status", &format!("{known}{sign}")).await;
        assert_eq!(reply.status, 403, "{sign}");
        // And it makes no browser ask for one.
        let reply = get(server.addr, "/api/v1/status", sign).await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (403, None), "{sign}");
    }
    let head = format!("GET / HTTP/1.1\r\nHost: rebound.example\r\n{known}");
    assert_eq!(send(server.addr, &head).await.status, 421);
}

#[tokio::test]
async fn whoever_guesses_has_to_wait_whatever_they_guess_next() {
    let services = services_at(Arc::new(StillClock), lake_tables());
    let server = start_over(services, "gold", Limits::default()).await;
    assert_eq!(get_as(server.addr, "desk", "/").await.status, 200);
    for guess in 0..10 {
        let reply = get(server.addr, "/", &basic("desk", &guess.to_string())).await;
        assert_eq!(reply.status, 401, "{guess}");
    }
    // Also with what is known: an answer without a wait would say that it was guessed.
    for password in ["another", PASSWORD] {
        let reply = get(server.addr, "/", &basic("desk", password)).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (429, "too_many_failures"));
        assert_eq!(reply.header("retry-after"), Some("2"));
    }
    assert_eq!(get(server.addr, "/api/v1/health", "").await.status, 200);
}

#[tokio::test]
async fn a_role_reads_over_http_what_it_was_granted() {
    let server = start("gold.quote_latest", Limits::default()).await;
    let addr = server.addr;
    let user = lines(&ask_as(addr, "desk", "select current_user").await);
    assert_eq!(user[1], json!(["desk"]));
    assert_eq!(ask_as(addr, "desk", "select * from gold.quote_latest").await.status, 200);
    for hidden in ["gold.bar_1m", "silver.instrument", "marketlake.gold.bar_1m"] {
        let reply = ask_as(addr, "desk", &format!("select * from {hidden}")).await;
        assert_eq!(reply.status, 422, "{hidden}");
        assert_eq!(reply.json()["error"]["sqlstate"], "42P01", "{hidden}");
    }
    let sql = "select distinct table_schema from information_schema.tables where table_schema \
               not in ('pg_catalog', 'information_schema') order by 1";
    let seen = lines(&ask_as(addr, "desk", sql).await);
    assert_eq!(seen[1..seen.len() - 1], [json!(["gold"])]);

    assert_eq!(get_as(addr, "desk", "/api/v1/tables/gold.quote_latest").await.status, 200);
    // As what is not there at all.
    let [hidden, missing] = [
        get_as(addr, "desk", "/api/v1/tables/gold.bar_1m").await,
        get_as(addr, "analyst", "/api/v1/tables/gold.nothing").await,
    ];
    assert_eq!((hidden.status, missing.status), (404, 404));
    assert_eq!(hidden.body.replace("gold.bar_1m", "gold.nothing"), missing.body);

    let bars = get_as(addr, "desk", "/api/v1/bars?symbol=AAPL&interval=1m").await;
    assert_eq!(bars.json()["bars"], json!([]), "{}", bars.body);
    let symbols = get_as(addr, "desk", "/api/v1/symbols").await.json();
    let symbol = symbols["symbols"][0].clone();
    assert_eq!((&symbol["symbol"], &symbol["name"]), (&json!("AAPL"), &Value::Null));
    assert_eq!(get_as(addr, "desk", "/api/v1/stream").await.status, 403);
    assert_eq!(get_as(addr, "desk", "/api/v1/connect").await.json()["postgres"]["user"], "desk");
    let metrics = get_as(addr, "desk", "/metrics").await.body;
    assert!(metrics.contains("requests_total") && !metrics.contains("table_rows"), "{metrics}");
    let tables = |reply: Reply| reply.json()["tables"].as_array().unwrap().len();
    assert_eq!(tables(get_as(addr, "desk", "/api/v1/status").await), 0);
    assert_eq!(tables(get_as(addr, "analyst", "/api/v1/status").await), 1);
    let bars = get_as(addr, "analyst", "/api/v1/bars?symbol=AAPL&interval=1m").await;
    assert!(!bars.json()["bars"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn the_bounds_of_a_role_hold_over_http() {
    let brief = Limits { statement_timeout: Some(Duration::from_millis(300)), ..Limits::default() };
    let server = start("gold", brief).await;
    let endless = "select count(*) from generate_series(1, 1000000000000) a";
    let reply = ask_as(server.addr, "desk", endless).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (503, "timeout"), "{}", reply.body);
    let server = start("gold", Limits { rows_max: Some(2), ..Limits::default() }).await;
    let many = "select symbol from gold.bar_1m";
    let cut = lines(&ask_as(server.addr, "desk", many).await).pop().unwrap();
    assert_eq!(cut["error"]["sqlstate"], "54000", "{cut}");
    assert_eq!(lines(&ask_as(server.addr, "analyst", many).await).len(), 9);
    let quotes = get_as(server.addr, "desk", "/api/v1/quotes").await;
    assert_eq!((quotes.status, quotes.error().0.as_str()), (422, "too_many_rows"));
    assert_eq!(get_as(server.addr, "desk", "/api/v1/quotes?symbols=AAPL").await.status, 200);
}

#[tokio::test]
async fn logins_and_statements_are_told_once_and_without_values() {
    let kept = Arc::new(Kept::default());
    let audit: Arc<dyn Audit> = Arc::<Kept>::clone(&kept);
    let services = services(lake_tables()).with_audit(Some(audit));
    let server = start_over(services, "gold.quote_latest", Limits::default()).await;
    let addr = server.addr;
    let agent = format!("{}User-Agent: probe/1\r\n", basic("desk", PASSWORD));
    for _ in 0..3 {
        assert_eq!(get(addr, "/api/v1/status", &agent).await.status, 200);
    }
    get(addr, "/", &basic("desk", "cnry-wrong")).await;
    let short = |event: &Value| {
        assert_eq!((&event["door"], &event["address"]), (&json!("http"), &json!("127.0.0.1")));
        ["event", "role", "outcome", "code", "statement"].map(|field| event[field].clone())
    };
    let logins = kept.take();
    assert_eq!(logins[0]["application"], "probe/1");
    assert_eq!(logins[0]["encrypted"], false);
    let told: Vec<_> = logins.iter().map(short).collect();
    let login = |outcome, code| [json!("login"), json!("desk"), json!(outcome), code, Value::Null];
    // What is known already is no login.
    assert_eq!(told, [login("ok", Value::Null), login("refused", json!("28P01"))]);

    assert_eq!(get_as(addr, "desk", "/api/v1/status").await.status, 200);
    kept.take();
    ask_as(addr, "desk", "select symbol from gold.quote_latest where symbol = 'cnry'").await;
    ask_as(addr, "desk", "select 'cnry' from gold.bar_1m").await;
    ask_as(addr, "desk", "select \"cnry\" from gold.quote_latest").await;
    get_as(addr, "desk", "/api/v1/tables/gold.quote_latest?symbols=AAPL").await;
    let statements = kept.take();
    let told: Vec<_> = statements.iter().map(short).collect();
    let statement = |outcome, code, text| {
        [json!("statement"), json!("desk"), json!(outcome), code, json!(text)]
    };
    let expected = [
        statement("ok", Value::Null, "select symbol from gold . quote_latest where symbol = ?"),
        statement("refused", json!("42P01"), "select ? from gold . bar_1m"),
        statement("refused", json!("42703"), ""),
        statement(
            "ok",
            Value::Null,
            "select * from \"gold\" . \"quote_latest\" where symbol in ( ? )",
        ),
    ];
    assert_eq!(told, expected);
    assert_eq!((&statements[0]["rows"], &statements[3]["rows"]), (&json!(0), &json!(2)));
    assert!(!format!("{logins:?}{statements:?}").contains("cnry"));
}

#[tokio::test]
async fn a_statement_is_canceled_by_its_own_role() {
    let server = start("gold", Limits::default()).await;
    let (addr, id) = (server.addr, "0f8fad5b-d9cb-469f-a165-70867728950e");
    let sql = "select+count(*)+from+generate_series(1,1000000000000)+a";
    let path = format!("/api/v1/query?sql={sql}&id={id}");
    let running = tokio::spawn(async move { get_as(addr, "desk", &path).await });
    let cancel = |user: &'static str| async move {
        let known = basic(user, PASSWORD);
        let head = format!("DELETE /api/v1/query/{id} HTTP/1.1\r\nHost: localhost\r\n{known}");
        send(addr, &head).await.status
    };
    // Until the statement is there.
    loop {
        assert!(!running.is_finished(), "it ended by itself");
        assert_eq!(cancel("analyst").await, 404, "it is somebody else's");
        if cancel("desk").await == 204 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(running.await.unwrap().status, 409);
}

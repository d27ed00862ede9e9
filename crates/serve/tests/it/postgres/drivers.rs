//! The extended protocol with binary values, as drivers use it.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures::TryStreamExt as _;
use tokio_postgres::{
    error::SqlState,
    types::{FromSql, ToSql, Type},
};

use super::{
    Server,
    tables::{BARS, OPEN_MICROS},
};

/// The bytes of a value as they came; numeric has no Rust type of its own here.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[tokio::test]
async fn binary_results_are_the_values_of_the_table() {
    let server = Server::start().await;
    let client = server.connect().await;
    let rows = client.query("select * from bronze.every_type", &[]).await.unwrap();
    let types: Vec<&str> = rows[0].columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(
        types,
        [
            "bool",
            "int2",
            "int4",
            "int8",
            "numeric",
            "float8",
            "numeric",
            "text",
            "text",
            "date",
            "timestamp",
            "timestamptz",
            "text"
        ]
    );
    let row = &rows[0];
    assert!(row.get::<_, bool>(0));
    assert_eq!(row.get::<_, i16>(1), -2);
    assert_eq!(row.get::<_, i32>(2), i32::MIN);
    assert_eq!(row.get::<_, i64>(3), i64::MAX);
    // 1844 6744 0737 0955 1615
    assert_eq!(
        row.get::<_, Raw>(4).0,
        [0, 5, 0, 4, 0, 0, 0, 0, 0x07, 0x34, 0x1a, 0x58, 0x02, 0xe1, 0x03, 0xbb, 0x06, 0x4f]
    );
    assert!((row.get::<_, f64>(5) - 0.1).abs() < f64::EPSILON);
    assert_eq!(row.get::<_, &str>(7), "äöü \\ ' \" ☃");
    assert_eq!(row.get::<_, &str>(8), "a longer text than twelve bytes");
    assert_eq!(row.get::<_, NaiveDate>(9), NaiveDate::from_ymd_opt(2026, 3, 4).unwrap());
    let naive = DateTime::from_timestamp_micros(OPEN_MICROS + 123_000).unwrap().naive_utc();
    assert_eq!(row.get::<_, NaiveDateTime>(10), naive);
    let open = DateTime::from_timestamp_micros(OPEN_MICROS).unwrap();
    assert_eq!(row.get::<_, DateTime<Utc>>(11), open);
    for index in 0..13 {
        assert!(rows[1].get::<_, Option<Raw>>(index).is_none(), "column {index} of the second row");
    }
}

#[tokio::test]
async fn parameters_get_the_type_of_what_they_are_compared_with() {
    let server = Server::start().await;
    let client = server.connect().await;
    let sql = "select close from bar_1m where symbol = $1 and ts_start >= $2 and ts_start < $3 \
               and session_date = $4 and revision = $5 order by ts_start";
    let statement = client.prepare(sql).await.unwrap();
    let types: Vec<&str> = statement.params().iter().map(Type::name).collect();
    assert_eq!(types, ["text", "timestamptz", "timestamptz", "date", "int4"]);
    let from = DateTime::from_timestamp_micros(OPEN_MICROS).unwrap();
    let to = from + chrono::TimeDelta::minutes(5);
    let date = NaiveDate::from_ymd_opt(2026, 3, 4).unwrap();
    let rows = client.query(&statement, &[&"AAPL", &from, &to, &date, &1_i32]).await.unwrap();
    assert_eq!(rows.len(), 5);
    let rows = client.query(&statement, &[&"MSFT", &from, &to, &date, &1_i32]).await.unwrap();
    assert!(rows.is_empty(), "the statement can be run again with other values");
}

#[tokio::test]
async fn declared_types_are_kept() {
    let server = Server::start().await;
    let client = server.connect().await;
    let statement = client
        .prepare_typed("select $1 as a, $2 as b, $3 as c", &[Type::INT8, Type::BOOL, Type::TEXT])
        .await
        .unwrap();
    let values: [&(dyn ToSql + Sync); 3] = [&5_i64, &true, &"x"];
    let row = client.query_one(&statement, &values).await.unwrap();
    assert_eq!(row.get::<_, i64>("a"), 5);
    assert!(row.get::<_, bool>("b"));
    assert_eq!(row.get::<_, &str>("c"), "x");
}

/// pgjdbc declares its texts as `varchar`, and breaks when they come back as `text`.
#[tokio::test]
async fn declared_types_come_back_as_they_were() {
    let server = Server::start().await;
    let client = server.connect().await;
    let sql = "select count(*) from bar_1m where symbol = $1 and mic = $2 and revision = $3";
    let types = [Type::VARCHAR, Type::UNKNOWN];
    let statement = client.prepare_typed(sql, &types).await.unwrap();
    assert_eq!(statement.params(), [Type::VARCHAR, Type::TEXT, Type::INT4]);
    let row = client.query_one(&statement, &[&"AAPL", &"XNAS", &1_i32]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), BARS);
}

#[tokio::test]
async fn a_portal_hands_out_rows_in_parts() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("select ts_start from bar_1m order by 1", &[]).await.unwrap();
    let mut sizes = Vec::new();
    for _ in 0..10 {
        let rows = transaction.query_portal(&portal, 100).await.unwrap();
        sizes.push(rows.len());
        if rows.len() < 100 {
            break;
        }
    }
    assert_eq!(sizes, [100, 100, 100, 90]);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_large_result_is_streamed() {
    let server = Server::start().await;
    let client = server.connect().await;
    // 390 * 390 rows, some 15 MB: many times every buffer between the two.
    let sql = "select a.symbol, a.ts_start, b.close, b.volume from bar_1m a, bar_1m b";
    let rows = client.query_raw(sql, Vec::<i32>::new()).await.unwrap();
    let count = rows.try_fold(0_i64, |count, _| async move { Ok(count + 1) }).await.unwrap();
    assert_eq!(count, BARS * BARS);
}

#[tokio::test]
async fn after_an_error_the_connection_goes_on_at_the_next_sync() {
    let server = Server::start().await;
    let client = server.connect().await;
    // Sent without waiting: the server must skip exactly the failed part.
    let (first, second, third) = tokio::join!(
        client.query("select 1::int8", &[]),
        client.query("select nothing", &[]),
        client.query("select 3::int8", &[]),
    );
    assert_eq!(first.unwrap()[0].get::<_, i64>(0), 1);
    assert_eq!(second.unwrap_err().code(), Some(&SqlState::UNDEFINED_COLUMN));
    assert_eq!(third.unwrap()[0].get::<_, i64>(0), 3);
}

#[tokio::test]
async fn several_statements_in_one_parse_are_refused() {
    let server = Server::start().await;
    let client = server.connect().await;
    let error = client.query("select 1; select 2", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR), "{error:?}");
    assert!(client.query("", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_catalog_has_its_own_types_in_binary() {
    let server = Server::start().await;
    let client = server.connect().await;
    let sql = "select c.oid, c.relname, c.relkind, n.nspname from pg_class c \
               join pg_namespace n on n.oid = c.relnamespace where c.oid = 'gold.bar_1m'::regclass";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert!(row.get::<_, u32>(0) >= 16_384);
    assert_eq!(row.get::<_, &str>(1), "bar_1m");
    assert_eq!(row.get::<_, &str>(3), "gold");
    // tokio-postgres asks this way for types it does not know.
    let sql = "select t.typname, t.typtype, t.typelem, n.nspname from pg_catalog.pg_type t \
               inner join pg_catalog.pg_namespace n on t.typnamespace = n.oid where t.oid = $1";
    let statement = client.prepare_typed(sql, &[Type::OID]).await.unwrap();
    let row = client.query_one(&statement, &[&1009_u32]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "_text");
    assert_eq!(row.get::<_, u32>(2), 25);
}

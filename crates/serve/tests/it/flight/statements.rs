//! What statements answer: rows in Arrow's types, parameters, refusals.

use arrow_flight::{
    FlightDescriptor,
    sql::{
        CommandGetTables, CommandPreparedStatementQuery, CommandStatementIngest,
        ProstMessageExt as _, SqlInfo, client::PreparedStatement,
    },
};
use lake::arrow::{
    array::{
        ArrayRef, AsArray as _, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
    },
    datatypes::{DataType, Date32Type, Decimal128Type, Field, Int64Type, Schema, TimeUnit},
};
use prost::Message as _;
use tonic::Request;

use super::*;

/// What executing a prepared statement asks for.
pub(super) fn prepared_command(prepared: &PreparedStatement<Channel>) -> Vec<u8> {
    // The client keeps its handle to itself, and shows it.
    let shown = format!("{prepared:?}");
    let handle = shown.split("handle: b\"").nth(1).unwrap().split("\", dataset").next().unwrap();
    let prepared_statement_handle = unescaped(handle).into();
    CommandPreparedStatementQuery { prepared_statement_handle }.as_any().encode_to_vec()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'0' => 0,
                other => other,
            },
            byte => byte,
        });
    }
    bytes
}

fn bound(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields = columns.iter().enumerate();
    let fields = fields
        .map(|(at, column)| Field::new(format!("{}", at + 1), column.data_type().clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

#[tokio::test]
async fn types_stay_arrows_own() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let rows = query(&mut client, "select * from bronze.every_type").await.unwrap();
    let schema = rows[0].schema();
    let types: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
    let micros =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    assert_eq!(
        types,
        [
            &DataType::Boolean,
            &DataType::Int16,
            &DataType::Int32,
            &DataType::Int64,
            &DataType::UInt64,
            &DataType::Float64,
            &DataType::Decimal128(38, 10),
            &DataType::Utf8,
            &DataType::Utf8,
            &DataType::Date32,
            &micros(None),
            &micros(Some("UTC")),
            &DataType::Null,
        ]
    );
    let numeric = rows[0].column(6).as_primitive::<Decimal128Type>();
    assert_eq!(numeric.value(0), -12_345_678_901_234_567_890);
    assert_eq!(rows[0].column(8).as_string::<i32>().value(0), "a longer text than twelve bytes");
    assert_eq!(rows[0].column(9).as_primitive::<Date32Type>().value(0), 20_516);
    assert!((0..13).all(|column| rows[0].column(column).is_nullable()));
}

#[tokio::test]
async fn what_is_announced_is_what_comes() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for text in [
        "select * from bar_1m",
        "select * from bar_1m where false",
        "select symbol, count(*), avg(close), max(ts_start) from bar_1m group by 1",
        "select b.close, q.price from bar_1m b full join quote_latest q on q.symbol = b.symbol || 'x'",
        "select 'text', 1, 1.5, null, now(), date '2026-01-02', interval '1 day', array[1, 2]",
        "select table_name, data_type from information_schema.columns",
        "select arrow_cast(symbol, 'Dictionary(Int32, Utf8)') from bar_1m",
        "explain select 1",
        "values (1, 'a'), (2, 'b')",
    ] {
        let info = client.execute(text.to_owned(), None).await.unwrap();
        let announced = info.clone().try_decode_schema().unwrap();
        let mut stream = open(&mut client, &info).await.unwrap();
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await.unwrap() {
            batches.push(batch);
        }
        assert_eq!(stream.schema().unwrap().as_ref(), &announced, "{text}");
        for batch in batches {
            assert_eq!(batch.schema().as_ref(), &announced, "{text}");
        }
        let descriptor = info.flight_descriptor.unwrap();
        let mut request = Request::new(descriptor);
        let bearer = format!("Bearer {}", client.token().unwrap());
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        let schema = client.inner_mut().get_schema(request).await.unwrap().into_inner();
        assert_eq!(Schema::try_from(&schema).unwrap(), announced, "{text}");
    }
}

#[tokio::test]
async fn columns_are_called_as_in_the_sql_port() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let rows = query(&mut client, "select 1 + 1, count(*), max(close) as top from bar_1m").await;
    let rows = rows.unwrap();
    let schema = rows[0].schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["?column?", "count", "top"]);
    let name = schema.field(2).metadata().get("ARROW:FLIGHT:SQL:TYPE_NAME").cloned();
    assert_eq!(name.as_deref(), Some("numeric"));
}

#[tokio::test]
async fn parameters_are_inferred_and_bound() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let text = "select count(*) from bar_1m where symbol = ? and close >= ? and revision = ?";
    let mut prepared = client.prepare(text.to_owned(), None).await.unwrap();
    let expected = prepared.parameter_schema().unwrap();
    let types: Vec<&DataType> = expected.fields().iter().map(|field| field.data_type()).collect();
    assert_eq!(types, [&DataType::Utf8, &DataType::Decimal128(18, 6), &DataType::Int32]);
    assert_eq!(prepared.dataset_schema().unwrap().field(0).data_type(), &DataType::Int64);

    let symbol = || Arc::new(StringArray::from(vec!["AAPL"])) as ArrayRef;
    let one = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let exact = Decimal128Array::from(vec![18_944]).with_precision_and_scale(10, 2).unwrap();
    // The first bar closes at 189.44 and each next one a cent higher.
    for (price, expected) in [
        (Arc::new(exact) as ArrayRef, tables::BARS),
        (Arc::new(Float64Array::from(vec![189.45])), tables::BARS - 1),
        (Arc::new(StringArray::from(vec!["189.450001"])), tables::BARS - 2),
        (Arc::new(Int32Array::from(vec![1_000])), 0),
    ] {
        prepared.set_parameters(bound(vec![symbol(), price, one()])).unwrap();
        let info = prepared.execute().await.unwrap();
        let rows = rows(&mut client, &info).await.unwrap();
        assert_eq!(rows[0].column(0).as_primitive::<Int64Type>().value(0), expected);
    }
    prepared.set_parameters(bound(vec![symbol()])).unwrap();
    refused(prepared.execute().await, Code::InvalidArgument, "needs 3 parameters, and 1 are bound");
    let odd = Arc::new(StringArray::from(vec!["many"])) as ArrayRef;
    prepared.set_parameters(bound(vec![symbol(), odd, one()])).unwrap();
    refused(prepared.execute().await, Code::InvalidArgument, "parameter $2");
    prepared.close().await.unwrap();
}

#[tokio::test]
async fn a_statement_runs_once_for_each_row_of_parameters() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut prepared = client.prepare("select $1 as given".to_owned(), None).await.unwrap();
    // Nothing says of which type it is.
    assert_eq!(prepared.parameter_schema().unwrap().field(0).data_type(), &DataType::Null);
    refused(prepared.execute().await, Code::InvalidArgument, "needs 1 parameters, and 0 are bound");
    let values = Arc::new(Int64Array::from(vec![Some(3), None, Some(5)])) as ArrayRef;
    prepared.set_parameters(bound(vec![values])).unwrap();
    for _ in 0..2 {
        let info = prepared.execute().await.unwrap();
        let rows = rows(&mut client, &info).await.unwrap();
        let values = rows.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>());
        assert_eq!(values.collect::<Vec<_>>(), [Some(3), None, Some(5)]);
    }
    prepared.set_parameters(bound(vec![Arc::new(Int64Array::from(vec![0; 1_001]))])).unwrap();
    refused(prepared.execute().await, Code::ResourceExhausted, "1000 rows");
}

#[tokio::test]
async fn a_closed_statement_is_gone() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let prepared = client.prepare("select 1".to_owned(), None).await.unwrap();
    let asked = FlightDescriptor::new_cmd(prepared_command(&prepared));
    prepared.close().await.unwrap();
    let mut request = Request::new(asked);
    let bearer = format!("Bearer {}", client.token().unwrap());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    let answer = client.inner_mut().get_flight_info(request).await.unwrap_err();
    assert_eq!(answer.code(), Code::NotFound, "{answer:?}");
}

#[tokio::test]
async fn nothing_is_written_and_no_setting_changed() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (text, code) in [
        ("insert into bar_1m values (1)", Code::PermissionDenied),
        ("update bar_1m set close = 1", Code::PermissionDenied),
        ("delete from bar_1m", Code::PermissionDenied),
        ("create table t as select 1", Code::PermissionDenied),
        ("create external table t stored as csv location '/etc/passwd'", Code::PermissionDenied),
        ("drop table bar_1m", Code::PermissionDenied),
        ("select 1 into t", Code::PermissionDenied),
        ("with w as (delete from bar_1m returning *) select * from w", Code::PermissionDenied),
        ("copy (select 1) to '/tmp/x'", Code::PermissionDenied),
        ("set datafusion.runtime.memory_limit = '1T'", Code::Unimplemented),
        ("begin", Code::Unimplemented),
        ("explain analyze select 1", Code::Unimplemented),
        ("select 1; drop table bar_1m", Code::InvalidArgument),
        ("select * from '/etc/passwd'", Code::NotFound),
        ("selec 1", Code::InvalidArgument),
        ("select * from nowhere", Code::NotFound),
        ("select nothing from bar_1m", Code::InvalidArgument),
        ("select 1 / 0", Code::InvalidArgument),
        ("", Code::InvalidArgument),
    ] {
        let outcome = query(&mut client, text).await;
        let Err(error) = outcome else { panic!("not refused: {text}") };
        assert_eq!(status(error).code(), code, "{text}");
        let prepared = client.prepare(text.to_owned(), None).await;
        assert!(prepared.is_err() || text == "select 1 / 0", "{text}");
    }
    let update = client.execute_update("delete from bar_1m".to_owned(), None).await;
    refused(update, Code::PermissionDenied, "read-only");
    let update = client.execute_update("select 1".to_owned(), None).await;
    refused(update, Code::InvalidArgument, "this is a query");
    let row = bound(vec![Arc::new(Int32Array::from(vec![1]))]);
    let rows = futures::stream::iter([Ok(row)]);
    let ingested = client.execute_ingest(CommandStatementIngest::default(), rows).await;
    refused(ingested, Code::PermissionDenied, "only reads");
    refused(client.begin_transaction().await, Code::Unimplemented, "BeginTransaction");
}

#[tokio::test]
async fn tables_come_with_the_schema_that_their_rows_have() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let question = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let info = client.get_tables(question).await.unwrap();
    let listed = rows(&mut client, &info).await.unwrap();
    let text = |column: usize| listed[0].column(column).as_string::<i32>();
    let places: Vec<String> = (0..listed[0].num_rows())
        .map(|row| format!("{}.{}", text(1).value(row), text(2).value(row)))
        .collect();
    assert!(places.contains(&"bi.bars_daily".to_owned()), "{places:?}");
    let row = places.iter().position(|place| place == "gold.bar_1m").unwrap();
    assert_eq!((text(0).value(row), text(3).value(row)), ("marketlake", "TABLE"));
    let message = listed[0].column(4).as_binary::<i32>().value(row).to_vec();
    let schema = Schema::try_from(arrow_flight::IpcMessage(message.into())).unwrap();
    let rows = query(&mut client, "select * from gold.bar_1m limit 1").await.unwrap();
    let names_and_types = |schema: &Schema| {
        let fields = schema.fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>()
    };
    assert_eq!(names_and_types(&schema), names_and_types(&rows[0].schema()));
}

#[tokio::test]
async fn facts_are_told_one_by_one_or_all() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let asked = vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerReadOnly];
    let info = client.get_sql_info(asked).await.unwrap();
    assert_eq!(count(&rows(&mut client, &info).await.unwrap()), 2);
    let info = client.get_sql_info(Vec::new()).await.unwrap();
    let announced = info.clone().try_decode_schema().unwrap();
    let all = rows(&mut client, &info).await.unwrap();
    assert!(count(&all) > 50);
    assert_eq!(all[0].schema().as_ref(), &announced);
}

//! Answers have exactly the fields, types and nulls that the document promises.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    client::{Events, get},
    fixture::{FakeFeed, Server},
};

/// Checks `value` against `schema`: types, constants, lists, and exactly the documented fields.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        let target = document.pointer(&reference[1..]).ok_or_else(|| reference.clone())?;
        return check(document, target, value, at);
    }
    if let Some(Value::Array(options)) = schema.get("anyOf") {
        let is_any = options.iter().any(|option| check(document, option, value, at).is_ok());
        return if is_any { Ok(()) } else { Err(format!("{at}: {value} fits no option")) };
    }
    if let Some(Value::Array(allowed)) = schema.get("enum") {
        return if allowed.contains(value) { Ok(()) } else { Err(format!("{at}: {value}")) };
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(kind)) => vec![kind],
        _ => return Err(format!("{at}: the schema has no type")),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&actual) {
        return Err(format!("{at}: {value} is {actual}, not {types:?}"));
    }
    match value {
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            check(document, &schema["items"], item, &format!("{at}[{index}]"))
        }),
        Value::Object(fields) => {
            let properties = schema["properties"].as_object().ok_or("properties")?;
            let known: BTreeSet<&String> = properties.keys().collect();
            let given: BTreeSet<&String> = fields.keys().collect();
            if known != given {
                return Err(format!("{at}: {given:?} instead of {known:?}"));
            }
            fields.iter().try_for_each(|(name, field)| {
                check(document, &properties[name], field, &format!("{at}.{name}"))
            })
        }
        _ => Ok(()),
    }
}

async fn document(server: &Server) -> Value {
    let reply = get(server.addr, "/api/v1/openapi.json").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.0");
    document
}

#[tokio::test]
async fn every_answer_has_exactly_the_documented_fields() {
    let server = Server::start().await;
    let document = document(&server).await;
    for (path, asked) in [
        ("/api/v1/health", "/api/v1/health"),
        ("/api/v1/status", "/api/v1/status"),
        ("/api/v1/symbols", "/api/v1/symbols"),
        ("/api/v1/bars", "/api/v1/bars?symbol=AAPL&interval=1m"),
        ("/api/v1/quotes", "/api/v1/quotes"),
        ("/api/v1/connect", "/api/v1/connect"),
    ] {
        let reply = get(server.addr, asked).await;
        assert_eq!(reply.status, 200, "{asked}: {}", reply.body);
        let schema =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
        check(&document, &schema["schema"], &reply.json(), path).unwrap();
        check(&document, &schema["schema"], &schema["example"], path).unwrap();
    }
}

#[tokio::test]
async fn refusals_have_the_documented_shape_and_status() {
    let server = Server::start().await;
    let document = document(&server).await;
    for (path, asked, status) in [
        ("/api/v1/bars", "/api/v1/bars", "400"),
        ("/api/v1/bars", "/api/v1/bars?symbol=NOPE&interval=1m", "404"),
        ("/api/v1/quotes", "/api/v1/quotes?symbols=,", "400"),
        ("/api/v1/stream", "/api/v1/stream?symbol=A", "400"),
        ("/api/v1/query", "/api/v1/query?sql=select%201%20from", "422"),
        ("/api/v1/query", "/api/v1/query?sql=select%20clos%20from%20gold.bar_1m", "422"),
        ("/api/v1/tables/{table}", "/api/v1/tables/gold.nothing", "404"),
    ] {
        let reply = get(server.addr, asked).await;
        assert_eq!(reply.status.to_string(), status, "{asked}: {}", reply.body);
        let response = &document["paths"][path]["get"]["responses"][status];
        let reference = response["$ref"].as_str().unwrap();
        let response = document.pointer(&reference[1..]).unwrap();
        let content = &response["content"]["application/json"];
        check(&document, &content["schema"], &reply.json(), asked).unwrap();
        check(&document, &content["schema"], &content["example"], asked).unwrap();
    }
}

#[tokio::test]
async fn an_event_has_exactly_the_documented_fields() {
    let feed = std::sync::Arc::new(FakeFeed::default());
    let server = Server::with_feed(&feed).await;
    let document = document(&server).await;
    let schema = &document["components"]["schemas"]["BarChange"];
    feed.commit(&["AAPL"]);
    let (mut events, _) = Events::open(server.addr, "/api/v1/stream", Some("1-0")).await;
    let event = events.next().await.unwrap();
    assert_eq!((event.event.as_str(), event.id.as_str()), ("bar", "1-1"));
    let data: Value = serde_json::from_str(&event.data).unwrap();
    check(&document, schema, &data, "event").unwrap();
    let example = &document["paths"]["/api/v1/stream"]["get"]["responses"]["200"]["content"]["text/event-stream"]
        ["example"];
    let example = example.as_str().unwrap().lines().find_map(|line| line.strip_prefix("data: "));
    check(&document, schema, &serde_json::from_str(example.unwrap()).unwrap(), "example").unwrap();
}

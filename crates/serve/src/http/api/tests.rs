//! The document and the routes say the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn every_route_is_documented_and_every_documented_path_is_a_route() {
    let document = document();
    let documented: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let routed: BTreeSet<&str> = routes().into_iter().map(|(path, _)| path).collect();
    assert_eq!(documented, routed);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn check(document: &Value, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|value| check(document, value));
            }
            Value::Array(values) => values.iter().for_each(|value| check(document, value)),
            _ => (),
        }
    }
    let document = document();
    check(&document, &document);
}

#[test]
fn every_schema_requires_exactly_its_properties() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let Some(properties) = schema.get("properties") else {
            continue;
        };
        let properties: BTreeSet<&str> =
            properties.as_object().unwrap().keys().map(String::as_str).collect();
        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(properties, required, "{name}");
        assert_eq!(schema["additionalProperties"], false, "{name}");
    }
}

#[test]
fn the_documented_limits_are_the_real_ones() {
    let document = document();
    let parameters = document["paths"]["/api/v1/bars"]["get"]["parameters"].as_array().unwrap();
    let limit = parameters.iter().find(|parameter| parameter["name"] == "limit").unwrap();
    assert_eq!(limit["schema"]["default"], super::super::params::BARS_DEFAULT);
    assert_eq!(limit["schema"]["maximum"], super::super::params::BARS_MAX);
    let intervals = document["components"]["schemas"]["Interval"]["enum"].as_array().unwrap();
    let known: Vec<&str> =
        model::BarInterval::GOLD.into_iter().map(model::BarInterval::as_str).collect();
    assert_eq!(intervals, &known);
}

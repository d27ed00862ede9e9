//! Documents, and rows inside of them.

use super::{row, with};
use crate::files::{
    format::{
        FileProblem,
        tests::{Case, check, gathered, json_options, lines, read, schema},
    },
    options::{Format, JsonOptions},
};

fn documents(name: &'static str, input: &'static str, rows: &'static [&'static str]) -> Case {
    let options = JsonOptions { is_multi_line: true, ..json_options() };
    with(options, row(name, "a:long", input, rows))
}

fn pages(
    name: &'static str,
    path: &[&str],
    input: &'static str,
    rows: &'static [&'static str],
    bad: &'static [&'static str],
) -> Case {
    let path = path.iter().map(|part| (*part).to_owned()).collect();
    let options = JsonOptions { rows: Some(path), ..json_options() };
    Case { bad, ..with(options, row(name, "a:long", input, rows)) }
}

#[test]
fn documents_are_rows_or_arrays_of_rows() {
    check(&[
        documents("multiLine: one document", "{\n  \"a\": 1\n}\n", &["1"]),
        documents(
            "multiLine: several, one behind the other",
            "{\"a\":1}{\"a\":2}\n\n{\"a\":\n3}",
            &["1", "2", "3"],
        ),
        documents("multiLine: an array of rows", "[\n{\"a\":1},\n{\"a\":2}\n]", &["1", "2"]),
        documents("multiLine: arrays and objects mixed", "[{\"a\":1}] {\"a\":2} []", &["1", "2"]),
        documents("multiLine: an empty file", " \n", &[]),
        Case {
            bad: &["2:7 no object <null>", "3:13 no object <[1]>"],
            ..documents("multiLine: elements that are no objects", "[ {},\n null,\n[1] ]", &["∅"])
        },
    ]);
}

#[test]
fn rows_lie_inside_of_documents() {
    check(&[
        pages(
            "rows: a vendor's page",
            &["data"],
            "{\"pagination\":{\"data\":[{\"a\":9}]},\"data\":[{\"a\":1},{\"a\":2}],\"x\":3}",
            &["1", "2"],
            &[],
        ),
        pages(
            "rows: deeper",
            &["result", "items"],
            "{\"items\":[{\"a\":9}],\"result\":{\"x\":1,\"items\":[{\"a\":1}]}}",
            &["1"],
            &[],
        ),
        pages(
            "rows: several documents",
            &["data"],
            "{\"data\":[{\"a\":1}]}\n{\"data\":[{\"a\":2}]}",
            &["1", "2"],
            &[],
        ),
        pages(
            "rows: an array of documents",
            &["data"],
            "[{\"data\":[{\"a\":1}]},{\"data\":[]}]",
            &["1"],
            &[],
        ),
        pages("rows: an empty array", &["data"], "{\"data\":[]}", &[], &[]),
        pages("rows: null is an empty array", &["data"], "{\"data\":null}", &[], &[]),
        pages(
            "rows: an escaped name is the name",
            &["data"],
            "{\"d\\u0061ta\":[{\"a\":1}]}",
            &["1"],
            &[],
        ),
        pages(
            "rows: a document without them is bad",
            &["data"],
            "{\"error\":1}\n{\"data\":[{\"a\":2}]}",
            &["2"],
            &["1:0 no array at `data` <{\"error\":1}>"],
        ),
        pages(
            "rows: an object where the array should be",
            &["data"],
            "{\"data\":{\"a\":1}}",
            &[],
            &["1:0 no array at `data` <{\"data\":{\"a\":1}}>"],
        ),
        pages(
            "rows: an element that is no object",
            &["data"],
            "{\"data\":[1,{\"a\":1}]}",
            &["1"],
            &["1:9 no object <1>"],
        ),
        pages(
            "rows: a document that is none",
            &["data"],
            "[7,{\"data\":[{\"a\":1}]}]",
            &["1"],
            &["1:1 no object <7>"],
        ),
        pages("rows: no documents", &["data"], "[]", &[], &[]),
    ]);
}

#[test]
fn a_broken_document_breaks_its_file() {
    let multi = JsonOptions { is_multi_line: true, ..json_options() };
    let paged = JsonOptions { rows: Some(vec!["data".to_owned()]), ..json_options() };
    for (name, options, input, line, offset) in [
        ("cut off in a row", &multi, "[{\"a\":1},\n{\"a\":", 2, 15),
        ("cut off between rows", &multi, "[{\"a\":1},\n", 2, 10),
        ("no comma", &multi, "[{\"a\":1}\n{\"a\":2}]", 2, 9),
        ("no JSON", &multi, "{\"a\":1}\n\nnope", 3, 9),
        ("a comma too much", &multi, "[{\"a\":1},]", 1, 9),
        ("after the rows", &paged, "{\"data\":[{\"a\":1}],\n\"x\"}", 2, 22),
        ("not UTF-8 later", &multi, "{\"a\":1}\n\u{0}", 2, 8),
    ] {
        let schema = schema("a:long", true);
        for size in [1, 4, input.len()] {
            let pieces: Vec<&[u8]> = input.as_bytes().chunks(size).collect();
            let problem = read(&Format::Json(options.clone()), &schema, &pieces).unwrap_err();
            let FileProblem::Document(bad) = problem else { panic!("{name}: {problem}") };
            assert_eq!((bad.line, bad.offset), (line, offset), "{name}: {}", bad.reason);
        }
    }
}

#[test]
fn rows_know_their_lines() {
    let options = JsonOptions { is_multi_line: true, ..json_options() };
    let input = b"[\n {\"a\":1},\n\n {\"a\":\n2} , {\"a\":3}]\n{\"a\":4}";
    for size in [1, 5, input.len()] {
        let pieces: Vec<&[u8]> = input.chunks(size).collect();
        let out = read(&Format::Json(options.clone()), &schema("a:long", true), &pieces).unwrap();
        assert_eq!(lines(&out), [2, 4, 5, 6]);
    }
}

#[test]
fn rows_are_handed_on_before_their_document_ends() {
    let options = JsonOptions { rows: Some(vec!["data".to_owned()]), ..json_options() };
    let schema = std::sync::Arc::new(schema("a:long", true));
    let mut reader = crate::files::format::open(&Format::Json(options), schema).unwrap();
    let piece = ",{\"a\":1}".repeat(1000);
    let out = gathered(&mut |out| {
        reader.push(b"{\"data\":[{\"a\":0}", out)?;
        (0..200).try_for_each(|_| reader.push(piece.as_bytes(), out))
    });
    let out = out.unwrap();
    assert_eq!(lines(&out).len(), 3 * 65_536, "three stretches of 200,001 rows");
}

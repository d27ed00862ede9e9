//! Types and columns as text: what Spark writes is read, and what is printed is read back the same.

use arrow::datatypes::Field;
use proptest::prelude::*;

use super::*;

/// Parses a type and prints it again, or says why not.
fn printed(text: &str) -> String {
    parse_type(text).map_or_else(|error| error.to_string(), |found| type_text(&found))
}

#[test]
fn reads_every_name_that_spark_has_for_a_type() {
    for (text, expected) in [
        ("BOOLEAN", "BOOLEAN"),
        ("bool", "BOOLEAN"),
        ("byte", "TINYINT"),
        ("TINYINT", "TINYINT"),
        ("short", "SMALLINT"),
        ("SMALLINT", "SMALLINT"),
        ("int", "INT"),
        ("INTEGER", "INT"),
        ("LONG", "BIGINT"),
        ("BigInt", "BIGINT"),
        ("REAL", "FLOAT"),
        ("float", "FLOAT"),
        ("DOUBLE", "DOUBLE"),
        ("string", "STRING"),
        ("TEXT", "STRING"),
        ("CHAR(3)", "STRING"),
        ("character(3)", "STRING"),
        ("VARCHAR(255)", "STRING"),
        ("binary", "BINARY"),
        ("DATE", "DATE"),
        ("TIMESTAMP", "TIMESTAMP"),
        ("timestamp_ltz", "TIMESTAMP"),
        ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
        ("DECIMAL", "DECIMAL(10,0)"),
        ("dec(5)", "DECIMAL(5,0)"),
        ("NUMERIC ( 38 , 38 )", "DECIMAL(38,38)"),
        ("DECIMAL(1,0)", "DECIMAL(1,0)"),
        ("array<int>", "ARRAY<INT>"),
        ("ARRAY<ARRAY<STRING>>", "ARRAY<ARRAY<STRING>>"),
        ("map<string,int>", "MAP<STRING, INT>"),
        ("struct<a:int,b:string>", "STRUCT<a: INT, b: STRING>"),
        ("STRUCT<a INT, b STRING>", "STRUCT<a: INT, b: STRING>"),
        (
            "STRUCT<a: INT NOT NULL COMMENT 'it\\'s', b: DATE COMMENT \"x\">",
            "STRUCT<a: INT, b: DATE>",
        ),
        ("STRUCT<`a b`: INT, `c``d`: INT>", "STRUCT<`a b`: INT, `c``d`: INT>"),
        ("STRUCT<größe: INT>", "STRUCT<`größe`: INT>"),
        ("  INT -- of course\n", "INT"),
        ("ARRAY< /* of */ INT>", "ARRAY<INT>"),
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
}

#[test]
fn says_where_a_type_goes_wrong_and_what_could_stand_there() {
    for (text, position, expected, found) in [
        ("", 1, A_TYPE, "the end"),
        ("BIGNIT", 1, A_TYPE, "`BIGNIT`"),
        ("ARRAY<BIGNIT>", 7, A_TYPE, "`BIGNIT`"),
        ("ARRAY<INT", 10, "`>`", "the end"),
        ("ARRAY", 6, "`<`", "the end"),
        ("MAP<STRING>", 11, "`,`", "`>`"),
        ("STRUCT<a>", 9, A_TYPE, "`>`"),
        ("STRUCT<>", 8, "a member: a struct without any cannot be stored", "`>`"),
        ("STRUCT<a INT, A INT>", 15, "another name: this one is there already", "`A`"),
        ("INT INT", 5, "the end", "`INT`"),
        ("INT)", 4, "the end", "`)`"),
        ("DECIMAL(39,0)", 9, "a number of digits from 1 to 38", "`39`"),
        ("DECIMAL(0,0)", 9, "a number of digits from 1 to 38", "`0`"),
        ("DECIMAL(5,6)", 11, "digits behind the point, no more than all", "`6`"),
        ("DECIMAL(5", 10, "`)`", "the end"),
        ("VARCHAR", 8, "`(`", "the end"),
        ("VARCHAR(x)", 9, "a length", "`x`"),
        ("STRUCT<a INT NOT>", 17, "`NULL`", "`>`"),
        ("STRUCT<a INT COMMENT b>", 22, "a comment in quotes", "`b`"),
        ("STRUCT<`a INT>", 15, "a closing backquote", "the end"),
        ("STRUCT<`` INT>", 8, "a name, in backquotes if it is unusual", "the name ``"),
        ("STRUCT<a INT COMMENT 'x>", 25, "a closing quote", "the end"),
        ("INT /* x", 9, "`*/`, the end of the comment", "the end"),
        (
            "STRUCT<a-b: INT>",
            9,
            "a name, which needs backquotes if it is unusual, or a type",
            "`-`",
        ),
        ("größe%", 6, "a name, which needs backquotes if it is unusual, or a type", "`%`"),
    ] {
        let error = parse_type(text).unwrap_err();
        let ours = (error.position, error.expected.as_str(), error.found.as_str());
        assert_eq!(ours, (position, expected, found), "{text}");
    }
    for text in ["VARIANT", "INTERVAL", "void", "NULL"] {
        assert!(printed(text).contains("use STRING"), "{text}: {}", printed(text));
    }
}

#[test]
fn a_type_is_not_deeper_than_our_stack() {
    let deep = |depth| format!("{}INT{}", "ARRAY<".repeat(depth), ">".repeat(depth));
    assert!(parse_type(&deep(DEPTH_MAX - 1)).is_ok());
    assert!(printed(&deep(DEPTH_MAX)).contains("less deeply nested"));
    assert!(printed(&"ARRAY<".repeat(100_000)).contains("less deeply nested"));
    assert!(parse_stored_type(&deep(STORED_DEPTH_MAX - 1)).is_ok());
}

#[test]
fn reads_columns() {
    let read = |text: &str| match parse_fields(text) {
        Ok(fields) => fields.iter().map(|field| field_text(field)).collect::<Vec<_>>().join(", "),
        Err(error) => error.to_string(),
    };
    for (text, expected) in [
        ("", ""),
        (" ", ""),
        ("a INT", "a INT"),
        ("a: INT, b STRING", "a INT, b STRING"),
        ("a INT NOT NULL, b DATE COMMENT 'of trade'", "a INT, b DATE"),
        ("STRUCT<a: INT, b: STRING>", "a INT, b STRING"),
        ("struct STRING, map INT", "struct STRING, map INT"),
        ("`a.b` INT, 1st INT", "`a.b` INT, `1st` INT"),
        (
            "a BIGINT, b STRUCT<c: DECIMAL(18,6), d: ARRAY<STRING>>, m MAP<STRING, INT>",
            "a BIGINT, b STRUCT<c: DECIMAL(18,6), d: ARRAY<STRING>>, m MAP<STRING, INT>",
        ),
        ("a INT,", "expected a name, in backquotes if it is unusual at character 7, found the end"),
        ("a INT b INT", "expected `,` or the end at character 7, found `b`"),
        (
            "a INT, A INT",
            "expected another name: this one is there already at character 8, found `A`",
        ),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    assert!(parse_fields("a INT NOT NULL").unwrap()[0].is_nullable(), "files promise nothing");
}

#[test]
fn reads_hints() {
    let read = |text: &str| match parse_hints(text) {
        Ok(hints) => {
            let hint = |hint: &SchemaHint| {
                format!("{} {}", path_text(&hint.path), type_text(&hint.data_type))
            };
            hints.iter().map(hint).collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    };
    for (text, expected) in [
        ("", ""),
        ("date DATE, user_info.dob DATE", "date DATE, user_info.dob DATE"),
        ("users.element.id INT, names.key INT", "users.element.id INT, names.key INT"),
        ("`last price` DECIMAL(18,6)", "`last price` DECIMAL(18,6)"),
        ("a.`b.c` INT", "a.`b.c` INT"),
        ("a INT, a.b INT", "a INT, a.b INT"),
        (
            "a INT, A DATE",
            "expected another path: there is a hint for this one at character 8, found `A`",
        ),
        (
            "a. INT",
            "expected a type such as BIGINT, DECIMAL(18,6), STRING, TIMESTAMP, ARRAY<…>, MAP<…> or STRUCT<…> at character 7, found the end",
        ),
        (".a INT", "expected a name, in backquotes if it is unusual at character 1, found `.`"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    let long = vec!["a"; DEPTH_MAX + 1].join(".");
    assert!(read(&format!("{long} INT")).contains("a path of at most 64 names"));
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_][a-z0-9_]{0,6}", "\\PC{1,6}", "[`'\"<>., ]{1,4}"]
}

pub(in crate::files::schema) fn any_type() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![
        proptest::sample::select(vec![
            DataType::Boolean,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Utf8,
            DataType::Binary,
            DataType::Date32,
            types::timestamp(),
            types::ntz(),
        ]),
        (1_u8..=38).prop_flat_map(|precision| {
            (0..=precision.cast_signed())
                .prop_map(move |scale| DataType::Decimal128(precision, scale))
        }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = proptest::collection::vec((any_name(), inner.clone()), 1..4);
        prop_oneof![
            inner.clone().prop_map(list_of),
            (inner.clone(), inner).prop_map(|(key, value)| map_of(key, value)),
            members.prop_map(|members| {
                let mut fields: Vec<FieldRef> = Vec::new();
                for (name, data_type) in members {
                    if position(&fields, &name).is_none() {
                        fields.push(Field::new(name, data_type, true).into());
                    }
                }
                DataType::Struct(fields.into())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back_the_same(name in any_name(), data_type in any_type()) {
        prop_assert_eq!(parse_type(&type_text(&data_type)), Ok(data_type.clone()));
        let column = field(&name, data_type);
        let columns = parse_fields(&field_text(&column)).unwrap();
        prop_assert_eq!(columns[0].as_ref(), &column);
    }

    #[test]
    fn a_path_is_read_back_the_same(path in proptest::collection::vec(any_name(), 1..5)) {
        prop_assert_eq!(parse_path(&path_text(&path)), Ok(path));
    }

    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,40}|[A-Za-z<>(),:.`' \n*/0-9-]{0,60}") {
        let _ = (parse_type(&text).is_ok(), parse_fields(&text).is_ok(), parse_hints(&text).is_ok());
        let hidden = format!("STRUCT<{text}");
        if let Err(error) = parse_type(&hidden) {
            prop_assert!(error.position <= hidden.chars().count() + 1);
        }
    }
}

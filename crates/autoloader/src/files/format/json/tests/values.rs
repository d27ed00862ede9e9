//! Which JSON values fit which columns.

use super::row;
use crate::files::format::tests::{Case, check};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn values_fit_their_columns_exactly_or_are_rescued() {
    check(&[
        row("boolean: true and false", "a:bool", "{\"a\":true}\n{\"a\":false}", &["true", "false"]),
        row("boolean: text is none", "a:bool", "{\"a\":\"true\"}", &["∅ + {\"a\":\"true\"}"]),
        row("byte: its range", "a:byte", "{\"a\":-128}\n{\"a\":128}", &["-128", "∅ + {\"a\":128}"]),
        row(
            "short: its range",
            "a:short",
            "{\"a\":32767}\n{\"a\":-32769}",
            &["32767", "∅ + {\"a\":-32769}"],
        ),
        row(
            "int: its range",
            "a:int",
            "{\"a\":2147483647}\n{\"a\":2147483648}",
            &["2147483647", "∅ + {\"a\":2147483648}"],
        ),
        row(
            "long: its range",
            "a:long",
            "{\"a\":9223372036854775807}\n{\"a\":9223372036854775808}",
            &["9223372036854775807", "∅ + {\"a\":9223372036854775808}"],
        ),
        row("long: no fraction", "a:long", "{\"a\":7.0}", &["∅ + {\"a\":7.0}"]),
        row("long: no text", "a:long", "{\"a\":\"7\"}", &["∅ + {\"a\":\"7\"}"]),
        row("long: no exponent", "a:long", "{\"a\":7e0}", &["∅ + {\"a\":7e0}"]),
        row("double: numbers", "a:double", "{\"a\":1}\n{\"a\":-2.5e3}", &["1.0", "-2500.0"]),
        row("double: too large for any", "a:double", "{\"a\":1e999}", &["∅ + {\"a\":1e999}"]),
        row("double: text is none", "a:double", "{\"a\":\"1.5\"}", &["∅ + {\"a\":\"1.5\"}"]),
        row(
            "double: text that is not finite",
            "a:double",
            "{\"a\":\"NaN\"}\n{\"a\":\"-INF\"}",
            &["NaN", "-inf"],
        ),
        row(
            "double: every name of infinity",
            "a:double",
            "{\"a\":\"Infinity\"}\n{\"a\":\"+Infinity\"}\n{\"a\":\"+INF\"}\n{\"a\":\"-Infinity\"}",
            &["inf", "inf", "inf", "-inf"],
        ),
        row(
            "double: words that are no name of infinity",
            "a:double",
            "{\"a\":\"INF\"}\n{\"a\":\"inf\"}\n{\"a\":\"+NaN\"}",
            &["∅ + {\"a\":\"INF\"}", "∅ + {\"a\":\"inf\"}", "∅ + {\"a\":\"+NaN\"}"],
        ),
        Case {
            bad: &["1:0 not JSON at byte 5 <{\"a\":INF}>"],
            ..row("double: INF without quotes", "a:double", "{\"a\":INF}", &[])
        },
        row(
            "float: narrower",
            "a:float",
            "{\"a\":1.5}\n{\"a\":1e40}",
            &["1.5", "∅ + {\"a\":1e40}"],
        ),
        row(
            "decimal: every digit",
            "a:price",
            "{\"a\":189.43}\n{\"a\":0.000001}",
            &["189.430000", "0.000001"],
        ),
        row(
            "decimal: not by way of a float",
            "a:price",
            "{\"a\":123456789012.345678}",
            &["123456789012.345678"],
        ),
        row(
            "decimal: too many digits behind the point",
            "a:price",
            "{\"a\":1.2345678}",
            &["∅ + {\"a\":1.2345678}"],
        ),
        row(
            "decimal: too many digits in front",
            "a:price",
            "{\"a\":1000000000000}",
            &["∅ + {\"a\":1000000000000}"],
        ),
        row(
            "decimal: exponents are exact",
            "a:price",
            "{\"a\":1.5e-3}\n{\"a\":-12e2}\n{\"a\":0e99}",
            &["0.001500", "-1200.000000", "0.000000"],
        ),
        row(
            "decimal: an exponent too far",
            "a:price",
            "{\"a\":1e-7}\n{\"a\":1e999999999999}",
            &["∅ + {\"a\":1e-7}", "∅ + {\"a\":1e999999999999}"],
        ),
        row("decimal: digits as text", "a:price", "{\"a\":\"2.5\"}", &["2.500000"]),
        row(
            "decimal: 38 digits",
            "a:wide",
            "{\"a\":99999999999999999999999999999999999999}",
            &["99999999999999999999999999999999999999"],
        ),
        row("string: text unescaped", "a:string", r#"{"a":"x\"\u00e9\n"}"#, &["x\"é\n"]),
        row(
            "string: numbers as written",
            "a:string",
            "{\"a\":1.50}\n{\"a\":true}",
            &["1.50", "true"],
        ),
        row(
            "string: objects as their text",
            "a:string",
            "{\"a\":{\"b\": [1, 2]}}",
            &["{\"b\": [1, 2]}"],
        ),
        row(
            "string: half a surrogate pair is no text",
            "a:string",
            r#"{"a":"\ud800"}"#,
            &[r#"∅ + {"a":"\ud800"}"#],
        ),
        row(
            "binary: base64",
            "a:binary",
            "{\"a\":\"AQID\"}\n{\"a\":\"?\"}",
            &["010203", "∅ + {\"a\":\"?\"}"],
        ),
        row(
            "date: a day",
            "a:date",
            "{\"a\":\"2026-01-05\"}\n{\"a\":\"2026-02-30\"}",
            &["2026-01-05", "∅ + {\"a\":\"2026-02-30\"}"],
        ),
        row(
            "timestamp: with a zone",
            "a:time",
            "{\"a\":\"2026-01-05T14:30:00+0100\"}",
            &["2026-01-05T13:30:00Z"],
        ),
        row(
            "timestamp: a number is seconds",
            "a:time",
            "{\"a\":1767225600}",
            &["2026-01-01T00:00:00Z"],
        ),
        row(
            "timestamp: no sooner than microseconds",
            "a:time",
            "{\"a\":\"2026-01-05T14:30:00.1234567Z\"}",
            &["∅ + {\"a\":\"2026-01-05T14:30:00.1234567Z\"}"],
        ),
        row(
            "timestamp_ntz: a clock has no zone",
            "a:clock",
            "{\"a\":\"2026-01-05T14:30:00+0100\"}\n{\"a\":\"2026-01-05\"}",
            &["2026-01-05T14:30:00", "2026-01-05T00:00:00"],
        ),
        row(
            "null fits everything",
            "a:long b:point c:map d:longs",
            "{\"a\":null,\"b\":null,\"c\":null,\"d\":null}",
            &["∅ | ∅ | ∅ | ∅"],
        ),
        row("a field that is absent is null", "a:long b:string", "{}", &["∅ | ∅"]),
    ]);
}

#[test]
fn nested_values_fit_whole_or_not_at_all() {
    check(&[
        row("struct: by name", "a:point", "{\"a\":{\"y\":\"u\",\"x\":1}}", &["{x: 1, y: u}"]),
        row("struct: absent fields are null", "a:point", "{\"a\":{}}", &["{x: ∅, y: ∅}"]),
        row(
            "struct: a misfit inside rescues the whole field",
            "a:point b:long",
            "{\"a\":{\"x\":\"?\",\"y\":\"u\"},\"b\":2}",
            &["∅ | 2 + {\"a\":{\"x\":\"?\",\"y\":\"u\"}}"],
        ),
        row(
            "struct: an unknown field inside is rescued, the column kept",
            "a:point",
            "{\"a\":{\"x\":1,\"z\":3}}",
            &["{x: 1, y: ∅} + {\"a\":{\"x\":1,\"z\":3}}"],
        ),
        row(
            "struct: the last of a repeated field",
            "a:point",
            "{\"a\":{\"x\":1,\"x\":2}}",
            &["{x: 2, y: ∅} + {\"a\":{\"x\":1,\"x\":2}}"],
        ),
        row("struct: no list", "a:point", "{\"a\":[1]}", &["∅ + {\"a\":[1]}"]),
        row(
            "array: elements and nulls",
            "a:longs",
            "{\"a\":[1, null ,3]}\n{\"a\":[]}",
            &["[1, ∅, 3]", "[]"],
        ),
        row(
            "array: one misfit rescues all",
            "a:longs",
            "{\"a\":[1,\"x\"]}\n{\"a\":[4]}",
            &["∅ + {\"a\":[1,\"x\"]}", "[4]"],
        ),
        row("array: no object", "a:longs", "{\"a\":{}}", &["∅ + {\"a\":{}}"]),
        row("array of arrays", "a:lists", "{\"a\":[[1],[],null,[2,3]]}", &["[[1], [], ∅, [2, 3]]"]),
        row(
            "array of structs",
            "a:points",
            "{\"a\":[{\"x\":1},{\"y\":\"v\"}]}",
            &["[{x: 1, y: ∅}, {x: ∅, y: v}]"],
        ),
        row(
            "array of structs: unknown inside",
            "a:points",
            "{\"a\":[{\"q\":1}]}",
            &["[{x: ∅, y: ∅}] + {\"a\":[{\"q\":1}]}"],
        ),
        row("map: any keys", "a:map", r#"{"a":{"k\u00e9":1,"":null}}"#, &["{ké: 1, : ∅}"]),
        row(
            "map: a misfit rescues all",
            "a:map",
            "{\"a\":{\"k\":\"v\"}}\n{\"a\":{\"k\":1}}",
            &["∅ + {\"a\":{\"k\":\"v\"}}", "{k: 1}"],
        ),
    ]);
}

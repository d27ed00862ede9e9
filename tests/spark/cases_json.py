"""Cases of JSON: lines and documents, the types of a given schema, what is broken, what is inferred."""

from case import Case

SCALARS = "b BOOLEAN, y TINYINT, s SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, t STRING"


def json(name, schema, text, **more):
    """A case of one file."""
    return Case(name, "json", schema, {"one.json": text}, **more)


# So many rows that a column of prices fills more than one page of a data file.
MANY = range(25_000)


def price(row, digits):
    """A number with three places behind the point that hardly any other row has, or none at all."""
    thousandths = row * 7_919_000_017 % 10**digits
    return "null" if row % 61 == 0 else f"{thousandths // 1000}.{thousandths % 1000:03}"


LINES = [
    json(
        "decimals that hardly ever come again",
        "row BIGINT, small DECIMAL(9,3), middling DECIMAL(18,6), large DECIMAL(20,10), huge DECIMAL(38,4)",
        "".join(
            f'{{"row":{row},"small":{price(row, 9)},"middling":{price(row, 12)},'
            f'"large":-{row}.{row % 1000:03},"huge":{price(row, 15)}}}\n'
            for row in MANY
        ),
    ),
    json(
        "a value of each simple type",
        SCALARS,
        '{"b":true,"y":-128,"s":32767,"i":-2147483648,"l":9223372036854775807,"f":1.5,"d":1e300,"t":"x"}\n'
        '{"b":false,"y":127,"s":-1,"i":0,"l":0,"f":-0.25,"d":-0.0,"t":""}\n',
    ),
    json(
        "fields that are missing or null",
        "a STRING, b BIGINT",
        '{"a":"x"}\n{"b":null}\n{}\n{"b":2,"a":null}\n',
    ),
    json("fields that the schema does not have", "a STRING", '{"a":"x","z":{"deep":[1]}}\n'),
    json(
        "empty lines, spaces and no end of line",
        "a BIGINT",
        '\n{"a":1}\n   \n\n  {"a":2}  \r\n{"a":3}',
    ),
    json("line ends of all systems", "a BIGINT", '{"a":1}\r\n{"a":2}\r{"a":3}\n'),
    json(
        "a separator of lines of its own",
        "a BIGINT",
        '{"a":1}|{"a":2}|\n{"a":3}',
        options={"lineSep": "|"},
    ),
    json(
        "escapes and letters of all planes",
        "a STRING",
        '{"a":"tab\\t quote\\" slash\\/ back\\\\ nul\\u0000 umlaut\\u00e4 ä 中"}\n{"a":"\\ud83d\\ude00 😀"}\n',
    ),
    json("a byte order mark", "a BIGINT", "\ufeff" + '{"a":1}\n{"a":2}\n'),
    json("the same field twice", "a BIGINT", '{"a":1,"a":2}\n'),
    json("an array at the top is its elements", "a BIGINT", '[{"a":1},{"a":2}]\n[]\n{"a":3}\n'),
    json(
        "text takes whatever stands there",
        "a STRING",
        '{"a":1}\n{"a":1.50}\n{"a":true}\n{"a":{"x": 1, "y":[1, 2.0]}}\n{"a":[1,"two",null]}\n{"a":1e5}\n',
    ),
    json(
        "files of several folders",
        "a BIGINT",
        '{"a":0}\n',
        later=(
            {"in/two.json": '{"a":1}\n'},
            {"in/deeper/three.json": '{"a":2}\n', "one-more.json": '{"a":3}\n'},
        ),
        spark={"recursiveFileLookup": "true"},
    ),
    Case(
        "hidden files and files of another name",
        "json",
        "a BIGINT",
        {
            "one.json": '{"a":1}\n',
            "_SUCCESS": '{"a":2}\n',
            ".two.json": '{"a":3}\n',
            "three.txt": '{"a":4}\n',
        },
        options={"pathGlobFilter": "*.json"},
    ),
    json(
        "another encoding",
        "a STRING",
        '{"a":"ä"}\n{"a":"中"}\n'.encode("utf-16-le"),
        options={"encoding": "UTF-16LE", "lineSep": "\n"},
    ),
]

NUMBERS = [
    json(
        "decimals keep their digits",
        "p DECIMAL(18,6)",
        '{"p":189.43}\n{"p":0.000001}\n{"p":-123456789012.123456}\n{"p":1e2}\n{"p":7}\n{"p":"12.5"}\n',
    ),
    json(
        "a decimal that is too great is null",
        "p DECIMAL(5,2), a BIGINT",
        '{"p":1234.5,"a":1}\n{"p":999.999,"a":2}\n',
    ),
    json(
        "great decimals",
        "p DECIMAL(38,18)",
        '{"p":12345678901234567890.123456789012345678}\n{"p":-0.000000000000000001}\n',
    ),
    json(
        "a number that does not fit its type",
        "a BIGINT, y TINYINT, i INT, z STRING",
        '{"y":256,"z":"p"}\n{"i":2147483648,"z":"q"}\n{"a":9223372036854775808,"z":"r"}\n{"i":1,"y":2,"a":3}\n',
    ),
    json(
        "a fraction is no whole number",
        "a BIGINT, z STRING",
        '{"a":1.5,"z":"p"}\n{"a":1.0,"z":"q"}\n{"a":1e2,"z":"r"}\n',
    ),
    json(
        "a number as text is no number",
        "a BIGINT, d DOUBLE, z STRING",
        '{"a":"1","z":"p"}\n{"d":"1.5","z":"q"}\n',
    ),
    json(
        "numbers that are none, as text",
        "d DOUBLE, f FLOAT",
        '{"d":"NaN","f":"NaN"}\n{"d":"Infinity","f":"-Infinity"}\n{"d":"+INF","f":"-INF"}\n{"d":"-INF","f":"+Infinity"}\n',
    ),
    json(
        "words that are no number's name, as text",
        "d DOUBLE, f FLOAT",
        '{"d":"INF","f":"INF"}\n{"d":"inf","f":"+NaN"}\n',
    ),
    json(
        "numbers that are none, without quotes",
        "d DOUBLE",
        '{"d":NaN}\n{"d":Infinity}\n{"d":-Infinity}\n{"d":+INF}\n{"d":-INF}\n',
    ),
    json(
        "numbers that are none, refused",
        "d DOUBLE, z STRING",
        '{"z":"p","d":"NaN"}\n{"z":"q","d":1}\n',
        options={"allowNonNumericNumbers": "false"},
    ),
    json(
        "leading zeros where they are allowed",
        "a BIGINT",
        '{"a":007}\n{"a":-01}\n',
        options={"allowNumericLeadingZeros": "true"},
    ),
    json(
        "doubles at their ends",
        "d DOUBLE, f FLOAT",
        '{"d":1.7976931348623157e308,"f":3.4028235e38}\n{"d":4.9e-324,"f":1.4e-45}\n'
        '{"d":0.1,"f":0.1}\n{"d":123456789012345678,"f":16777217}\n',
    ),
    json(
        "a truth value as text or number is none",
        "b BOOLEAN, z STRING",
        '{"b":"true","z":"p"}\n{"b":1,"z":"q"}\n{"b":true,"z":"r"}\n',
    ),
]

TIMES = [
    json(
        "days",
        "d DATE",
        '{"d":"2026-01-31"}\n{"d":"1969-12-31"}\n{"d":"0001-01-01"}\n{"d":"9999-12-31"}\n',
    ),
    json(
        "days in short",
        "d DATE",
        '{"d":"2026-1-5"}\n{"d":"2026-01-5"}\n{"d":"2026-01"}\n{"d":"2026"}\n{"d":"2024-2-29"}\n',
    ),
    json(
        "days in short that are none",
        "d DATE, z STRING",
        '{"d":"2026-13","z":"p"}\n{"d":"2026-","z":"q"}\n{"d":"2026-001","z":"r"}\n'
        '{"d":"2023-2-29","z":"s"}\n{"d":"2026-01T00:00","z":"t"}\n',
    ),
    json(
        "days that are none",
        "d DATE, z STRING",
        '{"d":"2026-02-30","z":"p"}\n{"d":"x","z":"q"}\n{"d":"","z":"r"}\n',
    ),
    json(
        "days in a format",
        "d DATE",
        '{"d":"31/01/2026"}\n{"d":"01/12/1999"}\n',
        options={"dateFormat": "dd/MM/yyyy"},
    ),
    json(
        "days with the month's name",
        "d DATE",
        '{"d":"Jan 5, 2026"}\n{"d":"Dec 31, 1999"}\n',
        options={"dateFormat": "MMM d, yyyy"},
    ),
    json("days as numbers", "d DATE, z STRING", '{"d":20000,"z":"p"}\n'),
    json(
        "moments with zones",
        "t TIMESTAMP",
        '{"t":"2026-03-04T05:06:07Z"}\n{"t":"2026-03-04T05:06:07.123456+02:00"}\n{"t":"2026-03-04 05:06:07-0530"}\n'
        '{"t":"2026-03-04T05:06:07+0000"}\n',
    ),
    json(
        "moments without a zone are in UTC",
        "t TIMESTAMP",
        '{"t":"2026-03-04T05:06:07"}\n{"t":"2026-03-04 05:06:07.1"}\n{"t":"2026-03-04"}\n',
    ),
    json(
        "moments in short",
        "t TIMESTAMP",
        '{"t":"2026-03-04T05:06"}\n{"t":"2026-03-04 5:6"}\n{"t":"2026-03-04T05"}\n'
        '{"t":"2026-3-4T5:6:7.5Z"}\n{"t":"2026-3-4 5:6:7-0530"}\n{"t":"2026-1"}\n{"t":"2026"}\n',
    ),
    json(
        "moments in short that are none",
        "t TIMESTAMP, z STRING",
        '{"t":"2026-03-04T05:06Z","z":"p"}\n{"t":"2026-03-04T05:06:","z":"q"}\n'
        '{"t":"2026-03-04T24:00","z":"r"}\n{"t":"2026-03T05:06","z":"s"}\n',
    ),
    json(
        "moments in short are in the given zone",
        "t TIMESTAMP",
        '{"t":"2026-03-04T05:06"}\n{"t":"2026-7-4 5:6"}\n{"t":"2026-07"}\n',
        options={"timeZone": "Europe/Berlin"},
    ),
    json(
        "moments without a zone are in the given one",
        "t TIMESTAMP",
        '{"t":"2026-03-04T05:06:07"}\n{"t":"2026-07-04 05:06:07"}\n{"t":"2026-07-04T05:06:07Z"}\n{"t":"2026-07-04"}\n',
        options={"timeZone": "Europe/Berlin"},
    ),
    json(
        "moments that a clock shows twice, or never",
        "t TIMESTAMP",
        '{"t":"2026-10-25T02:30:00"}\n{"t":"2026-03-29T02:30:00"}\n',
        options={"timeZone": "Europe/Berlin"},
    ),
    json(
        "moments in a format",
        "t TIMESTAMP",
        '{"t":"04.03.2026 05:06:07"}\n{"t":"31.12.1999 23:59:59"}\n',
        options={"timestampFormat": "dd.MM.yyyy HH:mm:ss", "timeZone": "America/New_York"},
    ),
    json(
        "moments in a format with halves of days",
        "t TIMESTAMP",
        '{"t":"03/04/2026 12:06 AM"}\n{"t":"03/04/2026 01:06 PM"}\n',
        options={"timestampFormat": "MM/dd/yyyy hh:mm a"},
    ),
    json(
        "moments in a format with optional parts",
        "t TIMESTAMP",
        '{"t":"2026-03-04T05:06:07.123+01:00"}\n{"t":"2026-03-04T05:06:07"}\n{"t":"2026-03-04T05:06:07Z"}\n',
        options={"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]"},
    ),
    json(
        "moments that do not fit the format",
        "t TIMESTAMP, z STRING",
        '{"t":"2026-03-04T05:06:07Z","z":"p"}\n{"t":"","z":"q"}\n',
        options={"timestampFormat": "dd.MM.yyyy HH:mm:ss"},
    ),
    json(
        "moments as numbers",
        "t TIMESTAMP, z STRING",
        '{"t":1700000000,"z":"p"}\n{"t":-1,"z":"q"}\n',
    ),
    json("moments as fractions", "t TIMESTAMP, z STRING", '{"t":1700000000.5,"z":"p"}\n'),
    json("binary is base64", "x BINARY, z STRING", '{"x":"aGVsbG8=","z":"p"}\n{"x":"","z":"q"}\n'),
]

NESTED = [
    json(
        "structs in structs",
        "a STRUCT<b: STRUCT<c: BIGINT, d: STRING>, e: DOUBLE>",
        '{"a":{"b":{"c":1,"d":"x"},"e":0.5}}\n{"a":{"b":null}}\n{"a":{}}\n{"a":null}\n{}\n',
    ),
    json(
        "arrays",
        "a ARRAY<BIGINT>, b ARRAY<ARRAY<STRING>>",
        '{"a":[1,null,3],"b":[["x"],[],null]}\n{"a":[]}\n{"a":null}\n',
    ),
    json(
        "arrays of structs",
        "rows ARRAY<STRUCT<p: DECIMAL(10,4), t: TIMESTAMP>>",
        '{"rows":[{"p":1.25,"t":"2026-01-01T00:00:00Z"},{"p":null},{},null]}\n',
    ),
    json(
        "maps",
        "m MAP<STRING, BIGINT>, n MAP<STRING, STRUCT<x: STRING>>",
        '{"m":{"a":1,"b":null},"n":{"k":{"x":"y"},"l":{}}}\n{"m":{}}\n{"m":null}\n',
    ),
    json(
        "an object where an array belongs",
        "a ARRAY<BIGINT>, z STRING",
        '{"a":{"x":1},"z":"p"}\n{"a":7,"z":"q"}\n{"a":[1],"z":"r"}\n',
    ),
    json(
        "an array where a struct belongs",
        "a STRUCT<x: BIGINT>, z STRING",
        '{"a":[1],"z":"p"}\n{"a":"x","z":"q"}\n{"a":[{"x":1}],"z":"r"}\n',
    ),
    json("an element that does not fit", "a ARRAY<BIGINT>, z STRING", '{"a":[1,"no",3],"z":"p"}\n'),
]

DOCUMENTS = [
    json(
        "one document over several lines",
        "a BIGINT, b STRUCT<c: STRING>",
        '{\n  "a": 1,\n  "b": {\n    "c": "x"\n  }\n}\n',
        options={"multiLine": "true"},
    ),
    json(
        "an array of documents over several lines",
        "a BIGINT",
        '[\n  {"a": 1},\n  {"a": 2},\n  {}\n]\n',
        options={"multiLine": "true"},
    ),
    Case(
        "documents of several files",
        "json",
        "a BIGINT",
        {f"{name}.json": f'{{\n"a": {name}\n}}' for name in range(5)},
        options={"multiLine": "true"},
    ),
    json(
        "an empty document",
        "a BIGINT",
        "[]",
        later=({"two.json": '{"a":1}'},),
        options={"multiLine": "true"},
    ),
]

RELAXED = [
    json("comments", "a BIGINT", '{"a":/* one */1} // end\n', options={"allowComments": "true"}),
    json("single quotes", "a STRING", "{'a':'x \"y\"'}\n"),
    json(
        "names without quotes", "a BIGINT", "{a:1}\n", options={"allowUnquotedFieldNames": "true"}
    ),
    json(
        "a backslash before any letter",
        "a STRING",
        '{"a":"\\x \\$"}\n',
        options={"allowBackslashEscapingAnyCharacter": "true"},
    ),
    json(
        "control characters as they are",
        "a STRING",
        '{"a":"x\ty\x01z"}\n',
        options={"allowUnquotedControlChars": "true"},
    ),
]

BROKEN = [
    json(
        "broken lines are dropped",
        "a BIGINT",
        '{"a":1}\n{"a":\nnonsense\n{"a":2}\n',
        options={"mode": "DROPMALFORMED"},
    )
]

INFERRED = [
    json(
        "types of simple values",
        None,
        '{"a":1,"b":1.5,"c":true,"d":"x","e":null}\n{"a":3000000000,"b":2,"c":null,"d":"y"}\n',
        ours={"inferColumnTypes": "true", "prefersDecimal": "false"},
    ),
    json(
        "types that disagree become text",
        None,
        '{"a":1,"b":true}\n{"a":"x","b":1}\n',
        ours={"inferColumnTypes": "true"},
    ),
    json(
        "structs, arrays and what several rows add to them",
        None,
        '{"s":{"a":1},"l":[1,2],"n":[]}\n{"s":{"b":"x"},"l":[3.5],"n":[{"k":1}]}\n{"s":null}\n',
        ours={"inferColumnTypes": "true", "prefersDecimal": "false"},
    ),
    json(
        "text alone",
        None,
        '{"a":1,"b":1.50,"c":{"d":true}}\n',
        options={"primitivesAsString": "true"},
        ours={"inferColumnTypes": "true"},
    ),
    json(
        "moments",
        None,
        '{"t":"2026-03-04T05:06:07Z"}\n{"t":"2026-03-04T05:06:07.5+02:00"}\n',
        options={"inferTimestamp": "true"},
        ours={"inferColumnTypes": "true"},
    ),
    json(
        "fields that are null in all rows",
        None,
        '{"a":null,"b":1,"c":[],"d":{}}\n{"b":2}\n',
        options={"dropFieldIfAllNull": "true"},
        ours={"inferColumnTypes": "true"},
    ),
    json(
        "numbers greater than BIGINT",
        None,
        '{"a":9223372036854775808}\n{"a":1}\n',
        ours={"inferColumnTypes": "true", "prefersDecimal": "false"},
    ),
]

JSON = [*LINES, *NUMBERS, *TIMES, *NESTED, *DOCUMENTS, *RELAXED, *BROKEN, *INFERRED]

"""Cases of CSV: headers, quotes and escapes as univocity reads them, nulls, types, what is broken."""

from case import Case

AB = "a STRING, b STRING"
ABC = "a STRING, b STRING, c STRING"


def csv(name, schema, text, *, header="true", options=(), **more):
    """A case of one file, with a header unless told otherwise."""
    told = {"header": header, **dict(options)}
    return Case(name, "csv", schema, {"one.csv": text}, told, **more)


def quoted(name, text, **options):
    """A case about how one row of three columns is read, with another row behind it."""
    return csv(name, ABC, text + "\n1,2,3\n", header="false", options=options)


PLAIN = [
    csv("a header", AB, "a,b\n1,x\n2,y\n"),
    csv("no header", AB, "1,x\n2,y\n", header="false"),
    csv("a header in each file", AB, "a,b\n1,x\n", later=({"two.csv": "a,b\n2,y\n"},)),
    csv("line ends of all systems", AB, "a,b\r\n1,x\r\n2,y\n3,z"),
    csv("empty lines", AB, "a,b\n\n1,x\n\n\n2,y\n  \n"),
    csv("another separator", AB, "a;b\n1;x,y\n", options={"sep": ";"}),
    csv("a separator of several letters", AB, "a||b\n1||x|y\n", options={"sep": "||"}),
    csv("a tab as separator", AB, "a\tb\n1\tx y\n", options={"sep": "\t"}),
    csv("comments", AB, "a,b\n#1,x\n2,#y\n # 3,z\n", options={"comment": "#"}),
    csv("another encoding", AB, "a,b\nä,ö\n".encode("latin-1"), options={"encoding": "ISO-8859-1"}),
    csv("a byte order mark", AB, "\ufeffa,b\n1,x\n"),
    csv("a separator of lines of its own", AB, "a,b|1,x|2,y", options={"lineSep": "|"}),
    csv("only a header", AB, "a,b\n", later=({"two.csv": "a,b\n1,x\n"},)),
    csv("an empty file", AB, "", later=({"two.csv": "a,b\n1,x\n"},)),
    csv(
        "only the columns that are wanted, by place",
        "a STRING, b STRING",
        "1,2\n3,4\n",
        header="false",
    ),
]

NULLS = [
    csv("empty values and empty quotes", ABC, 'a,b,c\n,"",x\n"",,\n'),
    csv("a text for null", ABC, 'a,b,c\nNA,"NA",x\nna,,NAN\n', options={"nullValue": "NA"}),
    csv("a text for what is empty", ABC, 'a,b,c\n,"",x\n', options={"emptyValue": "(none)"}),
    csv(
        "a text for null, and numbers",
        "a BIGINT, b DOUBLE, c DATE",
        "a,b,c\n-,-,-\n1,2,2026-01-01\n",
        options={"nullValue": "-"},
    ),
    csv(
        "empty values of types",
        "a BIGINT, b DOUBLE, c DATE, d BOOLEAN, e DECIMAL(5,2), f TIMESTAMP",
        "a,b,c,d,e,f\n,,,,,\n1,2,2026-01-01,true,1.5,2026-01-01\n",
    ),
    csv("spaces around values", ABC, "a,b,c\n x , y,z \n  ,   ,w\n"),
    csv(
        "spaces dropped",
        ABC,
        'a,b,c\n x , y,z \n  ,   ,w\n " q ",r , s\n',
        options={"ignoreLeadingWhiteSpace": "true", "ignoreTrailingWhiteSpace": "true"},
    ),
    csv(
        "spaces dropped in front",
        ABC,
        "a,b,c\n x , y,z \n",
        options={"ignoreLeadingWhiteSpace": "true"},
    ),
    csv(
        "spaces dropped behind",
        ABC,
        "a,b,c\n x , y,z \n",
        options={"ignoreTrailingWhiteSpace": "true"},
    ),
]

QUOTES = (
    [
        quoted("a separator in quotes", '"x,y",z,w'),
        quoted("a quote after a backslash", r'"x\"y",z,w'),
        quoted("a quote doubled, where the escape is a quote", '"x""y",z,w', escape='"'),
        quoted("a quote doubled, where the escape is a backslash", '"x""y",z,w'),
        quoted("three quotes in front of a separator", '"x""",z,w'),
        quoted("four quotes in front of a separator", '"x"""",z,w'),
        quoted("quotes alone in front of a separator", '"""",z,w'),
        quoted("several quotes at the end of the row", 'x,y,"z"""'),
        quoted("several quotes in front of a letter", '"x"""y,z,w'),
        quoted("only a quote doubled", '"""",z,w', escape='"'),
        quoted("a backslash before another letter", r'"x\y\n",z\w,v'),
        quoted("a backslash at the end of a quoted value", '"x\\\\",z,w'),
        quoted(
            "a backslash that is escaped by another letter",
            r'"x^\",z,w',
            charToEscapeQuoteEscaping="^",
        ),
        quoted("a quote inside of a value without quotes", 'x"y,z"w,v'),
        quoted("a quote that does not end the value", '"x"y,z,w'),
        quoted("a quote that does not end the value, and spaces", '"x" ,z,w'),
        quoted("another quote", "'x,y',\"z\",w", quote="'"),
        quoted("no quotes at all", '"x,y"', quote=""),
        quoted("a quote that nobody closes", '"x,y,z'),
        csv("a quote that nobody closes, at the end", ABC, '1,2,3\n"x,y,z\n', header="false"),
        csv("spaces in front of a quote", ABC, '1, "x,y",2\n', header="false"),
        csv(
            "line ends in quotes",
            ABC,
            'a,b,c\n"x\ny",z,"w\r\nv"\n1,2,3\n',
            options={"multiLine": "true"},
        ),
        csv(
            "a quote that nobody closes, over several lines",
            ABC,
            'a,b,c\n1,2,3\n"x,y\n4,5,6\n',
            options={"multiLine": "true"},
        ),
    ]
    + [
        quoted(f"an unescaped quote: {handling}", 'x,"y" z,w', unescapedQuoteHandling=handling)
        for handling in ("STOP_AT_DELIMITER", "STOP_AT_CLOSING_QUOTE", "BACK_TO_DELIMITER")
    ]
    + [
        csv(
            f"an unescaped quote in a row that goes on: {handling}",
            ABC,
            '"a"b,c",d,e\n1,2,3\n',
            header="false",
            options={"unescapedQuoteHandling": handling},
        )
        for handling in ("STOP_AT_DELIMITER", "STOP_AT_CLOSING_QUOTE")
    ]
)

TYPES = [
    csv(
        "whole numbers",
        "a TINYINT, b SMALLINT, c INT, d BIGINT",
        "a,b,c,d\n-128,32767,2147483647,-9223372036854775808\n+1,0,007,1\n",
    ),
    csv("fractions", "a FLOAT, b DOUBLE", "a,b\n1.5,1e10\n-0.0,.5\n1.,1E-5\n"),
    csv("numbers that are none", "a FLOAT, b DOUBLE", "a,b\nNaN,NaN\nInf,-Inf\n"),
    csv(
        "numbers that are none, by other names",
        "b DOUBLE",
        "b\nnull\nbig\nsmall\n1\n",
        options={"nanValue": "null", "positiveInf": "big", "negativeInf": "small"},
    ),
    csv("truth values", "a BOOLEAN", "a\ntrue\nFALSE\nTrue\n"),
    csv("decimals", "p DECIMAL(18,6)", "p\n189.43\n0.000001\n-7\n1e3\n"),
    csv(
        "decimals with commas for thousands",
        "p DECIMAL(18,2)",
        'p\n"1,234.50"\n"1,000,000"\n"-1,0"\n"+1,,2"\n",5"\n"5,"\n"1,000e-2"\n",-1"\n',
    ),
    csv(
        "decimals with commas that are none",
        "p DECIMAL(18,2), z STRING",
        'p,z\n",",p\n"1,2.3,4.5",q\n"1 000",r\n" 1,000 ",s\n',
    ),
    csv("decimals without digits on one side", "p DECIMAL(18,2)", "p\n.5\n5.\n+.5\n"),
    csv("whole numbers have no commas", "a BIGINT, z STRING", 'a,z\n"1,000",p\n'),
    csv("days", "d DATE", "d\n2026-01-31\n1969-12-31\n"),
    csv(
        "days and moments in short",
        "d DATE, t TIMESTAMP",
        "d,t\n2026-1-5,2026-1-5 5:06\n2026,2026-01\n",
    ),
    csv("days in a format", "d DATE", "d\n31.01.2026\n", options={"dateFormat": "dd.MM.yyyy"}),
    csv(
        "moments",
        "t TIMESTAMP",
        "t\n2026-03-04T05:06:07Z\n2026-03-04 05:06:07.123+02:00\n2026-03-04\n",
    ),
    csv(
        "moments in a zone",
        "t TIMESTAMP",
        "t\n2026-03-04T05:06:07\n2026-07-04 05:06:07\n",
        options={"timeZone": "Asia/Kolkata"},
    ),
    csv(
        "moments in a format",
        "t TIMESTAMP",
        "t\n04/Mar/2026:05:06:07 +0100\n",
        options={"timestampFormat": "dd/MMM/yyyy:HH:mm:ss Z"},
    ),
    csv(
        "values that do not fit",
        "a BIGINT, b DATE, c STRING",
        "a,b,c\nx,2026-01-01,p\n1,never,q\n2,2026-01-02,r\n",
    ),
    csv("whole numbers with spaces", "a BIGINT, b STRING", "a,b\n 1,x\n2 ,y\n3,z\n"),
    csv("binary is text's bytes", "x BINARY, z STRING", "x,z\nhello,p\n"),
]

SHAPES = [
    csv("too few values", ABC, "a,b,c\n1\n1,2\n1,2,3\n"),
    csv("too many values", AB, "a,b\n1,2,3\n4,5\n"),
    csv(
        "rows of values that do not fit are dropped",
        "a BIGINT, b STRING",
        "a,b\n1,x\nno,y\n4,w\n",
        options={"mode": "DROPMALFORMED"},
        rescues=False,
    ),
]

INFERRED = [
    csv("names of columns", None, "x,y\n1,a\n2,b\n"),
    csv("names without a header", None, "1,a\n2,b\n", header="false"),
    csv(
        "types",
        None,
        "b,c,d,e\n1.5,true,x,2026-01-02\n2,false,y,2026-01-03\n",
        ours={"inferColumnTypes": "true", "prefersDecimal": "false"},
        spark={"inferSchema": "true"},
    ),
    csv(
        "types of moments",
        None,
        "a\n2026-01-02T03:04:05Z\n2026-01-02 03:04:05\n",
        ours={"inferColumnTypes": "true"},
        spark={"inferSchema": "true"},
    ),
    csv(
        "types where values are missing",
        None,
        'a,b,c\n,true,""\nx,,\n',
        ours={"inferColumnTypes": "true"},
        spark={"inferSchema": "true"},
    ),
    csv(
        "types of great numbers",
        None,
        "a\n3000000000\n1\n",
        ours={"inferColumnTypes": "true"},
        spark={"inferSchema": "true"},
    ),
    csv(
        "numbers with commas are text",
        None,
        'a,b\n"1,000","1,234.50"\n',
        ours={"inferColumnTypes": "true"},
        spark={"inferSchema": "true"},
    ),
    csv("names that stand twice or nowhere", None, "a,,a\n1,2,3\n"),
]

CSV = [*PLAIN, *NULLS, *QUOTES, *TYPES, *SHAPES, *INFERRED]

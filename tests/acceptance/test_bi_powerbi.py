"""Power BI without Power BI: its driver's conversation byte for byte, and the statements it sends."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from bi import VIEWS, served
from npgsql import (
    BINARY, GSSENC_REQUEST, SSL_REQUEST, SYNC, TEXT, Npgsql, Refused, executed, message, prepared,
    query, unnamed,
)

pytestmark = pytest.mark.xdist_group("powerbi")

# What Npgsql 4.0.17 asks at its first connection: types, fields of composite types, enum labels.
TYPES_4 = """\
SELECT ns.nspname, a.typname, a.oid, a.typrelid, a.typbasetype,
CASE WHEN pg_proc.proname='array_recv' THEN 'a' ELSE a.typtype END AS type,
CASE
  WHEN pg_proc.proname='array_recv' THEN a.typelem
  WHEN a.typtype='r' THEN rngsubtype
  ELSE 0
END AS elemoid,
CASE
  WHEN pg_proc.proname IN ('array_recv','oidvectorrecv') THEN 3    /* Arrays last */
  WHEN a.typtype='r' THEN 2                                        /* Ranges before */
  WHEN a.typtype='d' THEN 1                                        /* Domains before */
  ELSE 0                                                           /* Base types first */
END AS ord
FROM pg_type AS a
JOIN pg_namespace AS ns ON (ns.oid = a.typnamespace)
JOIN pg_proc ON pg_proc.oid = a.typreceive
LEFT OUTER JOIN pg_class AS cls ON (cls.oid = a.typrelid)
LEFT OUTER JOIN pg_type AS b ON (b.oid = a.typelem)
LEFT OUTER JOIN pg_class AS elemcls ON (elemcls.oid = b.typrelid)
LEFT OUTER JOIN pg_range ON (pg_range.rngtypid = a.oid)
WHERE
  a.typtype IN ('b', 'r', 'e', 'd') OR         /* Base, range, enum, domain */
  (a.typtype = 'c' AND cls.relkind='c') OR /* User-defined free-standing composites (not table composites) by default */
  (pg_proc.proname='array_recv' AND (
    b.typtype IN ('b', 'r', 'e', 'd') OR       /* Array of base, range, enum, domain */
    (b.typtype = 'p' AND b.typname IN ('record', 'void')) OR /* Arrays of special supported pseudo-types */
    (b.typtype = 'c' AND elemcls.relkind='c')  /* Array of user-defined free-standing composites (not table composites) */
  )) OR
  (a.typtype = 'p' AND a.typname IN ('record', 'void'))  /* Some special supported pseudo-types */
ORDER BY ord"""
FIELDS = """\
SELECT typ.oid, att.attname, att.atttypid
FROM pg_type AS typ
JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace)
JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid)
WHERE
  (typ.typtype = 'c' AND cls.relkind='c') AND
  attnum > 0 AND     /* Don't load system attributes */
  NOT attisdropped
ORDER BY typ.oid, att.attnum"""
LABELS = """\
SELECT pg_type.oid, enumlabel
FROM pg_enum
JOIN pg_type ON pg_type.oid=enumtypid
ORDER BY oid, enumsortorder"""
# As of version 5 there is a subquery for each level, and a question about the server in front.
TYPES_8 = """\
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (
    SELECT
        typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
        elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
        CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
    FROM (
        SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
            CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
            CASE
                WHEN proc.proname='array_recv' THEN typ.typelem
                WHEN typ.typtype='r' THEN rngsubtype
                WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid)
                WHEN typ.typtype='d' THEN typ.typbasetype
            END AS elemtypoid
        FROM pg_type AS typ
        LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
        LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive
        LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)
    ) AS typ
    LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid
    LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid)
    LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive
) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE
    typtype IN ('b', 'r', 'm', 'e', 'd') OR
    (typtype = 'c' AND relkind='c') OR
    (typtype = 'p' AND typname IN ('record', 'void', 'unknown')) OR
    (typtype = 'a' AND (
        elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR
        (elemtyptype = 'p' AND elemtypname IN ('record', 'void')) OR
        (elemtyptype = 'c' AND elemrelkind='c')
    ))
ORDER BY CASE
       WHEN typtype IN ('b', 'e', 'p') THEN 0
       WHEN typtype = 'c' THEN 1
       WHEN typtype = 'r' THEN 2
       WHEN typtype = 'm' THEN 3
       WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4
       WHEN typtype = 'a' THEN 5
       WHEN typtype = 'd' AND elemtyptype = 'a' THEN 6
END"""
VERSION = "SELECT version()"
# How a pool puts a connection back that has prepared statements.
RESET_PREPARED = (
    "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;"
    "SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP"
)

# Power BI's statements about what there is. `{table}` is one of `bi`.
CHARACTER_SETS = "select character_set_name from INFORMATION_SCHEMA.character_sets"
TABLES = """\
select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE
from INFORMATION_SCHEMA.tables
where TABLE_SCHEMA not in ('information_schema', 'pg_catalog')
order by TABLE_SCHEMA, TABLE_NAME"""
COLUMNS = """\
select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, case when (data_type like '%unsigned%')
then DATA_TYPE || ' unsigned' else DATA_TYPE end as DATA_TYPE
from INFORMATION_SCHEMA.columns
where TABLE_SCHEMA = 'bi' and TABLE_NAME = '{table}'
order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"""
PRIMARY_KEYS = """\
select i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME as INDEX_NAME, ii.COLUMN_NAME, ii.ORDINAL_POSITION,
case when i.CONSTRAINT_TYPE = 'PRIMARY KEY' then 'Y' else 'N' end as PRIMARY_KEY
from INFORMATION_SCHEMA.table_constraints i
inner join INFORMATION_SCHEMA.key_column_usage ii on i.CONSTRAINT_SCHEMA = ii.CONSTRAINT_SCHEMA
and i.CONSTRAINT_NAME = ii.CONSTRAINT_NAME and i.TABLE_SCHEMA = ii.TABLE_SCHEMA and i.TABLE_NAME = ii.TABLE_NAME
where i.TABLE_SCHEMA = 'bi' and i.TABLE_NAME = '{table}' and i.CONSTRAINT_TYPE in ('PRIMARY KEY', 'UNIQUE')
order by i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME, ii.TABLE_SCHEMA, ii.TABLE_NAME, ii.ORDINAL_POSITION"""
FOREIGN_KEYS = """\
select pkcol.COLUMN_NAME as PK_COLUMN_NAME, fkcol.TABLE_SCHEMA AS FK_TABLE_SCHEMA,
fkcol.TABLE_NAME AS FK_TABLE_NAME, fkcol.COLUMN_NAME as FK_COLUMN_NAME, fkcol.ORDINAL_POSITION as ORDINAL,
fkcon.CONSTRAINT_SCHEMA || '_' || fkcol.TABLE_NAME || '_' || '{table}' || '_' || fkcon.CONSTRAINT_NAME as FK_NAME
from (select distinct constraint_catalog, constraint_schema, unique_constraint_schema, constraint_name,
unique_constraint_name from INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS) fkcon
inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE fkcol on fkcon.CONSTRAINT_SCHEMA = fkcol.CONSTRAINT_SCHEMA
and fkcon.CONSTRAINT_NAME = fkcol.CONSTRAINT_NAME
inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE pkcol on fkcon.UNIQUE_CONSTRAINT_SCHEMA = pkcol.CONSTRAINT_SCHEMA
and fkcon.UNIQUE_CONSTRAINT_NAME = pkcol.CONSTRAINT_NAME
where pkcol.TABLE_SCHEMA = 'bi' and pkcol.TABLE_NAME = '{table}' and pkcol.ORDINAL_POSITION = fkcol.ORDINAL_POSITION
order by FK_NAME, fkcol.ORDINAL_POSITION"""
REFERENCES = FOREIGN_KEYS.replace("pkcol.COLUMN_NAME as PK_COLUMN_NAME, fkcol.TABLE_SCHEMA AS FK_TABLE_SCHEMA,\nfkcol.TABLE_NAME AS FK_TABLE_NAME", "pkcol.TABLE_SCHEMA AS PK_TABLE_SCHEMA, pkcol.TABLE_NAME AS PK_TABLE_NAME,\npkcol.COLUMN_NAME as PK_COLUMN_NAME").replace(
    "where pkcol.TABLE_SCHEMA = 'bi' and pkcol.TABLE_NAME", "where fkcol.TABLE_SCHEMA = 'bi' and fkcol.TABLE_NAME",
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with served(tmp_path_factory.mktemp("powerbi")) as (command, tables):
        yield command, tables


@pytest.fixture
def desktop(lake):
    """A connection of Power BI Desktop, its types loaded."""
    connection = Npgsql(lake[0]).open()
    load_types(connection, [TYPES_4, FIELDS, LABELS])
    yield connection
    connection.close()


def load_types(connection, statements):
    """All statements in one write, one Sync, text results: as Npgsql loads its types."""
    connection.write(b"".join(unnamed(sql, TEXT) for sql in statements) + SYNC)
    answers = [connection.read_unnamed(TEXT) for _ in statements]
    assert connection.read_ready() == "I"
    return answers


def test_npgsql_4_opens_and_loads_its_types(lake):
    connection = Npgsql(lake[0], application_name="Mashup Engine").open()
    assert connection.told["server_version"][:2].isdigit(), connection.told
    assert connection.told["integer_datetimes"] == "on" and connection.told["client_encoding"] == "UTF8"
    types, fields, labels = load_types(connection, [TYPES_4, FIELDS, LABELS])
    assert types.names == [
        "nspname", "typname", "oid", "typrelid", "typbasetype", "type", "elemoid", "ord",
    ]
    found = {row["typname"]: row for row in types.dicts()}
    for name, oid in [
        ("text", 25), ("bool", 16), ("int4", 23), ("int8", 20), ("float8", 701), ("numeric", 1700),
        ("date", 1082), ("timestamp", 1114), ("name", 19), ("varchar", 1043),
    ]:
        assert (found[name]["oid"], found[name]["type"]) == (str(oid), "b"), found[name]
        assert found[name]["nspname"] == "pg_catalog"
    assert (found["_text"]["type"], found["_text"]["elemoid"]) == ("a", "25")
    # A reader that goes through them once has to know the element before its array.
    assert [int(row["ord"]) for row in types.dicts()] == sorted(int(row["ord"]) for row in types.dicts())
    assert not fields.rows and not labels.rows
    connection.close()


@pytest.mark.parametrize("encryption", [(SSL_REQUEST,), (GSSENC_REQUEST, SSL_REQUEST), ()])
def test_npgsql_8_and_later_open_and_load_their_types(lake, encryption):
    connection = Npgsql(lake[0], application_name="Microsoft.Mashup", TimeZone="UTC").open(encryption)
    version, types, fields, labels = load_types(connection, [VERSION, TYPES_8, FIELDS, LABELS])
    assert version.rows[0][0].startswith("PostgreSQL 15")
    found = {row["typname"]: row for row in types.dicts()}
    assert (found["numeric"]["oid"], found["numeric"]["typtype"]) == ("1700", "b")
    assert (found["_int8"]["typtype"], found["_int8"]["elemtypoid"]) == ("a", "20")
    assert not fields.rows and not labels.rows
    assert connection.run("SELECT 1").rows == [[1]]
    connection.close()


def test_parameters_of_the_startup_that_nobody_knows_are_borne(lake):
    connection = Npgsql(lake[0], ssl_renegotiation_limit="0", search_path="bi").open()
    assert connection.run("select count(*) from dim_symbol").rows == [[4]]
    connection.close()


def test_a_wrong_password_is_refused(lake):
    connection = Npgsql(lake[0])
    connection.password = "not the password"
    with pytest.raises(Refused) as refused:
        connection.open()
    assert refused.value.code == "28P01"


def test_a_pool_takes_a_connection_back(desktop):
    """`DISCARD ALL` comes in the same write as the next statement, and has its own answer."""
    desktop.run("select 1")
    for _ in range(3):
        assert desktop.run("select 2 as two", before=query("DISCARD ALL")).rows == [[2]]
    # With prepared statements it is a list of commands, and their answers are counted.
    desktop.write(prepared("_p1", 'select "symbol" from "bi"."dim_symbol" order by 1') + SYNC)
    assert desktop.expect(b"1") == b""
    assert desktop.expect(b"t") == b"\0\0"
    desktop.expect(b"T")
    desktop.read_ready()
    desktop.write(query(RESET_PREPARED) + executed("_p1") + SYNC)
    tags = []
    for _ in range(RESET_PREPARED.count(";") + 1):
        kind, body = desktop.read()
        if kind == b"T":
            assert desktop.read()[0] == b"D"
            kind, body = desktop.read()
        assert kind == b"C", body
        tags.append(body[:-1].decode())
    assert tags == [
        "SET", "RESET", "CLOSE CURSOR ALL", "UNLISTEN", "SELECT 1", "DISCARD SEQUENCES", "DISCARD TEMP",
    ]
    assert desktop.read_ready() == "I"
    # This reset keeps what is prepared.
    assert desktop.expect(b"2") == b""
    kinds = [desktop.read()[0] for _ in range(5)]
    assert kinds == [b"D"] * 4 + [b"C"]
    assert desktop.read_ready() == "I"
    # `DISCARD ALL` does not.
    assert desktop.simple("DISCARD ALL")[0].tag == "DISCARD ALL"
    desktop.write(executed("_p1") + SYNC)
    with pytest.raises(Refused) as refused:
        desktop.expect(b"2")
    assert refused.value.code == "26000"


def test_a_transaction_begins_in_front_of_the_statement(desktop):
    begin = query("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED")
    desktop.write(begin + unnamed("select 1", BINARY) + SYNC)
    assert desktop.expect(b"C") == b"BEGIN\0"
    assert desktop.read_ready() == "T"
    assert desktop.read_unnamed(BINARY).rows == [[1]]
    assert desktop.read_ready() == "T"
    assert desktop.simple("ROLLBACK")[0].tag == "ROLLBACK"


def test_after_an_error_the_rest_of_a_batch_is_passed_by(desktop):
    desktop.write(unnamed("select 1", BINARY) + unnamed("select nothing", BINARY) + unnamed("select 3", BINARY) + SYNC)
    assert desktop.read_unnamed(BINARY).rows == [[1]]
    with pytest.raises(Refused) as refused:
        desktop.expect(b"1")
    assert refused.value.code == "42703"
    assert desktop.run("select 4").rows == [[4]]


def test_the_navigator_lists_the_views(desktop):
    assert desktop.run(CHARACTER_SETS).rows == [["UTF8"]]
    tables = desktop.run(TABLES)
    assert tables.names == ["table_schema", "table_name", "table_type"]
    assert [row for row in tables.rows if row[0] == "bi"] == [["bi", view, "VIEW"] for view in VIEWS]
    assert ["gold", "bar_1m", "BASE TABLE"] in tables.rows
    assert not [row for row in tables.rows if row[1].endswith("_pkey")]


TYPES_OF_COLUMNS = {
    "dim_symbol": "symbol text, mic text, name text, first_date date, last_date date",
    "dim_date": "date date, year integer, quarter integer, month integer, month_name text, year_month integer, "
                "week integer, day integer, weekday integer, weekday_name text",
    "bars_daily": "symbol text, date date, open numeric, high numeric, low numeric, close numeric, "
                  "volume numeric, previous_close numeric, change numeric, change_percent double precision",
    "bars_1m": "symbol text, ts timestamp without time zone, date date, hour integer, minute integer, "
               "open numeric, high numeric, low numeric, close numeric, volume numeric",
    "quotes_latest": "symbol text, ts timestamp without time zone, price numeric, previous_close numeric, "
                     "change numeric, change_percent double precision, volume numeric",
    "coverage": "symbol text, date date, bars integer, first_ts timestamp without time zone, "
                "last_ts timestamp without time zone, minutes_missing integer",
    "quality_daily": "date date, rows bigint, rejected bigint, revised bigint",
}
OIDS = {
    "text": 25, "date": 1082, "integer": 23, "bigint": 20, "numeric": 1700, "double precision": 701,
    "timestamp without time zone": 1114,
}


@pytest.mark.parametrize("view", VIEWS)
def test_columns_are_what_the_catalog_says(desktop, view):
    columns = desktop.run(COLUMNS.format(table=view))
    assert columns.names == ["column_name", "ordinal_position", "is_nullable", "data_type"]
    wanted = [pair.split(" ", 1) for pair in TYPES_OF_COLUMNS[view].split(", ")]
    assert [[row[0], row[3]] for row in columns.rows] == wanted
    assert [row[1] for row in columns.rows] == list(range(1, len(wanted) + 1))
    rows = desktop.run(f'select * from "bi"."{view}" limit 1')
    assert rows.names == [name for name, _ in wanted]
    assert rows.oids == [OIDS[kind] for _, kind in wanted]
    nullable = {row[0] for row in columns.rows if row[2] == "YES"}
    keys = {row["column_name"] for row in desktop.run(PRIMARY_KEYS.format(table=view)).dicts()}
    assert keys and not keys & nullable


PRIMARY = {
    "dim_symbol": ["symbol"], "dim_date": ["date"], "bars_daily": ["symbol", "date"],
    "bars_1m": ["symbol", "ts"], "quotes_latest": ["symbol"], "coverage": ["symbol", "date"],
    "quality_daily": ["date"],
}
RELATED = {
    "bars_daily": [("dim_date", "date"), ("dim_symbol", "symbol")],
    "bars_1m": [("dim_date", "date"), ("dim_symbol", "symbol")],
    "quotes_latest": [("dim_symbol", "symbol")],
    "coverage": [("dim_date", "date"), ("dim_symbol", "symbol")],
    "quality_daily": [("dim_date", "date")],
}


def test_relationships_are_found(desktop):
    """What "Select related tables" and the automatic relationships are made from."""
    for view in VIEWS:
        keys = desktop.run(PRIMARY_KEYS.format(table=view))
        assert keys.names == ["index_name", "column_name", "ordinal_position", "primary_key"]
        assert [row[1] for row in keys.rows] == PRIMARY[view]
        assert {row[3] for row in keys.rows} == {"Y"}
        parents = desktop.run(REFERENCES.format(table=view)).dicts()
        found = sorted((row["pk_table_name"], row["fk_column_name"]) for row in parents)
        assert found == RELATED.get(view, [])
        assert all(row["pk_column_name"] == row["fk_column_name"] for row in parents)
    for parent in ("dim_symbol", "dim_date"):
        children = desktop.run(FOREIGN_KEYS.format(table=parent)).dicts()
        found = sorted((row["fk_table_name"], parent) for row in children)
        assert found == sorted((view, parent) for view, keys in RELATED.items() for to, _ in keys if to == parent)


def test_every_declared_key_holds(desktop):
    constraints = desktop.run(
        "select c.table_schema, c.table_name, c.constraint_name, c.constraint_type, k.column_name "
        "from information_schema.table_constraints c join information_schema.key_column_usage k "
        "on k.constraint_schema = c.constraint_schema and k.constraint_name = c.constraint_name "
        "order by 1, 2, 3, k.ordinal_position"
    ).rows
    parents = {
        (row[0], row[1]): row[2:] for row in desktop.run(
            "select r.constraint_schema, r.constraint_name, u.table_schema, u.table_name, u.column_name "
            "from information_schema.referential_constraints r "
            "join information_schema.constraint_column_usage u "
            "on u.constraint_schema = r.constraint_schema and u.constraint_name = r.constraint_name"
        ).rows
    }
    keys = {}
    for schema, table, name, kind, column in constraints:
        keys.setdefault((schema, table, name, kind), []).append(column)
    assert len(keys) > 20
    for (schema, table, name, kind), columns in keys.items():
        columns = [f'"{column}"' for column in columns]
        listed = ", ".join(columns)
        rows = desktop.run(f"select count(*) from {schema}.{table}").rows[0][0]
        assert rows or table in ("bar_1h", "quarantine"), f"{schema}.{table} is empty"
        if kind == "PRIMARY KEY":
            broken = f"select {listed} from {schema}.{table} group by {listed} having count(*) > 1 limit 1"
            empty = " or ".join(f"{column} is null" for column in columns)
            assert desktop.run(f"select count(*) from {schema}.{table} where {empty}").rows == [[0]], name
        else:
            to_schema, to_table, to_column = parents[schema, name]
            broken = (
                f"select c.{listed} from {schema}.{table} c left join {to_schema}.{to_table} p "
                f"on p.{to_column} = c.{listed} where p.{to_column} is null limit 1"
            )
        assert desktop.run(broken).rows == [], f"{schema}.{table}: {name}"


def base(view, columns):
    listed = ", ".join(f'"{column}"' for column in columns)
    return f'select {listed} from "bi"."{view}" "$Table"'


def test_previews_and_folding(desktop):
    assert len(desktop.run('select * from (select * from "bi"."bars_1m") _ limit 1').rows) == 1
    for view, limit in [("bars_1m", 4096), ("bars_daily", 1001), ("dim_symbol", 501)]:
        rows = desktop.run(f'select "$Table".* from "bi"."{view}" "$Table" limit {limit}').rows
        count = desktop.run(f"select count(*) from bi.{view}").rows[0][0]
        assert len(rows) == min(limit, count)


def test_a_visual_sums_by_symbol(desktop, lake):
    """DirectQuery's nesting: filters inside, groups around them, empty groups cut off, a row limit."""
    sql = f"""
select "_"."symbol", "_"."a0", "_"."a1", "_"."a2"
from
(
    select "rows"."symbol" as "symbol",
        sum("rows"."volume") as "a0",
        max("rows"."high") as "a1",
        count(distinct("rows"."date")) + max(case when "rows"."date" is null then 1 else 0 end) as "a2"
    from
    (
        select "_"."symbol", "_"."date", "_"."high", "_"."volume"
        from ({base("bars_1m", ["symbol", "ts", "date", "high", "volume"])}) "_"
        where "_"."date" >= date '2024-03-08' and "_"."date" < date '2024-03-12'
            and "_"."ts" < timestamp '2024-03-11 20:00:00'
    ) "rows"
    group by "symbol"
) "_"
where not "_"."a0" is null or not "_"."a1" is null
order by "_"."symbol"
limit 1000001"""
    result = desktop.run(sql)
    assert result.names == ["symbol", "a0", "a1", "a2"]
    tables = lake[1]
    bars = tables.table("gold.bar_1m")
    expected = tables.rows(
        f"SELECT symbol, sum(volume), max(high), count(DISTINCT session_date) FROM {bars} "
        "WHERE session_date BETWEEN '2024-03-08' AND '2024-03-11' "
        "AND ts_start < TIMESTAMPTZ '2024-03-11 20:00:00+00' GROUP BY 1 ORDER BY 1"
    )
    assert len(expected) == 4 and all(row[3] == 2 for row in expected)
    assert [tuple(row) for row in result.rows] == expected


def test_a_line_over_dates_joins_the_dimensions(desktop, lake):
    sql = f"""
select "basetable0"."year_month" as "c15", "basetable0"."weekday_name" as "c17",
    avg("basetable1"."close") as "a0", sum(cast("basetable1"."volume" as decimal)) as "a1"
from (({base("bars_daily", ["symbol", "date", "close", "volume"])}) "basetable1"
    inner join ({base("dim_date", ["date", "year_month", "weekday", "weekday_name"])}) "basetable0"
        on ("basetable1"."date" = "basetable0"."date"))
    left outer join ({base("dim_symbol", ["symbol", "mic"])}) "basetable2"
        on ("basetable1"."symbol" = "basetable2"."symbol")
where "basetable2"."mic" is not null and "basetable0"."weekday" in (1, 5)
group by "basetable0"."year_month", "basetable0"."weekday_name"
order by "basetable0"."weekday_name"
limit 1000001"""
    result = desktop.run(sql)
    assert result.names == ["c15", "c17", "a0", "a1"]
    assert [row[:2] for row in result.rows] == [[202403, "Friday"], [202403, "Monday"]]
    tables = lake[1]
    eod, minutes = tables.table("gold.eod"), tables.table("gold.bar_1d")
    official = tables.rows(
        f"SELECT dayname(session_date), sum(volume) FROM {eod} "
        "WHERE session_date IN ('2024-03-08', '2024-03-11') GROUP BY 1 ORDER BY 1"
    )
    assert [(row[1], row[3]) for row in result.rows] == official
    assert tables.one(f"SELECT count(*) FROM {minutes}") > 0


# Expressions Power BI folds, on the row of 2024-03-08 of the first symbol. `None` is not looked at.
EXPRESSIONS = [
    ('left(cast(extract(year from "date") as varchar), 4000)', "2024"),
    ('cast(extract(month from "date") as integer)', 3),
    ('"date" + interval \'1 day\'', date(2024, 3, 9)),
    ('"date" + (3 * interval \'1 day\')', datetime(2024, 3, 11)),
    ('cast("date" as timestamp) + (cast(2 as double precision) * interval \'1 month\')', datetime(2024, 5, 8)),
    ('cast("date" as timestamp) - interval \'1 year\'', datetime(2023, 3, 8)),
    ('date_trunc(\'month\', "date")', None),
    ('date_trunc(\'month\', "date") + interval \'1 month\' - interval \'1 day\'', None),
    ('"date" - date \'2024-03-01\'', 7),
    ('cast("date" as timestamp) between timestamp \'2024-03-08 00:00:00\' and timestamp \'2024-03-08 23:59:59.999\'', True),
    ('case when "date" is null then 1 else 0 end', 0),
    ('coalesce("close", 0) >= 0', True),
    ('mod(cast(extract(day from "date") as integer), 5)', 3),
    ("'50% of it' like '50~%%' escape '~'", True),
    ("'50x of it' like '50~%%' escape '~'", False),
    ("'a_b' like 'a/_b' escape '/' and not 'axb' like 'a/_b' escape '/'", True),
    ("\"symbol\" like (\"symbol\" || '%') escape '~'", True),
    ("current_database()", "marketlake"),
    ("upper(\"symbol\") = upper(\"symbol\")", True),
    ("strpos(\"symbol\", substring(\"symbol\" from 1 for 1))", 1),
]


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[sql[:40] for sql, _ in EXPRESSIONS])
def test_expressions_that_power_bi_folds(desktop, expression, expected):
    result = desktop.run(
        f'select "_"."c0" from (select {expression} as "c0" from "bi"."bars_daily" "$Table" '
        'where "date" = date \'2024-03-08\' order by "symbol" limit 1) "_"'
    )
    if expected is not None:
        assert result.rows == [[expected]]


def test_sums_stay_within_what_dotnet_can_hold(desktop):
    """The decoder refuses a number of more than 28 digits, as `decimal` does."""
    for folded in [
        'sum("volume") as "a", sum("close") as "b", avg("close") as "c", avg("volume") as "d"',
        'sum("close" * "volume") as "a", sum("close" * "volume") / sum("volume") as "b"',
        'sum(cast("close" as decimal)) as "a", avg(cast("volume" as decimal)) as "b", min("low") as "c"',
        'max("close") - min("close") as "a", sum("close" - "open") / count(*) as "b"',
    ]:
        result = desktop.run(f'select {folded} from "bi"."bars_1m"')
        assert all(isinstance(value, Decimal) for value in result.rows[0]), result.rows


def test_the_same_expression_may_come_twice(desktop):
    result = desktop.run('select count(*), count(*), max("close"), max("close") from "bi"."bars_daily"')
    assert result.names == ["count", "count", "max", "max"]
    assert result.rows[0][0] == result.rows[0][1] and result.rows[0][2] == result.rows[0][3]


def test_the_date_table_can_be_marked(desktop):
    """Unique, without gaps, without empty rows: what "Mark as date table" asks."""
    days = [row[0] for row in desktop.run(f'select "date" from ({base("dim_date", ["date"])}) "_" order by 1').rows]
    assert days[0] == date(2024, 3, 7) and days[-1] == date(2024, 3, 12)
    check = desktop.run(
        'select count(*) as "a0", count(distinct("date")) as "a1", min("date") as "a2", max("date") as "a3", '
        'sum(case when "date" is null then 1 else 0 end) as "a4" from "bi"."dim_date"'
    ).rows[0]
    assert check[:4] == [len(days), len(days), days[0], days[-1]] and not check[4]
    gaps = desktop.run(
        'select count(*) from "bi"."dim_date" "a" left join "bi"."dim_date" "b" '
        "on \"b\".\"date\" = \"a\".\"date\" + interval '1 day' where \"b\".\"date\" is null"
    )
    assert gaps.rows == [[1]]


def test_views_say_what_the_tables_say(desktop, lake):
    tables = lake[1]
    rows = lambda sql: [tuple(row) for row in desktop.run(sql).rows]
    bars, daily, quotes = (tables.table(f"gold.{name}") for name in ("bar_1m", "bar_1d", "quote_latest"))
    eod, silver = tables.table("gold.eod"), tables.table("silver.bar")
    minutes = "SELECT symbol, ts_start::TIMESTAMP, session_date, open, high, low, close, volume FROM"
    assert rows("select symbol, ts, date, open, high, low, close, volume from bi.bars_1m order by 1, 2") == (
        tables.rows(f"{minutes} {bars} ORDER BY 1, 2")
    )
    assert rows("select count(*) from bi.bars_1m where hour <> extract(hour from ts) or minute <> extract(minute from ts)") == [(0,)]
    expected = tables.rows(
        f"SELECT symbol, session_date, close, lag(close) OVER (PARTITION BY symbol ORDER BY session_date) "
        f"FROM (SELECT symbol, session_date, close FROM {eod} UNION ALL SELECT symbol, session_date, close "
        f"FROM {daily} ANTI JOIN {eod} USING (symbol, session_date)) ORDER BY 1, 2"
    )
    assert rows("select symbol, date, close, previous_close from bi.bars_daily order by 1, 2") == expected
    assert rows("select symbol, ts, price, previous_close, change from bi.quotes_latest order by 1") == tables.rows(
        f"SELECT symbol, ts_quote::TIMESTAMP, price, previous_close, price - previous_close FROM {quotes} ORDER BY 1"
    )
    counts = tables.rows(
        f"SELECT symbol, session_date, count(*), 390 - count(*) FROM {bars} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert rows("select symbol, date, bars, minutes_missing from bi.coverage order by 1, 2") == counts
    kept = tables.rows(f"SELECT session_date, count(*) FROM {silver} GROUP BY 1 ORDER BY 1")
    official = dict(tables.rows(f"SELECT session_date, count(*) FROM {tables.table('silver.eod')} GROUP BY 1"))
    assert rows("select date, rows from bi.quality_daily order by 1") == [
        (day, count + official.get(day, 0)) for day, count in kept
    ]

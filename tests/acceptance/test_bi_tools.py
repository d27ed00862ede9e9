"""What Grafana, Metabase, DBeaver, Superset and drivers ask before they show anything.

Written down from what these tools send; each has to run in both protocols and find what is there.
"""

import pytest

from bi import VIEWS, served
from npgsql import Npgsql

pytestmark = pytest.mark.xdist_group("bitools")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with served(tmp_path_factory.mktemp("bitools")) as (command, _):
        connection = Npgsql(command).open()
        yield connection
        connection.close()


# Tool, what for, statement, the rows that have to be among those it finds (`None`: any).
STATEMENTS = [
    # Grafana's PostgreSQL data source and its query builder.
    ("grafana", "version", "SELECT current_setting('server_version_num')::int/100 as version", [[1500]]),
    ("grafana", "extensions", "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", []),
    (
        "grafana", "tables",
        """SELECT CASE WHEN quote_ident(table_schema) IN (
          SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
                               array_upper(string_to_array(current_setting('search_path'), ','), 1)) as i,
               string_to_array(current_setting('search_path'), ',') s)
        THEN quote_ident(table_name)
        ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
        FROM information_schema.tables
        WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')
        ORDER BY table_schema, table_name""",
        [["bi.bars_daily"], ["bar_1m"]],
    ),
    (
        "grafana", "columns",
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns "
        "WHERE quote_ident(table_schema) || '.' || quote_ident(table_name) = 'bi.bars_1m'",
        [["ts", "timestamp without time zone"], ["close", "numeric"]],
    ),
    (
        "grafana", "time series",
        """SELECT floor(extract(epoch from ts)/3600)*3600 AS "time", symbol AS metric, avg(close) AS "close"
        FROM bi.bars_1m WHERE ts BETWEEN '2024-03-08T14:30:00Z' AND '2024-03-08T15:30:00Z'
        GROUP BY 1, 2 ORDER BY 1, 2""", None,
    ),
    (
        "grafana", "macro",
        """SELECT date_bin('5 minutes', ts, TIMESTAMP '2000-01-01') AS "time", max(high) AS high
        FROM bi.bars_1m WHERE ts >= '2024-03-08 14:30:00' GROUP BY 1 ORDER BY 1 LIMIT 3""", None,
    ),
    # Metabase: what it syncs, beside what JDBC's metadata asks (below).
    (
        "metabase", "schemas",
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
        [["bi"], ["gold"]],
    ),
    (
        "metabase", "tables",
        """SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN
        'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW'
        ELSE NULL END AS type, d.description AS description, NULLIF(stat.n_live_tup, 0) AS estimated_row_count
        FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
        LEFT JOIN pg_catalog.pg_description AS d ON ((c.oid = d.objoid) AND (d.objsubid = 0) AND
        (d.classoid = CAST('pg_class' AS REGCLASS)))
        LEFT JOIN pg_stat_user_tables AS stat ON ((n.nspname = stat.schemaname) AND (c.relname = stat.relname))
        WHERE ((c.relnamespace = n.oid) AND (n.nspname !~ '^pg_') AND (n.nspname <> 'information_schema')
        AND c.relkind IN ('r', 'p', 'v', 'f', 'm')) ORDER BY type ASC, schema ASC, name ASC""",
        [["bi", "dim_symbol", "VIEW", "One row per symbol", None], ["gold", "bar_1m", "TABLE", None, None]],
    ),
    (
        "metabase", "privileges",
        """WITH table_privileges AS (
        SELECT NULL as role, t.schemaname as schema, t.objectname as table,
          pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"' || '.' || '"' || t.objectname || '"', 'UPDATE') as update,
          pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"' || '.' || '"' || t.objectname || '"', 'SELECT') as select,
          pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"' || '.' || '"' || t.objectname || '"', 'INSERT') as insert,
          pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"' || '.' || '"' || t.objectname || '"', 'DELETE') as delete
        FROM (
          SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables
          UNION SELECT schemaname, viewname AS objectname FROM pg_views
          UNION SELECT schemaname, matviewname AS objectname FROM pg_matviews) t
        WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema'
          AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'USAGE'))
        SELECT t.* FROM table_privileges t""",
        [[None, "bi", "bars_1m", False, True, False, False]],
    ),
    (
        "metabase", "foreign keys",
        """SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name",
        fk_column.attname AS "fk-column-name", pk_ns.nspname AS "pk-table-schema",
        pk_table.relname AS "pk-table-name", pk_column.attname AS "pk-column-name"
        FROM pg_constraint AS c INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid
        INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
        INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid
        INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
        INNER JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid
        INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
        WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND (c.contype = CAST('f' AS char))
        AND (fk_column.attnum = ANY(c.conkey)) AND (pk_column.attnum = ANY(c.confkey))
        ORDER BY "fk-table-schema" ASC, "fk-table-name" ASC""",
        [["bi", "bars_1m", "symbol", "bi", "dim_symbol", "symbol"], ["bi", "quality_daily", "date", "bi", "dim_date", "date"]],
    ),
    (
        "metabase", "columns",
        """SELECT c.column_name AS name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog')
        THEN FORMAT('%s', c.udt_name) ELSE FORMAT('"%s"."%s"', c.udt_schema, c.udt_name) END AS "database-type",
        c.ordinal_position - 1 AS "database-position", c.table_schema AS "table-schema", c.table_name AS "table-name",
        pk.column_name IS NOT NULL AS "pk?", COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(c.table_schema AS text),
        CAST(c.table_name AS text)) AS regclass) AS oid), c.ordinal_position) AS "field-comment",
        ((column_default IS NULL) OR (LOWER(column_default) = 'null')) AND (is_nullable = 'NO') AS "database-required"
        FROM information_schema.columns AS c LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name
        FROM information_schema.table_constraints AS tc INNER JOIN information_schema.key_column_usage AS kc
        ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name
        WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON c.table_schema = pk.table_schema
        AND c.table_name = pk.table_name AND c.column_name = pk.column_name
        WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema = 'bi'""",
        [["ts", "timestamp", 1, "bi", "bars_1m", True, "start of the minute, UTC", True]],
    ),
    (
        "metabase", "indexes",
        """SELECT tmp.table_cat, tmp.table_schem, tmp.table_name, tmp.index_name, tmp.ordinal_position,
        trim(both '"' from pg_catalog.pg_get_indexdef(tmp.ci_oid, tmp.ordinal_position, false)) AS column_name
        FROM (SELECT NULL AS table_cat, n.nspname AS table_schem, ct.relname AS table_name, ci.relname AS index_name,
        (information_schema._pg_expandarray(i.indkey)).n AS ordinal_position, ci.oid AS ci_oid
        FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
        JOIN pg_catalog.pg_index i ON (ct.oid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
        WHERE n.nspname = 'bi' AND ct.relname = 'bars_daily') AS tmp""",
        [[None, "bi", "bars_daily", "bars_daily_pkey", 1, "symbol"], [None, "bi", "bars_daily", "bars_daily_pkey", 2, "date"]],
    ),
    # DBeaver's tree.
    ("dbeaver", "session", "SELECT current_schema(),session_user", [["gold", "marketlake"]]),
    ("dbeaver", "database", "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='marketlake'", None),
    (
        "dbeaver", "schemas",
        """SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n
        LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass
        ORDER BY nspname""", None,
    ),
    (
        "dbeaver", "tables",
        """SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
        pg_catalog.pg_get_partkeydef(c.oid) as partition_key
        FROM pg_catalog.pg_class c
        LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass
        WHERE c.relnamespace='bi'::regnamespace AND c.relkind not in ('i','I','c')""", None,
    ),
    (
        "dbeaver", "columns",
        """SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
        FROM pg_catalog.pg_attribute a
        INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
        LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
        LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
        LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
        WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid='bi.bars_1m'::regclass
        ORDER BY a.attnum""", None,
    ),
    (
        "dbeaver", "constraints",
        """SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description,
        case when c.contype='c' then substring(pg_get_constraintdef(c.oid), 7) else null end consrc_copy
        FROM pg_catalog.pg_constraint c
        INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
        LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid
        LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass
        WHERE c.conrelid='bi.bars_1m'::regclass
        ORDER BY c.oid""", None,
    ),
    (
        "dbeaver", "indexes",
        """SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,
        dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,
        pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,
        pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans
        FROM pg_catalog.pg_index i
        INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid
        INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid
        LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid
        WHERE i.indrelid='bi.bars_1m'::regclass
        ORDER BY tabrelname, c.relname""", None,
    ),
    ("dbeaver", "view", "SELECT pg_catalog.pg_get_viewdef('bi.dim_date'::regclass, true) IS NOT NULL", [[True]]),
    ("dbeaver", "statistics", "SELECT c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size FROM pg_class c WHERE c.relnamespace='bi'::regnamespace", None),
    # Superset: SQLAlchemy's inspector, and its own questions.
    ("superset", "schemas", "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ESCAPE '\\' ORDER BY nspname", [["bi"]]),
    ("superset", "schemas, another escape", "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg/_%%' ESCAPE '/' ORDER BY nspname", [["bi"]]),
    (
        "superset", "views",
        """SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class
        JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
        WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['v']) AND pg_catalog.pg_class.relpersistence != 't'
        AND pg_catalog.pg_namespace.nspname = 'bi'""",
        [[view] for view in VIEWS],
    ),
    (
        "superset", "primary keys",
        """SELECT attr.conrelid, array_agg(CAST(attr.attname AS TEXT) ORDER BY attr.ord) AS cols, attr.conname,
        min(attr.description) AS description
        FROM (SELECT con.conrelid AS conrelid, con.conname AS conname, con.conindid AS conindid,
          con.description AS description, con.ord AS ord, pg_catalog.pg_attribute.attname AS attname
          FROM pg_catalog.pg_attribute JOIN (SELECT pg_catalog.pg_constraint.conrelid AS conrelid,
            pg_catalog.pg_constraint.conname AS conname, pg_catalog.pg_constraint.conindid AS conindid,
            unnest(pg_catalog.pg_constraint.conkey) AS attnum,
            generate_subscripts(pg_catalog.pg_constraint.conkey, 1) AS ord,
            pg_catalog.pg_description.description AS description
            FROM pg_catalog.pg_constraint LEFT OUTER JOIN pg_catalog.pg_description
            ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid
            WHERE pg_catalog.pg_constraint.contype = 'p'
            AND pg_catalog.pg_constraint.conrelid IN ('bi.bars_1m'::regclass)) AS con
          ON pg_catalog.pg_attribute.attnum = con.attnum AND pg_catalog.pg_attribute.attrelid = con.conrelid
          WHERE con.conrelid IN ('bi.bars_1m'::regclass)) AS attr
        GROUP BY attr.conrelid, attr.conname ORDER BY attr.conrelid, attr.conname""", None,
    ),
    (
        "superset", "foreign keys",
        """SELECT pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname,
        CASE WHEN (pg_catalog.pg_constraint.oid IS NOT NULL) THEN
          pg_catalog.pg_get_constraintdef(pg_catalog.pg_constraint.oid, true) END AS anon_1, nsp_ref.nspname,
        pg_catalog.pg_description.description
        FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_constraint
        ON pg_catalog.pg_class.oid = pg_catalog.pg_constraint.conrelid AND pg_catalog.pg_constraint.contype = 'f'
        LEFT OUTER JOIN pg_catalog.pg_class AS pg_class_ref ON pg_class_ref.oid = pg_catalog.pg_constraint.confrelid
        LEFT OUTER JOIN pg_catalog.pg_namespace AS nsp_ref ON pg_class_ref.relnamespace = nsp_ref.oid
        LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid
        JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
        WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm'])
        AND pg_catalog.pg_namespace.nspname = 'bi' AND pg_catalog.pg_class.relname IN ('coverage')
        ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname""",
        [["coverage", "coverage_symbol_fkey", "FOREIGN KEY (symbol) REFERENCES bi.dim_symbol(symbol)", "bi", None]],
    ),
    ("superset", "time grain", "SELECT DATE_TRUNC('week', ts) AS t, sum(volume) AS v FROM bi.bars_1m GROUP BY DATE_TRUNC('week', ts) ORDER BY t LIMIT 10", None),
    # pgjdbc's metadata: DBeaver's and Metabase's driver.
    (
        "pgjdbc", "primary keys",
        """SELECT result.TABLE_CAT, result.TABLE_SCHEM, result.TABLE_NAME, result.COLUMN_NAME, result.KEY_SEQ, result.PK_NAME
        FROM (SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME,
          (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME,
          information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM
          FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
          JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
          JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid)
          JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
          WHERE true AND n.nspname = 'bi' AND ct.relname = 'coverage' AND i.indisprimary ) result
        where result.A_ATTNUM = (result.KEYS).x
        ORDER BY result.table_name, result.pk_name, result.key_seq""",
        [[None, "bi", "coverage", "symbol", 1, "coverage_pkey"], [None, "bi", "coverage", "date", 2, "coverage_pkey"]],
    ),
    (
        "pgjdbc", "imported keys",
        """SELECT NULL::text AS "PKTABLE_CAT", pkn.nspname AS "PKTABLE_SCHEM", pkc.relname AS "PKTABLE_NAME",
        pka.attname AS "PKCOLUMN_NAME", NULL::text AS "FKTABLE_CAT", fkn.nspname AS "FKTABLE_SCHEM",
        fkc.relname AS "FKTABLE_NAME", fka.attname AS "FKCOLUMN_NAME", pos.n AS "KEY_SEQ",
        CASE con.confupdtype WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1
          WHEN 'a' THEN 3 ELSE NULL END AS "UPDATE_RULE",
        con.conname AS "FK_NAME", pkic.relname AS "PK_NAME",
        CASE WHEN con.condeferrable AND con.condeferred THEN 5 WHEN con.condeferrable THEN 6 ELSE 7 END AS "DEFERRABILITY"
        FROM pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka,
          pg_catalog.pg_namespace fkn, pg_catalog.pg_class fkc, pg_catalog.pg_attribute fka,
          pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n), pg_catalog.pg_class pkic
        WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid AND pka.attnum = con.confkey[pos.n]
          AND con.confrelid = pkc.oid AND fkn.oid = fkc.relnamespace AND fkc.oid = fka.attrelid
          AND fka.attnum = con.conkey[pos.n] AND con.conrelid = fkc.oid AND con.contype = 'f'
          AND (pkic.relkind = 'i' OR pkic.relkind = 'I') AND pkic.oid = con.conindid
          AND fkn.nspname = 'bi' AND fkc.relname = 'coverage'
        ORDER BY pkn.nspname,pkc.relname, con.conname,pos.n""",
        [[None, "bi", "dim_symbol", "symbol", None, "bi", "coverage", "symbol", 1, 3, "coverage_symbol_fkey", "dim_symbol_pkey", 7]],
    ),
    # psqlODBC: Excel's and Access's driver.
    (
        "psqlodbc", "primary keys",
        """select ta.attname, ia.attnum, ic.relname, n.nspname, tc.relname
        from pg_catalog.pg_attribute ta, pg_catalog.pg_attribute ia, pg_catalog.pg_class tc, pg_catalog.pg_index i,
          pg_catalog.pg_namespace n, pg_catalog.pg_class ic
        where tc.relname = 'bars_daily' AND n.nspname = 'bi' AND tc.oid = i.indrelid AND n.oid = tc.relnamespace
          AND i.indisprimary = 't' AND ia.attrelid = i.indexrelid AND ta.attrelid = i.indrelid
          AND ta.attnum = i.indkey[ia.attnum-1] AND (NOT ta.attisdropped) AND (NOT ia.attisdropped)
          AND ic.oid = i.indexrelid
        order by ia.attnum""",
        [["symbol", 1, "bars_daily_pkey", "bi", "bars_daily"], ["date", 2, "bars_daily_pkey", "bi", "bars_daily"]],
    ),
    (
        "psqlodbc", "foreign keys",
        """select 'marketlake'::name as "PKTABLE_CAT", n2.nspname as "PKTABLE_SCHEM", c2.relname as "PKTABLE_NAME",
        a2.attname as "PKCOLUMN_NAME", n1.nspname as "FKTABLE_SCHEM", c1.relname as "FKTABLE_NAME", a1.attname as "FKCOLUMN_NAME",
        i::int2 as "KEY_SEQ", conname as "FK_NAME"
        from ((((((( (select cn.oid, conrelid, conkey, confrelid, confkey, generate_series(array_lower(conkey, 1), array_upper(conkey, 1)) as i,
          confupdtype, confdeltype, conname, condeferrable, condeferred
          from pg_catalog.pg_constraint cn, pg_catalog.pg_class c, pg_catalog.pg_namespace n
          where contype = 'f' and conrelid = c.oid and relname = 'coverage' and n.oid = c.relnamespace and n.nspname = 'bi') ref
        inner join pg_catalog.pg_class c1 on c1.oid = ref.conrelid)
        inner join pg_catalog.pg_namespace n1 on n1.oid = c1.relnamespace)
        inner join pg_catalog.pg_attribute a1 on a1.attrelid = c1.oid and a1.attnum = conkey[i])
        inner join pg_catalog.pg_class c2 on c2.oid = ref.confrelid)
        inner join pg_catalog.pg_namespace n2 on n2.oid = c2.relnamespace)
        inner join pg_catalog.pg_attribute a2 on a2.attrelid = c2.oid and a2.attnum = confkey[i]))
        order by ref.oid, ref.i""", None,
    ),
]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [pytest.param(sql, rows, id=f"{tool}: {purpose}") for tool, purpose, sql, rows in STATEMENTS],
)
def test_a_tools_statement_runs(client, sql, expected):
    binary = client.run(sql)
    (simple,) = client.simple(sql)
    assert simple.names == binary.names and simple.oids == binary.oids
    assert len(simple.rows) == len(binary.rows)
    # As PostgreSQL: a result's column is named without its table.
    assert not [name for name in binary.names if "." in name]
    if expected is None:
        assert binary.rows
    else:
        assert [row for row in expected if row not in binary.rows] == [], binary.rows[:5]
        assert expected or not binary.rows

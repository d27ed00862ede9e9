"""Reads tables and truth with readers that this project did not write: delta-rs and DuckDB."""

import duckdb
from deltalake import DeltaTable

# Values as exact decimals that hold every table's type.
NUMBER = "DECIMAL(30, 10)"
GOLD_BARS = ["bar_1m", "bar_5m", "bar_15m", "bar_1h", "bar_1d"]
VALUES = ["open", "high", "low", "close", "volume"]
# A row of the vendor as silver quotes it, beside the bar that follows from it.
SERVED = "served_open, served_high, served_low, served_close, served_price, served_volume"
EOD_VALUES = [
    *VALUES, "adj_open", "adj_high", "adj_low", "adj_close", "adj_volume", "split_factor",
    "dividend",
]


def numbers(names):
    return ", ".join(f"CAST({name} AS {NUMBER}) AS {name}" for name in names)


class Lake:
    """The tables of a lake as they are now, and the truth beside them, in one DuckDB.

    `place` is the lake's folder or address, `options` is what delta-rs needs to open it.
    """

    def __init__(self, place, truth=None, options=None):
        self.place, self.options = str(place).rstrip("/"), options
        self.sql = duckdb.connect()
        self.sql.execute("SET TimeZone = 'UTC'")
        self.known = set()
        if truth:
            self.sql.execute(
                "CREATE TABLE truth AS SELECT json, json->>'kind' AS kind FROM read_json_objects(?, "
                "format = 'newline_delimited') AS t(json)", [str(truth)],
            )

    def table(self, name):
        """Makes a Delta table known under `layer_name`."""
        view = name.replace(".", "_")
        if view not in self.known:
            path = f"{self.place}/{name.replace('.', '/')}"
            rows = DeltaTable(path, storage_options=self.options).to_pyarrow_table()
            self.sql.register(f"{view}_arrow", rows)
            self.sql.execute(f"CREATE TABLE {view} AS SELECT * FROM {view}_arrow")
            self.known.add(view)
        return view

    def rows(self, sql):
        return self.sql.execute(sql).fetchall()

    def one(self, sql):
        return self.rows(sql)[0][0]

    def truth_bars(self, kind):
        text = lambda name: f"json->>'{name}' AS {name}"
        fields = ", ".join(map(text, ["symbol", "mic", *VALUES]))
        time = lambda name: f"CAST(json->>'{name}' AS TIMESTAMPTZ) AS {name}"
        return (
            f"SELECT symbol, mic, ts_start, ts_end, {numbers(VALUES)} FROM "
            f"(SELECT {fields}, {time('ts_start')}, {time('ts_end')} FROM truth WHERE kind = '{kind}')"
        )

    def silver_bars(self):
        """The current revision of every silver bar."""
        view = self.table("silver.bar")
        return (
            f"SELECT symbol, mic, ts_start, ts_end, {numbers(VALUES)} FROM {view} QUALIFY revision = "
            "max(revision) OVER (PARTITION BY source, symbol, mic, interval, ts_start)"
        )

    def gold_bars(self, name):
        view = self.table(f"gold.{name}")
        return f"SELECT symbol, mic, ts_start, ts_end, {numbers(VALUES)} FROM {view}"

    def assert_same(self, what, found, expected):
        """Every row of each side is on the other side, as often."""
        extra = self.rows(f"({found}) EXCEPT ALL ({expected}) ORDER BY ALL")
        missing = self.rows(f"({expected}) EXCEPT ALL ({found}) ORDER BY ALL")
        count = self.one(f"SELECT count(*) FROM ({expected})")
        shown = lambda rows: "\n".join(f"  {tuple(map(str, row))}" for row in rows[:5])
        assert not extra and not missing, (
            f"{what}: {len(extra)} rows too many, {len(missing)} of {count} missing\n"
            f"too many:\n{shown(extra)}\nmissing:\n{shown(missing)}"
        )
        assert count, f"{what}: nothing to compare"

    def assert_truth(self):
        """Silver and gold equal the truth, row for row."""
        unsettled = self.one("SELECT count(*) FROM truth WHERE json->>'final' = 'false'")
        assert unsettled == 0, f"{unsettled} lines of the truth can still change"
        self.assert_same("silver.bar", self.silver_bars(), self.truth_bars("silver_bar"))
        for name in GOLD_BARS:
            self.assert_same(f"gold.{name}", self.gold_bars(name), self.truth_bars(name))
        self.assert_eod()
        self.assert_served()

    def assert_eod(self):
        fields = ", ".join(f"json->>'{name}' AS {name}" for name in ["symbol", "mic", *EOD_VALUES])
        expected = (
            f"SELECT symbol, mic, session_date, {numbers(EOD_VALUES)} FROM (SELECT {fields}, "
            "CAST(json->>'date' AS DATE) AS session_date FROM truth WHERE kind = 'eod')"
        )
        found = (
            f"SELECT symbol, mic, session_date, {numbers(EOD_VALUES)} FROM {self.table('gold.eod')}"
        )
        self.assert_same("gold.eod", found, expected)

    def assert_served(self):
        """Every row that the vendor's last life served is in silver, in no fewer versions."""
        eod_values = ", ".join(EOD_VALUES)
        versions = (
            f"SELECT 'intraday' AS dataset, symbol, mic, CAST(ts_start AS TIMESTAMPTZ) AS ts, "
            f"count(DISTINCT ({SERVED})) AS found FROM {self.table('silver.bar')} GROUP BY ALL "
            "UNION ALL SELECT 'eod', symbol, mic, CAST(session_date AS TIMESTAMPTZ), "
            f"count(DISTINCT ({eod_values})) FROM {self.table('silver.eod')} GROUP BY ALL"
        )
        served = (
            "SELECT json->>'dataset' AS dataset, json->>'symbol' AS symbol, json->>'mic' AS mic, "
            "CAST(json->>'date' AS TIMESTAMPTZ) AS ts, CAST(json->>'values' AS INTEGER) AS served "
            "FROM truth WHERE kind = 'served'"
        )
        assert self.one(f"SELECT count(*) FROM ({served})"), "the vendor served nothing"
        lost = self.rows(
            f"SELECT * FROM ({served}) LEFT JOIN ({versions}) USING (dataset, symbol, mic, ts) "
            "WHERE found IS NULL OR found < served ORDER BY ALL"
        )
        assert not lost, f"{len(lost)} rows were served and are not in silver as often: {lost[:5]}"

    def assert_one_version(self):
        """Every revision of a bar quotes the same row: without faults there is only one."""
        several = self.rows(
            f"SELECT source, symbol, mic, interval, ts_start, count(DISTINCT ({SERVED})) "
            f"FROM {self.table('silver.bar')} GROUP BY ALL HAVING count(DISTINCT ({SERVED})) <> 1"
        )
        assert not several, f"{len(several)} rows stand in silver in several versions: {several[:5]}"

    def assert_once(self):
        """No record is in bronze twice, no revision in silver twice, and none is left out."""
        for dataset in ("intraday", "eod"):
            view = self.table(f"bronze.{dataset}")
            # A line whose row is unreadable has its offset in the text that is kept of it.
            records = (
                "SELECT _file, _line, _partition, coalesce(_offset, CAST(regexp_extract("
                f"_corrupt_record, '\"_offset\":(\\d+)', 1) AS BIGINT)) AS _offset FROM {view}"
            )
            for identity in ("_partition, _offset", "_file, _line"):
                doubled = self.rows(
                    f"SELECT {identity}, count(*) FROM ({records}) GROUP BY ALL HAVING count(*) > 1"
                )
                assert not doubled, f"bronze.{dataset} holds records twice: {doubled[:5]}"
            lost = self.rows(
                f"SELECT _partition, count(*), min(_offset), max(_offset) FROM ({records}) GROUP BY 1 "
                "HAVING min(_offset) <> 0 OR max(_offset) + 1 <> count(*)"
            )
            assert not lost, f"bronze.{dataset} has holes (partition, rows, first, last): {lost}"
        for name, key in (("silver.bar", "interval, ts_start"), ("silver.eod", "session_date")):
            wrong = self.rows(
                f"SELECT source, symbol, mic, {key}, count(*), max(revision) FROM {self.table(name)} "
                "GROUP BY ALL HAVING count(DISTINCT revision) <> count(*) OR min(revision) <> 1 "
                "OR max(revision) <> count(*)"
            )
            assert not wrong, f"{name} has revisions twice or left out: {wrong[:5]}"

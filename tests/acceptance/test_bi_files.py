"""`marketlake powerbi`: what it writes is read by readers that share nothing with what wrote it.

Power BI Desktop runs on Windows only. What can be judged without it is judged here: the model by a
strict reader of TMDL, the report by the rules of Microsoft's JSON schemas, every query by
Microsoft's own parser of Power Query, and each reference from one to the other.
"""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

import pbir
import tmdl
from harness import ROOT, Process

PARSER = ROOT / "tests" / "powerquery"
REPORT, MODEL = Path("marketlake.Report"), Path("marketlake.SemanticModel")
MODES = ["import", "direct-query"]
NAME = r"[\w-]+"

# What the views of schema `bi` promise, as types of the model.
S, I, D, T = "string", "int64", "double", "dateTime"
PRICES = {"open": D, "high": D, "low": D, "close": D, "volume": D}
CHANGES = {"previous_close": D, "change": D, "change_percent": D}
VIEWS = {
    "dim_symbol": {"symbol": S, "mic": S, "name": S, "first_date": T, "last_date": T},
    "dim_date": {
        "date": T, "year": I, "quarter": I, "month": I, "month_name": S, "year_month": I, "week": I,
        "day": I, "weekday": I, "weekday_name": S,
    },
    "bars_daily": {"symbol": S, "date": T, **PRICES, **CHANGES},
    "bars_1m": {"symbol": S, "ts": T, "date": T, "hour": I, "minute": I, **PRICES},
    "quotes_latest": {"symbol": S, "ts": T, "price": D, **CHANGES, "volume": D},
    "coverage": {
        "symbol": S, "date": T, "bars": I, "first_ts": T, "last_ts": T, "minutes_missing": I,
    },
    "quality_daily": {"date": T, "rows": I, "rejected": I, "revised": I},
}
KEYS = {"dim_symbol": "symbol", "dim_date": "date"}


def powerbi(folder, *arguments, settings="", environment=None):
    """Runs the command in a folder; returns exit code, output and errors."""
    path = folder / "marketlake.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings)
    process = Process("powerbi", ["--config", path, "powerbi", *arguments], folder, environment)
    return process.wait(), process.output(), process.errors()


def written(folder, *arguments):
    """Lets the command write a project; returns its folder."""
    code, _, errors = powerbi(folder, "--out", "bi", *arguments)
    assert code == 0, errors
    return folder / "bi"


def texts(project):
    """Every file by its path; all of them are UTF-8."""
    files = sorted(path for path in project.rglob("*") if path.is_file())
    return {str(path.relative_to(project)): path.read_bytes().decode("utf-8") for path in files}


def load(project, path):
    return json.loads((project / path).read_text("utf-8"))


class Model:
    """The semantic model, read strictly."""

    def __init__(self, project):
        definition = project / MODEL / "definition"
        self.files = {
            str(path.relative_to(definition)): tmdl.read(path.read_text("utf-8"), path.name)
            for path in sorted(definition.rglob("*.tmdl"))
        }
        self.tables = {}
        for path, root in self.files.items():
            if path.startswith("tables"):
                table = root.one("table")
                assert path == f"tables/{table.name}.tmdl", path
                self.tables[table.name] = table
        self.relationships = self.files["relationships.tmdl"].all("relationship")
        self.expressions = {
            node.name: node for node in self.files["expressions.tmdl"].all("expression")
        }

    def columns(self, table):
        return {node.name: node for node in self.tables[table].all("column")}

    def measures(self):
        """Every measure by its name, with its table."""
        return {
            node.name: (table, node)
            for table, root in self.tables.items() for node in root.all("measure")
        }

    def fields(self):
        """What a visual can read: columns and measures as kind, table and name."""
        columns = {("Column", table, name) for table in self.tables for name in self.columns(table)}
        return columns | {("Measure", table, name) for name, (table, _) in self.measures().items()}

    def queries(self):
        """Every expression in M by its name."""
        sources = {
            name: root.one("partition").one("source").expression
            for name, root in self.tables.items()
        }
        return sources | {name: node.expression for name, node in self.expressions.items()}


def fields_of(value):
    """Every field that a document reads, however deep."""
    if isinstance(value, list):
        return set().union(*map(fields_of, value))
    found = set()
    for kind, member in value.items() if isinstance(value, dict) else ():
        if kind in ("Column", "Measure") and "Property" in member:
            table = member["Expression"]["SourceRef"]["Entity"]
            found.add((kind, table, member["Property"]))
        found |= fields_of(member)
    return found


def visuals(project):
    """Every visual by page: a list of paths and documents."""
    pages = {}
    for path in sorted((project / REPORT).glob("definition/pages/*/visuals/*/visual.json")):
        pages.setdefault(path.parts[-4], []).append((path, json.loads(path.read_text("utf-8"))))
    return pages


def parsed(queries):
    """What Microsoft's parser says of expressions in M: None, or what is wrong."""
    done = subprocess.run(
        ["node", "parse.mjs"], cwd=PARSER, input=json.dumps(queries), capture_output=True, text=True,
        timeout=120, check=False,
    )
    assert done.returncode == 0, f"`scripts/setup --tests` fetches the parser:\n{done.stderr[-2000:]}"
    return json.loads(done.stdout)


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def test_a_project_says_what_it_is_and_what_to_do_next(folder):
    code, output, errors = powerbi(folder)
    assert code == 0, errors
    project = folder / "marketlake-powerbi"
    for name in ("marketlake.pbip", "marketlake-import.pbids", REPORT, MODEL):
        assert (project / name).exists(), name
        assert str(name) in output, output
    # Port and user are those of the settings.
    assert "localhost:5439" in output and "`marketlake`" in output and "powerbi.md" in output, output


def test_json_lists_every_file(folder):
    settings = '[postgres]\nbind = "127.0.0.1:6543"\nuser = "reader"\n'
    code, output, errors = powerbi(folder, "--output", "json", "--out", "bi", settings=settings)
    assert code == 0, errors
    report = json.loads(output)
    files = texts(folder / "bi")
    assert {it["path"]: it["bytes"] for it in report["files"]} == {
        path: len(text.encode()) for path, text in files.items()
    }
    found = {name: report[name] for name in ("server", "database", "user", "mode")}
    wanted = {"server": "localhost:6543", "database": "marketlake", "user": "reader"}
    assert found == {**wanted, "mode": "import"}


def test_the_same_wishes_write_the_same_bytes(folder, mode):
    [one, two] = [
        texts(written(folder / name, "--mode", mode, "--server", "gate:5439")) for name in "ab"
    ]
    assert one == two and len(one) > 60, len(one)


def test_a_folder_with_something_in_it_is_left_alone_unless_forced(folder):
    project = written(folder)
    before = texts(project)
    (project / "notes.txt").write_text("mine")
    # What an earlier release had, and this one has not.
    stray = project / REPORT / "definition/pages/candles/visuals/gone/visual.json"
    stray.parent.mkdir()
    stray.write_text("{}")
    code, _, errors = powerbi(folder, "--out", "bi")
    assert code == 3 and "--force" in errors, errors
    assert stray.exists() and texts(project) == {
        **before, "notes.txt": "mine", str(stray.relative_to(project)): "{}",
    }
    code, _, errors = powerbi(folder, "--out", "bi", "--force")
    assert code == 0, errors
    assert texts(project) == {**before, "notes.txt": "mine"}


@pytest.mark.parametrize("arguments, named", [
    (["--server", "localhost"], "HOST:PORT"),
    (["--server", "[::1]:5439"], "IPv6"),
    (["--database", "a;b"], "database"),
    (["--mode", "push"], "direct-query"),
])
def test_what_cannot_be_connected_to_is_refused(folder, arguments, named):
    code, _, errors = powerbi(folder, *arguments)
    assert code == 2 and named in errors, errors
    assert not (folder / "marketlake-powerbi").exists()


def test_an_open_port_has_to_be_named(folder):
    settings = '[postgres]\nbind = "127.0.0.1:0"\n'
    code, _, errors = powerbi(folder, settings=settings)
    assert code == 3 and "--server" in errors, errors
    assert not (folder / "marketlake-powerbi").exists()
    code, _, errors = powerbi(folder, "--server", "gate:5439", settings=settings)
    assert code == 0, errors


def test_no_password_is_written(folder):
    canary = "cnry-powerbi-0123456789"
    settings = '[postgres]\npassword = "{{secrets/env/sql}}"\n'
    environment = {"MARKETLAKE_SECRET_SQL": canary}
    code, output, errors = powerbi(folder, settings=settings, environment=environment)
    assert code == 0, errors
    everything = [output, errors, *texts(folder / "marketlake-powerbi").values()]
    assert not any(canary in text or "password=" in text.lower() for text in everything)


def test_files_are_plain_text_with_plain_names(folder):
    for path, text in texts(written(folder)).items():
        assert not text.startswith("\ufeff") and "\r" not in text and text.endswith("\n"), path
        for part in Path(path).parts:
            assert re.fullmatch(rf"\.?{NAME}(\.{NAME})?", part), path
        # Below a user's folder on Windows, 260 characters are the most.
        assert len(path) < 110, path


def test_connections_name_server_database_and_mode(folder):
    project = written(folder, "--server", "gate.example.com:6000", "--database", "lake-2")
    for name, mode in (("import", "Import"), ("directquery", "DirectQuery")):
        document = load(project, f"marketlake-{name}.pbids")
        address = {"server": "gate.example.com:6000", "database": "lake-2"}
        connection = {
            "details": {"protocol": "postgresql", "address": address}, "options": {}, "mode": mode,
        }
        assert document == {"version": "0.1", "connections": [connection]}


def test_every_json_file_keeps_the_rules_of_its_schema(folder):
    project = written(folder)
    checks = {
        "marketlake.pbip": pbir.check_shortcut,
        REPORT / ".platform": pbir.check_platform,
        REPORT / "definition.pbir": pbir.check_binding,
        REPORT / "definition/version.json": pbir.check_version,
        REPORT / "definition/report.json": pbir.check_report,
        REPORT / "definition/pages/pages.json": pbir.check_pages,
        MODEL / ".platform": pbir.check_platform,
        MODEL / "definition.pbism": pbir.check_model,
    }
    checks = {str(path): check for path, check in checks.items()}
    for path in (project / REPORT).glob("definition/pages/*/page.json"):
        checks[str(path.relative_to(project))] = pbir.check_page
    for page in visuals(project).values():
        for path, _ in page:
            checks[str(path.relative_to(project))] = pbir.check_visual
    for path, check in checks.items():
        check(load(project, path), path)
    others = {
        path for path in texts(project)
        if not path.endswith((".tmdl", ".pbids", ".gitignore", "RegisteredResources/marketlake.json"))
    }
    assert others == set(checks), "a file that no rule speaks of"


def test_the_rules_refuse_what_the_schemas_refuse(folder):
    page = visuals(written(folder))["candles"]
    (document,) = [one for path, one in page if path.parts[-2] == "candles"]
    pbir.check_visual(document, "as written")
    broken = [
        lambda it: it.pop("position"),
        lambda it: it.update(title="Candles"),
        lambda it: it["visual"].update(visualType="candlestick"),
        lambda it: it["visual"]["query"]["queryState"]["Y"]["projections"][0].pop("queryRef"),
        lambda it: it["visual"]["objects"]["legend"][0].update(show=True),
        lambda it: it["visual"]["objects"]["legend"][0]["properties"].update(show=True),
        lambda it: it["visual"]["visualContainerObjects"]["title"][0]["properties"].update(size=1),
    ]
    for index, change in enumerate(broken):
        copy = json.loads(json.dumps(document))
        change(copy)
        with pytest.raises((AssertionError, TypeError, KeyError)):
            pbir.check_visual(copy, f"broken {index}")


def test_report_and_model_belong_together(folder):
    project = written(folder)
    (artifact,) = load(project, "marketlake.pbip")["artifacts"]
    report = project / artifact["report"]["path"]
    assert report == project / REPORT
    binding = load(project, REPORT / "definition.pbir")
    model = report / binding["datasetReference"]["byPath"]["path"]
    assert model.resolve() == (project / MODEL).resolve()
    ids = {load(project, item / ".platform")["config"]["logicalId"] for item in (REPORT, MODEL)}
    assert len(ids) == 2 and all(re.fullmatch(tmdl.UUID, one) for one in ids), ids
    pages = load(project, REPORT / "definition/pages/pages.json")
    assert sorted(pages["pageOrder"]) == sorted(visuals(project))
    assert {"candles", "movers", "coverage", "quality"} <= set(pages["pageOrder"])
    theme = load(project, REPORT / "definition/report.json")["themeCollection"]["customTheme"]
    assert (project / REPORT / "StaticResources" / theme["type"] / theme["name"]).exists()


def test_every_page_is_laid_out_within_bounds_and_can_be_walked(folder):
    project = written(folder)
    for name, page in visuals(project).items():
        size = load(project, REPORT / f"definition/pages/{name}/page.json")
        assert size["name"] == name and re.fullmatch(NAME, name)
        places, orders, slicers = {}, set(), set()
        for path, document in page:
            where = f"{name}/{document['name']}"
            assert document["name"] == path.parts[-2] and re.fullmatch(NAME, document["name"]), where
            place = document["position"]
            right, bottom = place["x"] + place["width"], place["y"] + place["height"]
            assert right <= size["width"] and bottom <= size["height"], where
            assert place["width"] > 0 and place["height"] > 0, where
            places[where] = (place["x"], place["y"], right, bottom)
            orders.add(place["tabOrder"])
            around = document["visual"]["visualContainerObjects"]
            said = around["general"][0]["properties"]["altText"]["expr"]["Literal"]["Value"]
            assert len(said) > 10, f"{where} says nothing to a screen reader"
            if document["visual"]["visualType"] == "slicer":
                slicers |= fields_of(document["visual"]["query"])
        assert len(orders) == len(page), f"{name}: two visuals have one place in the order"
        for (one, left), (other, right) in combinations(places.items(), 2):
            is_apart = (
                left[2] <= right[0] or right[2] <= left[0]
                or left[3] <= right[1] or right[3] <= left[1]
            )
            assert is_apart, f"{one} covers {other}"
        assert ("Column", "dim_date", "date") in slicers, name
        # Quality is counted by day alone.
        assert (("Column", "dim_symbol", "symbol") in slicers) == (name != "quality"), name


def test_every_field_of_the_report_is_in_the_model(folder, mode):
    project = written(folder, "--mode", mode)
    known = Model(project).fields()
    references = {f"{table}.{name}" for _, table, name in known}
    for page in visuals(project).values():
        for path, document in page:
            found = fields_of(document)
            assert found and found <= known, f"{path}: {found - known}"
            shown = fields_of(document["visual"]["query"]["queryState"])
            for rules in document["visual"]["objects"].values():
                for rule in rules:
                    series = rule.get("selector", {}).get("metadata")
                    assert series is None or series in references, f"{path}: {series}"
                    names = {f"{table}.{name}" for _, table, name in shown}
                    assert series is None or series in names, f"{path}: {series} is not shown"


def test_candles_reach_from_low_to_high_and_from_open_to_close(folder):
    page = visuals(written(folder))["candles"]
    (chart,) = [one for path, one in page if path.parts[-2] == "candles"]
    reaches = {}
    for rule in chart["visual"]["objects"]["error"]:
        series = rule["selector"]["metadata"].removeprefix("bars_daily.")
        if "errorRange" in rule["properties"]:
            explicit = rule["properties"]["errorRange"]["explicit"]
            assert explicit["isRelative"]["expr"]["Literal"]["Value"] == "false"
            reaches[series] = [
                explicit[bound]["expr"]["Measure"]["Property"]
                for bound in ("lowerBound", "upperBound")
            ]
        else:
            assert rule["properties"]["enabled"]["expr"]["Literal"]["Value"] == "true"
    assert reaches == {
        "Candle Wick": ["Period Low", "Period High"],
        "Candle Rise": ["First Open", "Last Close"],
        "Candle Fall": ["Last Close", "First Open"],
    }
    # The lines that carry the bars are invisible; those of the averages are not.
    strokes = {
        rule.get("selector", {}).get("metadata"): rule["properties"]["strokeShow"]
        for rule in chart["visual"]["objects"]["lineStyles"]
    }
    assert {name: value["expr"]["Literal"]["Value"] for name, value in strokes.items()} == {
        None: "false",
        "bars_daily.Moving Average 20": "true",
        "bars_daily.Moving Average 50": "true",
    }


def test_the_model_has_the_tables_and_columns_of_the_views(folder, mode):
    model = Model(written(folder, "--mode", mode))
    found = {
        table: {name: node.properties["dataType"] for name, node in model.columns(table).items()}
        for table in model.tables
    }
    assert found == VIEWS
    for table, root in model.tables.items():
        assert root.description.endswith("."), table
        for name, node in model.columns(table).items():
            assert node.properties["sourceColumn"] == name, f"{table}.{name}"
            assert node.description.endswith("."), f"{table}.{name}"
            is_key = KEYS.get(table) == name
            assert node.properties.get("isKey", False) == is_key, f"{table}.{name}"
            sorted_by = node.properties.get("sortByColumn")
            assert sorted_by is None or sorted_by in VIEWS[table], f"{table}.{name}"
    references = [node.name for node in model.files["model.tmdl"].all("ref")]
    assert sorted(references) == sorted(VIEWS)


def test_the_date_table_is_marked_and_has_a_calendar(folder):
    model = Model(written(folder))
    marked = [name for name, root in model.tables.items() if "dataCategory" in root.properties]
    assert marked == ["dim_date"]
    levels = model.tables["dim_date"].one("hierarchy").all("level")
    names = [level.properties["column"] for level in levels]
    assert names == ["year", "quarter", "month_name", "date"] and set(names) <= set(VIEWS["dim_date"])
    # Hidden date tables of Power BI's own would double every date column.
    (own,) = [
        node for node in model.files["model.tmdl"].all("annotation")
        if node.name == "__PBI_TimeIntelligenceEnabled"
    ]
    assert own.expression == "0"


def test_relationships_lead_from_facts_to_keys_of_the_same_type(folder):
    model = Model(written(folder))
    found = set()
    for node in model.relationships:
        ends = [node.properties[end].split(".") for end in ("fromColumn", "toColumn")]
        (fact, column), (dimension, key) = [map(tmdl.unquoted, end) for end in ends]
        assert KEYS[dimension] == key and fact not in KEYS
        assert VIEWS[fact][column] == VIEWS[dimension][key], f"{fact}.{column}"
        # Chosen in the dimension, it filters every table.
        assert model.columns(fact)[column].properties.get("isHidden"), f"{fact}.{column}"
        found.add((fact, dimension))
    assert len(found) == len(model.relationships), "two ways from a table to another"
    facts = set(VIEWS) - set(KEYS)
    assert found == {
        (fact, dimension) for fact in facts for dimension, key in KEYS.items() if key in VIEWS[fact]
    }


def test_lineage_tags_are_unique_and_stay(folder):
    tags = {}
    for mode in MODES:
        model = Model(written(folder / mode, "--mode", mode, "--server", f"{mode}:5439"))

        def collect(node, path):
            path = (*path, node.kind, node.name)
            tag = node.properties.get("lineageTag")
            if tag:
                tags.setdefault(mode, {})[path] = tag
            for child in node.within:
                collect(child, path)

        for root in model.files.values():
            collect(root, ())
    for found in tags.values():
        assert len(set(found.values())) == len(found) > 80
    same = {path: tag for path, tag in tags["import"].items() if path in tags["direct-query"]}
    assert same == tags["direct-query"], "an object is another one in the other mode"


def test_measures_read_what_there_is_and_say_what_they_are(folder):
    model = Model(written(folder))
    measures = model.measures()
    columns = {(table, name) for table in model.tables for name in model.columns(table)}
    wanted = {
        "Last Close", "Price Change", "Price Change %", "Total Volume", "VWAP", "Moving Average 20",
        "Moving Average 50", "Days Covered", "Rows Rejected",
    }
    assert wanted <= set(measures)
    assert len({name.lower() for name in measures}) == len(measures)
    for name, (table, node) in measures.items():
        assert node.description.endswith("."), name
        assert node.properties.get("formatString") or name.endswith("Title"), name
        assert name.lower() not in VIEWS[table], f"{table} has a column of that name"
        formula = re.sub(r'"[^"]*"', '""', node.expression)
        for opening, closing in ("()", "[]"):
            assert formula.count(opening) == formula.count(closing), name
        for read_table, read in re.findall(r"(\w*)\[([^\]]+)\]", formula):
            if read_table:
                assert (read_table, read) in columns, f"{name} reads {read_table}[{read}]"
            elif not read.startswith("@"):
                assert read in measures and read != name, f"{name} reads [{read}]"
        for used in re.findall(r"(?:FILTER|SUMX|REMOVEFILTERS|SELECTCOLUMNS) \( (\w+)", formula):
            is_variable = re.search(rf"VAR {used} =", formula)
            is_function = re.search(rf"{used} \(", formula)
            assert used in VIEWS or is_variable or is_function, f"{name} reads {used}"


def test_no_measure_reads_itself_in_a_circle(folder):
    measures = Model(written(folder)).measures()
    reads = {
        name: set(re.findall(r"(?<!\w)\[([^@\]][^\]]*)\]", node.expression))
        for name, (_, node) in measures.items()
    }
    done = set()
    while len(done) < len(reads):
        ready = {name for name, read in reads.items() if read <= done} - done
        assert ready, f"a circle among {set(reads) - done}"
        done |= ready


def test_each_table_is_read_from_its_view_in_the_mode_that_was_asked_for(folder, mode):
    model = Model(written(folder, "--mode", mode, "--server", "gate:7000", "--database", "lake_2"))
    kept = {"import": "import", "direct-query": "directQuery"}[mode]
    for name, root in model.tables.items():
        partition = root.one("partition")
        assert partition.expression == "m" and partition.properties["mode"] == kept, name
        source = partition.one("source").expression
        assert "PostgreSQL.Database(Server, Database," in source, name
        assert f'{{[Schema="bi",Item="{name}"]}}[Data]' in source, name
        # Minutes are many: an import can be limited, and incremental refresh needs these names.
        has_limits = "RangeStart" in source and "RangeEnd" in source
        assert has_limits == (name == "bars_1m" and mode == "import"), name
    values = {name: node.expression for name, node in model.expressions.items()}
    assert values["Server"].startswith('"gate:7000" meta [IsParameterQuery=true, Type="Text"')
    assert values["Database"].startswith('"lake_2" meta [IsParameterQuery=true, Type="Text"')
    assert set(values) == {"Server", "Database"} | (
        {"RangeStart", "RangeEnd"} if mode == "import" else set()
    )


def test_microsofts_parser_reads_every_query(folder, mode):
    queries = Model(written(folder, "--mode", mode)).queries()
    assert set(queries) >= set(VIEWS) | {"Server", "Database"}
    verdicts = parsed({**queries, "broken": queries["bars_daily"].replace("in\n", "\n")})
    assert verdicts.pop("broken"), "the parser takes anything"
    assert verdicts == dict.fromkeys(queries), verdicts


@pytest.mark.parametrize("text", [
    "table a\n    lineageTag: x\n",
    "table a\n\tlineageTag: x\n",
    "table a\n\tdataCategory: Time\n",
    "table a b\n\tlineageTag: 00000000-0000-0000-0000-000000000000\n",
    "table a\n\tlineageTag: 00000000-0000-0000-0000-000000000000 \n",
    "relationship a\n\ttoColumn: a.b\n\tfromColumn: b.a\n",
    "/// Said of nothing.\n\ndatabase\n\tcompatibilityLevel: 1567\n",
    "database\n\tcompatibilityLevel: 1567\n\tlanguage: 1033\n",
    "database\n\t\tcompatibilityLevel: 1567\n",
    "database\n\tcompatibilityLevel: 1567",
    "expression a =\n\t1\n",
])
def test_the_reader_of_models_is_strict(text):
    with pytest.raises(tmdl.Broken):
        tmdl.read(text, "broken.tmdl")

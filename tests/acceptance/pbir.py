"""The rules of Microsoft's JSON schemas that a report of ours can break, in our own words.

The schemas are published (https://developer.microsoft.com/json-schemas/fabric), yet in no package
registry, so tests cannot install them. Each rule here was read in the schema of the version that the
file names: which members an object must and may have, and the form of values. An object with a
member that is not listed is refused, as it is there.
"""

import re

FABRIC = "https://developer.microsoft.com/json-schemas/fabric"
DEFINITION = f"{FABRIC}/item/report/definition"
TEXT, NUMBER, TRUTH = (str,), (int, float), (bool,)

# Kinds of visuals and the parts that their fields play.
ROLES = {
    "slicer": {"Values"}, "card": {"Values"}, "tableEx": {"Values"},
    "pivotTable": {"Rows", "Columns", "Values"},
    "lineChart": {"Category", "Y", "Tooltips"}, "columnChart": {"Category", "Y"},
    "clusteredColumnChart": {"Category", "Y"}, "barChart": {"Category", "Y"},
}
# Members of the objects around every visual.
CONTAINER = {
    "title": {
        "show", "text", "heading", "titleWrap", "fontColor", "background", "alignment", "fontSize",
        "bold", "italic", "underline", "fontFamily",
    },
    "general": {
        "x", "y", "width", "height", "altText", "allowBinnedLineSample",
        "allowOverlappingPointsSample", "keepLayerOrder",
    },
}


def closed(value, where, required, optional=()):
    """Checks that an object has what it must, and nothing else but what it may."""
    assert isinstance(value, dict), f"{where}: an object was expected, not {value!r}"
    missing, unknown = set(required) - set(value), set(value) - set(required) - set(optional)
    assert not missing and not unknown, f"{where}: lacks {missing}, and has {unknown}"
    return value


def typed(value, where, types):
    is_right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    assert is_right, f"{where}: {value!r} is no {types}"


def schema(document, where, name):
    found = document.get("$schema")
    assert found == name, f"{where}: the schema is {found}"


def check_shortcut(document, where):
    closed(document, where, {"$schema", "version", "artifacts"}, {"settings"})
    schema(document, where, f"{FABRIC}/pbip/pbipProperties/1.0.0/schema.json")
    for artifact in document["artifacts"]:
        closed(closed(artifact, where, {"report"})["report"], where, {"path"})
    closed(document["settings"], where, set(), {"enableAutoRecovery"})


def check_platform(document, where):
    closed(document, where, {"$schema", "metadata", "config"})
    schema(document, where, f"{FABRIC}/gitIntegration/platformProperties/2.0.0/schema.json")
    closed(document["metadata"], where, {"type", "displayName"}, {"description"})
    closed(document["config"], where, {"version", "logicalId"})


def check_binding(document, where):
    closed(document, where, {"$schema", "version", "datasetReference"})
    schema(document, where, f"{FABRIC}/item/report/definitionProperties/2.0.0/schema.json")
    reference = closed(document["datasetReference"], where, {"byPath"})
    closed(reference["byPath"], where, {"path"})


def check_model(document, where):
    closed(document, where, {"$schema", "version"}, {"settings"})
    schema(document, where, f"{FABRIC}/item/semanticModel/definitionProperties/1.0.0/schema.json")
    closed(document["settings"], where, set(), {"qnaEnabled", "qnaLsdlSharingPermissions"})


def check_version(document, where):
    closed(document, where, {"$schema", "version"})
    schema(document, where, f"{DEFINITION}/versionMetadata/1.0.0/schema.json")
    assert re.fullmatch(r"[1-9]\d*\.(0|[1-9]\d*)\.0", document["version"]), where


def check_report(document, where):
    optional = {"resourcePackages", "settings", "objects", "filterConfig", "annotations"}
    closed(document, where, {"$schema", "themeCollection"}, optional)
    schema(document, where, f"{DEFINITION}/report/3.0.0/schema.json")
    themes = closed(document["themeCollection"], where, set(), {"baseTheme", "customTheme"})
    for theme in themes.values():
        closed(theme, where, {"name", "reportVersionAtImport", "type"})
        versions = closed(theme["reportVersionAtImport"], where, {"visual", "page", "report"})
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values()), where
        assert theme["type"] in ("RegisteredResources", "SharedResources"), where
    for package in document["resourcePackages"]:
        closed(package, where, {"items", "name", "type"}, {"id", "disabled"})
        assert package["type"] in ("RegisteredResources", "SharedResources"), where
        for item in package["items"]:
            closed(item, where, {"name", "path", "type"}, {"id"})
            assert item["type"] == "CustomTheme", where
    settings = closed(document["settings"], where, set(), {
        "useStylableVisualContainerHeader", "exportDataMode", "defaultDrillFilterOtherVisuals",
        "useEnhancedTooltips",
    })
    modes = ("AllowSummarized", "AllowSummarizedAndUnderlying", "None")
    assert settings["exportDataMode"] in modes, where


def check_pages(document, where):
    closed(document, where, {"$schema"}, {"pageOrder", "activePageName"})
    schema(document, where, f"{DEFINITION}/pagesMetadata/1.0.0/schema.json")
    assert document["activePageName"] in document["pageOrder"], where


def check_page(document, where):
    required = {"$schema", "displayName", "displayOption", "name", "height", "width"}
    closed(document, where, required, {"filterConfig", "objects", "visibility", "type"})
    schema(document, where, f"{DEFINITION}/page/2.0.0/schema.json")
    assert len(document["name"]) <= 50, where
    assert document["displayOption"] in ("FitToPage", "FitToWidth", "ActualSize"), where
    typed(document["height"], where, NUMBER)
    typed(document["width"], where, NUMBER)


def check_visual(document, where):
    closed(document, where, {"$schema", "name", "position", "visual"}, {"filterConfig", "isHidden"})
    schema(document, where, f"{DEFINITION}/visualContainer/2.4.0/schema.json")
    assert len(document["name"]) <= 50, where
    position = {"height", "width", "x", "y"}
    position = closed(document["position"], where, position, {"z", "tabOrder", "angle"})
    for value in position.values():
        typed(value, where, NUMBER)
    visual = closed(document["visual"], where, {"visualType"}, {
        "autoSelectVisualType", "query", "expansionStates", "objects", "visualContainerObjects",
        "syncGroup", "drillFilterOtherVisuals",
    })
    assert visual["visualType"] in ROLES, f"{where}: {visual['visualType']}"
    check_query(visual["query"], where, ROLES[visual["visualType"]])
    for name, rules in visual["objects"].items():
        check_rules(rules, f"{where} {name}")
    for name, rules in visual["visualContainerObjects"].items():
        assert name in CONTAINER, f"{where}: {name}"
        check_rules(rules, f"{where} {name}")
        for one in rules:
            closed(one["properties"], f"{where} {name}", set(), CONTAINER[name])
    if "syncGroup" in visual:
        closed(visual["syncGroup"], where, {"groupName"}, {"fieldChanges", "filterChanges"})
    typed(visual["drillFilterOtherVisuals"], where, TRUTH)


def check_query(query, where, roles):
    closed(query, where, {"queryState"}, {"sortDefinition", "options", "isDrillDisabled"})
    assert set(query["queryState"]) <= roles, f"{where}: {set(query['queryState'])}"
    references = []
    for role in query["queryState"].values():
        for one in closed(role, where, {"projections"}, {"showAll", "fieldParameters"})["projections"]:
            closed(one, where, {"field", "queryRef"}, {
                "nativeQueryRef", "displayName", "format", "active", "hidden",
            })
            table, name = check_field(one["field"], where)
            assert one["queryRef"] == f"{table}.{name}", where
            assert one["nativeQueryRef"] == name, where
            references.append(one["queryRef"])
    assert len(set(references)) == len(references), f"{where}: a field is shown twice"
    if "sortDefinition" in query:
        sorting = closed(query["sortDefinition"], where, set(), {"sort", "isDefaultSort"})
        for one in sorting["sort"]:
            closed(one, where, {"field", "direction"})
            assert ".".join(check_field(one["field"], where)) in references, where
            assert one["direction"] in ("Ascending", "Descending"), where


def check_field(expression, where):
    """Checks a reference to a column or measure; returns its table and name."""
    ((kind, read),) = expression.items()
    assert kind in ("Column", "Measure"), f"{where}: {kind}"
    closed(read, where, {"Expression", "Property"})
    source = closed(closed(read["Expression"], where, {"SourceRef"})["SourceRef"], where, {"Entity"})
    return source["Entity"], read["Property"]


def check_rules(rules, where):
    assert isinstance(rules, list) and rules, where
    for one in rules:
        closed(one, where, {"properties"}, {"selector"})
        for name, value in one["properties"].items():
            check_value(value, f"{where}.{name}")
        selector = closed(one.get("selector", {}), where, set(), {
            "data", "metadata", "id", "highlightMatching", "hierarchyMatching", "order",
        })
        for scope in selector.get("data", []):
            option = closed(scope, where, {"dataViewWildcard"})["dataViewWildcard"]
            assert closed(option, where, {"matchingOption"})["matchingOption"] in (0, 1, 2), where
        assert selector.get("highlightMatching", 0) in (0, 1, 2), where


def check_value(value, where):
    if "solid" in value:
        paint = closed(closed(value, where, {"solid"})["solid"], where, {"color"})["color"]
        check_value(paint, where)
        assert re.fullmatch(r"'#[0-9A-F]{6}'", paint["expr"]["Literal"]["Value"]), where
    elif "kind" in value:
        closed(value, where, {"kind", "explicit"})
        assert value["kind"] == "ErrorRange", where
        bounds = {"isRelative", "lowerBound", "upperBound"}
        for bound in closed(value["explicit"], where, bounds).values():
            check_value(bound, where)
    else:
        expression = closed(value, where, {"expr"})["expr"]
        if "Literal" in expression:
            literal = closed(closed(expression, where, {"Literal"})["Literal"], where, {"Value"})
            form = r"true|false|null|-?\d+(\.\d+)?[DLM]|'([^']|'')*'"
            assert re.fullmatch(form, literal["Value"]), f"{where}: {literal['Value']}"
        else:
            check_field(expression, where)

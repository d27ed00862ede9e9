"""A strict reader of TMDL, as much of it as a model of ours may use: what it does not know it refuses.

TMDL is Power BI's text form of a model. Objects are `kind name`, with `= expression` where they
have one; what belongs to an object is indented by one tab more, its expression by two. Properties
come before the objects within, each of a known name, with a value of the known form, in one order.
"""

import re
from dataclasses import dataclass, field

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NAME = r"(?:[A-Za-z_]\w*|'(?:[^']|'')+')"
ANY = r"\S.*"
FLAG = None

# What an object may have: its properties in order, and the kinds of objects within.
PROPERTIES = {
    "database": {"compatibilityLevel": r"\d+"},
    "model": {
        "culture": r"[a-z]{2}-[A-Z]{2}", "defaultPowerBIDataSourceVersion": "powerBI_V3",
        "sourceQueryCulture": r"[a-z]{2}-[A-Z]{2}",
    },
    "dataAccessOptions": {"legacyRedirects": FLAG, "returnErrorValuesAsNull": FLAG},
    "table": {"lineageTag": UUID, "dataCategory": "Time"},
    "measure": {"formatString": ANY, "displayFolder": ANY, "lineageTag": UUID},
    "column": {
        "dataType": "string|int64|double|dateTime|boolean", "isHidden": FLAG, "isKey": FLAG,
        "formatString": ANY, "lineageTag": UUID, "summarizeBy": "none|sum", "sourceColumn": r"\w+",
        "sortByColumn": NAME,
    },
    "hierarchy": {"lineageTag": UUID},
    "level": {"lineageTag": UUID, "column": NAME},
    "partition": {"mode": "import|directQuery"},
    "relationship": {"fromColumn": rf"{NAME}\.{NAME}", "toColumn": rf"{NAME}\.{NAME}"},
    "expression": {"lineageTag": UUID},
    "source": {}, "annotation": {}, "ref": {},
}
REQUIRED = {
    "database": {"compatibilityLevel"}, "model": {"culture", "defaultPowerBIDataSourceVersion"},
    "table": {"lineageTag"}, "measure": {"displayFolder", "lineageTag"},
    "column": {"dataType", "lineageTag", "summarizeBy", "sourceColumn"}, "level": {"column"},
    "partition": {"mode"}, "relationship": {"fromColumn", "toColumn"},
}
WITHIN = {
    "database": [], "model": ["dataAccessOptions", "annotation", "ref"], "dataAccessOptions": [],
    "table": ["measure", "column", "hierarchy", "partition", "annotation"],
    "measure": ["annotation"], "column": ["annotation"], "hierarchy": ["level"], "level": [],
    "partition": ["source"], "source": [], "relationship": [], "expression": ["annotation"],
    "annotation": [], "ref": [],
}
TOP = {"database", "model", "annotation", "ref", "table", "relationship", "expression"}
UNNAMED = {"database", "dataAccessOptions", "source"}
WITH_EXPRESSION = {"measure", "expression", "source", "annotation", "partition"}
WITH_DESCRIPTION = {"table", "column", "measure", "expression"}


@dataclass
class Node:
    """An object, and what belongs to it."""

    kind: str
    name: str = ""
    expression: str = ""
    description: str = ""
    properties: dict = field(default_factory=dict)
    within: list = field(default_factory=list)

    def all(self, kind):
        """Returns the objects of a kind that lie directly within."""
        return [node for node in self.within if node.kind == kind]

    def one(self, kind):
        (node,) = self.all(kind)
        return node


class Broken(AssertionError):
    """The text is not TMDL as we know it."""


def unquoted(name):
    return name[1:-1].replace("''", "'") if name.startswith("'") else name


def read(text, where):
    """Reads a file; returns an object without a name that holds what stands on top."""
    return Reader(text, where).file()


class Reader:
    def __init__(self, text, where):
        self.where, self.at = where, 0
        if not text.endswith("\n") or text.startswith("\ufeff") or "\r" in text:
            raise Broken(f"{where}: the text has a mark, a carriage return, or no end")
        self.lines = text.split("\n")[:-1]

    def fail(self, why):
        line = self.lines[self.at] if self.at < len(self.lines) else "<end>"
        raise Broken(f"{self.where}:{self.at + 1}: {why}: {line!r}")

    def next(self):
        """Skips empty lines; returns depth and text of the next line, depth -1 at the end."""
        while self.at < len(self.lines) and not self.lines[self.at]:
            self.at += 1
        if self.at == len(self.lines):
            return -1, ""
        line = self.lines[self.at]
        text = line.lstrip("\t")
        if text != text.strip():
            self.fail("spaces where tabs or nothing belong")
        return len(line) - len(text), text

    def file(self):
        root = Node("")
        while True:
            depth, _ = self.next()
            if depth < 0:
                return root
            node = self.object(0)
            if node.kind not in TOP:
                self.fail(f"a `{node.kind}` on top of a file")
            root.within.append(node)

    def object(self, depth):
        description = self.description(depth)
        found, text = self.next()
        if found != depth:
            self.fail(f"an object at depth {depth} was expected")
        head, is_assigned, rest = text.partition(" =")
        kind, _, name = head.partition(" ")
        if kind not in PROPERTIES:
            self.fail(f"no object is called `{kind}`")
        if kind == "ref":
            name = name.removeprefix("table ")
        if bool(name) == (kind in UNNAMED) or (name and not re.fullmatch(rf"{NAME}|{UUID}", name)):
            self.fail(f"`{name}` is no name of a `{kind}`")
        if bool(is_assigned) != (kind in WITH_EXPRESSION):
            self.fail(f"an expression of a `{kind}` is missing, or one too many")
        if description and kind not in WITH_DESCRIPTION:
            self.fail(f"a `{kind}` is described")
        self.at += 1
        node = Node(kind, unquoted(name), rest.strip(), description)
        if is_assigned and not node.expression:
            node.expression = self.block(depth + 2)
        self.contents(node, depth + 1)
        missing = REQUIRED.get(kind, set()) - set(node.properties)
        if missing:
            self.fail(f"`{kind} {name}` above lacks {sorted(missing)}")
        return node

    def description(self, depth):
        words = []
        while True:
            found, text = self.next()
            if not text.startswith("///"):
                return " ".join(words)
            if found != depth or not text.startswith("/// ") or not self.lines[self.at + 1].strip():
                self.fail("a description stands directly before its object")
            words.append(text[4:])
            self.at += 1

    def block(self, depth):
        """Reads an expression of several lines; returns it without its indentation."""
        block, tabs = [], "\t" * depth
        while self.at < len(self.lines) and self.lines[self.at].startswith(tabs):
            block.append(self.lines[self.at].removeprefix(tabs))
            self.at += 1
        if not block:
            self.fail(f"an expression at depth {depth} was expected")
        if any("\t" in line or line != line.rstrip() for line in block):
            self.fail("a tab or a space too many in the expression above")
        return "\n".join(block)

    def contents(self, node, depth):
        known, kinds = list(PROPERTIES[node.kind]), WITHIN[node.kind]
        place, order = 0, 0
        while True:
            found, text = self.next()
            if found < depth:
                return
            if found > depth:
                self.fail(f"depth {depth} was expected, not {found}")
            name, is_property, value = text.partition(":")
            first = self.ahead()
            if name in known and (is_property or PROPERTIES[node.kind][name] is FLAG):
                if node.within:
                    self.fail("a property behind an object")
                if known.index(name) < place:
                    self.fail("a property out of order")
                place = known.index(name) + 1
                self.property(node, name, value)
            elif first in kinds:
                if kinds.index(first) < order:
                    self.fail("an object out of order")
                order = kinds.index(first)
                node.within.append(self.object(depth))
            else:
                self.fail(f"`{node.kind}` knows no `{first}`")

    def ahead(self):
        """Returns the first word of the next line that is no description."""
        lines = (line.strip() for line in self.lines[self.at:])
        return next((line for line in lines if not line.startswith("///")), "").split(" ")[0]

    def property(self, node, name, value):
        form = PROPERTIES[node.kind][name]
        if form is FLAG and value:
            self.fail(f"`{name}` has no value")
        if form is not FLAG and not re.fullmatch(f" (?:{form})", value):
            self.fail(f"`{name}` has another form")
        node.properties[name] = True if form is FLAG else value[1:]
        self.at += 1

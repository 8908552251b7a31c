"""Reads replies with PyEZ's own tables and with the descriptions made of them, and compares the rows.

    pyez_judge.py PERIJOVE DIRECTORY REPLY…

writes the descriptions to DIRECTORY, and prints what was compared: a line for each difference, and

    tables imported N of M, values equal N of M, rows N, lists left out N
"""

import copy
import json
import os
import re
import subprocess
import sys
import tomllib

import yaml
from lxml import etree
from jnpr.junos.factory.factory_loader import FactoryLoader
from jnpr.junos.factory.optable import OpTable
import jnpr.junos.op

ENDS = ("_total", "_count")


def snake(name):
    name = name.lstrip("_")
    if name.endswith("Table") and name != "Table":
        name = name[: -len("Table")]
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def field_name(name):
    """What the importer calls a field."""
    name = snake(name).strip("_")
    if name[:1].isdigit():
        name = "n" + name
    for end in ENDS:
        if name.endswith(end):
            return name[: -len(end)]
    return "all" if name == "total" else name


def tables():
    """The shipped op tables: file, name, class, and the file's definitions."""
    directory = os.path.dirname(jnpr.junos.op.__file__)
    for file in sorted(os.listdir(directory)):
        if not file.endswith(".yml"):
            continue
        path = os.path.join(directory, file)
        with open(path) as text:
            catalog = yaml.safe_load(text)
        # The loader puts classes in place of what it has read.
        classes = FactoryLoader().load(copy.deepcopy(catalog))
        for name, definition in catalog.items():
            if isinstance(definition, dict) and "item" in definition:
                yield path, name, classes[name], catalog


def inner_tables(catalog, name, measurement):
    """The tables in a table's fields, with what their points are called."""
    view = catalog.get(catalog[name].get("view"), {})
    for part, fields in view.items():
        if not part.startswith("fields"):
            continue
        for field, inner in fields.items():
            if isinstance(inner, str) and "item" in (catalog.get(inner) or ()):
                called = f"{measurement}_{field_name(field)}"
                yield inner, called
                yield from inner_tables(catalog, inner, called)


def same(theirs, ours):
    if isinstance(theirs, bool):
        return ours == int(theirs) or (not theirs and ours is None)
    if isinstance(theirs, (int, float)):
        return ours is not None and float(ours) == float(theirs)
    return str(ours) == theirs.strip()


def rows(view, names):
    """The fields of a view that are no lists and no tables, by the importer's names."""
    row, lists = {}, 0
    for name, field in view.FIELDS.items():
        if "table" in field:
            continue
        try:
            value = getattr(view, name)
        except Exception:
            continue
        if isinstance(value, list):
            lists += 1
            continue
        if value is None or value == "":
            continue
        # Of an element without a text PyEZ gives the name.
        if value == field["xpath"].rsplit("/", 1)[-1]:
            continue
        if field_name(name) in names:
            row[field_name(name)] = value
    return row, lists


def write_as_pyez(reply, path):
    """Writes a reply as a session of PyEZ gives it to a table: what stands in <rpc-reply>, without
    namespaces. False for what is no XML."""
    plain = re.sub(r'\sxmlns(:\w+)?="[^"]*"|junos:(?=\w+=)', " ", reply)
    try:
        root = etree.fromstring(plain.encode())
    except etree.XMLSyntaxError:
        return False
    inside = list(root) if root.tag == "rpc-reply" else [root]
    inside = [child for child in inside if isinstance(child.tag, str)]
    if inside:
        etree.ElementTree(inside[0]).write(path)
    return bool(inside)


class Count:
    """What was compared."""

    equal = compared = rows = lists = 0

    def __init__(self):
        self.used = set()


def key_of(view):
    try:
        key = view.name
    except Exception:
        return None
    key = key if isinstance(key, (tuple, list)) else (key,)
    return tuple((part or "").strip() for part in key)


class Described:
    """A description, and the points of one of its measurements in a reply."""

    def __init__(self, description, records):
        self.points = {}
        for query in description["query"]:
            for point in query["point"]:
                self.points.setdefault(point["measurement"], []).append(point)
        self.records = records

    def compare(self, views, measurement, around, name, reply, count):
        """Compares the rows of a table, and of the tables in its fields; `around` has the keys of
        the rows that they stand in."""
        points = self.points.get(measurement, [])
        fields = [field for point in points for field in point["fields"]]
        names = {field["name"] for field in fields}
        numbers = {field["name"] for field in fields if "gauge" in field}
        # Of one series the first reading counts.
        theirs = {}
        for view in views:
            key = key_of(view)
            if key is not None:
                theirs.setdefault(around + key, view)
        tags = [tag["name"] for tag in points[0]["tags"]] if points else []
        # Each point has the Routing Engine's name, whether or not a table has it as a key.
        if theirs and len(next(iter(theirs))) == len(tags) + 1:
            tags.insert(0, "re_name")
        ours = {}
        for record in self.records:
            if record["measurement"] == measurement:
                key = tuple(record["tags"].get(tag, "") for tag in tags)
                ours.setdefault(key, record["fields"])
        for key, view in theirs.items():
            for field, kind in view.FIELDS.items():
                if "table" in kind:
                    inner = list(getattr(view, field))
                    called = f"{measurement}_{field_name(field)}"
                    self.compare(inner, called, key, f"{name}.{field}", reply, count)
            row, lists = rows(view, names)
            count.lists += lists
            # A point is about its numbers, where a table has any.
            if not row or (numbers and not numbers & row.keys()):
                continue
            count.rows += 1
            count.used.add(name)
            for field, value in row.items():
                count.compared += 1
                here = ours.get(key, {}).get(field)
                if same(value, here):
                    count.equal += 1
                else:
                    print(f"{name} {key} {field}: {value!r}, here {here!r}: {reply}")


def main():
    perijove, directory, *replies = sys.argv[1:]
    found = list(tables())
    for path in sorted({path for path, *_ in found}):
        said = subprocess.run(
            [perijove, "import", "pyez-table", path, "--directory", directory],
            capture_output=True,
            text=True,
        )
        print(said.stderr, end="")
    imported, inner = {}, set()
    for path, name, table, catalog in found:
        file = os.path.join(directory, f"pyez_{snake(name)}.toml")
        if "rpc" not in catalog[name] or not os.path.exists(file):
            continue
        with open(file, "rb") as text:
            description = tomllib.load(text)
        imported[name] = (file, table, description)
        points = {point["measurement"] for query in description["query"] for point in query["point"]}
        called = inner_tables(catalog, name, description["name"])
        inner |= {(path, name) for name, measurement in called if measurement in points}
    texts = {reply: open(reply, errors="replace").read() for reply in replies}
    plain = os.path.join(directory, "without-namespaces.xml")
    count = Count()
    for name, (file, table, description) in sorted(imported.items()):
        items = {point["item"] for query in description["query"] for point in query["point"]}
        for reply, text in texts.items():
            root = description["query"][0]["roots"][0]
            if root not in text or not any(f"<{element}" in text for element in items):
                continue
            if not write_as_pyez(text, plain):
                continue
            try:
                theirs = table(path=plain)
                theirs.get()
                views = list(theirs)
            except Exception:
                continue
            if not views:
                continue
            parsed = subprocess.run(
                [perijove, "parse", "--description", file, reply, "--format", "json", "--quiet"],
                capture_output=True,
                text=True,
            )
            records = [json.loads(line) for line in parsed.stdout.splitlines()]
            described = Described(description, records)
            described.compare(views, description["name"], (), name, reply, count)
    print(f"tables that read a reply: {len(count.used)}")
    print(
        f"tables imported {len(imported) + len(inner)} of {len(found)}, "
        f"values equal {count.equal} of {count.compared}, "
        f"rows {count.rows}, lists left out {count.lists}"
    )


main()

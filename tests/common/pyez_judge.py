"""Reads replies with PyEZ's own tables and with the descriptions made of them, and compares the rows.

    pyez_judge.py PERIJOVE DIRECTORY REPLY…

writes the descriptions to DIRECTORY, and prints what was compared: a line for each difference, and

    tables imported N of M, values equal N of M, rows N, lists left out N
"""

import json
import os
import re
import subprocess
import sys
import tomllib

import yaml
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
    """The shipped op tables: file, name and class."""
    directory = os.path.dirname(jnpr.junos.op.__file__)
    for file in sorted(os.listdir(directory)):
        if not file.endswith(".yml"):
            continue
        path = os.path.join(directory, file)
        with open(path) as text:
            catalog = yaml.safe_load(text)
        classes = FactoryLoader().load(catalog)
        for name, definition in catalog.items():
            is_table = isinstance(definition, dict) and "rpc" in definition
            if is_table and not name.startswith("_"):
                yield path, name, classes[name]


def same(theirs, ours):
    if isinstance(theirs, bool):
        return ours == int(theirs) or (not theirs and ours is None)
    if isinstance(theirs, (int, float)):
        return ours is not None and float(ours) == float(theirs)
    return str(ours) == theirs.strip()


def rows(view, table, names):
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
        if field_name(name) in names:
            row[field_name(name)] = value
    return row, lists


def main():
    perijove, directory, *replies = sys.argv[1:]
    found = list(tables())
    imported = {}
    for path in sorted({path for path, _, _ in found}):
        subprocess.run(
            [perijove, "import", "pyez-table", path, "--directory", directory],
            stderr=subprocess.DEVNULL,
        )
    for path, name, table in found:
        file = os.path.join(directory, f"pyez_{snake(name)}.toml")
        if os.path.exists(file):
            imported[name] = (file, table)
    texts = {reply: open(reply, errors="replace").read() for reply in replies}
    equal = compared = read = lists = 0
    used = set()
    for name, (file, table) in sorted(imported.items()):
        with open(file, "rb") as text:
            description = tomllib.load(text)
        points = [p for q in description["query"] for p in q["point"]]
        points = [p for p in points if p["measurement"] == description["name"]]
        if not points:
            continue
        names = {field["name"] for point in points for field in point["fields"]}
        gauges = [f for p in points for f in p["fields"] if "gauge" in f]
        numbers = {field["name"] for field in gauges}
        tags = [tag["name"] for tag in points[0]["tags"]]
        elements = [point["item"] for point in points]
        for reply, text in texts.items():
            root = description["query"][0]["roots"][0]
            if root not in text or not any(f"<{element}" in text for element in elements):
                continue
            try:
                theirs = table(path=reply)
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
            ours = {}
            for record in records:
                if record["measurement"] == description["name"]:
                    key = tuple(record["tags"].get(tag, "") for tag in tags)
                    ours.setdefault(key, []).append(record["fields"])
            seen = set()
            for view in views:
                try:
                    key = view.name
                except Exception:
                    continue
                key = tuple(key) if isinstance(key, (tuple, list)) else (key,)
                key = tuple((part or "").strip() for part in key)
                # Of one series the first reading counts.
                if key in seen:
                    continue
                seen.add(key)
                row, more = rows(view, table, names)
                lists += more
                # A point is about its numbers, where a table has any.
                if not row or (numbers and not numbers & row.keys()):
                    continue
                read += 1
                used.add(name)
                fields = ours.get(key, [{}])[0]
                for field, value in row.items():
                    compared += 1
                    if same(value, fields.get(field)):
                        equal += 1
                    else:
                        found_here = fields.get(field)
                        print(f"{name} {key} {field}: {value!r}, here {found_here!r}: {reply}")
    print(f"tables that read a reply: {len(used)}")
    print(
        f"tables imported {len(imported)} of {len(found)}, values equal {equal} of {compared}, "
        f"rows {read}, lists left out {lists}"
    )


main()

"""Reads dashboards with Grafana's published model of them and says what it does not know there."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# What an import reads; the model is of a dashboard that was imported. The definition of a variable
# is only what the list of variables shows of its query.
OF_IMPORT = {"__inputs", "__requires", "definition"}
# What the plugin of a data source reads of an annotation; the model has only what all have.
OF_PLUGIN = {"query", "fromAnnotations", "titleColumn", "textColumn", "tagsColumn", "useValueForTime",
             "step", "titleFormat", "textFormat", "tagKeys"}


def lost(before, after, path=""):
    if isinstance(before, dict):
        for key, value in before.items():
            if key in OF_IMPORT or path.startswith(".annotations.") and key in OF_PLUGIN:
                continue
            if not isinstance(after, dict) or key not in after:
                yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            yield path
        else:
            for index, pair in enumerate(zip(before, after)):
                yield from lost(*pair, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} is {after!r}"


register_default_plugins()
wrong = 0
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        dashboard = json.load(file)
    after = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    for what in lost(dashboard, after):
        print(f"{name}: {what}", file=sys.stderr)
        wrong += 1
    print(f"{name}: {len(after['panels'])} panels")
sys.exit(wrong > 0)

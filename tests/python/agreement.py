"""What a client listed against what the simulator's model holds.

The model comes from the control port as JSON; the expectation is made here, by code of its own, so that a mistake in the
simulator's writer cannot hide itself.
"""

import json
import re
import sys
import urllib.request

NAMES = {
    "boolean": "BOOLEAN", "tinyint": "BYTE", "smallint": "SHORT", "int": "INT", "bigint": "LONG", "float": "FLOAT",
    "double": "DOUBLE", "string": "STRING", "binary": "BINARY", "date": "DATE", "timestamp": "TIMESTAMP",
    "timestamp_ntz": "TIMESTAMP_NTZ", "variant": "VARIANT", "void": "NULL", "interval": "INTERVAL",
    "decimal": "DECIMAL", "varchar": "STRING", "char": "CHAR", "array": "ARRAY", "map": "MAP", "struct": "STRUCT",
}


def control(base, command, body=None):
    """Asks the control port."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/__control/{command}", data=data, method="GET" if body is None else "POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def type_name(text):
    """The type name of a type's text."""
    return NAMES[re.match(r"[a-z_]+", text).group(0)]


def precision(text):
    """Precision and scale of a decimal."""
    found = re.fullmatch(r"decimal\((\d+),(\d+)\)", text)
    return (int(found.group(1)), int(found.group(2))) if found else None


class Differences:
    """Collects what does not agree."""

    def __init__(self):
        self.found = []
        self.compared = 0

    def equal(self, what, expected, actual):
        """One comparison."""
        self.compared += 1
        if expected != actual:
            self.found.append(f"{what}: expected {expected!r}, listed {actual!r}")

    def end(self, **summary):
        """Prints the result and ends the program."""
        for line in self.found[:20]:
            print(line, file=sys.stderr)
        print(json.dumps({"differences": len(self.found), "compared": self.compared, **summary}))
        sys.exit(1 if self.found else 0)


def compare_columns(differences, path, expected, listed, zero_precision):
    """All columns of a table, in order. `zero_precision`: 0 stands for none."""
    differences.equal(f"{path} columns", [c["name"] for c in expected], [c["name"] for c in listed])
    for want, got in zip(expected, listed):
        at = f"{path} column {want['name']!r}"
        text = want["data_type"]
        differences.equal(f"{at} type_text", text, got["type_text"])
        differences.equal(f"{at} type_name", type_name(text), got["type_name"])
        none = (0, 0) if zero_precision else (None, None)
        differences.equal(f"{at} precision", precision(text) or none, (got["type_precision"], got["type_scale"]))
        for key in ("nullable", "comment", "position", "partition_index"):
            differences.equal(f"{at} {key}", want[key], got[key])
        spark = json.loads(got["type_json"])
        differences.equal(f"{at} type_json", (want["name"], want["nullable"]), (spark["name"], spark["nullable"]))


def requests_to(journal, collection):
    """Targets of the requests that listed a collection."""
    return [entry["target"] for entry in journal if entry["target"].split("?")[0].endswith(f"/unity-catalog/{collection}")]

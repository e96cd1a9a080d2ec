"""Lists everything with the platform vendor's own connector and compares it with the simulator's model; then long
statements, a session that ends, wrong credentials, errors.

Arguments: URL, control URL, method (`password`, `key-pair`, `oauth`, `token`, `token-as-password`); the credentials come
as JSON on standard input.
"""

import base64
import json
import re
import sys
import urllib.parse
import urllib.request

import snowflake.connector
from cryptography.hazmat.primitives import serialization
from snowflake.connector.errors import Error, ProgrammingError

from agreement import Differences, control

SHOWN = {"NUMBER": "FIXED", "FLOAT": "REAL", "VARCHAR": "TEXT", "CHAR": "TEXT"}
DESCRIBED = {"VARCHAR": "TEXT", "CHAR": "TEXT"}
VIEWS = ("view", "secure-view", "materialized-view")
TABLE_TYPES = {
    "temporary": "TEMPORARY TABLE", "external": "EXTERNAL TABLE", "event": "EVENT TABLE", "view": "VIEW",
    "secure-view": "VIEW", "materialized-view": "MATERIALIZED VIEW",
}


def quoted(*names):
    """A path of exact names."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text):
    """A string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def oauth_token(credentials):
    """A token of the identity provider, by client credentials."""
    encode = lambda text: urllib.parse.quote(text, safe="")
    client = f"{encode(credentials['clientId'])}:{encode(credentials['clientSecret'])}"
    form = {"grant_type": "client_credentials", "scope": f"session:role:{credentials['role']}"}
    request = urllib.request.Request(
        credentials["identityProvider"], urllib.parse.urlencode(form).encode(),
        {"Authorization": "Basic " + base64.b64encode(client.encode()).decode()},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["access_token"]


def secrets(method, credentials):
    """What `connect` needs besides the address."""
    if method == "key-pair":
        passphrase = credentials.get("passphrase")
        key = serialization.load_pem_private_key(
            credentials["privateKey"].encode(), passphrase.encode() if passphrase else None
        )
        der = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"authenticator": "SNOWFLAKE_JWT", "private_key": der}
    if method == "oauth":
        return {"authenticator": "oauth", "token": oauth_token(credentials)}
    if method == "token":
        return {"authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": credentials["accessToken"]}
    if method == "token-as-password":
        return {"password": credentials["accessToken"]}
    return {"password": credentials["password"]}


def connect(url, credentials, **how):
    """A session that uses nothing but what it is given."""
    host, port = url.removeprefix("http://").split(":")
    if snowflake.connector.__version__.startswith("4."):
        # Left alone, this generation guesses the encoding of chunks, and guesses wrong.
        how["json_result_force_utf8_decoding"] = True
    return snowflake.connector.connect(
        host=host, port=int(port), protocol="http", account="127", user=credentials["user"], role=credentials["role"],
        warehouse=credentials["warehouse"], login_timeout=20, network_timeout=60, **how,
    )


class Listing:
    """Statements as rows by column name."""

    def __init__(self, connection):
        self.cursor = connection.cursor()

    def rows(self, sql):
        """All rows of a statement."""
        self.cursor.execute(sql)
        names = [column[0] for column in self.cursor.description]
        return [dict(zip(names, row)) for row in self.cursor.fetchall()]


def numbers(text):
    """The numbers of a type's text."""
    return [int(number) for number in re.findall(r"\d+", text)]


def shown_type(text, nullable):
    """The `data_type` of SHOW COLUMNS that a type's text must have, as far as it says."""
    name = text.split("(")[0]
    shown = {"type": SHOWN.get(name, name), "nullable": nullable}
    if name == "NUMBER":
        shown["precision"], shown["scale"] = numbers(text)
    elif name in ("VARCHAR", "CHAR", "BINARY"):
        shown["length"] = numbers(text)[0]
    elif name.startswith("TIME"):
        shown["scale"] = numbers(text)[0]
    elif name == "VECTOR":
        shown["dimension"] = numbers(text)[0]
    return shown


def described_type(text):
    """DATA_TYPE, length, precision and scale of INFORMATION_SCHEMA."""
    name = text.split("(")[0]
    length = numbers(text)[0] if name in ("VARCHAR", "CHAR", "BINARY") else None
    precision, scale = numbers(text) if name == "NUMBER" else (None, None)
    return DESCRIBED.get(name, name), length, precision, scale


def compare_database(differences, listing, name, model):
    """Everything in a database; gives objects and columns compared."""
    expected = model["schemas"]
    schemas = [row["name"] for row in listing.rows(f"SHOW SCHEMAS IN DATABASE {quoted(name)} LIMIT 10000")]
    with_own = sorted([*expected, "INFORMATION_SCHEMA"]) if model["has_information_schema"] else sorted(expected)
    differences.equal(f"{name} schemas", with_own, schemas)
    objects = columns = 0
    for schema, of in expected.items():
        at = quoted(name, schema)
        shown = {row["name"]: row for row in listing.rows(f"SHOW OBJECTS IN SCHEMA {at} LIMIT 10000")}
        differences.equal(f"{at} objects", sorted(of["tables"]), sorted(shown))
        tables = {row["name"]: row for row in listing.rows(f"SHOW TABLES IN SCHEMA {at} LIMIT 10000")}
        views = {row["name"]: row for row in listing.rows(f"SHOW VIEWS IN SCHEMA {at} LIMIT 10000")}
        for table, want in of["tables"].items():
            objects += 1
            got = (views if want["kind"] in VIEWS else tables)[table]
            differences.equal(f"{at} {table} comment", want["comment"] or "", got["comment"])
            for kind in ("external", "event", "hybrid", "iceberg", "dynamic"):
                if want["kind"] not in VIEWS:
                    differences.equal(f"{at} {table} {kind}", "Y" if want["kind"] == kind else "N", got[f"is_{kind}"])
        columns += compare_columns(differences, listing, name, schema, of["tables"])
    return objects, columns


def compare_columns(differences, listing, database, schema, tables):
    """The columns of a schema, from SHOW and from INFORMATION_SCHEMA."""
    at = quoted(database, schema)
    wanted = [(table, position, column) for table, of in tables.items() for position, column in enumerate(of["columns"], 1)]
    shown = listing.rows(f"SHOW COLUMNS IN SCHEMA {at}")
    differences.equal(f"{at} shown columns", min(len(wanted), 10_000), len(shown))
    for (table, _, want), got in zip(wanted, shown):
        differences.equal(f"{at} shown", (table, want["name"]), (got["table_name"], got["column_name"]))
        differences.equal(f"{at} {table} comment", want["comment"] or "", got["comment"])
        data_type, listed = shown_type(want["data_type"], want["nullable"]), json.loads(got["data_type"])
        differences.equal(f"{at} {table} {want['name']}", data_type, {key: listed.get(key) for key in data_type})
    described = listing.rows(
        "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, "
        f"NUMERIC_PRECISION, NUMERIC_SCALE, COMMENT FROM {quoted(database)}.INFORMATION_SCHEMA.COLUMNS "
        f"WHERE TABLE_SCHEMA = {literal(schema)} ORDER BY TABLE_NAME, ORDINAL_POSITION"
    )
    differences.equal(f"{at} described columns", len(wanted), len(described))
    for (table, position, want), got in zip(wanted, described):
        data_type, length, precision, scale = described_type(want["data_type"])
        expected = {
            "TABLE_NAME": table, "COLUMN_NAME": want["name"], "ORDINAL_POSITION": position, "DATA_TYPE": data_type,
            "IS_NULLABLE": "YES" if want["nullable"] else "NO", "CHARACTER_MAXIMUM_LENGTH": length,
            "NUMERIC_PRECISION": precision, "NUMERIC_SCALE": scale, "COMMENT": want["comment"],
        }
        differences.equal(f"{at} described", expected, got)
    described = listing.rows(
        f"SELECT TABLE_NAME, TABLE_TYPE, LAST_DDL FROM {quoted(database)}.INFORMATION_SCHEMA.TABLES "
        f"WHERE TABLE_SCHEMA = {literal(schema)} ORDER BY TABLE_NAME"
    )
    kinds = [(table, TABLE_TYPES.get(of["kind"], "BASE TABLE"), of["last_ddl_ms"]) for table, of in tables.items()]
    times = [(row["TABLE_NAME"], row["TABLE_TYPE"], round(row["LAST_DDL"].timestamp() * 1000)) for row in described]
    differences.equal(f"{at} table types", kinds, times)
    return len(wanted)


def page(listing, differences, database, schema, tables):
    """Pages by the exclusive cursor meet every name once."""
    names, last = [], ""
    while True:
        cursor = f" FROM {literal(last)}" if last else ""
        rows = listing.rows(f"SHOW OBJECTS IN SCHEMA {quoted(database, schema)} LIMIT 7{cursor}")
        names += [row["name"] for row in rows]
        if len(rows) < 7:
            break
        last = names[-1]
    differences.equal("names by pages", sorted(tables), names)


def upsets(differences, listing, control_url):
    """Statements that take long, and a session that ends: the connector copes without a word."""
    asked = [("CURRENT_USER", {"twist": "async", "polls": 2}), ("CURRENT_ROLE", {"twist": "expire-sessions"})]
    for function, twist in asked:
        before = listing.rows(f"SELECT {function}() AS V")
        control(control_url, "reset-counters", {})
        control(control_url, "faults", [{"on": function, "fault": {"fault": "twisted", "twist": twist}}])
        differences.equal(f"{twist}", before, listing.rows(f"SELECT {function}() AS V"))
    targets = [entry["target"] for entry in control(control_url, "journal")]
    differences.equal("renewals", 1, sum(target.startswith("/session/token-request") for target in targets))


def errors(differences, listing, url, method, credentials):
    """Refusals reach the caller with code and state."""
    for sql, errno in [
        ("SHOW SCHEMAS IN DATABASE NO_SUCH", 2003),
        ("SELEC 1", 1003),
        ("SELECT NOPE FROM \"%s\".INFORMATION_SCHEMA.TABLES" % listing.any_database, 904),
    ]:
        try:
            listing.rows(sql)
            differences.equal(sql, "an error", "an answer")
        except ProgrammingError as error:
            differences.equal(sql, errno, error.errno)
    if method == "password":
        try:
            connect(url, credentials, password="wrong")
            differences.equal("wrong password", "an error", "a session")
        except Error as error:
            differences.equal("wrong password", True, "390100" in str(error))


def main():
    url, control_url, method = sys.argv[1:4]
    credentials = json.load(sys.stdin)
    model = control(control_url, "model")
    differences = Differences()
    control(control_url, "reset-counters", {})
    connection = connect(url, credentials, **secrets(method, credentials))
    listing = Listing(connection)
    identity = listing.rows("SELECT CURRENT_ACCOUNT(), CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE()")
    expected = [model["locator"], credentials["user"], credentials["role"], credentials["warehouse"]]
    differences.equal("identity", expected, list(identity[0].values()))

    databases = {row["name"]: row for row in listing.rows("SHOW DATABASES LIMIT 10000")}
    differences.equal("databases", sorted(model["databases"]), sorted(databases))
    objects = columns = 0
    for name, of in model["databases"].items():
        for key in ("kind", "origin"):
            differences.equal(f"{name} {key}", of[key], databases[name][key])
        if of["revoked"]:
            try:
                listing.rows(f"SHOW SCHEMAS IN DATABASE {quoted(name)}")
                differences.equal(f"{name} is revoked", "an error", "a listing")
            except ProgrammingError as error:
                differences.equal(f"{name} is revoked", 3030, error.errno)
            continue
        more = compare_database(differences, listing, name, of)
        objects, columns = objects + more[0], columns + more[1]
    name, of = next((name, of) for name, of in model["databases"].items() if of["schemas"])
    listing.any_database = name.replace('"', '""')
    schema, inner = next(iter(of["schemas"].items()))
    page(listing, differences, name, schema, inner["tables"])
    chunks = sum(entry["target"].startswith("/results/") for entry in control(control_url, "journal"))
    upsets(differences, listing, control_url)
    errors(differences, listing, url, method, credentials)
    differences.equal("credentials sent to storage", 0, control(control_url, "counters")["leaks"])
    connection.close()
    differences.end(objects=objects, columns=columns, chunks=chunks, version=snowflake.connector.__version__)


main()

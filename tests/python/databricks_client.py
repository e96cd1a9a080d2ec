"""Lists everything with the platform vendor's own SDK and compares it with the simulator's model.

Arguments: URL, control URL, `pat` or `m2m`; the credentials come as JSON on standard input.
"""

import json
import math
import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import NotFound, PermissionDenied

from agreement import Differences, compare_columns, control, requests_to

TABLES_A_PAGE = 50


def client(url, method, credentials):
    """A client that uses nothing but what it is given."""
    if method == "pat":
        config = Config(host=url, token=credentials["token"], auth_type="pat")
    else:
        config = Config(
            host=url, client_id=credentials["clientId"], client_secret=credentials["clientSecret"], auth_type="oauth-m2m"
        )
    return WorkspaceClient(config=config)


def compare_facts(differences, at, want, got, identity):
    """What catalogs, schemas and tables have in common."""
    differences.equal(f"{at} id", want["id"], identity)
    for key in ("comment", "owner", "created_at", "updated_at"):
        differences.equal(f"{at} {key}", want[key], getattr(got, key))
    differences.equal(f"{at} properties", want["properties"] or None, got.properties or None)


def compare_table(differences, at, want, got):
    """One table with all columns."""
    compare_facts(differences, at, want, got, got.table_id)
    differences.equal(f"{at} type", want["table_type"], got.table_type and got.table_type.value)
    listed = got.data_source_format and got.data_source_format.value
    differences.equal(f"{at} format", want["data_source_format"], listed)
    differences.equal(f"{at} storage_location", want["storage_location"], got.storage_location)
    differences.equal(f"{at} view_definition", want["view_definition"], got.view_definition)
    columns = [{**vars(c), "type_name": c.type_name and c.type_name.value} for c in got.columns or []]
    compare_columns(differences, at, want["columns"], columns, zero_precision=True)


def main():
    url, control_url, method = sys.argv[1:4]
    workspace = client(url, method, json.load(sys.stdin))
    model = control(control_url, "model")
    control(control_url, "reset-counters", {})
    differences, tables = Differences(), 0

    catalogs = {catalog.name: catalog for catalog in workspace.catalogs.list()}
    differences.equal("catalogs", sorted(model["catalogs"]), sorted(catalogs))
    expected_pages = []
    for name, catalog in model["catalogs"].items():
        got = catalogs[name]
        compare_facts(differences, name, catalog, got, got.as_dict().get("id", catalog["id"]))
        differences.equal(f"{name} type", catalog["catalog_type"], got.catalog_type and got.catalog_type.value)
        differences.equal(f"{name} metastore", model["metastore_id"], got.metastore_id)
        schemas = {schema.name: schema for schema in workspace.schemas.list(name)}
        differences.equal(f"{name} schemas", sorted(catalog["schemas"]), sorted(schemas))
        for inner, schema in catalog["schemas"].items():
            path = f"{name}.{inner}"
            compare_facts(differences, path, schema, schemas[inner], schemas[inner].schema_id)
            differences.equal(f"{path} full_name", path, schemas[inner].full_name)
            if schema["unusable"]:
                try:
                    list(workspace.tables.list(name, inner))
                    differences.equal(f"{path} is unusable", "an error", "a listing")
                except Exception as error:  # the SDK's base error
                    differences.equal(f"{path} error", "INVALID_STATE", getattr(error, "error_code", None))
                continue
            listed = {table.name: table for table in workspace.tables.list(name, inner)}
            expected_pages.append(max(1, math.ceil(len(schema["tables"]) / TABLES_A_PAGE)))
            differences.equal(f"{path} tables", sorted(schema["tables"]), sorted(listed))
            for table_name, want in schema["tables"].items():
                if table_name in listed:
                    tables += 1
                    compare_table(differences, f"{path}.{table_name}", want, listed[table_name])

    journal = control(control_url, "journal")
    usable = [s for c in model["catalogs"].values() for s in c["schemas"].values() if not s["unusable"]]
    unusable = sum(len(c["schemas"]) for c in model["catalogs"].values()) - len(usable)
    asked = requests_to(journal, "tables")
    differences.equal("requests for tables", sum(expected_pages) + unusable, len(asked))
    differences.equal("max_results is sent", True, all("max_results=0" in target for target in asked))
    if method == "m2m":
        targets = [entry["target"] for entry in journal]
        differences.equal("tokens fetched", 1, targets.count("/oidc/v1/token"))

    other_calls(differences, workspace, model)
    errors(differences, workspace, model)
    differences.end(tables=tables, requests=len(journal))


def other_calls(differences, workspace, model):
    """Small pages, single objects, summaries, an empty schema's bare answer."""
    summary = workspace.metastores.summary()
    differences.equal("metastore", (model["metastore_id"], model["name"]), (summary.metastore_id, summary.name))
    catalog, schema = next(
        (c, s) for c, of in model["catalogs"].items() for s, inner in of["schemas"].items() if len(inner["tables"]) > 2
    )
    expected = model["catalogs"][catalog]["schemas"][schema]["tables"]
    by_sevens = [table.name for table in workspace.tables.list(catalog, schema, max_results=7)]
    differences.equal("pages of seven", sorted(expected), sorted(by_sevens))
    bare = list(workspace.tables.list(catalog, schema, omit_columns=True, omit_properties=True))
    differences.equal("without columns", [], [table.name for table in bare if table.columns])
    differences.equal("without properties", [], [table.name for table in bare if table.properties])
    differences.equal("without columns all the same", sorted(expected), sorted(table.name for table in bare))
    name = next(name for name in expected if name.isascii() and name.replace("_", "").isalnum())
    full_name = f"{catalog}.{schema}.{name}"
    compare_table(differences, full_name, expected[name], workspace.tables.get(full_name))
    differences.equal("exists", True, workspace.tables.exists(full_name).table_exists)
    every = {
        f"{catalog}.{s}.{t}": table["table_type"]
        for s, of in model["catalogs"][catalog]["schemas"].items() for t, table in of["tables"].items()
    }
    summaries = {s.full_name: s.table_type.value for s in workspace.tables.list_summaries(catalog)}
    differences.equal("summaries", every, summaries)
    for outer, of in model["catalogs"].items():
        for inner, found in of["schemas"].items():
            if not found["tables"] and not found["unusable"]:
                query = {"catalog_name": outer, "schema_name": inner, "max_results": 0}
                answer = workspace.api_client.do("GET", "/api/2.1/unity-catalog/tables", query=query)
                differences.equal(f"{outer}.{inner} is empty", {}, answer)


def errors(differences, workspace, model):
    """Errors must reach the caller as the SDK's own classes, with their codes."""
    try:
        list(workspace.schemas.list("no_such_catalog"))
        differences.equal("unknown catalog", "NotFound", "a listing")
    except NotFound as error:
        differences.equal("unknown catalog", "CATALOG_DOES_NOT_EXIST", error.error_code)
    stranger = WorkspaceClient(config=Config(host=workspace.config.host, token="dapi-wrong", auth_type="pat"))
    try:
        list(stranger.catalogs.list())
        differences.equal("wrong token", "PermissionDenied", "a listing")
    except PermissionDenied as error:
        # The SDK appends its configuration to the message.
        differences.equal("wrong token", "Invalid access token.", str(error)[:21])


main()

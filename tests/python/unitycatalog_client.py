"""Lists everything with the open-source project's own client, whose models are strict, and compares it with the model.

Arguments: URL, control URL; with authorization the token comes as JSON on standard input.
"""

import asyncio
import json
import sys

from unitycatalog.client import ApiClient, CatalogsApi, Configuration, SchemasApi, TablesApi
from unitycatalog.client.exceptions import ApiException, NotFoundException

from agreement import Differences, compare_columns, control, requests_to

MOST_A_PAGE = 100


async def walk(page):
    """All items of a listing; only an absent token ends it."""
    items, token = [], None
    while True:
        answer, found = await page(token)
        items += found
        token = answer.next_page_token
        if not token:
            return items


def compare_facts(differences, at, want, got, identity):
    """What catalogs, schemas and tables have in common."""
    differences.equal(f"{at} id", want["id"], identity)
    for key in ("comment", "owner", "created_at", "updated_at", "properties"):
        differences.equal(f"{at} {key}", want[key], getattr(got, key))


def compare_table(differences, at, want, got):
    """One table with all columns."""
    compare_facts(differences, at, want, got, got.table_id)
    for key in ("table_type", "data_source_format"):
        value = getattr(got, key)
        differences.equal(f"{at} {key}", want[key], value and value.value)
    for key in ("storage_location", "view_definition"):
        differences.equal(f"{at} {key}", want[key], getattr(got, key))
    columns = [{**c.model_dump(), "type_name": c.type_name and c.type_name.value} for c in got.columns]
    compare_columns(differences, at, want["columns"], columns, zero_precision=False)


async def listing(differences, api, control_url, max_results):
    """The whole metastore by pages of a size; gives the number of tables."""
    model = control(control_url, "model")
    control(control_url, "reset-counters", {})
    catalogs_api, schemas_api, tables_api = CatalogsApi(api), SchemasApi(api), TablesApi(api)
    pages, tables = 0, 0

    async def catalogs_page(token):
        answer = await catalogs_api.list_catalogs(page_token=token, max_results=max_results)
        return answer, answer.catalogs

    catalogs = {catalog.name: catalog for catalog in await walk(catalogs_page)}
    differences.equal("catalogs", sorted(model["catalogs"]), sorted(catalogs))
    for name, catalog in model["catalogs"].items():
        compare_facts(differences, name, catalog, catalogs[name], catalogs[name].id)

        async def schemas_page(token, name=name):
            answer = await schemas_api.list_schemas(name, page_token=token, max_results=max_results)
            return answer, answer.schemas

        schemas = {schema.name: schema for schema in await walk(schemas_page)}
        differences.equal(f"{name} schemas", sorted(catalog["schemas"]), sorted(schemas))
        for inner, schema in catalog["schemas"].items():
            path = f"{name}.{inner}"
            compare_facts(differences, path, schema, schemas[inner], schemas[inner].schema_id)

            async def tables_page(token, name=name, inner=inner):
                answer = await tables_api.list_tables(name, inner, page_token=token, max_results=max_results)
                return answer, answer.tables

            listed = [(table.name, table) for table in await walk(tables_page)]
            # The server sorts by name, and a page that is exactly full is followed by another one.
            differences.equal(f"{path} tables", sorted(schema["tables"]), [name for name, _ in listed])
            size = min(max_results or MOST_A_PAGE, MOST_A_PAGE)
            pages += len(schema["tables"]) // size + 1
            tables += len(listed)
            for table_name, got in listed:
                compare_table(differences, f"{path}.{table_name}", schema["tables"][table_name], got)
    asked = requests_to(control(control_url, "journal"), "tables")
    differences.equal(f"requests for tables by {max_results}", pages, len(asked))
    return tables


async def errors(differences, api):
    """Errors carry the server's own form."""
    try:
        await TablesApi(api).get_table("no_such_catalog.s.t")
        differences.equal("unknown catalog", "an error", "a table")
    except NotFoundException as error:
        body = json.loads(error.body)
        differences.equal("unknown catalog", "CATALOG_NOT_FOUND", body["error_code"])
        details = [{"reason": "CATALOG_NOT_FOUND", "@type": "type.googleapis.com/google.rpc.ErrorInfo"}]
        differences.equal("its details", details, body["details"])
    # The client itself refuses what the server would: ask the server without its help.
    answer = await CatalogsApi(api).list_catalogs_without_preload_content(max_results=-1)
    differences.equal("negative page", 400, answer.status)


async def main():
    url, control_url = sys.argv[1:3]
    token = json.load(sys.stdin).get("token")
    configuration = Configuration(host=f"{url}/api/2.1/unity-catalog")
    differences, tables = Differences(), 0
    async with ApiClient(configuration) as api:
        if token:
            try:
                await CatalogsApi(api).list_catalogs()
                differences.equal("no token", 401, 200)
            except ApiException as error:
                differences.equal("no token", 401, error.status)
            api.default_headers["Authorization"] = f"Bearer {token}"
        for max_results in (0, 10, 50):
            tables += await listing(differences, api, control_url, max_results)
        await errors(differences, api)
    differences.end(tables=tables)


asyncio.run(main())

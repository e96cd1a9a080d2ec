//! The OpenAPI 3.1 document, made from the route table and the types of the bodies.

use std::sync::OnceLock;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    error::ErrorBody,
    routes::{self, Access, Route},
};

/// The document. Made once: it depends on nothing but the binary.
#[must_use]
pub fn document() -> Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| build(&routes::table())).clone()
}

fn build(table: &[Route]) -> Value {
    let mut schemas = Schemas::new();
    let error = schemas.sent.subschema_for::<ErrorBody>().to_value();
    let mut paths = Map::new();
    for route in table {
        for path in route.paths() {
            let item = paths.entry(path.replace("{*", "{")).or_insert_with(|| json!({}));
            item[route.method.as_str().to_ascii_lowercase()] = operation(route, path, &mut schemas, &error);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wharfinger",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A live, governed inventory of data platforms. A path of an object is a list of names, \
                first the connection's key, each percent-encoded as one segment of the URL: `%2F` is part of a name.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "securitySchemes": { "apiKey": { "type": "http", "scheme": "bearer" } }
        }
    })
}

/// A field that may be left out of a body that comes in need not be one that an answer may lack, and the other way round.
struct Schemas {
    taken: SchemaGenerator,
    sent: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        Self { taken: settings.clone().into_generator(), sent: settings.for_serialize().into_generator() }
    }

    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.taken.take_definitions(true);
        all.extend(self.sent.take_definitions(true));
        all
    }
}

fn operation(route: &Route, path: &str, schemas: &mut Schemas, error: &Value) -> Value {
    let mut responses = Map::new();
    let success = match route.response {
        Some(schema) => json!({
            "description": "Done",
            "content": { "application/json": { "schema": schema(&mut schemas.sent).to_value() } }
        }),
        None => json!({ "description": "Done" }),
    };
    responses.insert(route.status.to_string(), success);
    responses.insert(
        "default".into(),
        json!({ "description": "Refused or failed", "content": { "application/json": { "schema": error } } }),
    );
    let mut operation = json!({
        "operationId": operation_id(route, path),
        "summary": route.summary,
        "description": demands(route.access),
        "tags": [path.split('/').nth(1).unwrap_or_default()],
        "parameters": parameters(route, path),
        "responses": responses,
        "security": if route.access == Access::Public { json!([]) } else { json!([{ "apiKey": [] }]) },
    });
    if let Some(schema) = route.request {
        let body = json!({ "required": true, "content": { "application/json": { "schema": schema(&mut schemas.taken).to_value() } } });
        operation["requestBody"] = body;
    }
    if let Some(bodies) = route.bodies {
        operation["requestBody"] = json!({ "required": true, "content": bodies() });
    }
    operation
}

/// Unique, and stable as long as method and path are.
fn operation_id(route: &Route, path: &str) -> String {
    let words =
        path.split('/').filter(|s| !s.is_empty()).map(|s| s.trim_matches(|c| "{}*".contains(c)).replace('.', "_"));
    std::iter::once(route.method.as_str().to_ascii_lowercase()).chain(words).collect::<Vec<_>>().join("_")
}

fn demands(access: Access) -> String {
    match access {
        Access::Public => "For everybody.".into(),
        Access::Seen => "For every known caller, within what the caller sees.".into(),
        Access::Owned => "For callers who see the whole object: administrators, governors, and owners of it or of an \
            ancestor."
            .into(),
        Access::Any(permissions) => format!("For callers with {}.", routes::names(permissions).join(" or ")),
    }
}

fn parameters(route: &Route, path: &str) -> Value {
    let mut out = Vec::new();
    let about_object = route.path.ends_with("{*path}");
    for name in path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
        let name = name.trim_start_matches('*');
        out.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" },
            "description": if name == "path" { "Names from the connection's key down, each percent-encoded, joined by `/`" } else { "As listed" } }));
    }
    if about_object && path.ends_with("{*path}") {
        out.push(json!({ "name": "namespace", "in": "query", "schema": { "type": "string" },
            "description": "Namespace of the object itself; the default one where it is left out" }));
    } else if about_object {
        out.push(json!({ "name": "id", "in": "query", "schema": { "type": "string", "format": "uuid" },
            "description": "Names the object by its id instead of its path" }));
    }
    for (name, meaning) in &route.query {
        out.push(json!({ "name": name, "in": "query", "schema": { "type": "string" }, "description": meaning }));
    }
    if route.revisioned {
        out.push(json!({ "name": "If-Match", "in": "header", "schema": { "type": "string" },
            "description": "The revision that was read; 412 if it is another one by now" }));
    }
    Value::Array(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references<'a>(value: &'a Value, out: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    out.insert(target);
                }
                map.values().for_each(|v| references(v, out));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, out)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut all = BTreeSet::new();
        references(&document, &mut all);
        assert!(all.len() > 10, "{all:?}");
        for target in all {
            let pointer = target.strip_prefix('#').expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn every_operation_is_complete_and_has_a_name_of_its_own() {
        let document = document();
        let mut names = BTreeSet::new();
        let mut operations = 0;
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("item") {
                operations += 1;
                let id = operation["operationId"].as_str().expect("operationId");
                assert!(names.insert(id.to_owned()), "{method} {path}: {id} is taken");
                assert!(!operation["summary"].as_str().expect("summary").is_empty());
                let declared: BTreeSet<&str> = operation["parameters"]
                    .as_array()
                    .expect("parameters")
                    .iter()
                    .filter(|p| p["in"] == "path")
                    .filter_map(|p| p["name"].as_str())
                    .collect();
                let used: BTreeSet<&str> =
                    path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect();
                assert_eq!(declared, used, "{method} {path}");
            }
        }
        let rows: usize = routes::table().iter().map(|r| r.paths().len()).sum();
        assert_eq!(operations, rows, "no row hides another");
    }

    #[test]
    fn a_name_means_the_same_on_the_way_in_and_out() {
        let mut schemas = Schemas::new();
        for route in routes::table() {
            route.request.map(|schema| schema(&mut schemas.taken));
            route.response.map(|schema| schema(&mut schemas.sent));
        }
        let sent = schemas.sent.take_definitions(true);
        for (name, taken) in schemas.taken.take_definitions(true) {
            assert!(sent.get(&name).is_none_or(|other| *other == taken), "{name}");
        }
    }

    #[test]
    fn every_schema_is_one() {
        for (name, schema) in document()["components"]["schemas"].as_object().expect("schemas") {
            jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

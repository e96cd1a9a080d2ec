//! The API for people: one page made from the OpenAPI document, without anything from elsewhere.

use axum::response::Html;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: .4rem 0; }
details { border-top: 1px solid #8884; }
details details { border: 0; }
.method { font: 600 .85rem ui-monospace, monospace; display: inline-block; width: 4.5rem; }
code, pre { font: .85rem ui-monospace, monospace; }
pre { overflow: auto; padding: .75rem; background: #8881; border-radius: .4rem; }
td, th { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; }
.muted { opacity: .75; }
";

/// The page.
pub(super) async fn page() -> Html<String> {
    Html(render(&super::openapi::document()).into_string())
}

fn render(document: &Value) -> Markup {
    let empty = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    let schemas = document["components"]["schemas"].as_object().unwrap_or(&empty);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Wharfinger API" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Wharfinger API " span.muted { (text(&document["info"]["version"])) } }
                p { (text(&document["info"]["description"])) }
                p { "As a document for programs: " a href="/openapi.json" { "openapi.json" } }
                h2 { "Routes" }
                @for (path, item) in paths {
                    @for (method, operation) in item.as_object().unwrap_or(&empty) { (route(path, method, operation)) }
                }
                h2 { "Bodies" }
                @for (name, schema) in schemas {
                    details id=(name) { summary { code { (name) } } pre { (pretty(schema)) } }
                }
            }
        }
    }
}

fn route(path: &str, method: &str, operation: &Value) -> Markup {
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let responses = operation["responses"].as_object();
    html! {
        details {
            summary {
                span.method { (method.to_uppercase()) } code { (path) } " " span.muted { (text(&operation["summary"])) }
            }
            p { (text(&operation["description"])) }
            @if !parameters.is_empty() {
                table {
                    @for parameter in parameters {
                        tr {
                            td { code { (text(&parameter["name"])) } }
                            td { (text(&parameter["in"])) }
                            td { (text(&parameter["description"])) }
                        }
                    }
                }
            }
            @if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
                p { "Takes " (schema_link(schema)) }
            }
            @for (status, response) in responses.into_iter().flatten() {
                @if let Some(schema) = response.pointer("/content/application~1json/schema") {
                    p { "Gives " code { (status) } " " (schema_link(schema)) }
                }
            }
        }
    }
}

fn schema_link(schema: &Value) -> Markup {
    let named = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next());
    html! {
        @match named {
            Some(name) => { a href={ "#" (name) } { code { (name) } } }
            None => { pre { (pretty(schema)) } }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_and_body_is_on_the_page_and_nothing_from_elsewhere() {
        let document = crate::api::openapi::document();
        let page = render(&document).into_string();
        for path in document["paths"].as_object().expect("paths").keys() {
            assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
        }
        for name in document["components"]["schemas"].as_object().expect("schemas").keys() {
            assert!(page.contains(&format!("id=\"{name}\"")), "{name}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "the page loads nothing");
    }
}

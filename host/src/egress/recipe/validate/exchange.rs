//! Whether an exchange means something: it may carry secrets, so what it puts where is checked more strictly.

use serde_json::Value;

use super::{
    Checked, Known,
    condition::{check_pointer, check_test},
    refuse,
};
use crate::egress::{
    recipe::{Exchange, Take, origin::ExchangeUrl},
    template::Template,
};

pub(super) fn check(exchange: &Exchange, at: &str, known: &Known<'_>) -> Checked {
    if !matches!(exchange.method.as_str(), "GET" | "POST" | "PUT") {
        return refuse(format!("{at}.method"), "it must be GET, POST or PUT");
    }
    check_urls(exchange, at, known)?;
    check_parts(exchange, at, known)?;
    if let Some(ok) = &exchange.ok {
        check_test(&format!("{at}.ok"), ok.at.as_deref(), &ok.any_of)?;
    }
    for (name, take) in &exchange.take {
        check_take(name, take, &format!("{at}.take.{name}"), known)?;
    }
    for (name, pointer) in [("code", &exchange.fail.code), ("message", &exchange.fail.message)] {
        if let Some(pointer) = pointer {
            check_pointer(&format!("{at}.fail.{name}"), pointer)?;
        }
    }
    Ok(())
}

fn check_urls(exchange: &Exchange, at: &str, known: &Known<'_>) -> Checked {
    if exchange.url.iter().next().is_none() {
        return refuse(format!("{at}.url"), "name at least one");
    }
    for property in exchange.url.iter().filter_map(ExchangeUrl::config_property) {
        if !known.config.contains(property) {
            return refuse(format!("{at}.url"), format!("the recipe's `config` does not name `{property}`"));
        }
    }
    Ok(())
}

fn check_parts(exchange: &Exchange, at: &str, known: &Known<'_>) -> Checked {
    for (key, template) in &exchange.query {
        let at = format!("{at}.query.{key}");
        if known.mentions_secret(&at, template)? {
            return refuse(at, "a secret must not stand in a URL: logs on the way would keep it");
        }
    }
    for (name, template) in &exchange.headers {
        let at = format!("{at}.headers.{name}");
        if name == "content-type" || (name == "authorization" && exchange.basic.is_some()) {
            return refuse(at, "the host sets this header itself");
        }
        known.check_header(&at, name, template)?;
    }
    if let Some(basic) = &exchange.basic {
        known.mentions_secret(&format!("{at}.basic.user"), &basic.user)?;
        known.mentions_secret(&format!("{at}.basic.password"), &basic.password)?;
    }
    if exchange.form.is_some() && exchange.json.is_some() {
        return refuse(at, "a body is either `form` or `json`");
    }
    if (exchange.form.is_some() || exchange.json.is_some()) && exchange.method == "GET" {
        return refuse(at, "GET has no body");
    }
    for (key, template) in exchange.form.iter().flatten() {
        known.mentions_secret(&format!("{at}.form.{key}"), template)?;
    }
    exchange.json.as_ref().map_or(Ok(()), |json| check_json(json, &format!("{at}.json"), known))
}

fn check_json(json: &Value, at: &str, known: &Known<'_>) -> Checked {
    match json {
        Value::String(text) => match text.parse::<Template>() {
            Ok(template) => known.mentions_secret(at, &template).map(drop),
            Err(error) => refuse(at, error.to_string()),
        },
        Value::Array(items) => items.iter().try_for_each(|item| check_json(item, at, known)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| check_json(item, &format!("{at}.{key}"), known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Names of values in `grant`.
pub(super) fn check_name(name: &str, at: &str) -> Checked {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
        return refuse(at, "a name is made of letters, digits, `_` and `-`");
    }
    Ok(())
}

fn check_take(name: &str, take: &Take, at: &str, known: &Known<'_>) -> Checked {
    check_name(name, at)?;
    if let Some(property) = &take.persist {
        let at = format!("{at}.persist");
        if !known.secrets.contains(property.as_str()) {
            return refuse(at, format!("the recipe's `secrets` do not name `{property}`"));
        }
        if !take.secret || take.default.is_some() {
            return refuse(at, "what replaces a secret is taken with `\"secret\": true` and without `default`");
        }
    }
    check_pointer(&format!("{at}.at"), &take.at)?;
    match &take.default {
        Some(Value::Array(_) | Value::Object(_) | Value::Null) => {
            refuse(format!("{at}.default"), "it must be a string, a number or a truth value")
        }
        _ => Ok(()),
    }
}

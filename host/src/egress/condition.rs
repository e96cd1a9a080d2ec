//! What an answer says: comparing its status and a place in its JSON with what a recipe expects.

use std::cell::OnceCell;

use serde_json::Value;

use super::{
    context::scalar,
    recipe::{Condition, Expect},
};

/// The most of a body that is read for a condition.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Whether one of the conditions looks into bodies of answers with this status.
pub(super) fn needs_body(conditions: &[Condition], status: u16) -> bool {
    conditions.iter().any(|c| c.at.is_some() && c.status.contains(&status))
}

/// An answer as conditions see it. It is read as JSON once at most, and only when it could hold what is looked for.
pub(super) struct Seen<'a> {
    status: u16,
    body: Option<&'a [u8]>,
    json: OnceCell<Value>,
}

impl<'a> Seen<'a> {
    /// `body` is none where not all of it has been read.
    pub(super) fn new(status: u16, body: Option<&'a [u8]>) -> Self {
        Self { status, body: body.filter(|body| body.len() <= MAX_BODY), json: OnceCell::new() }
    }

    /// The first of the conditions that holds.
    pub(super) fn first<'c>(&self, conditions: &'c [Condition]) -> Option<&'c Condition> {
        let of_status = |condition: &&Condition| condition.status.contains(&self.status);
        conditions.iter().filter(of_status).find(|condition| match &condition.at {
            None => true,
            Some(pointer) => self.body.is_some_and(|body| {
                may_hold(body, &condition.any_of)
                    && stands_at(self.json.get_or_init(|| parse(body)), pointer, &condition.any_of)
            }),
        })
    }
}

/// Whether one of the values could stand somewhere in JSON: ordinary answers need not be read to know that none does.
fn may_hold(body: &[u8], any_of: &[Value]) -> bool {
    let plain = |value: &Value| match value {
        Value::String(text) => text.bytes().all(|b| b.is_ascii_alphanumeric()),
        Value::Number(number) => number.is_u64() || number.is_i64(),
        Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    // Letters and digits can be written in another way only with a backslash.
    any_of.is_empty()
        || !any_of.iter().all(plain)
        || memchr::memchr(b'\\', body).is_some()
        || any_of.iter().filter_map(scalar).any(|text| memchr::memmem::find(body, text.as_bytes()).is_some())
}

/// Whether the answer of an exchange is a good one.
pub(super) fn as_expected(expect: Option<&Expect>, status: u16, json: &Value) -> bool {
    let success = (200..300).contains(&status);
    let Some(expect) = expect else { return success };
    let right_status = if expect.status.is_empty() { success } else { expect.status.contains(&status) };
    right_status && expect.at.as_ref().is_none_or(|pointer| stands_at(json, pointer, &expect.any_of))
}

fn parse(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Platforms write one code as a number here and as text there, so the two count as the same.
fn stands_at(json: &Value, pointer: &str, any_of: &[Value]) -> bool {
    match json.pointer(pointer) {
        None => false,
        Some(found) if any_of.is_empty() => !found.is_null(),
        Some(found) => {
            any_of.iter().any(|value| value == found || scalar(value).is_some_and(|v| Some(v) == scalar(found)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(conditions: &[Condition], status: u16, body: Option<&[u8]>) -> bool {
        Seen::new(status, body).first(conditions).is_some()
    }

    fn conditions(json: Value) -> Vec<Condition> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn conditions_compare_status_and_place() {
        let list = conditions(serde_json::json!([
            {"status": [401]},
            {"status": [403], "at": "/error_code", "in": [403, "PERMISSION"]},
            {"status": [200, 422], "at": "/code", "in": ["390112"]},
            {"status": [418], "at": "/tea"},
        ]));
        for (status, body, expected) in [
            (401, "", true),
            (401, "no json", true),
            (403, "{\"error_code\":403}", true),
            (403, "{\"error_code\":\"403\"}", true),
            (403, "{\"error_code\":\"PERMISSION\"}", true),
            (403, "{\"error_code\":\"OTHER\"}", false),
            (403, "{}", false),
            (403, "no json", false),
            (200, "{\"code\":390112}", true),
            (422, "{\"code\":\"390112\"}", true),
            (200, "{\"code\":\"\\u0033\\u003901\\u00312\"}", true),
            (200, "{\"other\":\"390112\"}", false),
            (200, "{\"code\":\"0\"}", false),
            (418, "{\"tea\":false}", true),
            (418, "{\"tea\":null}", false),
            (500, "{\"error_code\":403}", false),
        ] {
            assert_eq!(any(&list, status, Some(body.as_bytes())), expected, "{status} {body}");
        }
        assert!(any(&list, 401, None) && !any(&list, 403, None));
        assert!(needs_body(&list, 403) && !needs_body(&list, 401) && !needs_body(&list, 500));
        let long = format!("{{\"pad\":\"{}\",\"code\":\"390112\"}}", "x".repeat(MAX_BODY));
        assert!(!any(&list, 200, Some(long.as_bytes())), "longer than is looked at");
    }

    #[test]
    fn good_answers_of_exchanges() {
        let expect = |json: Value| serde_json::from_value::<Expect>(json).unwrap();
        let json = serde_json::json!({"success": true});
        assert!(as_expected(None, 204, &json) && !as_expected(None, 302, &json));
        let named = expect(serde_json::json!({"status": [200], "at": "/success", "in": [true]}));
        assert!(as_expected(Some(&named), 200, &json));
        assert!(!as_expected(Some(&named), 201, &json));
        assert!(!as_expected(Some(&named), 200, &serde_json::json!({"success": false})));
        assert!(!as_expected(Some(&expect(serde_json::json!({"at": "/success"}))), 400, &json));
    }
}

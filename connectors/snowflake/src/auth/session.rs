//! User and password: a session of the drivers' protocol, renewed, given back, and opened again when it is gone.
//!
//! Nearly everything is answered with HTTP 200 there; `success` and `code` in the body tell.

use serde_json::json;
use wharfinger_sdk::descriptor::{
    Acquire, Apply, Do, Exchange, ExchangeStep, Failure, Lifetime, Match, Recipe, Seconds, Take,
};

use super::{ORIGIN, account, reads_only, target};
use crate::statement::driver;

/// The recipe.
pub(super) fn user_password() -> Recipe {
    let text = str::to_owned;
    Recipe {
        id: text("userPassword"),
        title: text("User and password"),
        config: ["hostname", "username", "warehouse", "role"].map(text).into(),
        secrets: vec![text("password")],
        let_: account().into_iter().collect(),
        acquire: vec![Acquire::Exchange(Box::new(login()))],
        lifetime: Some(Lifetime { seconds: Seconds::Grant(text("grant.lifetime")), early: 120 }),
        renew: Some(ExchangeStep { exchange: renewal() }),
        release: Some(ExchangeStep { exchange: logout() }),
        apply: Apply {
            to: vec![
                target(driver::QUERY, "POST", Some(reads_only("/sqlText"))),
                target(driver::RESULT, "GET", None),
                target(driver::ABORT, "POST", None),
            ],
            headers: [(text("authorization"), text("Snowflake Token=\"{{ grant.token }}\""))].into(),
        },
        expired: vec![
            answered(&["390112"], Do::Renew),
            answered(&["390104", "390101", "390103", "390110", "390111", "390113", "390114", "390115"], Do::Acquire),
        ],
        ..Recipe::default()
    }
}

fn answered(codes: &[&str], then: Do) -> Match {
    Match {
        status: vec![200, 401],
        at: Some("/code".to_owned()),
        in_: Some(codes.iter().map(|code| json!(code)).collect()),
        do_: Some(then),
    }
}

fn login() -> Exchange {
    let text = str::to_owned;
    Exchange {
        url: wharfinger_sdk::descriptor::Urls::One(format!("{ORIGIN}/session/v1/login-request")),
        query: [
            ("request_id", "{{ uuid }}"),
            ("warehouse?", "{{ config.warehouse|default('') }}"),
            ("roleName?", "{{ config.role|default('') }}"),
        ]
        .map(|(key, value)| (text(key), text(value)))
        .into(),
        headers: accept(),
        // No CLIENT_APP_ID: results then come as JSON.
        json: Some(json!({ "data": {
            "ACCOUNT_NAME": "{{ let.account }}",
            "LOGIN_NAME": "{{ config.username }}",
            "PASSWORD": "{{ secret.password }}",
            "SESSION_PARAMETERS": {},
        } })),
        ok: succeeded(),
        take: [
            (text("token"), secret("/data/token")),
            (text("master"), secret("/data/masterToken")),
            (text("lifetime"), seconds("/data/validityInSeconds")),
        ]
        .into(),
        fail: failure(&[
            ("390144", "invalid-config"),
            ("390189", "invalid-config"),
            ("390201", "invalid-config"),
            ("390100", "unauthenticated"),
        ]),
        ..Exchange::default()
    }
}

fn renewal() -> Exchange {
    let text = str::to_owned;
    let mut headers = accept();
    headers.insert(text("authorization"), text("Snowflake Token=\"{{ grant.master }}\""));
    Exchange {
        url: wharfinger_sdk::descriptor::Urls::One(format!("{ORIGIN}/session/token-request")),
        query: [(text("requestId"), text("{{ uuid }}"))].into(),
        headers,
        json: Some(json!({ "oldSessionToken": "{{ grant.token }}", "requestType": "RENEW" })),
        ok: succeeded(),
        take: [
            (text("token"), secret("/data/sessionToken")),
            (text("master"), Take { optional: true, ..secret("/data/masterToken") }),
            (text("lifetime"), seconds("/data/validityInSecondsST")),
        ]
        .into(),
        fail: failure(&[]),
        ..Exchange::default()
    }
}

fn logout() -> Exchange {
    let text = str::to_owned;
    let mut headers = accept();
    headers.insert(text("authorization"), text("Snowflake Token=\"{{ grant.token }}\""));
    Exchange {
        url: wharfinger_sdk::descriptor::Urls::One(format!("{ORIGIN}/session")),
        query: [(text("delete"), text("true")), (text("requestId"), text("{{ uuid }}"))].into(),
        headers,
        json: Some(json!({})),
        ..Exchange::default()
    }
}

fn accept() -> std::collections::BTreeMap<String, String> {
    [("accept".to_owned(), "application/snowflake".to_owned())].into()
}

fn succeeded() -> Option<Match> {
    Some(Match { status: vec![200], at: Some("/success".to_owned()), in_: Some(vec![json!(true)]), ..Match::default() })
}

fn secret(at: &str) -> Take {
    Take { at: at.to_owned(), secret: true, ..Take::default() }
}

fn seconds(at: &str) -> Take {
    Take { at: at.to_owned(), default: Some(json!(3600)), ..Take::default() }
}

fn failure(codes: &[(&str, &str)]) -> Option<Failure> {
    Some(Failure {
        code: "/code".to_owned(),
        message: Some("/message".to_owned()),
        codes: codes.iter().map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).to_owned())).collect(),
    })
}

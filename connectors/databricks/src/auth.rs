//! How requests authenticate, as recipes that the host runs. No secret ever comes here.

use serde_json::json;
use wharfinger_sdk::descriptor::{
    Acquire, Apply, Authentication, Basic, Encode, Exchange, Failure, Lifetime, Match, Recipe, Seconds, Take, Target,
    Urls,
};

use crate::request::API;

/// The ways to authenticate; the ids are the values of `authenticationType`.
pub(crate) fn authentication() -> Authentication {
    Authentication { select: "authenticationType".to_owned(), methods: vec![token(), machine_to_machine()] }
}

/// A token is sent as it is. One that the platform does not know is answered with 401, or with 403 and a *number* as
/// `error_code`; a 403 with a name is a missing right.
fn token() -> Recipe {
    Recipe {
        id: "token".to_owned(),
        title: "Personal access token".to_owned(),
        secrets: vec!["token".to_owned()],
        apply: bearer("{{ secret.token }}"),
        rejected: not_known(),
        ..Recipe::default()
    }
}

/// A service principal's id and secret buy a token for an hour.
fn machine_to_machine() -> Recipe {
    let property = |name: &str| format!("oAuthClientConfig.{name}");
    Recipe {
        id: "oAuthM2M".to_owned(),
        title: "OAuth machine to machine (service principal)".to_owned(),
        config: ["clientId", "scope", "authorityUrl"].map(property).into(),
        secrets: vec![property("clientSecret")],
        acquire: vec![Acquire::Exchange(Box::new(token_exchange()))],
        lifetime: Some(Lifetime { seconds: Seconds::Grant("grant.lifetime".to_owned()), early: 120 }),
        apply: bearer("{{ grant.token }}"),
        expired: not_known(),
        ..Recipe::default()
    }
}

fn token_exchange() -> Exchange {
    let text = str::to_owned;
    Exchange {
        url: Urls::Many(vec![
            text("{{ config.oAuthClientConfig.authorityUrl }}"),
            text("{{ connection.origin }}/oidc/v1/token"),
        ]),
        basic: Some(Basic {
            user: text("{{ config.oAuthClientConfig.clientId }}"),
            password: text("{{ secret.oAuthClientConfig.clientSecret }}"),
            encode: Encode::Raw,
        }),
        form: Some(
            [
                (text("grant_type"), text("client_credentials")),
                (text("scope"), text("{{ config.oAuthClientConfig.scope|default('all-apis') }}")),
            ]
            .into(),
        ),
        take: [
            (text("token"), Take { at: text("/access_token"), secret: true, ..Take::default() }),
            (text("lifetime"), Take { at: text("/expires_in"), default: Some(json!(3600)), ..Take::default() }),
        ]
        .into(),
        fail: Some(Failure {
            code: text("/error"),
            message: Some(text("/error_description")),
            codes: [
                ("invalid_client", "unauthenticated"),
                ("unauthorized_client", "unauthenticated"),
                ("invalid_scope", "invalid-config"),
            ]
            .map(|(theirs, ours)| (text(theirs), text(ours)))
            .into(),
        }),
        ..Exchange::default()
    }
}

fn bearer(token: &str) -> Apply {
    Apply {
        to: vec![Target {
            origin: "{{ connection.origin }}".to_owned(),
            paths: vec![format!("{API}/*")],
            methods: vec!["GET".to_owned()],
            body: None,
        }],
        headers: [("authorization".to_owned(), format!("Bearer {token}"))].into(),
    }
}

fn not_known() -> Vec<Match> {
    vec![
        Match { status: vec![401], ..Match::default() },
        Match {
            status: vec![403],
            at: Some("/error_code".to_owned()),
            in_: Some(vec![json!(403)]),
            ..Match::default()
        },
    ]
}

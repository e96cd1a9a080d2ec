//! How requests authenticate, as recipes that the host runs. No secret ever comes here.
//!
//! Four methods speak the SQL API, where each request carries a token; a password opens a session of the drivers'
//! protocol. Either way the credential is bound to statements that only read, and to cancelling them.

mod session;

use serde_json::json;
use wharfinger_sdk::descriptor::{
    Acquire, Apply, Authentication, Backslash, Basic, BodyGuard, Case, Derived, Encode, Exchange, Failure, Jwt, Key,
    Lifetime, Match, Recipe, Seconds, Take, Target, Urls,
};

use crate::statement::api;

/// The connection's own address.
pub(crate) const ORIGIN: &str = "{{ connection.origin }}";

/// The ways to authenticate; the ids are the values of `authenticationType`.
pub(crate) fn authentication() -> Authentication {
    Authentication {
        select: "authenticationType".to_owned(),
        methods: vec![
            session::user_password(),
            key_pair(),
            client_credentials(),
            programmatic_access_token(),
            refresh_token(),
        ],
    }
}

/// Statements that only read. `SYSTEM$` functions cancel queries and mint tokens, sequences move on when they are read,
/// `IDENTIFIER` makes names of texts, `TABLE` calls procedures, and the others make URLs that let everybody read files.
/// Nothing goes along but what is sent: parameters could allow several statements. Expressions stand in SELECT only;
/// there, what reads like one of these is refused in a quoted name, too, because a sequence needs no parenthesis.
pub(super) fn reads_only(at: &str, keys: &[&str]) -> BodyGuard {
    BodyGuard {
        at: at.to_owned(),
        verbs: ["SHOW", "SELECT", "DESCRIBE"].map(str::to_owned).into(),
        without: [
            "SYSTEM$",
            "IDENTIFIER(",
            "TABLE(",
            "NEXTVAL",
            "GET_PRESIGNED_URL",
            "BUILD_SCOPED_FILE_URL",
            "BUILD_STAGE_FILE_URL",
        ]
        .map(str::to_owned)
        .into(),
        names: ["SHOW", "DESCRIBE"].map(str::to_owned).into(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        // Names may end in one.
        backslash: Some(Backslash::Texts),
    }
}

/// One entry of a credential's scope.
pub(super) fn target(path: &str, method: &str, body: Option<BodyGuard>) -> Target {
    Target { origin: ORIGIN.to_owned(), paths: vec![path.to_owned()], methods: vec![method.to_owned()], body }
}

/// Name, host-side template of the account: the first part of the host name, in upper case.
pub(super) fn account() -> Vec<(String, Derived)> {
    let host = choice(
        "{{ config.hostname|lower }}",
        &[("*://*", "{{ config.hostname|lower|after('://') }}"), ("*", "{{ config.hostname|lower }}")],
    );
    let account = choice(
        "{{ let.host }}",
        &[("*.global.*", "{{ let.host|before('-')|upper }}"), ("*", "{{ let.host|before('.')|upper }}")],
    );
    vec![("host".to_owned(), host), ("account".to_owned(), account)]
}

fn choice(of: &str, cases: &[(&str, &str)]) -> Derived {
    let cases = cases.iter().map(|(glob, value)| Case((*glob).to_owned(), (*value).to_owned())).collect();
    Derived::Choice { of: of.to_owned(), cases }
}

/// A token signed with the user's key, good for just under the hour that the platform allows.
fn key_pair() -> Recipe {
    let text = str::to_owned;
    let jwt = Jwt {
        alg: text("RS256"),
        key: Key { pem: text("privateKey.content"), passphrase: Some(text("privateKeyPassword")) },
        claims: [
            (text("iss"), text("{{ let.account }}.{{ let.user }}.SHA256:{{ key.spki_sha256 }}")),
            (text("sub"), text("{{ let.account }}.{{ let.user }}")),
        ]
        .into(),
        ttl: 3300,
        skew: 30,
        as_: text("token"),
    };
    let user = (text("user"), Derived::Template(text("{{ config.username|upper }}")));
    Recipe {
        id: text("keyPair"),
        title: text("Key pair"),
        config: vec![text("hostname"), text("username")],
        secrets: vec![text("privateKey.content"), text("privateKeyPassword")],
        let_: account().into_iter().chain([user]).collect(),
        acquire: vec![Acquire::Jwt(Box::new(jwt))],
        lifetime: Some(Lifetime { seconds: Seconds::Number(3300), early: 300 }),
        apply: bearer("{{ grant.token }}", "KEYPAIR_JWT"),
        expired: unauthorised(&["390144", "394300", "394301", "394302", "394303"]),
        rejected: unauthorised(&[]),
        ..Recipe::default()
    }
}

/// A token is sent as it is.
fn programmatic_access_token() -> Recipe {
    Recipe {
        id: "programmaticAccessToken".to_owned(),
        title: "Programmatic access token".to_owned(),
        secrets: vec!["token".to_owned()],
        apply: bearer("{{ secret.token }}", "PROGRAMMATIC_ACCESS_TOKEN"),
        rejected: unauthorised(&[]),
        ..Recipe::default()
    }
}

/// The client's id and secret buy a token of an identity provider.
fn client_credentials() -> Recipe {
    let text = str::to_owned;
    let exchange = token_exchange(
        Urls::One(text("{{ config.oAuthClientConfig.authorityUrl }}")),
        &[("grant_type", "client_credentials")],
    );
    oauth("oAuthClientCredentials", "OAuth client credentials", &["clientSecret"], exchange)
}

/// A refresh token buys a token, and often its own successor, which has to be kept before it is used.
fn refresh_token() -> Recipe {
    let text = str::to_owned;
    let urls = vec![text("{{ config.oAuthClientConfig.authorityUrl }}"), format!("{ORIGIN}/oauth/token-request")];
    let mut exchange = token_exchange(
        Urls::Many(urls),
        &[("grant_type", "refresh_token"), ("refresh_token", "{{ secret.oAuthClientConfig.refreshToken }}")],
    );
    let successor = Take {
        at: text("/refresh_token"),
        secret: true,
        optional: true,
        persist: Some(text("oAuthClientConfig.refreshToken")),
        ..Take::default()
    };
    exchange.take.insert(text("refresh"), successor);
    oauth("oAuthRefreshToken", "OAuth refresh token", &["clientSecret", "refreshToken"], exchange)
}

fn oauth(id: &str, title: &str, secrets: &[&str], exchange: Exchange) -> Recipe {
    let property = |name: &str| format!("oAuthClientConfig.{name}");
    // Either the header's user or the form's fields come out empty, and what is empty is left out.
    let by = |header: &str, body: &str| choice(CLIENT_AUTH, &[("body", body), ("*", header)]);
    let (client_id, client_secret) =
        ("{{ config.oAuthClientConfig.clientId }}", "{{ secret.oAuthClientConfig.clientSecret }}");
    Recipe {
        id: id.to_owned(),
        title: title.to_owned(),
        config: ["clientId", "scope", "authorityUrl", "clientAuth"].map(property).into(),
        secrets: secrets.iter().map(|name| property(name)).collect(),
        let_: [
            ("headerUser", by(client_id, "")),
            ("headerPassword", by(client_secret, "")),
            ("bodyUser", by("", client_id)),
            ("bodyPassword", by("", client_secret)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        acquire: vec![Acquire::Exchange(Box::new(exchange))],
        lifetime: Some(Lifetime { seconds: Seconds::Grant("grant.lifetime".to_owned()), early: 60 }),
        apply: bearer("{{ grant.token }}", "OAUTH"),
        expired: unauthorised(&["390303", "390318", "390144"]),
        rejected: unauthorised(&[]),
        ..Recipe::default()
    }
}

const CLIENT_AUTH: &str = "{{ config.oAuthClientConfig.clientAuth|default('header') }}";

fn token_exchange(url: Urls, form: &[(&str, &str)]) -> Exchange {
    let text = str::to_owned;
    let shared = [
        ("scope?", "{{ config.oAuthClientConfig.scope|default('') }}"),
        ("client_id?", "{{ let.bodyUser }}"),
        ("client_secret?", "{{ let.bodyPassword }}"),
    ];
    let fields = form.iter().chain(&shared).map(|(key, value)| (text(key), text(value)));
    Exchange {
        url,
        basic: Some(Basic {
            user: text("{{ let.headerUser }}"),
            password: text("{{ let.headerPassword }}"),
            encode: Encode::Form,
        }),
        form: Some(fields.collect()),
        take: [
            (text("token"), Take { at: text("/access_token"), secret: true, ..Take::default() }),
            (text("lifetime"), Take { at: text("/expires_in"), default: Some(json!(600)), ..Take::default() }),
        ]
        .into(),
        fail: Some(Failure {
            code: text("/error"),
            message: Some(text("/error_description")),
            codes: [
                ("invalid_client", "unauthenticated"),
                ("invalid_grant", "unauthenticated"),
                ("unauthorized_client", "unauthenticated"),
                ("invalid_scope", "invalid-config"),
            ]
            .map(|(theirs, ours)| (text(theirs), text(ours)))
            .into(),
        }),
        ..Exchange::default()
    }
}

fn bearer(token: &str, kind: &str) -> Apply {
    Apply {
        to: vec![
            target(api::STATEMENTS, "POST", Some(reads_only("/statement", &api::KEYS))),
            target(&format!("{}/*", api::STATEMENTS), "GET", None),
            target(&format!("{}/*/cancel", api::STATEMENTS), "POST", None),
        ],
        headers: [
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("x-snowflake-authorization-token-type".to_owned(), kind.to_owned()),
        ]
        .into(),
    }
}

/// 401 with one of these codes; with any where none is named.
fn unauthorised(codes: &[&str]) -> Vec<Match> {
    let coded = (!codes.is_empty()).then(|| codes.iter().map(|code| json!(code)).collect());
    vec![Match { status: vec![401], at: coded.is_some().then(|| "/code".to_owned()), in_: coded, ..Match::default() }]
}

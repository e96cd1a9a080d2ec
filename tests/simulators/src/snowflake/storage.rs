//! The cloud storage that chunks of large results come from: signed URLs, a key in headers, and no credentials at all.
//!
//! It stands on a port of its own, as it stands on a host of its own in real life. A request that carries an
//! `Authorization` header is refused and noted: it has told the account's secret to somebody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::State;
use super::handle::lock;
use super::stored::Stored;
use super::visit::Visit;
use crate::fault::Scheduled;
use crate::wire::{Body, Reply};

/// What the service says when it is overrun; with the wrong status it is the nastier one.
pub(crate) const SLOW_DOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please \
                                    reduce your request rate.</Message><RequestId>5A11ED0F</RequestId></Error>";

const ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const KEY: &str = "x-amz-server-side-encryption-customer-key";
const KEY_DIGEST: &str = "x-amz-server-side-encryption-customer-key-md5";

/// An error that the schedule of faults asks for.
pub(crate) fn scheduled(of: Scheduled<'_>) -> Reply {
    refused(of.status, of.code.unwrap_or("InternalError"), of.message)
}

/// The key that a result is encrypted with, or would be.
pub(crate) fn key(stored: &Stored) -> String {
    STANDARD.encode(digest(&SHA256, stored.handle.as_bytes()))
}

/// What a request for a chunk must carry.
pub(crate) fn headers(key: &str) -> Value {
    json!({KEY: key, KEY_DIGEST: key_digest(key)})
}

/// Where a chunk is, for so long as results live.
pub(crate) fn url(state: &State, stored: &Stored, at: usize) -> String {
    let until = stored.created_ms / 1_000 + state.settings.lifetimes.result;
    let path = format!("/results/{}/main/data_0_0_{at}", stored.handle);
    let signature = signature(&path, until);
    let host = state.storage.get().map_or_else(String::new, ToString::to_string);
    format!("http://{host}{path}?x-amz-expires={until}&x-amz-signature={signature}")
}

/// The answer to a request.
pub(crate) fn answer(visit: &Visit<'_>) -> Reply {
    let (state, call) = (visit.state(), visit.call);
    if call.header("authorization").is_some() {
        state.journal.leaked();
        return refused(400, "InvalidArgument", "Only one auth mechanism allowed.");
    }
    if call.method != http::Method::GET {
        return refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.");
    }
    let parts: Vec<&str> = call.path.split('/').collect();
    let ["", "results", handle, "main", name] = parts[..] else {
        return refused(404, "NoSuchKey", "The specified key does not exist.");
    };
    let until = call.parameter("x-amz-expires").and_then(|until| until.parse::<i64>().ok()).unwrap_or_default();
    if call.parameter("x-amz-signature").as_deref() != Some(&signature(&call.path, until)) {
        return refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.");
    }
    if until <= state.clock.now() {
        return refused(403, "AccessDenied", "Request has expired");
    }
    let at = name.strip_prefix("data_0_0_").and_then(|at| at.parse::<usize>().ok());
    let results = lock(&state.results);
    let chunk = results.look(handle).and_then(|stored| Some((stored, at?, stored.chunks.get(at?)?)));
    let Some((stored, at, chunk)) = chunk else {
        return refused(404, "NoSuchKey", "The specified key does not exist.");
    };
    let key = key(stored);
    let algorithm = call.header(ALGORITHM).unwrap_or("AES256");
    let has_digest = call.header(KEY_DIGEST).is_none_or(|sent| sent == key_digest(&key));
    if call.header(KEY) != Some(&key) || algorithm != "AES256" || !has_digest {
        let text =
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided.";
        return refused(400, "InvalidRequest", text);
    }
    let inflated = stored.outcome.as_ref().ok().and_then(|cut| cut.parts.get(at + 1)).map(|part| part.bytes.len());
    visit.inflated.set(inflated);
    let headers =
        vec![("content-type", "application/octet-stream".to_owned()), ("content-encoding", "gzip".to_owned())];
    Reply { status: 200, headers, body: Body::Whole(chunk.clone()) }
}

fn signature(path: &str, until: i64) -> String {
    let bytes = digest(&SHA256, format!("harbour {path} {until}").as_bytes());
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stands for the MD5 of the key; clients only carry it.
fn key_digest(key: &str) -> String {
    STANDARD.encode(&digest(&SHA256, key.as_bytes()).as_ref()[..16])
}

fn refused(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Reply { status, headers: vec![("content-type", "application/xml".to_owned())], body: Body::Whole(body.into()) }
}

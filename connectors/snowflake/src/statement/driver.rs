//! The drivers' protocol: what a session with a password speaks. Undocumented; its shapes are those that the platform's
//! own drivers read.
//!
//! Failures come with HTTP 200 too. Rows beyond the first lie in files on a cloud's storage, under URLs that the answer
//! names: they are fetched without the credential, with the headers that the answer gives.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use wharfinger_sdk::{
    Context, Error,
    descriptor::FromResponse,
    http::{RequestBuilder, Response, encode},
};

use super::{
    Done, Reply, Trouble,
    api::Column,
    fetch::{File, Rest},
    repeated,
};
use crate::{
    config::Config,
    parse::{Part, Problem, place, unpack},
    request::Statement,
};

/// Where statements go.
pub(crate) const QUERY: &str = "/queries/v1/query-request";
/// Where statements that run are asked for.
pub(crate) const RESULT: &str = "/queries/*/result";
/// Where statements are cancelled.
pub(crate) const ABORT: &str = "/queries/v1/abort-request";

const ALGORITHM: (&str, &str) = ("x-amz-server-side-encryption-customer-algorithm", "AES256");
const KEY: &str = "x-amz-server-side-encryption-customer-key";

/// Leave to fetch result files. Of Google's storage the host itself has to fit, so that its suffix is the domain; the
/// exact URLs are the platform's in any case.
pub(crate) fn result_files() -> FromResponse {
    let suffixes = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".blob.core.windows.net",
        ".blob.core.chinacloudapi.cn",
        ".blob.core.usgovcloudapi.net",
        ".googleapis.com",
    ];
    FromResponse {
        at: "/data/chunks/*/url".to_owned(),
        host_suffixes: suffixes.map(str::to_owned).into(),
        header_values: vec!["/data/chunkHeaders".to_owned(), "/data/qrmk".to_owned()],
        headers: [ALGORITHM, ("accept", "application/json")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

/// Sends a statement.
pub(super) fn submit(cx: &Context<Config>, statement: &Statement, id: &str) -> Result<RequestBuilder, Error> {
    let request = cx.http().post(format!("{}{QUERY}", cx.origin())).query("requestId", id).auth();
    let request = request.json(&json!({ "sqlText": statement.text }))?.header("accept", ACCEPT);
    Ok(repeated(request).retry_on(408).retry_query("retryCount", "1"))
}

const ACCEPT: &str = "application/snowflake";

/// Asks for a statement that runs. The platform keeps the request open for a while.
pub(super) fn poll(cx: &Context<Config>, handle: &str) -> RequestBuilder {
    repeated(cx.get(&format!("/queries/{}/result", encode(handle))).header("accept", ACCEPT))
}

/// Ends the statement that a request began.
pub(super) fn cancel(cx: &Context<Config>, request: &str) -> Result<RequestBuilder, Error> {
    let id = super::ran::request_id(request);
    let abort = cx.http().post(format!("{}{ABORT}", cx.origin())).query("requestId", &id).auth();
    Ok(abort.json(&json!({ "requestId": request }))?.header("accept", ACCEPT))
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    code: Option<String>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(default)]
    query_id: Option<String>,
    #[serde(default)]
    get_result_url: Option<String>,
    #[serde(default)]
    query_result_format: Option<String>,
    #[serde(default)]
    rowtype: Option<Vec<Column>>,
    #[serde(borrow, default)]
    rowset: Option<&'a RawValue>,
    #[serde(default)]
    total: Option<usize>,
    #[serde(default)]
    chunks: Option<Vec<Chunk>>,
    #[serde(default)]
    chunk_headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    qrmk: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    url: String,
    #[serde(default)]
    uncompressed_size: Option<usize>,
}

/// Reads the answer to a statement, or to the question for one.
pub(super) fn read(response: Response) -> Result<Reply, Trouble> {
    let (status, retry_after) = (response.status, response.retry_after_ms());
    if !response.is_success() {
        return Err(Trouble::Refused(Problem::of(&response)));
    }
    let text = unpack(response.body).map_err(Trouble::from)?;
    let refused = |text: &str| Err(Trouble::Refused(Problem::said(status, text, retry_after)));
    let Ok(Answer { success: Some(true), code, data: Some(data) }) = serde_json::from_str::<Answer<'_>>(&text) else {
        return refused(&text);
    };
    let Some(handle) = data.query_id.or_else(|| data.get_result_url.as_deref().and_then(queried)) else {
        return refused(&text);
    };
    if data.query_result_format.as_deref().is_some_and(|format| !format.eq_ignore_ascii_case("json")) {
        return Err(Trouble::Failed(Error::unsupported(
            "The platform sends results in a form other than JSON to this user. Set the user's parameter \
             JDBC_QUERY_RESULT_FORMAT to JSON, or use a key pair or a programmatic access token.",
        )));
    }
    let says_running = matches!(code.as_deref(), Some("333333" | "333334"));
    let rows = data.rowset.map(|rows| place(&text, rows));
    match data.rowtype {
        Some(columns) if !says_running && (rows.is_some() || data.chunks.is_some()) => {
            let chunks = data.chunks.unwrap_or_default();
            let headers = headers(data.chunk_headers, data.qrmk);
            Ok(Reply::Done(Done {
                handle,
                columns: columns.into_iter().map(|column| column.name).collect(),
                rows: data.total,
                bytes: text.len() + chunks.iter().filter_map(|chunk| chunk.uncompressed_size).sum::<usize>(),
                rest: Rest::Files(
                    chunks.into_iter().map(|chunk| File { url: chunk.url, headers: headers.clone() }).collect(),
                ),
                first: Part::within(text, rows),
            }))
        }
        _ if says_running || data.get_result_url.is_some() => Ok(Reply::Running(handle)),
        _ => refused(&text),
    }
}

/// The statement that a URL of results is about.
fn queried(url: &str) -> Option<String> {
    Some(url.split_once("/queries/")?.1.split_once("/result")?.0.to_owned())
}

/// Headers of the requests for result files: those that the answer gives, or what its key means.
fn headers(given: Option<BTreeMap<String, String>>, key: Option<String>) -> Vec<(String, String)> {
    match (given, key) {
        (Some(given), _) => given.into_iter().collect(),
        (None, Some(key)) => vec![(ALGORITHM.0.to_owned(), ALGORITHM.1.to_owned()), (KEY.to_owned(), key)],
        (None, None) => Vec::new(),
    }
}

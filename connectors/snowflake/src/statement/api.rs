//! The SQL API: one request per statement, all that it needs beside it.

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use wharfinger_sdk::{
    Context, Error,
    http::{RequestBuilder, Response, encode},
};

use super::{Done, Reply, Trouble, fetch::Rest, repeated};
use crate::{
    config::Config,
    parse::{Part, Problem, place, unpack},
    request::Statement,
};

/// Where statements go.
pub(crate) const STATEMENTS: &str = "/api/v2/statements";
/// Seconds after which the platform ends a statement.
const TIMEOUT: u32 = 1800;

/// Sends a statement.
pub(super) fn submit(cx: &Context<Config>, statement: &Statement, id: &str) -> Result<RequestBuilder, Error> {
    let mut body = json!({ "statement": statement.text, "timeout": TIMEOUT });
    if let Some(role) = cx.config().role() {
        body["role"] = json!(role);
    }
    // Only where it is used: one that is missing would refuse the others too.
    if let Some(warehouse) = cx.config().warehouse().filter(|_| statement.computes) {
        body["warehouse"] = json!(warehouse);
    }
    let request = cx.http().post(format!("{}{STATEMENTS}", cx.origin())).query("requestId", id).auth().json(&body)?;
    Ok(repeated(request).retry_query("retry", "true"))
}

/// Asks for a statement that runs.
pub(super) fn poll(cx: &Context<Config>, handle: &str) -> RequestBuilder {
    repeated(cx.get(&format!("{STATEMENTS}/{}", encode(handle))))
}

/// Asks for a part of a result.
pub(super) fn partition(cx: &Context<Config>, handle: &str, number: usize) -> RequestBuilder {
    poll(cx, handle).query("partition", &number.to_string())
}

/// Ends a statement.
pub(super) fn cancel(cx: &Context<Config>, handle: &str) -> RequestBuilder {
    cx.http().post(format!("{}{STATEMENTS}/{}/cancel", cx.origin(), encode(handle))).auth()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(default)]
    statement_handle: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    result_set_meta_data: Option<Meta>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    num_rows: Option<usize>,
    row_type: Vec<Column>,
    #[serde(default)]
    partition_info: Option<Vec<Partition>>,
}

/// A column of a result.
#[derive(Deserialize)]
pub(super) struct Column {
    /// As the statement names it.
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partition {
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
    let Some(answer) = serde_json::from_str::<Answer<'_>>(&text).ok() else {
        return Err(Trouble::Refused(Problem::said(status, &text, retry_after)));
    };
    let code = answer.code.as_deref().unwrap_or_default();
    match (answer.statement_handle, answer.result_set_meta_data) {
        _ if code == "391908" => Err(Trouble::TooLarge),
        (Some(handle), _) if status == 202 || matches!(code, "333333" | "333334") => Ok(Reply::Running(handle)),
        (Some(handle), Some(meta)) => {
            let rows = answer.data.map(|rows| place(&text, rows));
            let partitions = meta.partition_info.unwrap_or_default();
            Ok(Reply::Done(Done {
                rest: Rest::Partitions(partitions.len()),
                handle,
                columns: meta.row_type.into_iter().map(|column| column.name).collect(),
                rows: meta.num_rows,
                bytes: partitions.iter().filter_map(|part| part.uncompressed_size).sum(),
                first: Part::within(text, rows),
            }))
        }
        _ => Err(Trouble::Refused(Problem::said(status, &text, retry_after))),
    }
}

#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Reads a further part of a result: it holds nothing but rows.
pub(super) fn rows(response: Response) -> Result<Part, Trouble> {
    if response.status != 200 {
        return Err(Trouble::Refused(Problem::of(&response)));
    }
    let text = unpack(response.body).map_err(Trouble::from)?;
    let found = serde_json::from_str::<Rows<'_>>(&text)
        .map_err(|e| Error::unavailable("A part of the result is not readable.").detail(e.to_string()))
        .map(|rows| place(&text, rows.data));
    let found = found.map_err(Trouble::Failed)?;
    Part::within(text, Some(found)).ok_or(Trouble::TooLarge)
}

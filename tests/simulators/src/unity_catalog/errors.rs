//! Errors as either server words them.
//!
//! Commercial codes and texts follow its public documentation and reports of users; open-source ones the recordings.

use serde_json::json;

use super::Dialect;
use super::paging::PageError;
use crate::fault::Scheduled;
use crate::wire::Reply;

/// Why a request has no other answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    NoCredential,
    BadCredential,
    ExpiredCredential,
    UnknownCatalog(String),
    UnknownSchema(String),
    UnknownTable(String),
    Denied(String),
    MissingParameter(&'static str),
    BadBoolean(String),
    BadName { what: &'static str, name: String },
    Page(PageError),
    Unusable(String),
}

/// An error that the schedule of faults asks for. A code that looks like a number is written as one.
pub(crate) fn scheduled(error: Scheduled<'_>) -> Reply {
    let usual = match error.status {
        429 => "REQUEST_LIMIT_EXCEEDED",
        503 => "TEMPORARILY_UNAVAILABLE",
        _ => "INTERNAL_ERROR",
    };
    let code = error.code.unwrap_or(usual);
    let code = code.parse::<u16>().map_or_else(|_| code.into(), serde_json::Value::from);
    Reply::json(error.status, &json!({"error_code": code, "message": error.message}))
}

impl Refusal {
    pub(crate) fn reply(&self, dialect: Dialect) -> Reply {
        match dialect {
            Dialect::Commercial => self.commercial(),
            Dialect::OpenSource => self.open_source(),
        }
    }

    fn commercial(&self) -> Reply {
        let (status, code, message) = match self {
            Self::NoCredential => {
                return credential(401, "Credential was not sent or was of an unsupported type for this API.");
            }
            Self::ExpiredCredential => return credential(401, "Access token expired."),
            Self::BadCredential => return credential(403, "Invalid access token."),
            Self::UnknownCatalog(name) => (404, "CATALOG_DOES_NOT_EXIST", format!("Catalog '{name}' does not exist.")),
            Self::UnknownSchema(name) => (404, "SCHEMA_DOES_NOT_EXIST", format!("Schema '{name}' does not exist.")),
            Self::UnknownTable(name) => (404, "TABLE_DOES_NOT_EXIST", format!("Table '{name}' does not exist.")),
            Self::Denied(what) => (403, "PERMISSION_DENIED", format!("User does not have {what}.")),
            Self::MissingParameter(name) => (400, "INVALID_PARAMETER_VALUE", format!("Missing required field: {name}")),
            Self::BadBoolean(text) => (400, "INVALID_PARAMETER_VALUE", format!("'{text}' is not a boolean.")),
            Self::BadName { what, name } => {
                (400, "INVALID_PARAMETER_VALUE", format!("'{name}' is not a valid {what} name."))
            }
            Self::Unusable(name) => (400, "INVALID_STATE", format!("Schema '{name}' cannot be used.")),
            Self::Page(PageError::Negative) => {
                (400, "INVALID_PARAMETER_VALUE", "max_results must not be negative.".into())
            }
            Self::Page(PageError::NotANumber(text)) => {
                (400, "INVALID_PARAMETER_VALUE", format!("Invalid value for max_results: {text}"))
            }
            Self::Page(PageError::BadToken) => (400, "INVALID_PARAMETER_VALUE", "Invalid page token.".into()),
            Self::Page(PageError::TooLarge) => (
                400,
                "INVALID_PARAMETER_VALUE",
                "The result set is too large to return in a single response. Please adopt the paginated version of \
                 this API by setting max_results and paging through results with page_token. Error code #UC-PGRQD"
                    .into(),
            ),
        };
        let details = json!([
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "unity-catalog.databricks.com", "metadata": {}},
            {"@type": "type.googleapis.com/google.rpc.RequestInfo", "request_id": "simulated", "serving_data": ""},
        ]);
        Reply::json(status, &json!({"error_code": code, "message": message, "details": details}))
    }

    fn open_source(&self) -> Reply {
        let invalid = |message| (400, "INVALID_ARGUMENT", message);
        let (status, code, message) = match self {
            Self::NoCredential => (401, "UNAUTHENTICATED", "No authorization found.".into()),
            Self::BadCredential | Self::ExpiredCredential => (401, "UNAUTHENTICATED", "Invalid access token.".into()),
            Self::UnknownCatalog(name) => (404, "CATALOG_NOT_FOUND", format!("Catalog not found: {name}")),
            Self::UnknownSchema(name) => (404, "SCHEMA_NOT_FOUND", format!("Schema not found: {name}")),
            Self::UnknownTable(name) => (404, "TABLE_NOT_FOUND", format!("Table not found: {name}")),
            Self::Denied(_) => (403, "PERMISSION_DENIED", "Access denied.".into()),
            Self::MissingParameter(name) => invalid(format!("Mandatory parameter/header is missing: {name}")),
            Self::BadBoolean(text) => invalid(format!("Can't convert '{text}' to type 'Boolean'.")),
            Self::BadName { what: "schema", name } => invalid(format!("Invalid schema full name: {name}")),
            Self::BadName { what, name } => invalid(format!("Invalid {what} name: {name}")),
            Self::Unusable(name) => (500, "INTERNAL", format!("Schema {name} cannot be read")),
            Self::Page(PageError::NotANumber(text)) => invalid(format!("For input string: \"{text}\"")),
            Self::Page(_) => invalid("maxResults must be greater than or equal to 0".into()),
        };
        open_source_error(status, code, &message)
    }
}

/// The open-source server's JSON error.
pub(crate) fn open_source_error(status: u16, code: &str, message: &str) -> Reply {
    let mut out = Vec::new();
    let mut object = super::render::Object::open(&mut out, Dialect::OpenSource);
    object.put("error_code", code);
    let details = object.key("details");
    details.push(b'[');
    let mut detail = super::render::Object::open(details, Dialect::OpenSource);
    detail.put("reason", code);
    detail.put("@type", "type.googleapis.com/google.rpc.ErrorInfo");
    detail.close();
    details.push(b']');
    object.put("message", message);
    object.close();
    Reply::json_bytes(status, out)
}

/// What the open-source server's framework says by itself.
pub(crate) fn plain(status: u16, description: &str) -> Reply {
    Reply::text(status, format!("Status: {status}\nDescription: {description}\n"))
}

/// The commercial gateway's answer: the code is a number.
fn credential(status: u16, message: &str) -> Reply {
    let mut reply = Reply::json(status, &json!({"error_code": status, "message": message}));
    reply.headers.push(("x-databricks-reason-phrase", message.to_owned()));
    reply
}

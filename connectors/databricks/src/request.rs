//! Which requests are made: pure. Names go through the client's percent-encoding, without exception: a stray `%` is
//! never answered by some servers.

use wharfinger_sdk::{
    Context,
    http::{RequestBuilder, encode},
};

use crate::config::Config;

/// Base of the API.
pub(crate) const API: &str = "/api/2.1/unity-catalog";

/// A GET: path (encoded) and query (not yet).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Below the origin.
    pub(crate) path: String,
    /// Names and values.
    pub(crate) query: Vec<(&'static str, String)>,
}

/// A container whose children are listed: the metastore, a catalog, or a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container<'a> {
    /// Lists catalogs.
    Metastore,
    /// Lists schemas.
    Catalog(&'a str),
    /// Lists tables.
    Schema(&'a str, &'a str),
}

/// Whether a listing of tables shall carry their columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// With columns.
    With,
    /// Without, where the server knows how.
    Without,
}

impl<'a> Container<'a> {
    /// The container at a path; none where there are no containers.
    pub(crate) fn at(path: &'a [String]) -> Option<Self> {
        match path {
            [] => Some(Self::Metastore),
            [catalog] => Some(Self::Catalog(catalog)),
            [catalog, schema] => Some(Self::Schema(catalog, schema)),
            _ => None,
        }
    }

    /// For people: what is being listed.
    pub(crate) fn listing(self) -> String {
        match self {
            Self::Metastore => "list the catalogs".to_owned(),
            Self::Catalog(catalog) => format!("list the schemas of catalog `{catalog}`"),
            Self::Schema(catalog, schema) => format!("list the tables of schema `{catalog}`.`{schema}`"),
        }
    }
}

/// One page of a container's children. `size` 0 leaves the page size to the server; leaving the parameter out would
/// ask for everything at once, which is refused for large results.
pub(crate) fn list(container: Container<'_>, size: u32, token: Option<&str>, columns: Columns) -> Call {
    let mut query = Vec::with_capacity(6);
    let resource = match container {
        Container::Metastore => "catalogs",
        Container::Catalog(catalog) => {
            query.push(("catalog_name", catalog.to_owned()));
            "schemas"
        }
        Container::Schema(catalog, schema) => {
            query.push(("catalog_name", catalog.to_owned()));
            query.push(("schema_name", schema.to_owned()));
            if columns == Columns::Without {
                query.push(("omit_columns", "true".to_owned()));
            }
            "tables"
        }
    };
    query.push(("include_browse", "true".to_owned()));
    query.push(("max_results", size.to_string()));
    if let Some(token) = token {
        query.push(("page_token", token.to_owned()));
    }
    Call { path: format!("{API}/{resource}"), query }
}

/// One child of a container by its name. None where the name cannot be written as part of a full name: a server that
/// reads a dot or a control character in it as the end of the name would answer with another object.
pub(crate) fn get(container: Container<'_>, name: &str) -> Option<Call> {
    let (resource, parts): (_, &[&str]) = match container {
        Container::Metastore => ("catalogs", &[name]),
        Container::Catalog(catalog) => ("schemas", &[catalog, name]),
        Container::Schema(catalog, schema) => ("tables", &[catalog, schema, name]),
    };
    let plain = |part: &&str| !part.is_empty() && !part.contains(['.', '/', ';']) && !part.contains(char::is_control);
    parts.iter().all(plain).then(|| Call {
        path: format!("{API}/{resource}/{}", encode(&parts.join("."))),
        query: vec![("include_browse", "true".to_owned())],
    })
}

/// Which metastore this is.
pub(crate) fn metastore_summary() -> Call {
    Call { path: format!("{API}/metastore_summary"), query: Vec::new() }
}

/// Which metastore the workspace uses, for those who may not see the summary.
pub(crate) fn metastore_assignment() -> Call {
    Call { path: format!("{API}/current-metastore-assignment"), query: Vec::new() }
}

impl Call {
    /// The request, with the connection's credential.
    pub(crate) fn with(&self, cx: &Context<Config>) -> RequestBuilder {
        self.query.iter().fold(cx.get(&self.path), |request, (name, value)| request.query(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_always_names_a_page_size() {
        let call = list(Container::Schema("lake", "customers@eu"), 0, Some("a%b"), Columns::Without);
        assert_eq!(call.path, "/api/2.1/unity-catalog/tables");
        let query: Vec<String> = call.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            query.join("&"),
            "catalog_name=lake&schema_name=customers@eu&omit_columns=true&include_browse=true&max_results=0&page_token=a%b"
        );
        assert!(
            !list(Container::Metastore, 50, None, Columns::Without).query.iter().any(|(k, _)| *k == "omit_columns")
        );
    }

    #[test]
    fn a_full_name_is_one_encoded_segment_or_none() {
        let path = |name: &str| get(Container::Schema("Retail-EU", "customers@eu"), name).map(|call| call.path);
        assert_eq!(path("a b%").as_deref(), Some("/api/2.1/unity-catalog/tables/Retail-EU.customers%40eu.a%20b%25"));
        for ambiguous in ["", "a.b", "a/b", "a;b", "a\u{1f}b", "nul\0"] {
            assert_eq!(path(ambiguous), None, "{ambiguous:?}");
        }
        assert_eq!(
            get(Container::Metastore, "größe").map(|c| c.path).as_deref(),
            Some("/api/2.1/unity-catalog/catalogs/gr%C3%B6%C3%9Fe")
        );
    }
}

//! The model's objects as the JSON that either server writes, straight to bytes.
//!
//! The open-source server writes every key and `null`; the commercial one leaves out what is null or empty. The columns
//! of a table are rendered once and kept, since they are nine tenths of the bytes and change seldom.

use bytes::Bytes;
use serde::Serialize;

use super::model::{Catalog, Column, Facts, Metastore, Properties, Schema, Table};
use super::{Dialect, Twist};

/// Writes one JSON object, key by key.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    dialect: Dialect,
    empty: bool,
}

/// What a listing asked to leave out, and what a fault does to the answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View {
    pub(crate) omit_columns: bool,
    pub(crate) omit_properties: bool,
    pub(crate) browse_only: bool,
    /// Whether the bytes of columns are kept for the next time.
    pub(crate) keep: bool,
    pub(crate) twist: Option<Twist>,
}

impl<'a> Object<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>, dialect: Dialect) -> Self {
        out.push(b'{');
        Self { out, dialect, empty: true }
    }

    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    /// Begins a member; what follows must write exactly one value.
    pub(crate) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(crate) fn put(&mut self, key: &str, value: impl Serialize) {
        write_json(self.key(key), value);
    }

    /// Null is written by the open-source server and left out by the commercial one.
    pub(crate) fn maybe(&mut self, key: &str, value: Option<impl Serialize>) {
        match value {
            Some(value) => self.put(key, value),
            None if self.dialect == Dialect::OpenSource => self.put(key, ()),
            None => {}
        }
    }

    fn properties(&mut self, properties: &Properties, view: View) {
        if self.dialect == Dialect::OpenSource {
            let none = Properties::new();
            self.put("properties", if view.omit_properties { &none } else { properties });
        } else if !properties.is_empty() && !view.omit_properties {
            self.put("properties", properties);
        }
    }

    fn times(&mut self, facts: &Facts) {
        self.maybe("owner", facts.owner.as_deref());
        self.put("created_at", facts.created_at);
        self.maybe("created_by", facts.owner.as_deref());
        self.put("updated_at", facts.updated_at);
        self.maybe("updated_by", facts.owner.as_deref());
    }
}

/// Values of this crate always serialise; a writer into memory cannot fail.
fn write_json(out: &mut Vec<u8>, value: impl Serialize) {
    if let Err(error) = serde_json::to_writer(out, &value) {
        tracing::error!(%error, "an answer could not be written");
    }
}

pub(crate) fn catalog(
    out: &mut Vec<u8>,
    metastore: &Metastore,
    name: &str,
    of: &Catalog,
    dialect: Dialect,
    view: View,
) {
    let mut object = Object::open(out, dialect);
    object.put("name", name);
    match dialect {
        Dialect::OpenSource => {
            object.maybe("comment", of.facts.comment.as_deref());
            object.properties(&of.facts.properties, view);
            object.times(&of.facts);
            object.put("id", of.facts.id);
            object.put("storage_root", ());
            object.put("storage_location", ());
        }
        Dialect::Commercial => {
            let kind = if view.twist == Some(Twist::UnknownEnums) { "HOLOGRAPHIC_CATALOG" } else { &of.catalog_type };
            object.put("catalog_type", kind);
            object.maybe("comment", of.facts.comment.as_deref());
            object.properties(&of.facts.properties, view);
            object.times(&of.facts);
            object.put("full_name", name);
            object.put("id", of.facts.id);
            object.put("metastore_id", metastore.metastore_id);
            object.put("isolation_mode", "OPEN");
            object.put("securable_type", "CATALOG");
            object.put("browse_only", view.browse_only);
            if of.catalog_type == "FOREIGN_CATALOG" {
                object.put("connection_name", format!("{name}_connection"));
                object.put("provisioning_info", serde_json::json!({"state": "ACTIVE"}));
            }
        }
    }
    object.close();
}

pub(crate) fn schema(
    out: &mut Vec<u8>,
    metastore: &Metastore,
    [catalog, name]: [&str; 2],
    of: &Schema,
    dialect: Dialect,
    view: View,
) {
    let mut object = Object::open(out, dialect);
    object.put("name", name);
    object.put("catalog_name", catalog);
    object.maybe("comment", of.facts.comment.as_deref());
    object.properties(&of.facts.properties, view);
    object.put("full_name", format!("{catalog}.{name}"));
    object.times(&of.facts);
    object.put("schema_id", of.facts.id);
    match dialect {
        Dialect::OpenSource => {
            object.put("storage_root", ());
            object.put("storage_location", ());
        }
        Dialect::Commercial => {
            object.put("metastore_id", metastore.metastore_id);
            if let Some(parent) = metastore.catalogs.get(catalog) {
                object.put("catalog_type", &parent.catalog_type);
            }
            object.put("securable_type", "SCHEMA");
            object.put("browse_only", view.browse_only);
        }
    }
    object.close();
}

pub(crate) fn table(
    out: &mut Vec<u8>,
    metastore: &Metastore,
    path: [&str; 3],
    of: &Table,
    dialect: Dialect,
    view: View,
) {
    let [catalog, schema, name] = path;
    let unknown = view.twist == Some(Twist::UnknownEnums);
    let mut object = Object::open(out, dialect);
    object.put("name", name);
    object.put("catalog_name", catalog);
    object.put("schema_name", schema);
    object.put("table_type", if unknown { "HOLOGRAM" } else { &of.table_type });
    match of.data_source_format.as_deref() {
        Some(_) if unknown => object.put("data_source_format", "CRYSTAL_FORMAT"),
        format => object.maybe("data_source_format", format),
    }
    let none = view.omit_columns || of.columns.is_empty() || view.twist == Some(Twist::NoColumns);
    match dialect {
        Dialect::OpenSource if none => object.put("columns", [(); 0]),
        Dialect::Commercial if none || view.browse_only => {}
        _ if view.keep => {
            let rendered = columns(of, dialect);
            object.key("columns").extend_from_slice(&rendered);
        }
        _ => write_columns(object.key("columns"), of, dialect),
    }
    object.maybe("storage_location", of.storage_location.as_deref());
    object.maybe("comment", of.facts.comment.as_deref());
    object.properties(&of.facts.properties, view);
    object.times(&of.facts);
    object.put("table_id", of.facts.id);
    object.maybe("view_definition", of.view_definition.as_deref());
    match dialect {
        Dialect::OpenSource => {
            let is_view = of.view_definition.is_some();
            object.put("view_dependencies", is_view.then(|| serde_json::json!({"dependencies": []})));
        }
        Dialect::Commercial => {
            object.put("metastore_id", metastore.metastore_id);
            object.put("full_name", format!("{catalog}.{schema}.{name}"));
            object.put("data_access_configuration_id", uuid::Uuid::nil());
            object.put("securable_type", "TABLE");
            object.put("enable_predictive_optimization", "INHERIT");
            object.put("browse_only", view.browse_only);
        }
    }
    object.close();
}

/// The array of a table's columns, made once.
pub(crate) fn columns(table: &Table, dialect: Dialect) -> Bytes {
    let slot = &table.rendered[dialect as usize];
    slot.get_or_init(|| {
        let mut out = Vec::with_capacity(table.columns.len() * 280 + 2);
        write_columns(&mut out, table, dialect);
        out.into()
    })
    .clone()
}

fn write_columns(out: &mut Vec<u8>, table: &Table, dialect: Dialect) {
    out.push(b'[');
    for (at, of) in table.columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        column(out, of, dialect);
    }
    out.push(b']');
}

fn column(out: &mut Vec<u8>, of: &Column, dialect: Dialect) {
    let mut object = Object::open(out, dialect);
    object.put("name", &of.name);
    object.put("type_text", of.data_type.to_string());
    object.put("type_json", type_json(of));
    object.put("type_name", of.data_type.name());
    let precision = of.data_type.precision();
    match dialect {
        Dialect::OpenSource => {
            object.put("type_precision", precision.map(|(precision, _)| precision));
            object.put("type_scale", precision.map(|(_, scale)| scale));
            object.put("type_interval_type", of.data_type.interval());
        }
        Dialect::Commercial => {
            let (precision, scale) = precision.unwrap_or_default();
            object.put("type_precision", precision);
            object.put("type_scale", scale);
            object.maybe("type_interval_type", of.data_type.interval());
        }
    }
    object.put("position", of.position);
    object.maybe("comment", of.comment.as_deref());
    object.put("nullable", of.nullable);
    object.maybe("partition_index", of.partition_index);
    object.close();
}

/// A Spark field as text inside the JSON, in Spark's own order of keys.
fn type_json(of: &Column) -> String {
    let mut out = Vec::with_capacity(96);
    let mut object = Object::open(&mut out, Dialect::Commercial);
    object.put("name", &of.name);
    object.put("type", of.data_type.spark());
    object.put("nullable", of.nullable);
    match &of.comment {
        Some(comment) => object.put("metadata", serde_json::json!({"comment": comment})),
        None => object.put("metadata", serde_json::json!({})),
    }
    object.close();
    String::from_utf8(out).unwrap_or_default()
}

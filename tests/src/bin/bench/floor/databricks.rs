//! The floor on Unity Catalog: its pages name each other, so they are fetched one after another.

use std::borrow::Cow;

use anyhow::Result;
use serde::Deserialize;
use uuid::Uuid;

use super::{Row, Walk};

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default, alias = "catalogs", alias = "schemas")]
    tables: Vec<Entry<'a>>,
    #[serde(borrow, default)]
    next_page_token: Option<Cow<'a, str>>,
}

/// The fields that the connector reads.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    comment: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    owner: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    table_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data_source_format: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    storage_location: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "id", alias = "schema_id")]
    table_id: Option<Cow<'a, str>>,
    #[serde(default)]
    created_at: Option<i64>,
    #[serde(default)]
    updated_at: Option<i64>,
    #[serde(default)]
    browse_only: Option<bool>,
    #[serde(borrow, default)]
    columns: Option<Vec<Column<'a>>>,
}

#[derive(Deserialize)]
struct Column<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    type_text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    type_name: Option<Cow<'a, str>>,
    #[serde(default)]
    type_precision: Option<i64>,
    #[serde(default)]
    type_scale: Option<i64>,
    #[serde(default)]
    nullable: Option<bool>,
    #[serde(borrow, default)]
    comment: Option<Cow<'a, str>>,
    #[serde(default)]
    position: Option<i64>,
}

impl Walk<'_> {
    /// Lists a whole metastore.
    pub(super) async fn metastore(&mut self) -> Result<()> {
        for catalog in self.list("catalogs", &[]).await? {
            for schema in self.list("schemas", &[("catalog_name", &catalog)]).await? {
                let before = self.tables;
                let names = [("catalog_name", catalog.as_str()), ("schema_name", schema.as_str())];
                let listed = self.list("tables", &names).await?;
                self.tables = before + listed.len() as u64;
            }
        }
        Ok(())
    }

    /// Lists a container to its end; gives the names.
    async fn list(&mut self, resource: &str, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
        let (parent, mut names, mut token) = (Uuid::now_v7().as_u128(), Vec::new(), None::<String>);
        loop {
            let url = format!("http://{}/api/2.1/unity-catalog/{resource}", self.arguments.addr);
            let mut request = self.client.get(url).bearer_auth(&self.arguments.token);
            request = request.query(parameters).query(&[("include_browse", "true"), ("max_results", "0")]);
            if let Some(token) = &token {
                request = request.query(&[("page_token", token)]);
            }
            let body = request.send().await?.error_for_status()?.bytes().await?;
            self.bytes += body.len() as u64;
            let page: Page<'_> = serde_json::from_str(std::str::from_utf8(&body)?)?;
            for entry in &page.tables {
                names.push(entry.name.clone().into_owned());
                self.entry(parent, entry)?;
            }
            token = page.next_page_token.map(Cow::into_owned);
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    fn entry(&mut self, parent: u128, entry: &Entry<'_>) -> Result<()> {
        let columns = entry.columns.as_ref().map(|columns| {
            self.columns += columns.len() as u64;
            let mut row = Vec::with_capacity(self.arguments.column_bytes);
            columns.iter().for_each(|column| column.write(&mut row));
            row
        });
        let mut object = Vec::with_capacity(self.arguments.object_bytes);
        entry.write(&mut object);
        let remote_id = Some(entry.table_id.as_deref().unwrap_or_default().to_owned());
        self.keep(Row { parent, name: entry.name.clone().into_owned(), remote_id, object, columns })
    }
}

impl Entry<'_> {
    fn write(&self, row: &mut Vec<u8>) {
        row.extend_from_slice(self.name.as_bytes());
        let texts = [&self.comment, &self.owner, &self.table_type, &self.data_source_format, &self.storage_location];
        texts.into_iter().chain([&self.table_id]).flatten().for_each(|text| row.extend_from_slice(text.as_bytes()));
        for number in [self.created_at, self.updated_at].into_iter().flatten() {
            row.extend_from_slice(&number.to_le_bytes());
        }
        row.push(u8::from(self.browse_only == Some(true)));
    }
}

impl Column<'_> {
    fn write(&self, row: &mut Vec<u8>) {
        row.extend_from_slice(self.name.as_bytes());
        for text in [&self.type_text, &self.comment].into_iter().flatten() {
            row.extend_from_slice(text.as_bytes());
        }
        if self.type_text.is_none() {
            row.extend_from_slice(self.type_name.as_deref().unwrap_or_default().as_bytes());
        }
        row.extend_from_slice(&self.position.unwrap_or_default().to_le_bytes()[..2]);
        let flags = u8::from(self.nullable.unwrap_or(true)) | u8::from(self.type_precision.is_some()) << 1;
        row.extend_from_slice(&[flags, self.type_scale.unwrap_or_default() as u8]);
    }
}

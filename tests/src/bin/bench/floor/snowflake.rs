//! The floor on a Snowflake account: the statements that the connector sends, over the SQL API.

use std::{borrow::Cow, collections::HashMap};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use wharfinger_simulators::snowflake::{ROLE, WAREHOUSE};

use super::{Row, Walk};

/// Rows of one SHOW.
const PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    statement_handle: String,
    result_set_meta_data: Meta,
    #[serde(borrow)]
    data: Vec<Cells<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    row_type: Vec<Named>,
    partition_info: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    data: Vec<Cells<'a>>,
}

type Cells<'a> = Vec<Option<Text<'a>>>;

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What is left of an object until its columns are there.
struct Found {
    name: String,
    object: Vec<u8>,
    columns: Vec<u8>,
}

impl Walk<'_> {
    /// Lists a whole account.
    pub(super) async fn account(&mut self) -> Result<()> {
        for database in self.containers("SHOW DATABASES LIMIT 1000").await? {
            let schemas = format!("SHOW SCHEMAS IN DATABASE \"{database}\" LIMIT 1000");
            for schema in self.containers(&schemas).await? {
                if schema != "INFORMATION_SCHEMA" {
                    self.schema(&database, &schema).await?;
                }
            }
        }
        Ok(())
    }

    async fn containers(&mut self, statement: &str) -> Result<Vec<String>> {
        let parent = Uuid::now_v7().as_u128();
        let found = self.show(statement).await?;
        let names: Vec<String> = found.iter().map(|container| container.name.clone()).collect();
        for Found { name, object, .. } in found {
            self.keep(Row { parent, name, remote_id: None, object, columns: None })?;
        }
        Ok(names)
    }

    async fn schema(&mut self, database: &str, schema: &str) -> Result<()> {
        let parent = Uuid::now_v7().as_u128();
        for what in ["TABLES", "VIEWS"] {
            let mut after = String::new();
            loop {
                let show = format!("SHOW {what} IN SCHEMA \"{database}\".\"{schema}\" LIMIT {PAGE}{after}");
                let mut found = self.show(&show).await?;
                let Some(last) = found.last().map(|object| object.name.clone()) else { break };
                let is_last = found.len() < PAGE;
                self.details(database, schema, what, &mut found).await?;
                self.tables += found.len() as u64;
                for Found { name, object, columns } in found {
                    self.keep(Row { parent, name, remote_id: None, object, columns: Some(columns) })?;
                }
                if is_last {
                    break;
                }
                after = format!(" FROM '{last}'");
            }
        }
        Ok(())
    }

    /// Times of the last change, and columns.
    async fn details(&mut self, database: &str, schema: &str, what: &str, found: &mut [Found]) -> Result<()> {
        let (first, last) = (&found[0].name, &found[found.len() - 1].name);
        let which = if what == "TABLES" {
            format!("TABLE_NAME >= '{first}' AND TABLE_NAME <= '{last}'")
        } else {
            let names: Vec<String> = found.iter().map(|view| format!("'{}'", view.name)).collect();
            format!("TABLE_NAME IN ({})", names.join(", "))
        };
        let places: HashMap<String, usize> =
            found.iter().enumerate().map(|(at, object)| (object.name.clone(), at)).collect();
        let from =
            |view: &str| format!("FROM \"{database}\".INFORMATION_SCHEMA.{view} WHERE TABLE_SCHEMA = '{schema}'");
        let changes = format!("SELECT TABLE_NAME, CREATED, LAST_ALTERED, LAST_DDL {} AND {which}", from("TABLES"));
        self.query(&changes, |_, cells| {
            if let Some(&at) = cells[0].as_ref().and_then(|name| places.get(&*name.0)) {
                cells[1..].iter().flatten().for_each(|text| found[at].object.extend_from_slice(text.0.as_bytes()));
            }
        })
        .await?;
        let columns = format!(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, \
             DATETIME_PRECISION, IS_NULLABLE, COMMENT {} AND {which} ORDER BY TABLE_NAME, ORDINAL_POSITION",
            from("COLUMNS")
        );
        let mut count = 0;
        self.query(&columns, |_, cells| {
            if let Some(&at) = cells[0].as_ref().and_then(|name| places.get(&*name.0)) {
                count += 1;
                cells[1..].iter().flatten().for_each(|text| found[at].columns.extend_from_slice(text.0.as_bytes()));
            }
        })
        .await?;
        self.columns += count;
        Ok(())
    }

    async fn show(&mut self, statement: &str) -> Result<Vec<Found>> {
        const KEPT: [&str; 5] = ["owner", "comment", "created_on", "kind", "retention_time"];
        let mut found = Vec::new();
        self.query(statement, |names, cells| {
            let mut object = Vec::new();
            let mut own = String::new();
            for (name, text) in names.iter().zip(cells) {
                let Some(text) = text else { continue };
                if name == "name" {
                    own.push_str(&text.0);
                }
                if KEPT.contains(&name.as_str()) {
                    object.extend_from_slice(text.0.as_bytes());
                }
            }
            found.push(Found { name: own, object, columns: Vec::new() });
        })
        .await?;
        Ok(found)
    }

    async fn query(&mut self, statement: &str, mut each: impl FnMut(&[String], &Cells<'_>)) -> Result<()> {
        let statements = format!("http://{}/api/v2/statements", self.arguments.addr);
        let body = json!({ "statement": statement, "role": ROLE, "warehouse": WAREHOUSE });
        let first = self.send(self.client.post(&statements).json(&body)).await?;
        let answer: Answer<'_> = serde_json::from_slice(&first).context("read an answer")?;
        let names: Vec<String> =
            answer.result_set_meta_data.row_type.iter().map(|column| column.name.clone()).collect();
        answer.data.iter().for_each(|cells| each(&names, cells));
        for number in 1..answer.result_set_meta_data.partition_info.len() {
            let url = format!("{statements}/{}?partition={number}", answer.statement_handle);
            let part = self.send(self.client.get(url)).await?;
            let part: Part<'_> = serde_json::from_slice(&part).context("read a partition")?;
            part.data.iter().for_each(|cells| each(&names, cells));
        }
        Ok(())
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
        let request = request
            .bearer_auth(&self.arguments.token)
            .header("x-snowflake-authorization-token-type", "PROGRAMMATIC_ACCESS_TOKEN")
            .header("user-agent", "floor/1.0")
            .header("accept", "application/json");
        let body = request.send().await?.error_for_status()?.bytes().await?;
        self.bytes += body.len() as u64;
        Ok(body.into())
    }
}

//! The bundled Databricks component in the real sandbox, against the simulator: what natively cannot be seen are the
//! limits of pages and memory, the credentials, and the optional interfaces.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use serde_json::Value;
use wharfinger::{
    connector::{CallError, CheckStatus, Connector, Connectors, ErrorCode, Outcome},
    egress::session::{Egress, Policy, Session},
    model::{
        page::{Listing, Presence, ScannedObject},
        path::RemotePath,
    },
};
use wharfinger_simulators::unity_catalog::{
    Options, UnityCatalog,
    generate::{Names, Shape},
    model::Metastore,
};
use wharfinger_tests::host::setup;

/// The component with a way to a simulator.
struct Rig {
    connector: Arc<Connector>,
    session: Arc<Session>,
    config: Value,
}

/// Everything that was delivered.
#[derive(Default)]
struct Delivered {
    objects: Vec<ScannedObject>,
    listed: Vec<Listing>,
    pages: usize,
}

impl Rig {
    async fn new(payload: &Value) -> Result<Self> {
        let connectors = Connectors::new(setup()?)?;
        connectors.load_bundled(None).await?;
        let connector = connectors.by_technology(&"Databricks".parse()?).context("it is bundled")?;
        let mut connection = payload["connection"].clone();
        connection.as_object_mut().context("an object")?.remove("technology");
        let registration =
            connector.descriptor.admit(&connection, None, None, true).map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let policy =
            Policy { allow_cidrs: vec!["127.0.0.0/8".parse()?], allow_insecure_http: true, ..Policy::default() };
        let session = connector.trial_session(&Egress::new(policy)?, &registration, None)?;
        Ok(Self { connector, session, config: registration.config })
    }

    async fn check(&self) -> Result<Vec<Outcome>, CallError> {
        self.connector.check(&self.session, &self.config).await.0
    }

    async fn walk(&self, want_columns: bool) -> Result<Delivered> {
        let mut delivered = Delivered::default();
        let mut open = self.connector.plan(&self.session, &self.config, &RemotePath::default()).await.0?;
        while let Some(partition) = open.pop() {
            let mut cursor = None;
            loop {
                let read = self.connector.read(&self.session, &self.config, &partition, want_columns, cursor.as_ref());
                let page = read.await.0?;
                anyhow::ensure!(page.errors.is_empty(), "{:?}", page.errors);
                delivered.pages += 1;
                delivered.objects.extend(page.objects);
                delivered.listed.extend(page.listed);
                open.extend(page.partitions);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(delivered)
    }
}

/// Column names and types by path, as the simulator has them.
fn truth(metastore: &Metastore) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut tables = BTreeMap::new();
    for (catalog, schemas) in &metastore.catalogs {
        for (schema, contents) in &schemas.schemas {
            for (name, table) in &contents.tables {
                let columns = table.columns.iter().map(|column| column.name.clone()).collect();
                tables.insert(vec![catalog.clone(), schema.clone(), name.clone()], columns);
            }
        }
    }
    tables
}

fn names(path: &RemotePath) -> Vec<String> {
    path.0.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_delivered(delivered: &Delivered, truth: &BTreeMap<Vec<String>, Vec<String>>) {
    let tables = delivered.objects.iter().filter(|object| object.path.0.len() == 3);
    let found: BTreeMap<_, Vec<_>> = tables
        .map(|table| {
            let columns = table.columns.iter().flatten().map(|column| column.name.clone()).collect();
            (names(&table.path), columns)
        })
        .collect();
    assert_eq!(found.len(), truth.len());
    assert!(&found == truth, "columns differ");
    let containers = delivered.objects.iter().filter(|object| object.path.0.len() < 3).count();
    assert_eq!(delivered.listed.len(), containers + 1, "all are complete");
}

#[tokio::test]
async fn pages_of_many_wide_tables_keep_to_the_limits() -> Result<()> {
    let simulator = UnityCatalog::start(Options::new(Shape::one_schema(2500, 50).generate(7))).await?;
    let rig = Rig::new(&simulator.payload("x")).await?;
    let delivered = rig.walk(true).await?;
    assert_delivered(&delivered, &simulator.read(truth));
    assert!(delivered.pages <= 8, "{} pages: the platform's small ones were not put together", delivered.pages);
    Ok(())
}

#[tokio::test]
async fn odd_names_are_listed_by_machines_and_from_open_source_servers() -> Result<()> {
    let shape = Shape { catalogs: 2, schemas: 3, tables: 60, columns: 3, names: Names::Odd };
    let simulator = UnityCatalog::start(Options::new(shape.generate(3))).await?;
    let rig = Rig::new(&simulator.m2m_payload("x")).await?;
    assert_delivered(&rig.walk(true).await?, &simulator.read(truth));

    let simulator = UnityCatalog::start(Options::open_source(shape.generate(4))).await?;
    let rig = Rig::new(&simulator.payload("x")).await?;
    assert_delivered(&rig.walk(true).await?, &simulator.read(truth));
    Ok(())
}

#[tokio::test]
async fn a_check_passes_with_an_identity_and_fails_with_a_wrong_token() -> Result<()> {
    let simulator = UnityCatalog::start(Options::new(Shape::one_schema(3, 3).generate(1))).await?;
    let outcomes = Rig::new(&simulator.payload("x")).await?.check().await?;
    assert!(outcomes.iter().all(|outcome| outcome.status == CheckStatus::Passed), "{outcomes:?}");
    let authenticate = outcomes.iter().find(|outcome| outcome.capability == "authenticate").context("outcome")?;
    assert!(authenticate.identity.is_some() && authenticate.basis.is_some());

    let mut payload = simulator.payload("x");
    payload["connection"]["token"] = "dapi-nobody-has-this-token".into();
    let outcomes = Rig::new(&payload).await?.check().await?;
    let status = |capability: &str| outcomes.iter().find(|o| o.capability == capability).map(|o| o.status);
    assert_eq!(status("authenticate"), Some(CheckStatus::Failed), "{outcomes:?}");
    assert_eq!(status("reach"), Some(CheckStatus::Passed), "{outcomes:?}");
    Ok(())
}

#[tokio::test]
async fn single_tables_are_read_and_looked_for() -> Result<()> {
    let simulator = UnityCatalog::start(Options::new(Shape::one_schema(300, 4).generate(5))).await?;
    let rig = Rig::new(&simulator.payload("x")).await?;
    let tables: Vec<Vec<String>> = simulator.read(truth).into_keys().collect();
    let scope = RemotePath(tables[0][..2].iter().map(|name| name.parse()).collect::<Result<_, _>>()?);
    let mut asked: Vec<String> = tables.iter().take(20).map(|path| path[2].clone()).collect();
    asked.push("nobody".to_owned());

    let page = rig.connector.read_columns(&rig.session, &rig.config, &scope, "", &asked, None).await.0?;
    assert_eq!((page.objects.len(), page.errors.len(), page.next), (20, 1, None));
    assert!(page.objects.iter().all(|object| object.columns.as_ref().is_some_and(|columns| columns.len() == 4)));
    assert_eq!(page.errors[0].code, ErrorCode::NotFound.as_str());

    let presence = rig.connector.confirm(&rig.session, &rig.config, &scope, "", &asked).await.0?;
    assert_eq!(presence[..20], [Presence::Present; 20]);
    assert_eq!(presence[20], Presence::Absent);
    Ok(())
}

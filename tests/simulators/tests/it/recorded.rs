//! The open-source dialect against answers recorded from the real server: the recorded data set is loaded into the
//! model, the recorded requests are sent again, and status, media type, keys and their order, types, error bodies, names
//! on each page and page tokens must be the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use wharfinger_simulators::recordings::{self, Recording};
use wharfinger_simulators::unity_catalog::data_type::DataType;
use wharfinger_simulators::unity_catalog::model::{Column, Facts, Metastore};
use wharfinger_simulators::unity_catalog::{ADMIN, Authorization, Options, Privilege, TOKEN, UnityCatalog};

use crate::http;
use crate::json::{Node, Shapes};

/// Recorded requests that cannot be sent again as they were, and why.
const LEFT_OUT: &[(u32, &str)] = &[
    (23, "writes: the simulator is changed through its model"),
    (244, "needs the header that the recording leaves out; tested below"),
    (402, "writes, and there is no token endpoint in this dialect: 404 either way"),
    (413, "writes"),
    (417, "writes"),
];

/// Keys whose values belong to one run of the server; their types are compared all the same.
const OF_ONE_RUN: &[&str] = &[
    "id",
    "schema_id",
    "table_id",
    "metastore_id",
    "created_at",
    "updated_at",
    "storage_location",
    "storage_root",
    "owner",
    "created_by",
    "updated_by",
    "io.unitycatalog.tableId",
];

/// Where the recorded tables contradict themselves on purpose and the model cannot: type name, JSON, precision.
const OF_THE_TYPE: &[&str] = &["type_json", "type_name", "type_precision", "type_scale", "view_dependencies"];

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/unity-catalog-oss")
}

fn read(wanted: impl Fn(u32) -> bool) -> Result<BTreeMap<u32, Recording>> {
    Ok(recordings::read(&folder(), wanted)?)
}

/// The recorded data set as a model: what 901 to 916 list.
fn recorded_metastore() -> Result<Metastore> {
    let mut metastore = Metastore::new("recorded", 1);
    let items = |key: &str| -> Result<Vec<Value>> {
        let walk = read(|number| (901..=916).contains(&number))?;
        let pages = walk.values().map(|recording| recording.response.json());
        Ok(pages.filter_map(|page| page[key].as_array().cloned()).flatten().collect())
    };
    for of in items("catalogs")? {
        let mut catalog = metastore.new_catalog(None);
        catalog.facts = facts(&of, "id")?;
        metastore.catalogs.insert(text(&of, "name")?, catalog);
    }
    for of in items("schemas")? {
        let mut schema = metastore.new_schema(None);
        schema.facts = facts(&of, "schema_id")?;
        let catalog = metastore.catalogs.get_mut(&text(&of, "catalog_name")?).context("catalog")?;
        catalog.schemas.insert(text(&of, "name")?, schema);
    }
    for of in items("tables")? {
        let columns = of["columns"].as_array().context("columns")?.iter().map(column).collect::<Result<_>>()?;
        let mut table = metastore.new_table(None, columns);
        table.facts = facts(&of, "table_id")?;
        table.table_type = text(&of, "table_type")?.into();
        table.data_source_format = of["data_source_format"].as_str().map(|of| of.to_owned().into());
        table.storage_location = of["storage_location"].as_str().map(str::to_owned);
        table.view_definition = of["view_definition"].as_str().map(str::to_owned);
        let catalog = metastore.catalogs.get_mut(&text(&of, "catalog_name")?).context("catalog")?;
        let schema = catalog.schemas.get_mut(&text(&of, "schema_name")?).context("schema")?;
        schema.tables.insert(text(&of, "name")?, table);
    }
    ensure!(metastore.counts()[..3] == [3, 10, 320], "the recorded data set is another: {:?}", metastore.counts());
    Ok(metastore)
}

fn facts(of: &Value, id: &str) -> Result<Facts> {
    let properties = of["properties"].as_object().context("properties")?;
    Ok(Facts {
        id: text(of, id)?.parse()?,
        comment: of["comment"].as_str().map(str::to_owned),
        properties: properties
            .iter()
            .map(|(key, of)| (key.clone(), of.as_str().unwrap_or_default().to_owned()))
            .collect(),
        owner: of["owner"].as_str().map(str::to_owned),
        created_at: of["created_at"].as_i64().context("created_at")?,
        updated_at: of["updated_at"].as_i64().context("updated_at")?,
    })
}

fn column(of: &Value) -> Result<Column> {
    let position = i32::try_from(of["position"].as_i64().context("position")?)?;
    let mut column = Column::new(&text(of, "name")?, DataType::from(text(of, "type_text")?.as_str()), position);
    column.nullable = of["nullable"].as_bool().context("nullable")?;
    column.comment = of["comment"].as_str().map(str::to_owned);
    column.partition_index = of["partition_index"].as_i64().map(i32::try_from).transpose()?;
    Ok(column)
}

fn text(of: &Value, key: &str) -> Result<String> {
    Ok(of[key].as_str().with_context(|| format!("{key} in {of}"))?.to_owned())
}

/// Sends every recording again and collects what is different.
async fn replay(simulator: &UnityCatalog, recordings: &BTreeMap<u32, Recording>) -> Result<Vec<String>> {
    let client = http::client()?;
    let mut shapes = Shapes::default();
    for recording in read(|_| true)?.values().filter(|recording| recording.response.is_json()) {
        shapes.learn(kind(recording), &serde_json::from_str(recording.response.body.get())?);
    }
    let mut wrong = Vec::new();
    for (number, recording) in recordings {
        if LEFT_OUT.iter().any(|(of, _)| of == number) {
            continue;
        }
        let asked = &recording.request;
        let query = asked.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("http://{}{}{query}", simulator.addr(), asked.path);
        let mut request = client.request(Method::from_bytes(asked.method.as_bytes())?, url);
        for (name, value) in &asked.headers {
            request = request.header(name, credential(value));
        }
        let answer = match (http::send(request).await, recording.response.status) {
            (Ok(answer), Some(_)) => answer,
            (Err(_), None) => continue,
            (Ok(answer), None) => {
                wrong.push(format!("{number}: answered {} where the server never answers", answer.status));
                continue;
            }
            (Err(error), Some(_)) => return Err(error.context(format!("recording {number}"))),
        };
        let found = differences(&shapes, recording, &answer)?;
        wrong.extend(found.into_iter().map(|difference| format!("{number} {}{query}: {difference}", asked.path)));
    }
    Ok(wrong)
}

fn differences(shapes: &Shapes, recording: &Recording, answer: &http::Answer) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let expected = &recording.response;
    if expected.status != Some(answer.status) {
        wrong.push(format!("status {} instead of {:?}: {}", answer.status, expected.status, answer.text()));
        return Ok(wrong);
    }
    let media_type = expected.headers.get("content-type").map(String::as_str);
    if answer.header("content-type") != media_type {
        wrong.push(format!("media type {:?} instead of {media_type:?}", answer.header("content-type")));
    }
    if recording.request.method == "HEAD" || !expected.is_json() {
        let text = expected.json().as_str().unwrap_or_default().to_owned();
        if answer.text() != text {
            wrong.push(format!("{:?} instead of {text:?}", answer.text()));
        }
        return Ok(wrong);
    }
    let (theirs, ours): (Node, Node) =
        (serde_json::from_str(expected.body.get())?, serde_json::from_slice(&answer.body)?);
    shapes.unseen(kind(recording), &ours, &mut wrong);
    let stripped: Vec<_> = OF_ONE_RUN.iter().chain(OF_THE_TYPE).copied().collect();
    wrong.extend(theirs.without(&stripped).difference(&ours.without(&stripped), ""));
    wrong.truncate(5);
    Ok(wrong)
}

/// Answers of one kind share their shape; a single object looks like a listed one.
fn kind(recording: &Recording) -> &'static str {
    let path = &recording.request.path;
    match recording.response.status {
        Some(200) if path.contains("/catalogs/") => "listing.catalogs[]",
        Some(200) if path.contains("/schemas/") => "listing.schemas[]",
        Some(200) if path.contains("/tables/") => "listing.tables[]",
        Some(200) => "listing",
        _ => "error",
    }
}

/// The tokens of the recordings are placeholders; each stands for one of the simulator's.
fn credential(recorded: &str) -> String {
    recorded.replace("<admin-token>", TOKEN).replace("<access-token of ", "token-of-").replace('>', "")
}

#[tokio::test]
async fn without_authorization_the_answers_are_those_of_the_real_server() -> Result<()> {
    let simulator = UnityCatalog::start(Options::open_source(recorded_metastore()?)).await?;
    let recordings = read(|number| !(700..=900).contains(&number))?;
    assert!(recordings.len() > 150, "{} recordings", recordings.len());
    let wrong = replay(&simulator, &recordings).await?;
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn with_authorization_the_answers_are_those_of_the_real_server() -> Result<()> {
    let options = Options { authorization: Authorization::On, ..Options::open_source(owned(recorded_metastore()?)) };
    let simulator = UnityCatalog::start(options).await?;
    let recordings = read(|number| (700..800).contains(&number))?;
    grant(&simulator, &recordings);
    let wrong = replay(&simulator, &recordings).await?;
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// With authorization every object has an owner.
fn owned(mut metastore: Metastore) -> Metastore {
    let owner = Some("admin".to_owned());
    for catalog in metastore.catalogs.values_mut() {
        catalog.facts.owner.clone_from(&owner);
        for schema in catalog.schemas.values_mut() {
            schema.facts.owner.clone_from(&owner);
            schema.tables.values_mut().for_each(|table| table.facts.owner.clone_from(&owner));
        }
    }
    metastore
}

/// The users of the recordings and what they may: ana some tables, bob nothing, carl one table without its schema, dora
/// a whole schema.
fn grant(simulator: &UnityCatalog, recordings: &BTreeMap<u32, Recording>) {
    let listed = [762, 763, 764].iter().filter_map(|number| recordings.get(number)).flat_map(|recording| {
        let page = recording.response.json();
        page["tables"].as_array().cloned().unwrap_or_default()
    });
    let names: Vec<String> = listed.filter_map(|table| table["name"].as_str().map(str::to_owned)).collect();
    simulator.access(|access| {
        access.add_admin(ADMIN);
        for user in ["ana", "bob", "carl", "dora"] {
            access.add_token(&format!("token-of-{user}"), user);
        }
        for user in ["ana", "carl", "dora"] {
            access.grant(user, &["lake"], Privilege::UseCatalog);
        }
        access.grant("ana", &["lake", "bulk"], Privilege::UseSchema);
        for name in &names {
            access.grant("ana", &["lake", "bulk", name], Privilege::Select);
        }
        access.grant("carl", &["lake", "types", "nested"], Privilege::Select);
        access.grant("dora", &["lake", "views"], Privilege::UseSchema);
        access.grant("dora", &["lake", "views"], Privilege::Select);
    });
}

#[tokio::test]
async fn too_long_requests_are_refused_as_the_real_server_does() -> Result<()> {
    let simulator = UnityCatalog::start(Options::open_source(recorded_metastore()?)).await?;
    let client = http::client()?;
    let base = format!("http://{}/api/2.1/unity-catalog", simulator.addr());
    let long = http::send(client.get(format!("{base}/tables/lake.names.{}", "n".repeat(5_000)))).await?;
    assert_eq!((long.status, long.header("content-type"), long.body.len()), (414, None, 0));
    let heavy = client.get(format!("{base}/catalogs")).bearer_auth("t".repeat(8_200));
    let heavy = http::send(heavy).await?;
    assert_eq!((heavy.status, heavy.header("content-type"), heavy.body.len()), (431, None, 0));
    Ok(())
}

#[tokio::test]
async fn the_comparison_notices_a_missing_key_another_order_and_another_type() -> Result<()> {
    let parse = |text: &str| serde_json::from_str::<Node>(text);
    let mut shapes = Shapes::default();
    shapes.learn("", &parse(r#"{"a":1,"b":[{"c":null},{"c":"x"}],"properties":{"free":"y"}}"#)?);
    let unseen = |text: &str| -> Result<usize> {
        let mut found = Vec::new();
        shapes.unseen("", &parse(text)?, &mut found);
        Ok(found.len())
    };
    assert_eq!(unseen(r#"{"a":2,"b":[{"c":"z"}],"properties":{"other":"y"}}"#)?, 0);
    assert_eq!(unseen(r#"{"b":[],"a":2,"properties":{}}"#)?, 1, "order");
    assert_eq!(unseen(r#"{"a":2,"b":[{"c":1}],"properties":{}}"#)?, 1, "type");
    assert_eq!(unseen(r#"{"a":2,"b":[{}],"properties":{}}"#)?, 1, "key");
    assert!(parse(r#"{"a":[1,2]}"#)?.difference(&parse(r#"{"a":[1,3]}"#)?, "").is_some());
    Ok(())
}

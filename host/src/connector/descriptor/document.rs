//! The descriptor document as connectors write it, and what makes it a [`Descriptor`].

use std::{collections::BTreeSet, sync::Arc};

use ring::digest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Descriptor, address::AddressFields, needs, property::Property, schema::Schema};
use crate::{
    connector::{error::LoadError, limits::MAX_DESCRIPTOR},
    egress::recipe::{Recipe, Target},
    model::name::Technology,
};

/// The document. A field that this host does not know may ask for something it does not do, and is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    name: String,
    version: String,
    title: String,
    technology: Technology,
    #[serde(default)]
    description: String,
    /// Version of the SDK: for people who read the document.
    #[serde(default, rename = "sdk")]
    _sdk: Option<String>,
    config: Value,
    #[serde(default)]
    secrets: Vec<Property>,
    address: AddressFields,
    authentication: Authentication,
    #[serde(default)]
    egress: Vec<Target>,
    #[serde(default)]
    host_managed: Option<String>,
    #[serde(default)]
    remote_ids_unique: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authentication {
    select: Property,
    methods: Vec<Value>,
}

impl Descriptor {
    /// Reads a document. The error says what is wrong and where.
    pub(crate) fn parse(text: &str) -> Result<Self, LoadError> {
        if text.len() > MAX_DESCRIPTOR {
            return Err(refuse(format!("it has {} KiB; at most 1 MiB is allowed", text.len() >> 10)));
        }
        let document: Document = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
        check_names(&document)?;
        let schema = Schema::compile(&document.config).map_err(refuse)?;
        let secrets: Vec<String> = document.secrets.iter().map(ToString::to_string).collect();
        let (methods, needs) = methods(&document, &secrets)?;
        for (i, target) in document.egress.iter().enumerate() {
            let checked = target.validate(&document.config, &secrets);
            checked.map_err(|error| refuse(format!("`egress[{i}]`: {error}")))?;
        }
        let ways = document.authentication.methods.iter().map(way).collect();
        let host_fields = host_fields(&methods, &document.egress)?;
        Ok(Self {
            name: document.name,
            version: document.version,
            title: document.title,
            description: document.description,
            technology: document.technology,
            remote_ids_unique: document.remote_ids_unique,
            methods,
            reach: document.egress,
            digest: sha256(text.as_bytes()),
            ways,
            schema: Arc::new(schema),
            host_fields,
            needs,
            config_schema: document.config,
            secrets: document.secrets,
            address: document.address,
            select: document.authentication.select,
            host_managed: document.host_managed,
        })
    }
}

fn check_names(document: &Document) -> Result<(), LoadError> {
    let name = &document.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) || name.starts_with('-') {
        return Err(refuse("`name` has 1 to 64 lower-case letters, digits and hyphens".into()));
    }
    let version = &document.version;
    if version.len() > 64 || semver::Version::parse(version).is_err() {
        return Err(refuse("`version` is a semantic version such as 1.2.3".into()));
    }
    if document.title.is_empty() || document.title.len() > 200 || document.title.contains(char::is_control) {
        return Err(refuse("`title` has 1 to 200 bytes and no control characters".into()));
    }
    if document.host_managed.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
        return Err(refuse("`hostManaged` is a JSON pointer that begins with /".into()));
    }
    Ok(())
}

/// The recipes, and what each of them needs to be given.
fn methods(document: &Document, secrets: &[String]) -> Result<(Vec<Recipe>, Vec<Vec<Property>>), LoadError> {
    let mut recipes: Vec<Recipe> = Vec::new();
    let mut all_needs = Vec::new();
    for (i, raw) in document.authentication.methods.iter().enumerate() {
        let at = |why: String| refuse(format!("`authentication.methods[{i}]`: {why}"));
        let recipe: Recipe = serde_json::from_value(raw.clone()).map_err(|error| at(error.to_string()))?;
        if recipes.iter().any(|other| other.id == recipe.id) {
            return Err(at("a method before it has the same id".into()));
        }
        recipe.validate(&document.config, secrets).map_err(|error| at(error.to_string()))?;
        recipes.push(recipe);
        all_needs.push(needs::of_recipe(raw));
    }
    if recipes.is_empty() {
        return Err(refuse("`authentication.methods` is empty: nobody could connect".into()));
    }
    Ok((recipes, all_needs))
}

/// Properties besides the address from which a host name is made: who changes one of them must bring every secret again.
fn host_fields(methods: &[Recipe], egress: &[Target]) -> Result<Vec<Property>, LoadError> {
    let reached = egress.iter().filter_map(|target| target.origin.config_property().map(str::to_owned));
    let names: BTreeSet<String> = methods.iter().flat_map(Recipe::address_properties).chain(reached).collect();
    names.into_iter().map(|name| name.parse().map_err(|why| refuse(format!("property `{name}`: {why}")))).collect()
}

/// What secrets are sent in, and in which form: all of a recipe that no line of the permissions spells out.
fn way(recipe: &Value) -> String {
    let parts = ["/let", "/acquire", "/renew", "/release", "/apply/headers"].map(|part| recipe.pointer(part));
    let mut digest = sha256(json!(parts).to_string().as_bytes());
    // 128 bits: nobody finds another recipe with the same.
    digest.truncate(32);
    digest
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn refuse(why: String) -> LoadError {
    LoadError::new("invalid-descriptor", &format!("the component describes itself wrongly: {why}"))
}

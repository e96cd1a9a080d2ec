//! What a connector says of itself, and what that makes of a payload.
//!
//! Both come from outside: the document from a component, the payload from whoever calls the API. What gets through
//! here satisfies the connector's schema, names a host in canonical form, and has its secrets taken out. No error
//! repeats a value.

mod address;
mod document;
mod needs;
mod property;
mod schema;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use self::{
    address::{AddressFields, WithoutTls},
    property::Property,
    schema::Schema,
};
use super::error::LoadError;
use crate::{
    egress::{
        approval::{ApprovedOrigin, config_line, not_approved},
        recipe::{Recipe, Target, foreign_origins, permission::permissions},
        vault::Secrets,
    },
    model::{connection::Address, name::Technology},
};

/// A connector's description of itself, checked.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// File-safe name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// For people.
    pub title: String,
    /// For people, in a sentence or two.
    pub description: String,
    /// What it serves.
    pub technology: Technology,
    /// JSON Schema of the payload's `connection` object.
    pub config_schema: Value,
    /// Whether remote ids tell objects apart in the whole connection (D38).
    pub remote_ids_unique: bool,
    /// Ways to authenticate.
    pub methods: Vec<Recipe>,
    /// What it declares to reach.
    pub reach: Vec<Target>,
    /// SHA-256 of the document, in hexadecimal.
    pub digest: String,
    /// Per method, what stands for how it authenticates: two that differ in it send secrets otherwise.
    ways: Vec<String>,
    schema: Arc<Schema>,
    secrets: Vec<Property>,
    address: AddressFields,
    select: Property,
    /// Per method, what it cannot do without.
    needs: Vec<Vec<Property>>,
    /// Properties besides the address from which a host name is made.
    host_fields: Vec<Property>,
    host_managed: Option<String>,
}

/// A payload's `connection` object, taken apart.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Without secrets.
    pub config: Value,
    /// The secrets in it.
    pub secrets: Secrets,
    /// Where it connects to.
    pub address: Address,
    /// How it authenticates.
    pub recipe: Recipe,
    /// A top-level name that is never listed, where the payload's `nativeIntegration` names one.
    pub host_managed: Option<String>,
}

/// What is wrong with a payload. Never repeats a value, which could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct InvalidPayload {
    /// JSON pointer below `connection`.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl InvalidPayload {
    fn at(property: &Property, message: impl Into<String>) -> Self {
        Self { pointer: property.pointer(), message: message.into() }
    }
}

impl Descriptor {
    /// Checks a payload's `connection` object against the schema and takes it apart. `known` are secrets that were
    /// stored before and hold for what the payload leaves out.
    pub fn admit(
        &self,
        connection: &Value,
        native_integration: Option<&Value>,
        known: Option<&Secrets>,
        allow_insecure_http: bool,
    ) -> Result<Registration, Vec<InvalidPayload>> {
        let mut config = without_technology(connection).map_err(|error| vec![error])?;
        if let (Some(known), Some(method)) = (known, self.method(&config)) {
            self.fill_in(&mut config, known, method);
        }
        let mut errors = self.schema.errors(&config);
        let method = self.method(&config);
        if method.is_none() && errors.iter().all(|e| e.pointer != self.select.pointer()) {
            let ids: Vec<_> = self.methods.iter().map(|m| m.id.as_str()).collect();
            errors.push(InvalidPayload::at(&self.select, format!("must be one of {}", ids.join(", "))));
        }
        let without_tls = if allow_insecure_http { WithoutTls::Allowed } else { WithoutTls::Refused };
        let address = self.address.read(&config, without_tls);
        if let Err(error) = &address
            && errors.iter().all(|e| e.pointer != error.pointer)
        {
            errors.push(error.clone());
        }
        errors.extend(method.into_iter().flat_map(|m| self.missing(&config, m)));
        let host_managed = self.host_managed(native_integration).map_err(|e| errors.push(e)).ok().flatten();
        let (true, Some(method), Ok(address)) = (errors.is_empty(), method, address) else {
            errors.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            errors.dedup();
            return Err(errors);
        };
        let secrets = self.split(&mut config).map_err(|error| vec![error])?;
        self.address.keep(&mut config, &address);
        Ok(Registration { config, secrets, address, recipe: self.methods[method].clone(), host_managed })
    }

    /// Refuses a connector that names a host of its own that the operator has not approved: it would get requests, and
    /// secrets where a recipe sends them there.
    pub(crate) fn check_approved(&self, approved: &[ApprovedOrigin]) -> Result<(), LoadError> {
        let foreign = foreign_origins(&self.methods, &self.reach);
        let missing: Vec<&str> = not_approved(&foreign, approved).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the connector {} names {}, to which the operator of this host has not approved to send requests; to approve: {}",
            self.name,
            missing.join(" and "),
            config_line(&missing)
        );
        Err(LoadError::new("not-approved", &message))
    }

    /// What it may do where it is approved, as lines for people.
    #[must_use]
    pub fn permissions(&self) -> Vec<String> {
        let ways = self.methods.iter().zip(&self.ways);
        let mut lines = permissions(&self.methods, &self.reach);
        lines.extend(ways.map(|(method, way)| format!("{}: authenticate as its recipe {way} says", method.id)));
        lines.sort();
        lines
    }

    /// Whether two configurations differ in a field from which a host name is made (D42).
    #[must_use]
    pub fn address_fields_differ(&self, a: &Value, b: &Value) -> bool {
        let address = |config| self.address.read(config, WithoutTls::Allowed);
        let same_address = match (address(a), address(b)) {
            (Ok(a), Ok(b)) => a == b,
            // What cannot be read is not the same as anything.
            _ => false,
        };
        !same_address || self.host_fields.iter().any(|field| field.get(a) != field.get(b))
    }

    /// How a stored connection authenticates.
    pub(crate) fn recipe(&self, config: &Value) -> Option<&Recipe> {
        self.method(config).map(|method| &self.methods[method])
    }

    /// A configuration as recipes and guests see it: the address in its bare form.
    pub(crate) fn shown(&self, config: &Value, address: &Address) -> Value {
        let mut shown = config.clone();
        self.address.show(&mut shown, address);
        shown
    }

    /// The index of the method that a configuration selects.
    fn method(&self, config: &Value) -> Option<usize> {
        let selected = self.select.get(config)?.as_str()?;
        self.methods.iter().position(|method| method.id == selected)
    }

    /// Adds the stored secrets that the selected method uses and the payload leaves out.
    fn fill_in(&self, config: &mut Value, known: &Secrets, method: usize) {
        for secret in &self.secrets {
            let name = secret.to_string();
            let used = self.needs[method].contains(secret) || self.methods[method].secrets.contains(&name);
            if let Some(value) = known.0.get(&name)
                && used
                && secret.get(config).is_none()
            {
                secret.set(config, Value::String(value.as_str().to_owned()));
            }
        }
    }

    /// What the selected method cannot do without and the configuration lacks.
    fn missing<'a>(&'a self, config: &'a Value, method: usize) -> impl Iterator<Item = InvalidPayload> + 'a {
        let id = &self.methods[method].id;
        self.needs[method]
            .iter()
            .filter(|p| p.get(config).is_none_or(|v| v.as_str() == Some("")))
            .map(move |property| InvalidPayload::at(property, format!("is required where `{}` is `{id}`", self.select)))
    }

    /// Takes the secrets out. A schema that lets a secret be anything but text is not followed.
    fn split(&self, config: &mut Value) -> Result<Secrets, InvalidPayload> {
        let mut secrets = BTreeMap::new();
        for property in &self.secrets {
            match property.take(config) {
                None => {}
                Some(Value::String(text)) => {
                    let text = Zeroizing::new(text);
                    if !text.is_empty() {
                        secrets.insert(property.to_string(), text);
                    }
                }
                Some(_) => return Err(InvalidPayload::at(property, "must be a text")),
            }
        }
        Ok(Secrets(secrets))
    }

    /// The host-managed name, where the payload has one.
    fn host_managed(&self, native_integration: Option<&Value>) -> Result<Option<String>, InvalidPayload> {
        let Some(pointer) = &self.host_managed else { return Ok(None) };
        match native_integration.and_then(|native| native.pointer(pointer)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(name)) => Ok(Some(name.clone()).filter(|name| !name.is_empty())),
            Some(_) => Err(InvalidPayload {
                pointer: format!("/nativeIntegration{pointer}"),
                message: "must be a text: the name that is never listed".into(),
            }),
        }
    }
}

/// The `connection` object without `technology`, which is the host's.
fn without_technology(connection: &Value) -> Result<Value, InvalidPayload> {
    let Value::Object(fields) = connection else {
        return Err(InvalidPayload { pointer: String::new(), message: "`connection` must be an object".into() });
    };
    let fields: Map<_, _> =
        fields.iter().filter(|(key, _)| *key != "technology").map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests;

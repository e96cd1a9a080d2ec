//! From a request to its answer: a pure function of the model, the rights and the request.
//!
//! Both dialects share listing and rendering; they differ in what exists, how errors look and how credentials are
//! checked. Faults other than twists of a page happen outside.

use std::time::Instant;

use http::Method;
use serde_json::json;

use super::access::{Access, Privilege, Sight, Verdict};
use super::errors::{Refusal, open_source_error, plain};
use super::model::{Metastore, Schema, Table};
use super::paging::{Asked, Page, PageSizes, page};
use super::render::{self, Object, View};
use super::{Authorization, Dialect, Twist, token};
use crate::wire::{Call, Outcome, Reply, decode};

/// Where the API lies.
pub(crate) const BASE: &str = "/api/2.1/unity-catalog";

/// Everything an answer depends on.
pub(crate) struct Scene<'a> {
    pub(crate) metastore: &'a Metastore,
    pub(crate) access: &'a Access,
    pub(crate) dialect: Dialect,
    pub(crate) authorization: Authorization,
    pub(crate) sizes: PageSizes,
    pub(crate) forget_rendered: bool,
    pub(crate) twist: Option<Twist>,
    pub(crate) now: Instant,
}

/// The answer to anything but the token endpoint.
pub(crate) fn answer(scene: &Scene<'_>, call: &Call) -> Outcome {
    match scene.dialect {
        Dialect::Commercial => Outcome::Reply(scene.commercial(call)),
        Dialect::OpenSource => scene.open_source(call),
    }
}

type Answer = Result<Reply, Refusal>;

impl Scene<'_> {
    fn commercial(&self, call: &Call) -> Reply {
        if let Some(reply) = token::discovery(call) {
            return reply;
        }
        let Some(rest) = call.path.strip_prefix("/api/") else {
            return json_error(404, "ENDPOINT_NOT_FOUND", &format!("No API found for '{} {}'", call.method, call.path));
        };
        let who = match self.caller(call) {
            Ok(who) => who,
            Err(refusal) => return refusal.reply(self.dialect),
        };
        if call.method != Method::GET && call.method != Method::HEAD {
            return json_error(403, "PERMISSION_DENIED", "The simulated workspace is read-only.");
        }
        let found = match rest {
            "2.0/preview/scim/v2/Me" => Some(Ok(Reply::json(200, &json!({"userName": who, "active": true})))),
            _ => call.path.strip_prefix(BASE).and_then(|rest| self.resource(rest, call, &who)),
        };
        match found {
            Some(answer) => answer.unwrap_or_else(|refusal| refusal.reply(self.dialect)),
            None => json_error(404, "ENDPOINT_NOT_FOUND", &format!("No API found for 'GET {}'", call.path)),
        }
    }

    fn open_source(&self, call: &Call) -> Outcome {
        if call.path_and_query().len() > 4_096 - "GET  HTTP/1.1".len() {
            return Outcome::Reply(Reply::empty(414));
        }
        let headers: usize = call.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if headers > 8_192 {
            return Outcome::Reply(Reply::empty(431));
        }
        let path = format!("/{}", call.path.trim_start_matches('/'));
        if !escapes_are_good(&path) || call.query.as_deref().is_some_and(|query| query.contains("%00")) {
            return Outcome::Reply(plain(400, "Invalid request path"));
        }
        if call.query.as_deref().is_some_and(|query| !escapes_are_good(query)) {
            return Outcome::Hang;
        }
        if path == "/" {
            return Outcome::Reply(Reply::text(200, "Hello, Unity Catalog!"));
        }
        let Some(rest) = path.strip_prefix(BASE) else { return Outcome::Reply(plain(404, "Not Found")) };
        let who = match self.caller(call) {
            Ok(who) => who,
            Err(refusal) => return Outcome::Reply(refusal.reply(self.dialect)),
        };
        let Some(answer) = self.resource(rest, call, &who) else {
            return Outcome::Reply(match self.authorization {
                Authorization::Off => plain(404, "Not Found"),
                Authorization::On => open_source_error(500, "INTERNAL", "Couldn't unwrap service."),
            });
        };
        if call.method != Method::GET && call.method != Method::HEAD {
            return Outcome::Reply(plain(405, "Method Not Allowed"));
        }
        Outcome::Reply(answer.unwrap_or_else(|refusal| refusal.reply(self.dialect)))
    }

    /// Who calls. Without authorization nobody is asked, whatever the header says.
    fn caller(&self, call: &Call) -> Result<String, Refusal> {
        if self.authorization == Authorization::Off {
            return Ok(super::ADMIN.to_owned());
        }
        let header = call.header("authorization").unwrap_or_default();
        let token = match self.dialect {
            Dialect::OpenSource => header.strip_prefix("Bearer "),
            Dialect::Commercial => {
                header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|of| of.1)
            }
        };
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Err(Refusal::NoCredential) };
        match self.access.verdict(token, self.now) {
            Verdict::Principal(who) => Ok(who),
            Verdict::Expired => Err(Refusal::ExpiredCredential),
            Verdict::Unknown => Err(Refusal::BadCredential),
        }
    }

    /// None: there is no such resource.
    fn resource(&self, rest: &str, call: &Call, who: &str) -> Option<Answer> {
        let mut segments = rest.strip_prefix('/')?.split('/');
        let (collection, name, more) = (segments.next()?, segments.next(), segments.next());
        let commercial = self.dialect == Dialect::Commercial;
        let name = name.map(|name| self.object_name(name));
        Some(match (collection, name.as_deref(), more) {
            ("catalogs", None, _) => self.catalogs(call, who),
            ("schemas", None, _) => self.schemas(call, who),
            ("tables", None, _) => self.tables(call, who),
            ("catalogs", Some(name), None) if !name.is_empty() => self.catalog(name, who),
            ("schemas", Some(name), None) if !name.is_empty() => self.schema(name, who),
            ("tables", Some(name), None) if !name.is_empty() => self.table(name, who),
            ("metastore_summary", None, _) => Ok(self.metastore_summary()),
            ("volumes", None, _) => self.nothing("volumes", call, who),
            ("functions", None, _) => self.nothing("functions", call, who),
            ("models", None, _) => self.nothing("registered_models", call, who),
            ("tables", Some(name), Some("exists")) if commercial => {
                let exists = self.table(name, who).is_ok();
                Ok(Reply::json(200, &json!({"table_exists": exists})))
            }
            ("table-summaries", None, _) if commercial => self.summaries(call, who),
            ("current-metastore-assignment", None, _) if commercial => {
                let id = self.metastore.metastore_id;
                Ok(Reply::json(
                    200,
                    &json!({"metastore_id": id, "workspace_id": 1234567890123456_u64, "default_catalog_name": "main"}),
                ))
            }
            ("effective-permissions", Some(_), Some(full_name)) if commercial => {
                Ok(self.effective_permissions(&decode(full_name), who))
            }
            ("permissions", Some(_), Some(_)) if !commercial && self.authorization == Authorization::Off => {
                Ok(Reply::json(200, &json!({"privilege_assignments": []})))
            }
            _ => return None,
        })
    }

    /// The open-source server's front drops what follows `;`, takes the unit separator for a dot and ignores dots at the end.
    fn object_name(&self, segment: &str) -> String {
        if self.dialect == Dialect::Commercial {
            return decode(segment);
        }
        let segment = segment.split(';').next().unwrap_or_default();
        decode(segment).replace('\u{1f}', ".").trim_end_matches('.').to_owned()
    }

    fn catalogs(&self, call: &Call, who: &str) -> Answer {
        let browse = self.browse(call);
        let sees = |name: &str| self.access.sight(who, &[name]);
        let page =
            self.page(&self.metastore.catalogs, call, "catalogs", self.sizes.containers, |name| sees(name) >= browse)?;
        Ok(self.listing("catalogs", page, |out, name, of| {
            let view = View { browse_only: sees(name) == Sight::Browse, twist: self.twist, ..View::default() };
            render::catalog(out, self.metastore, name, of, self.dialect, view);
        }))
    }

    fn schemas(&self, call: &Call, who: &str) -> Answer {
        let catalog = self.required(call, "catalog_name")?;
        let of = self.metastore.catalogs.get(&catalog).ok_or_else(|| Refusal::UnknownCatalog(catalog.clone()))?;
        let browse = self.browse(call);
        self.enter(who, &[&catalog], browse)?;
        let sees = |name: &str| self.access.sight(who, &[&catalog, name]);
        let key = format!("schemas:{catalog}");
        let page = self.page(&of.schemas, call, &key, self.sizes.containers, |name| sees(name) >= browse)?;
        Ok(self.listing("schemas", page, |out, name, of| {
            let view = View { browse_only: sees(name) == Sight::Browse, twist: self.twist, ..View::default() };
            render::schema(out, self.metastore, [&catalog, name], of, self.dialect, view);
        }))
    }

    fn tables(&self, call: &Call, who: &str) -> Answer {
        let (catalog, schema) = (self.required(call, "catalog_name")?, self.required(call, "schema_name")?);
        let (omit_columns, omit_properties) = (self.flag(call, "omit_columns")?, self.flag(call, "omit_properties")?);
        let of = self.find_schema(&catalog, &schema)?;
        let browse = self.browse(call);
        self.enter(who, &[&catalog, &schema], browse)?;
        if of.unusable {
            return Err(Refusal::Unusable(format!("{catalog}.{schema}")));
        }
        let sees = |name: &str| self.access.sight(who, &[&catalog, &schema, name]);
        let key = format!("tables:{catalog}\u{1}{schema}");
        let page = self.page(&of.tables, call, &key, self.sizes.tables, |name| sees(name) >= browse)?;
        Ok(self.listing("tables", page, |out, name, of| {
            let browse_only = sees(name) == Sight::Browse;
            let keep = !self.forget_rendered;
            let view = View { omit_columns, omit_properties, browse_only, keep, twist: self.twist };
            render::table(out, self.metastore, [&catalog, &schema, name], of, self.dialect, view);
        }))
    }

    fn catalog(&self, name: &str, who: &str) -> Answer {
        let of = self.metastore.catalogs.get(name).ok_or_else(|| Refusal::UnknownCatalog(name.to_owned()))?;
        self.may_see(who, &[name])?;
        Ok(rendered(|out| render::catalog(out, self.metastore, name, of, self.dialect, View::default())))
    }

    fn schema(&self, full_name: &str, who: &str) -> Answer {
        let bad = || Refusal::BadName { what: "schema", name: full_name.to_owned() };
        let (catalog, schema) = self.split(full_name).ok_or_else(bad)?;
        if self.dialect == Dialect::OpenSource && schema.contains('.') {
            return Err(bad());
        }
        let of = self.find_schema(catalog, schema)?;
        self.may_see(who, &[catalog, schema])?;
        Ok(rendered(|out| render::schema(out, self.metastore, [catalog, schema], of, self.dialect, View::default())))
    }

    fn table(&self, full_name: &str, who: &str) -> Answer {
        let (path, of) = self.find_table(full_name)?;
        self.may_see(who, &path)?;
        let view = View { keep: !self.forget_rendered, twist: self.twist, ..View::default() };
        Ok(rendered(|out| render::table(out, self.metastore, path, of, self.dialect, view)))
    }

    fn summaries(&self, call: &Call, who: &str) -> Answer {
        let catalog = self.required(call, "catalog_name")?;
        let of = self.metastore.catalogs.get(&catalog).ok_or_else(|| Refusal::UnknownCatalog(catalog.clone()))?;
        let like = |name: &str| call.parameter(name).filter(|pattern| !pattern.is_empty());
        let (schemas, tables) = (like("schema_name_pattern"), like("table_name_pattern"));
        let fits = |pattern: &Option<String>, name: &str| pattern.as_deref().is_none_or(|of| sql_like(of, name));
        let all = of.schemas.iter().filter(|(name, _)| fits(&schemas, name)).flat_map(|(schema, of)| {
            let of = of.tables.iter().filter(|(name, _)| fits(&tables, name));
            of.map(move |(name, of)| (format!("{schema}.{name}"), ([schema.as_str(), name.as_str()], of)))
        });
        let all = all.collect();
        let sees = |name: [&str; 2]| self.access.sight(who, &[&catalog, name[0], name[1]]) == Sight::All;
        let asked = Asked {
            max_results: call.parameter("max_results").or(Some("0".into())),
            page_token: call.parameter("page_token"),
        };
        let rules = (self.dialect, self.sizes.summaries, self.sizes);
        let page = page(&all, &asked, &format!("summaries:{catalog}"), rules, self.twist, |_, (name, _)| sees(*name));
        Ok(self.listing("tables", page.map_err(Refusal::Page)?, |out, name, (_, of)| {
            let mut object = Object::open(out, self.dialect);
            object.put("full_name", format!("{catalog}.{name}"));
            object.put("table_type", &of.table_type);
            object.close();
        }))
    }

    /// Kinds of objects the model has none of.
    fn nothing(&self, key: &str, call: &Call, who: &str) -> Answer {
        let (catalog, schema) = (self.required(call, "catalog_name")?, self.required(call, "schema_name")?);
        self.find_schema(&catalog, &schema)?;
        self.enter(who, &[&catalog, &schema], Sight::All)?;
        Ok(self.listing(key, Page { items: Vec::<(&str, &())>::new(), next: None }, |_, _, _| {}))
    }

    fn metastore_summary(&self) -> Reply {
        let of = self.metastore;
        Reply::json(
            200,
            &match self.dialect {
                Dialect::OpenSource => json!({"metastore_id": of.metastore_id}),
                Dialect::Commercial => json!({
                    "metastore_id": of.metastore_id, "name": of.name, "cloud": "aws", "region": "eu-central-1",
                    "global_metastore_id": format!("aws:eu-central-1:{}", of.metastore_id),
                    "owner": super::ADMIN, "privilege_model_version": "1.0",
                    "delta_sharing_scope": "INTERNAL", "created_at": 1_766_000_000_000_i64,
                }),
            },
        )
    }

    fn effective_permissions(&self, full_name: &str, who: &str) -> Reply {
        let path: Vec<&str> = full_name.split('.').collect();
        let held = self.access.privileges(who, &path);
        let privileges: Vec<_> = held
            .into_iter()
            .map(|(privilege, from): (Privilege, Vec<String>)| {
                let mut entry = json!({"privilege": privilege});
                if from.len() < path.len() {
                    entry["inherited_from_name"] = json!(from.join("."));
                    entry["inherited_from_type"] = json!(["METASTORE", "CATALOG", "SCHEMA"][from.len().min(2)]);
                }
                entry
            })
            .collect();
        Reply::json(200, &json!({"privilege_assignments": [{"principal": who, "privileges": privileges}]}))
    }

    fn page<'a, T>(
        &self,
        of: &'a std::collections::BTreeMap<String, T>,
        call: &Call,
        key: &str,
        server_page: usize,
        visible: impl Fn(&str) -> bool,
    ) -> Result<Page<'a, T>, Refusal> {
        let asked = Asked { max_results: call.parameter("max_results"), page_token: call.parameter("page_token") };
        let rules = (self.dialect, server_page, self.sizes);
        page(of, &asked, key, rules, self.twist, |name, _| visible(name)).map_err(Refusal::Page)
    }

    fn listing<T>(&self, key: &str, page: Page<'_, T>, mut item: impl FnMut(&mut Vec<u8>, &str, &T)) -> Reply {
        rendered(|out| {
            let mut object = Object::open(out, self.dialect);
            let commercial = self.dialect == Dialect::Commercial;
            // The commercial server leaves an empty list out, and so does the twist.
            if !(page.items.is_empty() && commercial || self.twist == Some(Twist::NoListKey)) {
                let out = object.key(key);
                out.push(b'[');
                for (at, (name, of)) in page.items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item(out, name, of);
                }
                out.push(b']');
            }
            object.maybe("next_page_token", page.next.as_deref());
            object.close();
        })
    }

    fn required(&self, call: &Call, name: &'static str) -> Result<String, Refusal> {
        match call.parameter(name) {
            Some(value) => Ok(value),
            None if self.dialect == Dialect::OpenSource && self.authorization == Authorization::On => {
                Err(Refusal::UnknownCatalog("null".into()))
            }
            None => Err(Refusal::MissingParameter(name)),
        }
    }

    fn flag(&self, call: &Call, name: &str) -> Result<bool, Refusal> {
        match call.parameter(name).as_deref() {
            None | Some("" | "false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(Refusal::BadBoolean(other.to_owned())),
        }
    }

    /// How much a caller must see of an object for it to be listed.
    fn browse(&self, call: &Call) -> Sight {
        let asked = call.parameter("include_browse").is_some_and(|value| value == "true");
        if asked && self.dialect == Dialect::Commercial { Sight::Browse } else { Sight::All }
    }

    /// The open-source server lists a forbidden container as empty; the commercial one refuses.
    fn enter(&self, who: &str, path: &[&str], enough: Sight) -> Result<(), Refusal> {
        if self.dialect == Dialect::OpenSource || self.access.sight(who, path) >= enough {
            return Ok(());
        }
        Err(denied(path))
    }

    fn may_see(&self, who: &str, path: &[&str]) -> Result<(), Refusal> {
        if self.access.sight(who, path) == Sight::All { Ok(()) } else { Err(denied(path)) }
    }

    fn find_schema(&self, catalog: &str, schema: &str) -> Result<&Schema, Refusal> {
        let of = self.metastore.catalogs.get(catalog).ok_or_else(|| Refusal::UnknownCatalog(catalog.to_owned()))?;
        of.schemas.get(schema).ok_or_else(|| Refusal::UnknownSchema(format!("{catalog}.{schema}")))
    }

    /// Names may hold dots where the simulated platform is a hostile one: the first split that names a catalog counts.
    fn split<'n>(&self, full_name: &'n str) -> Option<(&'n str, &'n str)> {
        let splits = || full_name.match_indices('.').map(|(at, _)| (&full_name[..at], &full_name[at + 1..]));
        let known = splits().find(|(catalog, _)| self.metastore.catalogs.contains_key(*catalog));
        known.or_else(|| splits().next())
    }

    fn find_table<'n>(&self, full_name: &'n str) -> Result<([&'n str; 3], &Table), Refusal> {
        let bad = || Refusal::BadName { what: "table", name: full_name.to_owned() };
        if self.dialect == Dialect::OpenSource && full_name.matches('.').count() != 2 {
            return Err(bad());
        }
        let (catalog, rest) = self.split(full_name).ok_or_else(bad)?;
        let of = self.metastore.catalogs.get(catalog).ok_or_else(|| Refusal::UnknownCatalog(catalog.to_owned()))?;
        let splits = || rest.match_indices('.').map(|(at, _)| (&rest[..at], &rest[at + 1..]));
        let known = splits().find_map(|(schema, name)| {
            let table = of.schemas.get(schema)?.tables.get(name)?;
            Some(([catalog, schema, name], table))
        });
        known.ok_or_else(|| match splits().next() {
            None => bad(),
            Some((schema, _)) if of.schemas.contains_key(schema) => Refusal::UnknownTable(full_name.to_owned()),
            Some((schema, _)) => Refusal::UnknownSchema(format!("{catalog}.{schema}")),
        })
    }
}

fn denied(path: &[&str]) -> Refusal {
    let what = match path {
        [_] => "USE CATALOG on Catalog",
        [_, _] => "USE SCHEMA on Schema",
        _ => "SELECT on Table",
    };
    Refusal::Denied(format!("{what} '{}'", path.join(".")))
}

fn rendered(write: impl FnOnce(&mut Vec<u8>)) -> Reply {
    let mut out = Vec::with_capacity(1 << 16);
    write(&mut out);
    Reply::json_bytes(200, out)
}

fn json_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error_code": code, "message": message}))
}

/// Every `%` is followed by two hex digits, and none of them is a NUL.
fn escapes_are_good(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        digits && !rest.starts_with("00")
    })
}

/// SQL's LIKE: `%` is any text, `_` any character.
fn sql_like(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = &pattern[1..];
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| sql_like(rest, &text[at..]))
        }
        Some(first) => {
            let mut chars = text.chars();
            chars.next().is_some_and(|c| first == '_' || c == first)
                && sql_like(&pattern[first.len_utf8()..], chars.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{escapes_are_good, sql_like};

    #[test]
    fn patterns_match_like_sql() {
        for (pattern, text, fits) in [
            ("%", "", true),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("a_c", "abc", true),
            ("a_", "abc", false),
            ("%ü%", "grün", true),
        ] {
            assert_eq!(sql_like(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn stray_percent_signs_are_seen() {
        assert!(escapes_are_good("a%20b") && escapes_are_good("") && escapes_are_good("%C3%BC"));
        assert!(!escapes_are_good("100%") && !escapes_are_good("%zz") && !escapes_are_good("a%00"));
    }
}

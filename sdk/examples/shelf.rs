//! The connector of the SDK's README, and what its tests look like.

use schemars::JsonSchema;
use serde::Deserialize;
use wharfinger_sdk::{
    Connector, Context, Descriptor, Error, Kind, Listing, Object, Outcome, Page, Pager, Partition, ReadRequest, Secret,
    Status, cursor,
    descriptor::{Address, Apply, Authentication, Egress, Match, Recipe, Target},
    paging::Guard,
};

/// What a connection needs. The schema of payloads is made from this.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "the host reads these; here they make the schema")]
struct Config {
    /// Host name of the platform.
    hostname: String,
    /// Port of the platform.
    #[serde(default)]
    #[schemars(with = "u16")]
    port: Option<u16>,
    /// Always `token`.
    authentication_type: String,
    /// Access token. In the schema, and never here: the host keeps it.
    #[serde(default)]
    token: Secret,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    tables: Vec<Table>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    version: Option<u64>,
}

struct Shelf;

impl Connector for Shelf {
    type Config = Config;

    fn descriptor() -> Descriptor {
        let reach = (vec!["/tables".to_owned()], vec!["GET".to_owned()]);
        let origin = "{{ connection.origin }}".to_owned();
        Descriptor {
            name: "shelf",
            version: "0.1.0",
            title: "Shelf",
            technology: "Shelf",
            description: "Lists the tables of a shelf.",
            address: Address { hostname: "hostname".to_owned(), port: "port".to_owned(), default_port: 443 },
            authentication: Authentication {
                select: "authenticationType".to_owned(),
                methods: vec![Recipe {
                    id: "token".to_owned(),
                    secrets: vec!["token".to_owned()],
                    apply: Apply {
                        to: vec![Target {
                            origin: origin.clone(),
                            paths: reach.0.clone(),
                            methods: reach.1.clone(),
                            body: None,
                        }],
                        headers: [("authorization".to_owned(), "Bearer {{ secret.token }}".to_owned())].into(),
                    },
                    rejected: vec![Match { status: vec![401], ..Match::default() }],
                    ..Recipe::default()
                }],
            },
            egress: vec![Egress { origin, paths: reach.0, methods: reach.1, from_response: None }],
            host_managed: None,
            remote_ids_unique: false,
        }
    }

    fn check(cx: &Context<Config>) -> Result<Vec<Outcome>, Error> {
        Ok(vec![match cx.get("/tables").send() {
            Ok(answer) if answer.is_success() => Outcome::new("authenticate", Status::Passed, "The token is good."),
            Ok(answer) => Outcome::new("authenticate", Status::Failed, format!("The shelf says {}.", answer.status)),
            Err(error) => Outcome::new("reach", Status::Failed, error.message),
        }])
    }

    fn plan(_cx: &Context<Config>, scope: &[String]) -> Result<Vec<Partition>, Error> {
        Ok(vec![Partition::new("all", scope.to_vec(), "")])
    }

    fn read(cx: &Context<Config>, request: ReadRequest) -> Result<Page, Error> {
        let (token, mut guard): (Option<String>, Guard) = cursor::read(1, request.cursor.as_deref())?;
        let answer = cx.get("/tables").query_opt("after", token.as_deref()).send()?;
        if !answer.is_success() {
            return Err(Error::unavailable(format!("The shelf says {}.", answer.status)));
        }
        let answer: Answer = answer.json()?;
        let next = guard.next(answer.next.as_deref())?;
        let mut pager = Pager::new();
        for table in answer.tables {
            let mut object = Object::new(vec![table.name], Kind::TableLike, "table");
            object.fingerprint = table.version.map(|version| version.to_string());
            pager.push(object).map_err(|_| Error::too_large("The shelf answers with more than a page holds."))?;
        }
        if next.is_none() {
            pager.listed(Listing::new(request.partition.scope, "shelf"));
        }
        let next = match next {
            Some(token) => Some(cursor::write(1, &(Some(token), guard))?),
            None => None,
        };
        Ok(pager.finish(next))
    }
}

wharfinger_sdk::export!(Shelf);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharfinger_sdk::testing::{self, MockHost};

    use super::*;

    fn config() -> Value {
        json!({ "hostname": "shelf.example", "authenticationType": "token" })
    }

    #[test]
    fn all_pages_are_listed() {
        let host = MockHost::new(|request| {
            let last = request.url.ends_with("?after=a%20b");
            let page = if last {
                json!({ "tables": [{ "name": "b" }] })
            } else {
                json!({ "tables": [{ "name": "a", "version": 3 }], "next": "a b" })
            };
            Ok(testing::json(200, &page))
        });
        let walked = testing::walk::<Shelf>(&config(), "https://shelf.example", &host, &[], false).expect("walk");
        assert_eq!((walked.objects.len(), walked.listed.len()), (2, 1));
        assert_eq!(walked.object(&["a"]).and_then(|object| object.fingerprint.as_deref()), Some("3"));
    }

    #[test]
    fn a_bad_token_fails_the_check() {
        let host = MockHost::new(|_| Ok(testing::text(401, "")));
        let cx = testing::context::<Shelf>(&config(), "https://shelf.example", host).expect("context");
        assert_eq!(Shelf::check(&cx).expect("outcomes")[0].status, "failed");
    }

    /// The README shows this file as it is, down to here.
    #[test]
    fn the_readme_shows_this_connector() {
        let (file, readme) = (include_str!("shelf.rs"), include_str!("../README.md"));
        let code = file.split("\n\n").skip(1).collect::<Vec<_>>().join("\n\n");
        let shown = code.split("\n#[cfg(test)]").next().expect("code");
        assert!(readme.contains(shown.trim()), "README.md shows another connector than examples/shelf.rs");
    }
}

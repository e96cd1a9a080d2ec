//! A platform of catalogs, schemas and tables, and a worker that answers tasks from it as a connector would.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::{
    Db,
    jobs::{Claimed, JobEnd},
    sync::{Advanced, Step},
};
use crate::model::{
    column::Column,
    filter::Filter,
    job::{Claim, Job, Task, Work},
    object::{Facts, Kind},
    page::{Cursor, Listing, ObjectError, Page, Partition, Presence, ScannedObject},
    path::RemotePath,
};

/// A thing at the platform.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) remote_id: String,
    pub(super) fingerprint: Option<String>,
    pub(super) columns: Vec<Column>,
    pub(super) comment: Option<String>,
}

/// What the platform holds, and how its connector behaves.
pub(super) struct Platform {
    /// By names joined with `/`.
    pub(super) things: BTreeMap<String, Thing>,
    pub(super) page_size: usize,
    /// Whether names can be asked about.
    pub(super) confirms: bool,
    /// Containers whose listing fails.
    pub(super) failing: BTreeSet<String>,
    /// Things that listings leave out though they are there.
    pub(super) hidden: BTreeSet<String>,
    pub(super) remote_ids_unique: bool,
    /// Whether schemas list functions too, in a namespace of their own: what is named `fn_…`.
    pub(super) has_functions: bool,
    /// Whether another version serves from the first question for columns on, which cannot be asked by name.
    pub(super) loses_names: bool,
    /// Whether it cannot be asked for columns by name, and delivers them with every page.
    pub(super) lists_only: bool,
    /// As whom it lists.
    pub(super) role: String,
    /// Things that the connector leaves out, and why.
    pub(super) left_out: BTreeMap<String, String>,
    /// What the connector does not even ask for.
    pub(super) filter: Filter,
    /// Columns that were asked for by name, over all syncs.
    pub(super) asked: Vec<String>,
    /// Containers that were listed, over all syncs.
    pub(super) listings: Vec<String>,
    next_id: u64,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            things: BTreeMap::new(),
            page_size: 3,
            confirms: true,
            failing: BTreeSet::new(),
            hidden: BTreeSet::new(),
            remote_ids_unique: true,
            has_functions: false,
            loses_names: false,
            lists_only: false,
            role: "reader".into(),
            left_out: BTreeMap::new(),
            filter: Filter::default(),
            asked: Vec::new(),
            listings: Vec::new(),
            next_id: 0,
        }
    }
}

pub(super) fn remote(text: &str) -> RemotePath {
    RemotePath(text.split('/').filter(|name| !name.is_empty()).map(|name| name.parse().expect("name")).collect())
}

pub(super) fn text(path: &RemotePath) -> String {
    path.0.iter().map(|name| name.as_str()).collect::<Vec<_>>().join("/")
}

pub(super) fn columns(spec: &str) -> Vec<Column> {
    spec.split_whitespace()
        .map(|part| {
            let (name, data_type) = part.split_once(':').expect("name:type");
            Column { name: name.into(), data_type: data_type.into(), nullable: None, comment: None, position: None }
        })
        .collect()
}

impl Platform {
    /// Makes a thing, and the containers it lies in.
    pub(super) fn add(&mut self, path: &str, spec: &str) {
        let mut prefix = String::new();
        for name in path.split('/') {
            prefix = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            if !self.things.contains_key(&prefix) {
                self.next_id += 1;
                let thing = Thing {
                    remote_id: format!("r{}", self.next_id),
                    fingerprint: Some("1".into()),
                    columns: Vec::new(),
                    comment: None,
                };
                self.things.insert(prefix.clone(), thing);
            }
        }
        self.things.get_mut(path).expect("thing").columns = columns(spec);
    }

    /// Drops a thing with what lies in it.
    pub(super) fn drop_thing(&mut self, path: &str) {
        let below = format!("{path}/");
        self.things.retain(|name, _| name != path && !name.starts_with(&below));
    }

    /// Renames or moves a thing with what lies in it; ids stay.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let below = format!("{from}/");
        let moved: Vec<String> =
            self.things.keys().filter(|name| *name == from || name.starts_with(&below)).cloned().collect();
        for name in moved {
            let thing = self.things.remove(&name).expect("thing");
            self.things.insert(format!("{to}{}", &name[from.len()..]), thing);
        }
    }

    pub(super) fn retype(&mut self, path: &str, spec: &str) {
        self.next_id += 1;
        let fingerprint = format!("f{}", self.next_id);
        let thing = self.things.get_mut(path).expect("thing");
        thing.columns = columns(spec);
        thing.fingerprint = Some(fingerprint);
    }

    pub(super) fn children(&self, scope: &str) -> Vec<String> {
        let depth = scope.split('/').filter(|name| !name.is_empty()).count();
        let below = if scope.is_empty() { String::new() } else { format!("{scope}/") };
        self.things
            .keys()
            .filter(|name| name.starts_with(&below) && name.split('/').count() == depth + 1)
            .cloned()
            .collect()
    }

    pub(super) fn scanned(&self, name: &str, with_columns: bool) -> ScannedObject {
        let thing = &self.things[name];
        let (kind, object_type) = match name.split('/').count() {
            1 => (Kind::Container, "database"),
            2 => (Kind::Container, "schema"),
            _ if self.has_functions && name.contains("/fn_") => (Kind::Other, "function"),
            _ => (Kind::TableLike, "table"),
        };
        let is_table = kind == Kind::TableLike;
        ScannedObject {
            path: remote(name),
            namespace: if kind == Kind::Other { "function".into() } else { String::new() },
            facts: Facts {
                kind,
                object_type: object_type.into(),
                remote_id: Some(thing.remote_id.clone()),
                comment: thing.comment.clone(),
                attributes: vec![("owner".into(), "someone".into())],
            },
            fingerprint: thing.fingerprint.clone().filter(|_| is_table),
            columns: (is_table && with_columns).then(|| thing.columns.clone()),
            excluded: self.left_out.get(name).cloned(),
        }
    }

    pub(super) fn partition(scope: &str) -> Partition {
        Partition { id: format!("list {scope}"), scope: remote(scope), payload: "{}".into(), weight: 0 }
    }

    fn page(&self, scope: &str, want_columns: bool, cursor: Option<&Cursor>) -> Page {
        let children: Vec<String> =
            self.children(scope).into_iter().filter(|name| !self.hidden.contains(name)).collect();
        let children: Vec<String> = children.into_iter().filter(|name| self.filter.keeps(name.split('/'))).collect();
        let from: usize = cursor.map_or(0, |cursor| cursor.0.parse().expect("cursor"));
        let to = (from + self.page_size).min(children.len());
        let here = &children[from.min(to)..to];
        let objects: Vec<_> = here.iter().map(|name| self.scanned(name, want_columns)).collect();
        let partitions = objects
            .iter()
            .filter(|object| object.facts.kind == Kind::Container && object.excluded.is_none())
            .map(|object| Self::partition(&text(&object.path)))
            .collect();
        let is_last = to == children.len();
        let listed = |namespace: &str| Listing {
            path: remote(scope),
            namespace: namespace.to_owned(),
            basis: self.role.clone(),
        };
        let namespaces: &[&str] = if self.has_functions { &["", "function"] } else { &[""] };
        Page {
            objects,
            partitions,
            listed: namespaces.iter().filter(|_| is_last).map(|namespace| listed(namespace)).collect(),
            next: (!is_last).then(|| Cursor(to.to_string())),
            ..Page::default()
        }
    }

    pub(super) fn step(&self, claim: Claim, task: u64, now: Timestamp) -> Step {
        Step {
            claim,
            task,
            remote_ids_unique: self.remote_ids_unique,
            columns_by_name: !self.lists_only,
            connector: "harbour 1.0.0".into(),
            requests: 1,
            bytes: 100,
            now,
        }
    }

    /// Advances one task by one step.
    pub(super) async fn advance(&mut self, db: &Db, claim: Claim, task: &Task, now: Timestamp) -> Advanced {
        let step = self.step(claim, task.number, now);
        let done = match &task.work {
            Work::Plan { scope } => db.apply_plan(step, vec![Self::partition(&text(scope))]).await,
            Work::Read { partition, want_columns, .. } => {
                let scope = text(&partition.scope);
                if task.cursor.is_none() {
                    self.listings.push(scope.clone());
                }
                let page = self.page(&scope, *want_columns || self.lists_only, task.cursor.as_ref());
                // Fails on its last page, when all but the end is known.
                if self.failing.contains(&scope) && page.next.is_none() {
                    let error = ObjectError {
                        path: partition.scope.clone(),
                        code: "unavailable".into(),
                        message: "the platform is down".into(),
                    };
                    db.fail_task(step, error).await
                } else {
                    db.apply_page(step, page).await
                }
            }
            Work::Columns { scope, .. } if self.loses_names => {
                self.lists_only = true;
                db.apply_listing_of_columns(step, vec![Self::partition(&text(scope))]).await
            }
            Work::Columns { scope, names, .. } => {
                let names: Vec<String> = names.iter().map(|name| format!("{}/{name}", text(scope))).collect();
                self.asked.extend(names.iter().cloned());
                let known: Vec<&String> = names.iter().filter(|name| self.things.contains_key(*name)).collect();
                let objects = known.iter().take(2).map(|name| self.scanned(name, true)).collect();
                let next = (known.len() > 2).then(|| Cursor("more".into()));
                db.apply_columns(step, Page { objects, next, ..Page::default() }).await
            }
            Work::Confirm { scope, names, by_name, .. } => {
                if self.confirms && *by_name {
                    let is_there = |name: &String| {
                        self.things.contains_key(format!("{}/{name}", text(scope)).trim_start_matches('/'))
                    };
                    let answer = |name| if is_there(name) { Presence::Present } else { Presence::Absent };
                    db.apply_presence(step, names.iter().map(answer).collect()).await
                } else {
                    db.apply_second_look(step, vec![Self::partition(&text(scope))]).await
                }
            }
            Work::Judge => {
                let verdicts = match task.cursor {
                    None => db.weigh_absences(claim).await.expect("weighed"),
                    Some(_) => Vec::new(),
                };
                db.judge(step, verdicts).await
            }
        };
        done.expect("step")
    }

    /// Does all tasks of a claimed job, and ends it.
    pub(super) async fn run(&mut self, db: &Db, claimed: Claimed, now: Timestamp) -> Job {
        let claim = claimed.claim;
        let mut tasks = claimed.tasks;
        while let Some(task) = tasks.pop() {
            let advanced = self.advance(db, claim, &task, now).await;
            tasks.extend(advanced.task);
            tasks.extend(advanced.added);
        }
        db.end_job(claim, JobEnd::Completed, now).await.expect("end")
    }
}

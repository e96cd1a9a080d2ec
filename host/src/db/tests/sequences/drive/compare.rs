//! What can be seen of the store, held against the model and, at the end, against the platform.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        super::super::{
            ObjectRef,
            feed::FeedQuery,
            objects::{Search, Sort},
        },
        model::{Id, Mark, ROOT, names},
    },
    Drive, Failure, ensure, said,
};
use crate::model::{
    change::ChangeKind,
    filter::Exclusion,
    hold::Decision,
    id::{HoldId, ObjectId},
    object::{ObjectView, RemoteStatus},
    path::ObjectPath,
    settings::Origin,
    sight::Sight,
};

impl Drive {
    async fn views(&self) -> Result<Vec<ObjectView>, Failure> {
        let mut views = Vec::new();
        views.extend(self.db.object(&Sight::All, &Self::object("")).await.map_err(said("read"))?);
        let search = Search {
            root: Some(Self::object("")),
            recursive: true,
            sort: Sort::ObjectPath,
            size: 500,
            ..Search::default()
        };
        views.extend(self.db.search(&Sight::All, search).await.map_err(said("search"))?.hits);
        Ok(views)
    }

    /// Compares all that can be read with the model; `wholly` also columns, searches and the rules of the store itself.
    pub(super) async fn compare(&mut self, wholly: bool) -> Result<(), Failure> {
        let views = self.views().await?;
        let holds = self.db.holds(&Sight::All, None).await.map_err(said("holds"))?.unwrap_or_default();
        let holds: BTreeMap<HoldId, String> = holds.into_iter().map(|hold| (hold.id, below(&hold.path))).collect();
        let mut shown: BTreeMap<String, ObjectId> = BTreeMap::new();
        for view in &views {
            let hold = view.held.and_then(|id| holds.get(&id));
            shown.insert(line(view, hold), view.id);
        }
        let expected = self.model.lines();
        if let Some(line) = expected.keys().find(|line| !shown.contains_key(*line)) {
            let path = line.split(' ').next().unwrap_or_default();
            let is_near = |other: &&String| other.split(' ').next() == Some(path) && !expected.contains_key(*other);
            let near: Vec<&String> = shown.keys().filter(is_near).collect();
            return Err(format!("expected\n    {line}\n  found\n    {near:?}"));
        }
        if let Some(line) = shown.keys().find(|line| !expected.contains_key(*line)) {
            return Err(format!("found what is not expected\n    {line}"));
        }
        for (line, id) in &expected {
            let is = shown[line];
            let was = *self.ids.entry(*id).or_insert(is);
            ensure(is == was, || format!("another object stands at\n    {line}"))?;
        }
        let distinct: BTreeSet<&ObjectId> = self.ids.values().collect();
        ensure(distinct.len() == self.ids.len(), || "an id is used twice, or again after its deletion".into())?;
        ensure(views.len() == self.model.items.len(), || "objects are shown twice".into())?;
        if wholly {
            self.compare_columns().await?;
            self.compare_searches().await?;
            self.compare_history().await?;
            self.compare_holds().await?;
            let violations = self.db.verify().await.map_err(said("verify"))?;
            ensure(violations.is_empty(), || format!("{violations:?}"))?;
        }
        Ok(())
    }

    async fn compare_columns(&self) -> Result<(), Failure> {
        for (id, item) in self.model.items.iter().filter(|(id, _)| **id != ROOT) {
            let object = ObjectRef::Id(self.ids[id]);
            let columns = self.db.columns(&Sight::All, &object).await.map_err(said("columns"))?;
            ensure(columns == item.columns, || {
                format!("columns of {}: {columns:?}, not {:?}", self.model.path(*id), item.columns)
            })?;
        }
        Ok(())
    }

    async fn compare_searches(&self) -> Result<(), Failure> {
        let search = Search { root: Some(Self::object("")), recursive: true, size: 500, ..Search::default() };
        for active in [true, false] {
            let hits = self.db.search(&Sight::All, Search { active: Some(active), ..search.clone() }).await;
            let hits = hits.map_err(said("search"))?.hits.len();
            let is_hit = |id: &&Id| **id != ROOT && self.model.is_active(**id) == active;
            let expected = self.model.items.keys().filter(is_hit).count();
            ensure(hits == expected, || format!("{hits} objects with active {active}, not {expected}"))?;
        }
        for (mark, status) in [(Mark::Present, RemoteStatus::Present), (Mark::Missing, RemoteStatus::Missing)] {
            let hits = self.db.search(&Sight::All, Search { remote_status: Some(status), ..search.clone() }).await;
            let hits = hits.map_err(said("search"))?.hits.len();
            let is_hit = |id: &&Id| **id != ROOT && self.model.status(**id) == mark;
            let expected = self.model.items.keys().filter(is_hit).count();
            ensure(hits == expected, || format!("{hits} objects are {mark:?}, not {expected}"))?;
        }
        Ok(())
    }

    async fn compare_holds(&self) -> Result<(), Failure> {
        let mut expected = self.model.holds();
        for hold in self.db.holds(&Sight::All, None).await.map_err(said("holds"))?.unwrap_or_default() {
            let held = self.db.held_objects(&Sight::All, hold.id, 500).await.map_err(said("held objects"))?;
            let held: BTreeSet<ObjectId> = held.into_iter().map(|held| held.object).collect();
            let scope = self.ids.iter().find(|(_, id)| **id == hold.scope).map(|(id, _)| *id);
            let ids = scope.and_then(|scope| expected.remove(&scope)).unwrap_or_default();
            let ids: BTreeSet<ObjectId> = ids.iter().map(|id| self.ids[id]).collect();
            ensure(held == ids, || format!("held in {:?} are {held:?}, not {ids:?}", hold.path))?;
        }
        ensure(expected.is_empty(), || format!("{expected:?} are held in vain"))
    }

    /// The feed tells how often what happened to which object, also to what is deleted since.
    async fn compare_history(&self) -> Result<(), Failure> {
        let mut told: BTreeMap<(ObjectId, &str), u64> = BTreeMap::new();
        let mut query = FeedQuery { size: 50, ..FeedQuery::default() };
        loop {
            let feed = self.db.changes(&Sight::All, &Self::object(""), query.clone()).await.map_err(said("changes"))?;
            for entry in &feed.entries {
                *told.entry((entry.object, ChangeKind::of(&entry.what).as_str())).or_default() += 1;
            }
            if !feed.more {
                break;
            }
            query.cursor = Some(feed.next);
        }
        let events = self.model.events.iter().map(|((id, what), times)| ((self.ids[id], *what), *times));
        let events: BTreeMap<(ObjectId, &str), u64> = events.collect();
        for (key, times) in &events {
            let is = told.get(key).copied().unwrap_or_default();
            ensure(is == *times, || format!("the history tells {is} times {key:?}, not {times} times"))?;
        }
        let extra: Vec<_> = told.keys().filter(|key| !events.contains_key(*key)).collect();
        ensure(extra.is_empty(), || format!("the history tells {extra:?}"))
    }

    /// With nothing in the way, one sync of everything makes the inventory equal to the platform (F3). This is judged
    /// without the model.
    pub(super) async fn read_everything(&mut self) -> Result<(), Failure> {
        self.is_quiet = true;
        self.platform.failing.clear();
        self.platform.hidden.clear();
        self.keep_witnesses();
        self.ask("", true).await?;
        self.settle(2).await?;
        self.compare(true).await?;
        while self.decide(0, Decision::Release).await? {}
        self.compare(true).await?;
        if self.had_same_ids && self.setup.remote_ids_unique {
            return Ok(());
        }
        let views = self.views().await?;
        let mut present: BTreeMap<String, &ObjectView> = BTreeMap::new();
        for view in views.iter().filter(|view| view.remote_status == RemoteStatus::Present && view.parent.is_some()) {
            let path = below(&view.path);
            ensure(!view.namespace.starts_with('~'), || format!("{path} is still put aside"))?;
            present.insert(path, view);
        }
        let is_shown = |name: &String| {
            let parts = names(name);
            let prefixes = (1..=parts.len()).map(|n| parts[..n].join("/"));
            let is_left_out = prefixes.into_iter().any(|prefix| self.platform.left_out.contains_key(&prefix));
            !is_left_out && !self.model.is_host_managed(&parts) && !self.model.leaves_out(&parts)
        };
        let there: BTreeSet<&String> = self.platform.things.keys().filter(|name| is_shown(name)).collect();
        let found: BTreeSet<&String> = present.keys().collect();
        ensure(there == found, || {
            let lacks: Vec<_> = there.difference(&found).collect();
            let extra: Vec<_> = found.difference(&there).collect();
            format!("the inventory lacks {lacks:?}, and has {extra:?} that is not there")
        })?;
        for (path, view) in present {
            let thing = &self.platform.things[&path];
            let facts = (view.facts.remote_id.as_ref(), &view.facts.comment);
            ensure(facts == (Some(&thing.remote_id), &thing.comment), || format!("{path} has other facts: {facts:?}"))?;
            if path.split('/').count() == 3 {
                let columns = self.db.columns(&Sight::All, &ObjectRef::Id(view.id)).await.map_err(said("columns"))?;
                ensure(columns.as_ref() == Some(&thing.columns), || format!("{path} has other columns: {columns:?}"))?;
            }
        }
        Ok(())
    }
}

/// The names below the connection.
fn below(path: &ObjectPath) -> String {
    path.segments()[1..].iter().map(|name| name.as_str()).collect::<Vec<_>>().join("/")
}

/// An object as the store shows it, written as the model writes its own.
fn line(view: &ObjectView, hold: Option<&String>) -> String {
    let status = match view.remote_status {
        RemoteStatus::Present => Mark::Present,
        RemoteStatus::Missing => Mark::Missing,
        RemoteStatus::Excluded => Mark::Excluded,
    };
    let why = match &view.exclusion {
        Some(Exclusion::Connector(why)) => Some(why.clone()),
        _ => None,
    };
    let own = view.overrides.is_active.map(|own| (own.value, own.origin == Origin::Sync));
    format!(
        "{}{} {:?} id={:?} comment={:?} columns={} {:?}({:?}) active={} settings={}/{} own={:?}/{:?} below={}/{} held={:?}",
        below(&view.path),
        if view.namespace.is_empty() { "" } else { " (aside)" },
        view.facts.kind,
        view.facts.remote_id,
        view.facts.comment,
        view.columns_known,
        status,
        why,
        view.active,
        view.settings.is_active,
        view.settings.new_children,
        own,
        view.overrides.new_children,
        view.child_count,
        view.descendants_have_overrides,
        hold,
    )
}

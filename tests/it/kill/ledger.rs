//! What a host has acknowledged, and what it may have done besides, written down outside of it.
//!
//! An object is known by its id, which never comes back once it is deleted. A write that is under way, or that a kill left
//! without an answer, may or may not have happened; there is one at a time for each object.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use serde_json::{Value, json};
use wharfinger_simulators::random::Random;

use super::LAKE;

/// What is set on an object itself. A rule that is not there is not set; null is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    is_active: Option<bool>,
    new_children: Option<Value>,
}

/// Whether an object was deleted itself. What lies below it is gone with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    No,
    Maybe,
    Yes,
}

/// An object that the host has shown.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) parent: Option<String>,
    level: usize,
    /// What may be set on it: one, or with a write in doubt two.
    pub(super) own: Vec<Own>,
    pub(super) deleted: Deleted,
    busy: bool,
}

/// A write to send.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Settings { id: String, settings: Value },
    Delete { id: String },
    Crawl { id: String, force: bool },
    Options(Value),
    Register,
    Deregister,
}

/// What became of a write.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Done(Value),
    /// With this status: nothing happened.
    Refused(u16),
    /// There is no answer.
    Cut,
    /// It never reached the host.
    Unsent,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) objects: BTreeMap<String, Known>,
    pub(super) gone: BTreeSet<String>,
    /// Options that the connection may have: none is known at first.
    pub(super) options: Vec<Value>,
    changing_options: bool,
    /// Whether the second connection may be there, or may not.
    pub(super) pond: Vec<bool>,
    /// The first sync of the second connection, where it is known to be there.
    pub(super) pond_bulk: Option<String>,
    /// Bulks that were acknowledged in this life, and in all.
    pub(super) bulks: Vec<String>,
    pub(super) all_bulks: Vec<String>,
    pub(super) cancelled: Vec<String>,
    /// Syncs that may still be asked for in this life, so that they do not pile up.
    pub(super) room: usize,
    pub(super) acknowledged: usize,
    pub(super) cut: usize,
}

impl Own {
    pub(super) fn of(overrides: &Value) -> Self {
        Self { is_active: overrides["isActive"].as_bool(), new_children: overrides.get("activateNewChildren").cloned() }
    }

    fn after(mut self, settings: &Value) -> Self {
        if let Some(status) = settings.get("isActive") {
            self.is_active = status.as_bool();
        }
        if let Some(rule) = settings.get("activateNewChildren") {
            self.new_children = Some(rule.clone()).filter(|rule| rule != "unset");
        }
        self
    }
}

impl Known {
    pub(super) fn new(object: &Value) -> Self {
        Self {
            parent: object["parentId"].as_str().map(str::to_owned),
            level: object["level"].as_u64().unwrap_or_default() as usize,
            own: vec![Own::of(&object["overrides"])],
            deleted: Deleted::No,
            busy: false,
        }
    }
}

impl Ledger {
    /// A random write that may be sent now; it counts as under way until its outcome is noted.
    pub(super) fn choose(&mut self, random: &mut Random) -> Option<Write> {
        match random.below(100) {
            0..70 => self.choose_settings(random),
            70..82 => self.choose_deletion(random),
            82..95 => self.choose_crawl(random),
            _ => self.choose_options(random),
        }
    }

    fn choose_settings(&mut self, random: &mut Random) -> Option<Write> {
        let level = 1 + random.below(4);
        let id = self.pick(level, random)?;
        let mut settings = json!({});
        if !random.one_in(4) {
            let status = if self.room > 0 { random.below(4) } else { 0 };
            settings["isActive"] = [json!(false), json!(null), json!(true), json!(true)][status].clone();
            self.room = self.room.saturating_sub(usize::from(status > 0));
        }
        if random.one_in(3) {
            settings["activateNewChildren"] =
                [json!(true), json!(false), json!(null), json!("unset")][random.below(4)].clone();
        }
        let known = self.objects.get_mut(&id)?;
        let after = known.own.last()?.clone().after(&settings);
        known.own.push(after);
        Some(Write::Settings { id, settings })
    }

    fn choose_deletion(&mut self, random: &mut Random) -> Option<Write> {
        let level = match random.below(20) {
            0 => 2,
            1..4 => 3,
            _ => 4,
        };
        let id = self.pick(level, random)?;
        self.objects.get_mut(&id)?.deleted = Deleted::Maybe;
        Some(Write::Delete { id })
    }

    fn choose_crawl(&mut self, random: &mut Random) -> Option<Write> {
        self.room = self.room.checked_sub(1)?;
        let level = 1 + random.below(4);
        let id = self.pick(level, random)?;
        // Any number of syncs of one object may be asked for.
        self.objects.get_mut(&id)?.busy = false;
        Some(Write::Crawl { id, force: random.one_in(3) })
    }

    fn choose_options(&mut self, random: &mut Random) -> Option<Write> {
        if self.changing_options {
            return None;
        }
        self.changing_options = true;
        let number = random.below(60);
        let exclude = [json!([]), json!([]), json!([["*", "*", format!("*{}", number % 10)]])][number % 3].clone();
        let options = json!({
            "forceRecursiveCrawl": random.one_in(2),
            "include": [],
            "exclude": exclude,
            "columnsMaxAge": if random.one_in(2) { json!(3600 + number) } else { json!(null) },
            "schedule": { "cron": format!("{number} 3 * * *"), "jitter": number },
        });
        self.options.push(options.clone());
        Some(Write::Options(options))
    }

    /// An object of a level that is there as far as is known, and that nobody changes.
    fn pick(&mut self, level: usize, random: &mut Random) -> Option<String> {
        let free = |id: &&String| !self.objects[*id].busy && !self.may_be_gone(id);
        let of_level = self.objects.iter().filter(|(_, known)| known.level == level).map(|(id, _)| id);
        let ids: Vec<&String> = of_level.filter(free).collect();
        let id = (*ids.get(random.below(ids.len()))?).clone();
        self.objects.get_mut(&id)?.busy = true;
        Some(id)
    }

    /// Whether the second connection is to be registered next, or deregistered.
    pub(super) fn choose_coming_or_going(&mut self) -> Write {
        let is_there = self.has_pond();
        self.pond = vec![is_there, !is_there];
        if is_there { Write::Deregister } else { Write::Register }
    }

    pub(super) fn has_pond(&self) -> bool {
        self.pond.last().copied().unwrap_or_default()
    }

    /// Notes what became of a write, and finds what cannot be.
    pub(super) fn note(&mut self, write: Write, outcome: &Outcome) -> anyhow::Result<()> {
        match outcome {
            Outcome::Done(_) => self.acknowledged += 1,
            Outcome::Cut => self.cut += 1,
            Outcome::Refused(_) | Outcome::Unsent => {}
        }
        match write {
            Write::Settings { id, settings } => self.note_settings(&id, &settings, outcome),
            Write::Delete { id } => self.note_deletion(&id, outcome),
            Write::Crawl { id, .. } => match outcome {
                Outcome::Done(answer) => self.note_bulk(answer),
                Outcome::Refused(status) => self.refused(&id, *status),
                Outcome::Cut | Outcome::Unsent => Ok(()),
            },
            Write::Options(options) => {
                self.changing_options = false;
                match outcome {
                    Outcome::Done(answer) => {
                        let is = chosen(&answer["options"]);
                        ensure!(is == options, "{options} became {is}");
                        self.options = vec![options];
                    }
                    // Somebody else's change was faster.
                    Outcome::Refused(409 | 412) | Outcome::Unsent => drop(self.options.pop()),
                    Outcome::Refused(status) => bail!("options {options} were refused: {status}"),
                    Outcome::Cut => {}
                }
                Ok(())
            }
            Write::Register | Write::Deregister => {
                match outcome {
                    Outcome::Done(answer) => {
                        self.pond.remove(0);
                        self.pond_bulk = answer["bulkId"].as_str().map(str::to_owned);
                    }
                    Outcome::Unsent => drop(self.pond.pop()),
                    Outcome::Refused(status) => bail!("{write:?} was refused: {status}"),
                    Outcome::Cut => self.pond_bulk = None,
                }
                Ok(())
            }
        }
    }

    fn note_settings(&mut self, id: &str, settings: &Value, outcome: &Outcome) -> anyhow::Result<()> {
        let Some(known) = self.objects.get_mut(id) else { bail!("{id} is not known") };
        known.busy = false;
        match outcome {
            Outcome::Done(answer) => {
                known.own.remove(0);
                let own = Own::of(&answer["overrides"]);
                ensure!(known.own == [own], "{settings} on {id} was answered with {answer}, not {:?}", known.own);
                self.note_bulk(answer)
            }
            Outcome::Refused(status) => {
                known.own.pop();
                self.refused(id, *status)
            }
            Outcome::Unsent => {
                known.own.pop();
                Ok(())
            }
            Outcome::Cut => Ok(()),
        }
    }

    fn note_deletion(&mut self, id: &str, outcome: &Outcome) -> anyhow::Result<()> {
        let Some(known) = self.objects.get_mut(id) else { bail!("{id} is not known") };
        known.busy = false;
        match outcome {
            Outcome::Done(_) => known.deleted = Deleted::Yes,
            Outcome::Refused(status) => {
                known.deleted = Deleted::No;
                return self.refused(id, *status);
            }
            Outcome::Unsent => known.deleted = Deleted::No,
            Outcome::Cut => {}
        }
        Ok(())
    }

    fn note_bulk(&mut self, answer: &Value) -> anyhow::Result<()> {
        let Some(bulk) = answer["bulkId"].as_str() else { bail!("no bulk: {answer}") };
        self.bulks.push(bulk.to_owned());
        Ok(())
    }

    /// Only what may be gone is refused.
    fn refused(&self, id: &str, status: u16) -> anyhow::Result<()> {
        ensure!(status == 404 && self.may_be_gone(id), "a write to {id} below {LAKE} was refused: {status}");
        Ok(())
    }

    /// Whether an object or what it lies in was deleted, or may have been.
    pub(super) fn may_be_gone(&self, id: &str) -> bool {
        self.lineage(id).any(|known| known.deleted != Deleted::No)
    }

    /// Whether an object or what it lies in was deleted.
    pub(super) fn is_gone(&self, id: &str) -> bool {
        self.lineage(id).any(|known| known.deleted == Deleted::Yes)
    }

    fn lineage<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Known> {
        let first = self.objects.get(id);
        std::iter::successors(first, |known| known.parent.as_ref().and_then(|parent| self.objects.get(parent)))
    }
}

/// Of a connection's options those that the drivers change.
pub(super) fn chosen(options: &Value) -> Value {
    let mut options = options.clone();
    if let Some(options) = options.as_object_mut() {
        options.remove("hold");
        options.remove("pin");
    }
    options
}

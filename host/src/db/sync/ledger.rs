//! What one write of a worker works with: its claim checked, its job and task read, and everything it changes noted until
//! the end, when counters, change rows, seen rows, tasks and the job are written once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::RangeInclusive,
    rc::Rc,
    time::Duration,
};

use redb::ReadableTable as _;

use super::{
    super::{
        changes::Noted,
        connections, connectors,
        counters::Pending,
        dry,
        fault::{Fault, Stop},
        jobs::{ClaimError, listed_scope, owned},
        queue,
        records::{JobRow, decode, encode, kind_number, micros},
        tables::WriteRows,
        tree::{self, Node},
    },
    Advanced, Step,
    columns::lists_for_columns,
};
use crate::model::{
    change::Values,
    diff::What,
    filter::{Filter, Way},
    job::{MAX_JOB_ERRORS, Task, Work},
    object::{Kind, RemoteStatus},
    page::ObjectError,
    path::RemotePath,
    settings::Inherited,
};

/// Names that one `Columns` task asks for at most.
const MAX_NAMES: usize = 1_000;

/// What a job is for.
pub(super) struct Target {
    /// The container that is listed, with everything below it.
    pub(super) scope: RemotePath,
    /// The object that was asked for: the same, or something in it.
    pub(super) object: RemotePath,
    /// The object's id, where it is no container: then nothing else in the scope is touched.
    pub(super) leaf: Option<u128>,
}

/// A container, with what its children inherit.
pub(super) struct Container {
    pub(super) id: u128,
    /// Ids from the connection's object down to the container.
    pub(super) lineage: Vec<u128>,
    pub(super) inherited: Inherited,
    pub(super) kind: u8,
    /// What the patterns may still say of its children; none where they leave it out.
    way: Option<Way>,
    /// Whether the connector leaves it or anything above it out.
    is_excluded: bool,
}

impl Container {
    pub(super) fn can_hold(&self) -> bool {
        self.kind == kind_number(Kind::Container)
    }

    /// Whether nothing in it is listed (D41).
    pub(super) fn is_left_out(&self) -> bool {
        self.is_excluded || self.way.is_none()
    }

    /// Whether the patterns keep its child of this name.
    pub(super) fn keeps(&self, filter: &Filter, name: &str) -> bool {
        self.way.as_ref().is_some_and(|way| filter.below(way, name).is_some())
    }
}

/// One write of a worker.
pub(super) struct Ledger<'a, 't> {
    pub(super) rows: &'a mut WriteRows<'t>,
    pub(super) step: Step,
    pub(super) job_id: u128,
    pub(super) job: JobRow,
    /// Whether the inventory stays as it is (`inventory.rs`).
    pub(super) dry: bool,
    /// Whether columns are read anew whatever their fingerprint says.
    pub(super) reads_all: bool,
    pub(super) task: Task,
    pub(super) target: Target,
    /// The top-level name that is never listed (F40).
    pub(super) host_managed: Option<String>,
    /// What of the account is listed.
    pub(super) filter: Filter,
    /// How long columns without a fingerprint count as current.
    pub(super) columns_max_age: Option<Duration>,
    /// When the patterns last let in more than before, in microseconds.
    pub(super) widened_at: Option<i64>,
    /// Sequence of this commit.
    pub(super) sequence: u64,
    /// Whether the inventory was changed, so that the sequence is used up.
    pub(super) dirty: bool,
    pub(super) pending: Pending,
    /// Objects that this page has placed.
    pub(super) placed: HashSet<u128>,
    /// Containers in which this page has shown something.
    pub(super) shown: HashSet<u128>,
    /// Children seen in this page, by container and namespace.
    pub(super) seen: BTreeMap<(u128, String), Vec<u128>>,
    /// Names whose columns are to be asked for, by container and namespace.
    pub(super) asked: BTreeMap<(RemotePath, String), Vec<String>>,
    pub(super) changes: Vec<Noted>,
    /// How many of the last of them a dry run's sync would hold back.
    pub(super) withheld: usize,
    added: Vec<Task>,
    root: u128,
    containers: HashMap<RemotePath, Rc<Container>>,
    earlier: HashMap<(u128, String), Rc<HashSet<u128>>>,
}

impl<'a, 't> Ledger<'a, 't> {
    /// Checks the claim and reads what the write needs. None where the task is done already.
    pub(super) fn open(rows: &'a mut WriteRows<'t>, step: Step) -> Result<Option<Self>, Stop<ClaimError>> {
        let job = owned(rows, step.claim)?;
        let job_id = step.claim.job.as_u128();
        let lost = || Stop::Refused(ClaimError::Lost);
        let chain = tree::lineage(rows, job.object)?.ok_or_else(lost)?;
        let connection = connections::connection(rows, job.connection)?.ok_or_else(lost)?;
        let task = rows.tasks.get((job_id, step.task))?.map(|row| decode(row.value())).transpose()?;
        let Some(task) = task else { return Ok(None) };
        let commit = rows.meta.get("commit")?.map_or(0, |row| row.value());
        let sequence = u64::try_from(commit + 1).map_err(|_| Fault::Broken("the commit sequence is out of range"))?;
        let dry = dry::is_dry(rows, job_id)?;
        let reads_all = connectors::is_shadow(rows, job_id)?;
        Ok(Some(Self {
            target: target(&chain)?,
            host_managed: connection.host_managed,
            filter: connection.options.filter,
            columns_max_age: connection.options.columns_max_age,
            widened_at: connection.widened_at.map(micros),
            sequence,
            dirty: false,
            pending: Pending::default(),
            placed: HashSet::new(),
            shown: HashSet::new(),
            seen: BTreeMap::new(),
            asked: BTreeMap::new(),
            changes: Vec::new(),
            withheld: 0,
            added: Vec::new(),
            root: job.connection,
            containers: HashMap::new(),
            earlier: HashMap::new(),
            rows,
            step,
            job_id,
            job,
            dry,
            reads_all,
            task,
        }))
    }

    /// Writes what was noted. `task` is the one in hand as it goes on; none ends it.
    pub(super) fn close(mut self, task: Option<Task>) -> Result<Advanced, Fault> {
        self.flush()?;
        self.ask_for_columns()?;
        self.write_changes()?;
        self.free_seen()?;
        match &task {
            Some(task) => queue::put_task(self.rows, self.job_id, task)?,
            None => {
                self.drop_task()?;
                self.end_with_judgement()?;
            }
        }
        self.job.counts.requests += self.step.requests;
        self.job.counts.bytes += self.step.bytes;
        self.job.connector = Some(std::mem::take(&mut self.step.connector));
        queue::put_job(self.rows, self.job_id, &self.job)?;
        Ok(Advanced { task, added: self.added })
    }

    /// Adds a task to the job.
    pub(super) fn add_task(&mut self, work: Work) -> Result<(), Fault> {
        let number = self.job.next_task;
        self.job.next_task += 1;
        if let Work::Read { partition, .. } = &work {
            if !lists_for_columns(&work) {
                self.count_readers(&partition.scope.clone(), 1)?;
            }
            self.job.counts.partitions += 1;
        }
        let task = Task::new(number, work);
        queue::put_task(self.rows, self.job_id, &task)?;
        self.added.push(task);
        Ok(())
    }

    /// Whether tasks came up in this write.
    pub(super) fn has_added(&self) -> bool {
        !self.added.is_empty()
    }

    fn drop_task(&mut self) -> Result<(), Fault> {
        if let Work::Read { partition, .. } = &self.task.work {
            let scope = partition.scope.clone();
            if !lists_for_columns(&self.task.work) {
                self.count_readers(&scope, -1)?;
            }
            self.job.counts.partitions_done += 1;
        }
        self.rows.tasks.remove((self.job_id, self.task.number))?;
        Ok(())
    }

    /// Listings of exactly this container that are not done.
    pub(super) fn readers(&self, scope: &RemotePath) -> Result<u64, Fault> {
        let key = scope_key(scope)?;
        Ok(self.rows.readers.get((self.job_id, key.as_str()))?.map_or(0, |row| row.value()))
    }

    fn count_readers(&mut self, scope: &RemotePath, difference: i64) -> Result<(), Fault> {
        let key = scope_key(scope)?;
        let count = self.readers(scope)?.saturating_add_signed(difference);
        if count == 0 {
            self.rows.readers.remove((self.job_id, key.as_str()))?;
        } else {
            self.rows.readers.insert((self.job_id, key.as_str()), count)?;
        }
        Ok(())
    }

    /// Notes a change. Its rows are the caller's business.
    pub(super) fn note(&mut self, object: u128, what: What) {
        self.dirty = true;
        self.changes.push(Noted::new(object, what));
    }

    /// Adds to the change that was noted last what was before and after.
    pub(super) fn tell(&mut self, values: Values) {
        if let Some(last) = self.changes.last_mut() {
            last.values = Some(values);
        }
    }

    /// Adds to the change that was noted last the lineage of the container that the object was in.
    pub(super) fn tell_from(&mut self, lineage: Vec<u128>) {
        if let Some(last) = self.changes.last_mut() {
            last.from = Some(lineage);
        }
    }

    /// Reports what could not be done about one object; the rest goes on. A job for a single object lists its siblings on
    /// the way: what is wrong with them is not its business.
    pub(super) fn report(&mut self, path: &RemotePath, code: &str, message: &str) -> Result<(), Fault> {
        let target = &self.target;
        if target.leaf.is_some() && !path.is_within(&target.object) && !target.object.is_within(path) {
            return Ok(());
        }
        self.report_always(path, code, message)
    }

    /// Reports what concerns the job's object, wherever it was delivered.
    pub(super) fn report_always(&mut self, path: &RemotePath, code: &str, message: &str) -> Result<(), Fault> {
        self.job.counts.errors += 1;
        let listed = self.job.errors_listed;
        if usize::try_from(listed).is_ok_and(|n| n < MAX_JOB_ERRORS) {
            let error = ObjectError { path: path.clone(), code: bounded(code, 64), message: bounded(message, 2048) };
            self.rows.job_errors.insert((self.job_id, listed), encode(&error)?.as_slice())?;
            self.job.errors_listed += 1;
        }
        Ok(())
    }

    /// Whether a path lies below the name that the host manages itself.
    pub(super) fn is_host_managed(&self, path: &RemotePath) -> bool {
        match (&self.host_managed, path.0.first()) {
            (Some(managed), Some(first)) => managed == first.as_str(),
            _ => false,
        }
    }

    /// The container at a path, if it is stored. Remembered, because a page's objects share few.
    pub(super) fn container(&mut self, path: &RemotePath) -> Result<Option<Rc<Container>>, Fault> {
        if let Some(known) = self.containers.get(path) {
            return Ok(Some(Rc::clone(known)));
        }
        let (id, above) = match path.0.split_last() {
            None => (self.root, None),
            Some((name, rest)) => {
                let Some(above) = self.container(&RemotePath(rest.to_vec()))? else { return Ok(None) };
                let Some(id) = tree::child(self, above.id, "", name.as_str())? else { return Ok(None) };
                (id, Some(above))
            }
        };
        let Some(row) = tree::object(self, id)? else { return Ok(None) };
        let (mut lineage, inherited, way, above_excluded) = match (above, path.0.last()) {
            (Some(above), Some(name)) => {
                let way = above.way.as_ref().and_then(|way| self.filter.below(way, name.as_str()));
                (above.lineage.clone(), above.inherited, way, above.is_excluded)
            }
            _ => (Vec::new(), Inherited::default(), Some(self.filter.top()), false),
        };
        let is_excluded = above_excluded || row.mark() == RemoteStatus::Excluded;
        lineage.push(id);
        let inherited = inherited.then(&tree::overrides(self, id)?);
        let container = Rc::new(Container { id, lineage, inherited, kind: row.kind, way, is_excluded });
        self.containers.insert(path.clone(), Rc::clone(&container));
        Ok(Some(container))
    }

    /// Forgets remembered containers: something moved, or changed what it is or whether it is left out.
    pub(super) fn forget_containers(&mut self) {
        self.containers.clear();
    }

    /// Ids of a container's children that earlier pages of this job have seen.
    pub(super) fn seen_earlier(&mut self, container: u128, namespace: &str) -> Result<Rc<HashSet<u128>>, Fault> {
        let key = (container, namespace.to_owned());
        if let Some(known) = self.earlier.get(&key) {
            return Ok(Rc::clone(known));
        }
        let ids = Rc::new(self.seen_on(container, namespace, 0..=u64::MAX)?);
        self.earlier.insert(key, Rc::clone(&ids));
        Ok(ids)
    }

    /// Ids of a container's children that these pages have seen.
    pub(super) fn seen_on(
        &self,
        container: u128,
        namespace: &str,
        pages: RangeInclusive<u64>,
    ) -> Result<HashSet<u128>, Fault> {
        let (first, last) = pages.into_inner();
        let mut ids = HashSet::new();
        let range = (self.job_id, container, namespace, first)..=(self.job_id, container, namespace, last);
        for row in self.rows.seen.range(range)? {
            let (_, packed) = row?;
            let (chunks, _) = packed.value().as_chunks::<16>();
            ids.extend(chunks.iter().map(|bytes| u128::from_be_bytes(*bytes)));
        }
        Ok(ids)
    }

    /// Drops what was seen of a container: it is closed, or proves nothing any more.
    pub(super) fn drop_seen(&mut self, container: u128, namespace: &str) -> Result<(), Fault> {
        let key = (container, namespace.to_owned());
        self.seen.remove(&key);
        self.earlier.remove(&key);
        let range = (self.job_id, container, namespace, 0)..=(self.job_id, container, namespace, u64::MAX);
        self.rows.seen.retain_in(range, |_, _| false)?;
        Ok(())
    }

    /// Notes `other` as seen on each page that has seen `one`: the two were taken for one there.
    pub(super) fn share_seen(&mut self, container: u128, namespace: &str, one: u128, other: u128) -> Result<(), Fault> {
        let key = (container, namespace.to_owned());
        if let Some(ids) = self.seen.get_mut(&key)
            && ids.contains(&one)
        {
            ids.push(other);
        }
        if !self.seen_earlier(container, namespace)?.contains(&one) {
            return Ok(());
        }
        if let Some(ids) = self.earlier.get_mut(&key) {
            Rc::make_mut(ids).insert(other);
        }
        let mut shared = Vec::new();
        let range = (self.job_id, container, namespace, 0)..=(self.job_id, container, namespace, u64::MAX);
        for row in self.rows.seen.range(range)? {
            let (key, packed) = row?;
            let (chunks, _) = packed.value().as_chunks::<16>();
            if chunks.contains(&one.to_be_bytes()) {
                shared.push((key.value().3, [packed.value(), &other.to_be_bytes()].concat()));
            }
        }
        for (page, packed) in shared {
            self.rows.seen.insert((self.job_id, container, namespace, page), packed.as_slice())?;
        }
        Ok(())
    }

    /// Writes what this page has seen, one row for each container. Must come before the page is counted.
    pub(super) fn write_seen(&mut self) -> Result<(), Fault> {
        for ((container, namespace), ids) in std::mem::take(&mut self.seen) {
            let packed: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
            let key = (self.job_id, container, namespace.as_str(), self.job.counts.pages);
            self.rows.seen.insert(key, packed.as_slice())?;
        }
        Ok(())
    }

    fn ask_for_columns(&mut self) -> Result<(), Fault> {
        let can_be_asked = self.step.columns_by_name && !lists_for_columns(&self.task.work);
        for ((scope, namespace), mut names) in std::mem::take(&mut self.asked) {
            if !can_be_asked {
                let count = names.len();
                let message = format!("the connector lists {count} objects without their columns; the known ones stay");
                self.report(&scope, "columns-missing", &message)?;
                continue;
            }
            while !names.is_empty() {
                let rest = names.split_off(names.len().min(MAX_NAMES));
                self.add_task(Work::Columns { scope: scope.clone(), namespace: namespace.clone(), names })?;
                names = rest;
            }
        }
        Ok(())
    }
}

fn target(chain: &[Node]) -> Result<Target, Fault> {
    let leaf = chain.last().filter(|node| node.row.kind() != Kind::Container).map(|node| node.id);
    Ok(Target { scope: listed_scope(chain)?, object: tree::remote_path_of(chain)?, leaf })
}

fn scope_key(scope: &RemotePath) -> Result<String, Fault> {
    serde_json::to_string(scope).map_err(|_| Fault::Broken("a path cannot be written"))
}

fn bounded(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

//! Layout 2: connections have patterns and an age of columns, jobs count what is left out, tasks count pages that brought
//! nothing. The rows of layout 1 as they were, and their way to the present ones.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::super::{
    fault::Fault,
    records::{ConnectionRow, JobRow, decode, encode, time},
    tables::WriteRows,
};
use crate::model::{
    connection::{Actor, Address, Connection, ConnectionOptions},
    id::ConnectionId,
    job::{JobError, SyncCounts, Task, Work},
    name::{ConnectionKey, Technology},
    page::Cursor,
    path::ObjectPath,
};

const CONNECTIONS: TableDefinition<'static, u128, &'static [u8]> = TableDefinition::new("connections/1");
const JOBS: TableDefinition<'static, u128, &'static [u8]> = TableDefinition::new("jobs/1");
const TASKS: TableDefinition<'static, (u128, u64), &'static [u8]> = TableDefinition::new("tasks/1");

#[derive(Serialize, Deserialize)]
struct OldConnection {
    key: ConnectionKey,
    technology: Technology,
    config: String,
    address: Address,
    identity: Option<String>,
    host_managed: Option<String>,
    force_recursive_crawl: bool,
    revision: u64,
    created_by: Actor,
    updated_by: Actor,
    created_at: i64,
    updated_at: i64,
}

#[derive(Serialize, Deserialize)]
struct OldJob {
    bulk: u128,
    force_recursive: bool,
    connection: u128,
    object: u128,
    object_path: ObjectPath,
    state: u8,
    claim: Option<(u128, u64)>,
    epoch: u64,
    failures: u32,
    due_at: i64,
    counts: OldCounts,
    connector: Option<String>,
    error: Option<JobError>,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    next_task: u64,
    errors_listed: u64,
}

#[derive(Serialize, Deserialize)]
struct OldCounts {
    seen: BTreeMap<String, u64>,
    added: BTreeMap<String, u64>,
    changed: BTreeMap<String, u64>,
    missing: BTreeMap<String, u64>,
    returned: BTreeMap<String, u64>,
    columns_added: u64,
    columns_changed: u64,
    columns_deleted: u64,
    errors: u64,
    skipped: u64,
    pages: u64,
    requests: u64,
    bytes: u64,
    partitions: u64,
    partitions_done: u64,
}

#[derive(Serialize, Deserialize)]
struct OldTask {
    number: u64,
    work: Work,
    cursor: Option<Cursor>,
    not_before: Option<Timestamp>,
    failures: u32,
    restarts: u32,
}

/// Rewrites the rows of three tables.
pub(super) fn migrate(transaction: &WriteTransaction, rows: &mut WriteRows<'_>) -> Result<(), Fault> {
    {
        let connections = transaction.open_table(CONNECTIONS)?;
        for row in connections.iter()? {
            let (id, row) = row?;
            rows.connections.insert(id.value(), encode(&connection(id.value(), read(row.value())?)?)?.as_slice())?;
        }
        let jobs = transaction.open_table(JOBS)?;
        for row in jobs.iter()? {
            let (id, row) = row?;
            rows.jobs.insert(id.value(), encode(&job(read(row.value())?))?.as_slice())?;
        }
        let tasks = transaction.open_table(TASKS)?;
        for row in tasks.iter()? {
            let (key, row) = row?;
            rows.tasks.insert(key.value(), encode(&task(read(row.value())?))?.as_slice())?;
        }
    }
    transaction.delete_table(CONNECTIONS)?;
    transaction.delete_table(JOBS)?;
    transaction.delete_table(TASKS)?;
    Ok(())
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    decode(bytes)
}

fn connection(id: u128, old: OldConnection) -> Result<ConnectionRow, Fault> {
    let config = serde_json::from_str(&old.config).map_err(|_| Fault::Broken("a configuration is no JSON"))?;
    Ok(ConnectionRow::from(Connection {
        id: ConnectionId::from_u128(id),
        key: old.key,
        technology: old.technology,
        config,
        address: old.address,
        identity: old.identity,
        host_managed: old.host_managed,
        options: ConnectionOptions { force_recursive_crawl: old.force_recursive_crawl, ..ConnectionOptions::default() },
        widened_at: None,
        revision: old.revision,
        created_by: old.created_by,
        updated_by: old.updated_by,
        created_at: time(old.created_at)?,
        updated_at: time(old.updated_at)?,
    }))
}

fn job(old: OldJob) -> JobRow {
    let counts = SyncCounts {
        seen: old.counts.seen,
        added: old.counts.added,
        changed: old.counts.changed,
        missing: old.counts.missing,
        returned: old.counts.returned,
        excluded: BTreeMap::new(),
        columns_added: old.counts.columns_added,
        columns_changed: old.counts.columns_changed,
        columns_deleted: old.counts.columns_deleted,
        errors: old.counts.errors,
        skipped: old.counts.skipped,
        pages: old.counts.pages,
        requests: old.counts.requests,
        bytes: old.counts.bytes,
        partitions: old.counts.partitions,
        partitions_done: old.counts.partitions_done,
        held: 0,
    };
    JobRow {
        bulk: old.bulk,
        force_recursive: old.force_recursive,
        connection: old.connection,
        object: old.object,
        object_path: old.object_path,
        state: old.state,
        claim: old.claim,
        epoch: old.epoch,
        failures: old.failures,
        due_at: old.due_at,
        counts,
        connector: old.connector,
        error: old.error,
        created_at: old.created_at,
        started_at: old.started_at,
        ended_at: old.ended_at,
        next_task: old.next_task,
        errors_listed: old.errors_listed,
    }
}

fn task(old: OldTask) -> Task {
    Task {
        cursor: old.cursor,
        not_before: old.not_before,
        failures: old.failures,
        restarts: old.restarts,
        ..Task::new(old.number, old.work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{id::PrincipalId, path::RemotePath};

    /// A store of layout 1 with a row of each table, as its program wrote them.
    fn layout_1() -> redb::Database {
        let database =
            redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).expect("database");
        let transaction = database.begin_write().expect("write");
        let actor = Actor { id: PrincipalId::from_u128(9), name: "admin".into(), email: None };
        let connection = OldConnection {
            key: "K".parse().expect("key"),
            technology: "Harbour".parse().expect("technology"),
            config: "{\"role\":\"R\"}".into(),
            address: Address { insecure: false, hostname: "h.example".into(), port: 443 },
            identity: Some("account".into()),
            host_managed: None,
            force_recursive_crawl: true,
            revision: 4,
            created_by: actor.clone(),
            updated_by: actor,
            created_at: 1,
            updated_at: 2,
        };
        let job = OldJob {
            bulk: 5,
            force_recursive: false,
            connection: 7,
            object: 7,
            object_path: ObjectPath::from_segments(["K"]).expect("path"),
            state: 2,
            claim: None,
            epoch: 1,
            failures: 1,
            due_at: 3,
            counts: OldCounts {
                seen: [("table".to_owned(), 12)].into(),
                added: BTreeMap::new(),
                changed: BTreeMap::new(),
                missing: BTreeMap::new(),
                returned: [("table".to_owned(), 1)].into(),
                columns_added: 1,
                columns_changed: 2,
                columns_deleted: 3,
                errors: 4,
                skipped: 5,
                pages: 6,
                requests: 7,
                bytes: 8,
                partitions: 9,
                partitions_done: 10,
            },
            connector: Some("harbour 1.0.0".into()),
            error: None,
            created_at: 1,
            started_at: Some(2),
            ended_at: None,
            next_task: 3,
            errors_listed: 4,
        };
        let task = OldTask {
            number: 2,
            work: Work::Plan { scope: RemotePath::default() },
            cursor: Some(Cursor("c".into())),
            not_before: None,
            failures: 1,
            restarts: 2,
        };
        {
            let mut rows = transaction.open_table(CONNECTIONS).expect("table");
            rows.insert(7, encode(&connection).expect("row").as_slice()).expect("insert");
            let mut rows = transaction.open_table(JOBS).expect("table");
            rows.insert(8, encode(&job).expect("row").as_slice()).expect("insert");
            let mut rows = transaction.open_table(TASKS).expect("table");
            rows.insert((8, 2), encode(&task).expect("row").as_slice()).expect("insert");
            let mut meta = transaction.open_table(TableDefinition::<&str, u128>::new("meta/1")).expect("table");
            meta.insert("schema", 1).expect("insert");
        }
        transaction.commit().expect("commit");
        database
    }

    #[test]
    fn a_store_of_layout_1_is_read_on() {
        let database = layout_1();
        let transaction = database.begin_write().expect("write");
        {
            let mut rows = WriteRows::open(&transaction).expect("tables");
            super::super::migrate(&transaction, &mut rows).expect("migrate");
            let connection = super::super::super::connections::connection(&rows, 7).expect("read").expect("connection");
            assert_eq!((connection.key.as_str(), connection.revision), ("K", 4));
            assert_eq!(connection.config["role"], "R");
            let expect = ConnectionOptions { force_recursive_crawl: true, ..ConnectionOptions::default() };
            assert_eq!((connection.options, connection.widened_at), (expect, None));
            let job: JobRow = decode(rows.jobs.get(8).expect("get").expect("job").value()).expect("row");
            assert_eq!((job.counts.seen["table"], job.counts.partitions_done, job.errors_listed), (12, 10, 4));
            assert!(job.counts.excluded.is_empty() && job.next_task == 3);
            let task: Task = decode(rows.tasks.get((8, 2)).expect("get").expect("task").value()).expect("row");
            assert_eq!((task.restarts, task.idle, task.cursor), (2, 0, Some(Cursor("c".into()))));
        }
        transaction.commit().expect("commit");
        let names: Vec<String> = {
            let transaction = redb::ReadableDatabase::begin_read(&database).expect("read");
            let tables = transaction.list_tables().expect("tables");
            tables.map(|table| redb::TableHandle::name(&table).to_owned()).collect()
        };
        assert!(names.iter().all(|name| !["connections/1", "jobs/1", "tasks/1"].contains(&name.as_str())), "{names:?}");
    }
}

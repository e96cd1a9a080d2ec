//! Every table of the store, in one place.
//!
//! Names carry the version of their layout; a row's layout changes only together with the name, in a migration. Ids are
//! UUIDv7 as numbers, so that rows made together lie together. `bytes` are postcard rows, described in [`super::records`].
//! Nothing outside `db` sees these types.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

use super::names::Children;

type Bytes = &'static [u8];
/// Parent, namespace, name: the children of a container lie together, by namespace, then by name in code point order.
pub(super) type ChildKey = (u128, &'static str, &'static str);

/// (parent, namespace, name) → child. An object that is not reachable from a connection's through this table is gone.
const CHILDREN: TableDefinition<'static, ChildKey, u128> = TableDefinition::new("children/1");

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $name:literal, $key:ty => $value:ty;)*) => {
        /// The tables of a write transaction.
        pub(super) struct WriteRows<'t> {
            /// [`CHILDREN`], noting names.
            pub(super) children: Children<'t>,
            $($(#[$doc])* pub(super) $field: Table<'t, $key, $value>,)*
        }

        /// The tables as they stood at one moment.
        pub(super) struct ReadRows {
            /// [`CHILDREN`].
            pub(super) children: ReadOnlyTable<ChildKey, u128>,
            $($(#[$doc])* pub(super) $field: ReadOnlyTable<$key, $value>,)*
        }

        /// Either of the two, for what only reads.
        #[allow(dead_code, reason = "one list makes all three; not every table is read through both")]
        pub(super) trait Rows {
            /// [`CHILDREN`].
            fn children(&self) -> &impl ReadableTable<ChildKey, u128>;
            $($(#[$doc])* fn $field(&self) -> &impl ReadableTable<$key, $value>;)*
        }

        impl Rows for WriteRows<'_> {
            fn children(&self) -> &impl ReadableTable<ChildKey, u128> { &*self.children }
            $(fn $field(&self) -> &impl ReadableTable<$key, $value> { &self.$field })*
        }

        impl Rows for ReadRows {
            fn children(&self) -> &impl ReadableTable<ChildKey, u128> { &self.children }
            $(fn $field(&self) -> &impl ReadableTable<$key, $value> { &self.$field })*
        }

        impl<'t> WriteRows<'t> {
            /// Opens all tables, making those that do not exist.
            pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, TableError> {
                Ok(Self {
                    children: Children::new(transaction.open_table(CHILDREN)?),
                    $($field: transaction.open_table(TableDefinition::<$key, $value>::new($name))?,)*
                })
            }
        }

        impl ReadRows {
            /// Opens all tables; they were made when the store was opened.
            pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, TableError> {
                Ok(Self {
                    children: transaction.open_table(CHILDREN)?,
                    $($field: transaction.open_table(TableDefinition::<$key, $value>::new($name))?,)*
                })
            }
        }
    };
}

tables! {
    /// `schema` → version; `commit` → sequence of the last commit that changed the inventory; `incarnation` → the run of
    /// the host that has the store open.
    meta: "meta/1", &'static str => u128;

    /// Object → what is stored of it (`ObjectRow`).
    objects: "objects/1", u128 => Bytes;
    /// Object that the connector leaves out → why.
    exclusions: "exclusions/1", u128 => &'static str;
    /// Object → its columns, in the platform's order (`Vec<Column>`). Only where they were ever delivered.
    columns: "columns/1", u128 => Bytes;
    /// Object without a fingerprint → when its columns were last read, in microseconds. Only where the connection says how
    /// long that counts, and apart from the object, so that a sync that reads no columns writes nothing.
    columns_read: "columns_read/1", u128 => i64;
    /// Object → what is set on it (`Overrides`). Only where something is.
    overrides: "overrides/1", u128 => Bytes;
    /// Container → numbers about its descendants (`Counters`). Only where it has any.
    counters: "counters/1", u128 => (u64, u64, u64, u64);
    /// (container, namespace) → when and as whom it was last listed completely (`ListedRow`). Apart from the object, so
    /// that a sync that finds nothing new writes no object.
    listed: "listed/1", (u128, &'static str) => Bytes;
    /// (connection, remote id) → object, where the connector's remote ids are unique.
    remote_ids: "remote_ids/1", (u128, &'static str) => u128;
    /// (connection, commit sequence) → what that commit changed (`ChangesRow`).
    changes: "changes/1", (u128, u64) => Bytes;
    /// (connection, commit sequence) → who made the commit, and where each of its changes was and from what value to what
    /// (`DetailsRow`).
    change_details: "change_details/1", (u128, u64) => Bytes;
    /// (object, commit sequence) → (): commits that changed the object.
    object_changes: "object_changes/1", (u128, u64) => ();
    /// (job, commit sequence) → connection: commits of a job that changed something.
    job_changes: "job_changes/1", (u128, u64) => u128;
    /// Connection → sequence and time in microseconds of the last of its commits whose changes are kept no more.
    pruned: "pruned/1", u128 => (u64, i64);
    /// Root of a deleted subtree → (): its rows are still to be given back.
    reclaim: "reclaim/1", u128 => ();

    /// Connection → the account (`ConnectionRow`).
    connections: "connections/2", u128 => Bytes;
    /// Display name → connection.
    connection_keys: "connection_keys/1", &'static str => u128;
    /// Connection → its secrets, sealed.
    secrets: "secrets/1", u128 => Bytes;

    /// Job → how it stands (`JobRow`).
    jobs: "jobs/2", u128 => Bytes;
    /// Job → what is fixed about it besides its row (`FactsRow`).
    job_facts: "job_facts/1", u128 => Bytes;
    /// Bulk → the job that stands for it, while jobs of the bulk have not ended.
    job_groups: "job_groups/1", u128 => u128;
    /// (end, in microseconds; job) → (): jobs that have ended.
    ended: "jobs_ended/1", (i64, u128) => ();
    /// Connection → its sync that ended last.
    last_syncs: "last_syncs/1", u128 => u128;
    /// Connection → number of the claim that was its last: whose turn it is.
    turns: "turns/1", u128 => u64;
    /// Connection → when it is synced by itself, and when it last was (`ScheduleRow`).
    schedules: "schedules/1", u128 => Bytes;
    /// Sync that only computes the difference → changes that it has found. The job is one because it has a row here.
    dry_runs: "dry_runs/1", u128 => u64;
    /// (dry run, changes found before) → changes that one of its steps found (`DryChangesRow`).
    dry_changes: "dry_changes/1", (u128, u64) => Bytes;
    /// Dry run → what its sync would hold back (`Vec<Verdict>`). Only where it would.
    dry_holds: "dry_holds/1", u128 => Bytes;
    /// Dry run that one version of a connector carries out, whatever serves → which, and for which of its changes of version
    /// (`ShadowRow`).
    shadows: "shadows/1", u128 => Bytes;
    /// (dry run, number of a table of the inventory, key) → the row that the sync would have there by now, none where it
    /// would have none: what the rest of the job looks at instead of the table. Only where it differs.
    drafts: "drafts/1", (u128, u8, Bytes) => Option<Bytes>;
    /// (bulk, job) → ().
    job_bulks: "job_bulks/1", (u128, u128) => ();
    /// (due, in microseconds; job) → (): jobs that wait to be claimed.
    waiting: "jobs_waiting/1", (i64, u128) => ();
    /// (connection, job) → (): jobs that are claimed.
    active: "jobs_active/1", (u128, u128) => ();
    /// (job, number) → a per-object error, at most 1000 of each job.
    job_errors: "job_errors/1", (u128, u64) => Bytes;
    /// (job, number) → a part of the work that is left (`Task`).
    tasks: "tasks/2", (u128, u64) => Bytes;
    /// (job, container, namespace, page) → ids of children that the page carried, 16 bytes each. Dropped when the
    /// container is closed: what absence is computed from survives a restart and is bounded by the largest container.
    seen: "seen/1", (u128, u128, &'static str, u64) => Bytes;
    /// (job, container, namespace) → basis: listed completely, but children were not in it and are looked for again (D36).
    doubts: "doubts/1", (u128, u128, &'static str) => &'static str;
    /// (job, container, namespace) → pages of the job before the second listing of the container began.
    second_looks: "second_looks/1", (u128, u128, &'static str) => u64;
    /// (job, container) → (): a part of its listing failed, so that this job proves nothing about it.
    unproven: "unproven/1", (u128, u128) => ();
    /// (job, object) → where it was before this job moved it (`PlaceRow`): what an id delivered twice is taken back to.
    moved: "moved/1", (u128, u128) => Bytes;
    /// (job, object) → where it was when a complete listing and a second look did not have it, and on what basis that was
    /// (`AbsentRow`): judged when the job has nothing else left to do (D33).
    absent: "absent/1", (u128, u128) => Bytes;
    /// (job, scope) → what the job found to be too much (`VerdictRow`), while its absences are told apart by it.
    verdicts: "verdicts/1", (u128, u128) => Bytes;
    /// Job → objects that it held back.
    job_held: "job_held/1", u128 => u64;
    /// (container, namespace) → basis of the last listing that nobody doubts. Only where the last one had another, and
    /// what vanished with it is not decided.
    trusted: "trusted/1", (u128, &'static str) => &'static str;
    /// Hold → what is held back together, and why (`HoldRow`).
    holds: "holds/1", u128 => Bytes;
    /// (hold, object) → where it was when it was proved to be absent, and its type (`HeldRow`).
    held: "held/1", (u128, u128) => Bytes;
    /// Object that is held → hold.
    held_objects: "held_objects/1", u128 => u128;
    /// (connection, hold) → ().
    connection_holds: "connection_holds/1", (u128, u128) => ();
    /// (job that judged it last, hold) → ().
    job_holds: "job_holds/1", (u128, u128) => ();
    /// Object in or below which something is held → the hold, while nobody has decided about it.
    scope_holds: "scope_holds/1", u128 => u128;
    /// Hold → what a person has decided about it (`DecidedRow`): it is carried out in small transactions.
    decided: "decided_holds/1", u128 => Bytes;
    /// Connection → when its absences are held back (`HoldRule`). Only where somebody has chosen it.
    hold_rules: "hold_rules/1", u128 => Bytes;
    /// (job, remote id) → object that had it before it seemed to be made anew: a later page may show that it was renamed.
    recreated: "recreated/1", (u128, &'static str) => u128;
    /// (job, scope as JSON) → listings of that container that are not done: only the last one can complete it.
    readers: "readers/1", (u128, &'static str) => u64;
    /// (job, partition) → (): partitions that the job knows; one that comes again is not read again.
    partitions: "partitions/1", (u128, &'static str) => ();

    /// Name → a connector that is installed, and which of its versions serves whom (`Installed`).
    connectors: "connectors/2", &'static str => Bytes;
    /// (connector, version) → a component that is installed (`Version`); its bytes are a file, by digest.
    connector_versions: "connector_versions/2", (&'static str, &'static str) => Bytes;
    /// Connection → the version of its connector that serves it whatever becomes active.
    pins: "pins/1", u128 => &'static str;
    /// (connection, version) → its configuration as it was when a newer version than this one first got another
    /// (`KeptRow`): what comes back with the version.
    kept_configs: "kept_configs/1", (u128, &'static str) => Bytes;
    /// Number → what somebody did (`AuditEntry`).
    audit: "audit/1", u64 => Bytes;

    /// Principal → who it is, and the digest of its key (`PrincipalRow`).
    principals: "principals/1", u128 => Bytes;
    /// Digest of an API key → principal.
    principal_keys: "principal_keys/1", &'static [u8; 32] => u128;
    /// Digest of a browser session's token → (principal, end in microseconds).
    sessions: "sessions/1", &'static [u8; 32] => (u128, i64);
}

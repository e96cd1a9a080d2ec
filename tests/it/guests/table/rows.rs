//! The rows. Their order is that of a connector's life: loaded, called, synced.

use wharfinger_tests::guests;

use super::{
    Act::{self, Again, Asks, Besides, Check, Columns, Confirm, Endless, Load, Plan, Read, Sync},
    Row,
};

const fn row(
    sin: &'static str,
    guest: &'static str,
    act: Act,
    stopped_by: &'static str,
    sees: (&'static str, &'static str),
) -> Row {
    Row { sin, guest, act, stopped_by, sees, time: 1.0 }
}

/// A sin that only a clock ends.
const fn long(
    sin: &'static str,
    guest: &'static str,
    act: Act,
    stopped_by: &'static str,
    sees: (&'static str, &'static str),
) -> Row {
    Row { time: 0.05, ..row(sin, guest, act, stopped_by, sees) }
}

const SINS: &str = guests::SINS;
const MUCH: &str = guests::RETURNS_MUCH;
const CPU: &str = "computing time of a call";
const LIFT: &str = "the contract's types";

/// Every sin.
pub(super) const ROWS: &[Row] = &[
    row("huge component", guests::HUGE, Load, "size of a component", ("too-large", "at most 32 MiB")),
    row(
        "no descriptor",
        guests::LIES,
        Load,
        "schema of descriptors",
        ("invalid-descriptor", "describes itself wrongly"),
    ),
    row(
        "nondeterministic describe",
        guests::WAVERS,
        Load,
        "a second call",
        ("nondeterministic-describe", "differently each time"),
    ),
    row(
        "trap in describe",
        guests::TRAP_IN_DESCRIBE,
        Load,
        "a store of its own",
        ("describe-failed", "trapped in describe"),
    ),
    row(
        "loop in describe",
        guests::LOOP_IN_DESCRIBE,
        Load,
        CPU,
        ("describe-failed", "describe computed for more than 3s"),
    ),
    row(
        "compile bomb",
        guests::COMPILE_BOMB,
        Besides,
        "a process of its own, with a deadline; others are served meanwhile",
        ("compile-timeout", "compile"),
    ),
    row("descriptor that is no UTF-8", guests::DESCRIBE_NOT_UTF8, Load, LIFT, ("describe-failed", "utf-8")),
    row("descriptor beyond the memory", guests::DESCRIBE_BEYOND, Load, LIFT, ("describe-failed", "describe")),
    row("requests while describing", guests::CALLS_OUT, Load, "nothing is granted yet", ("loaded", "guest")),
    long("endless loop", guests::LOOPS, Check, CPU, ("budget-exhausted", "check computed for more than")),
    long("hang in the host", guests::HANGS, Check, "wall clock of a call", ("timed-out", "check took longer than")),
    long("host calls in check", SINS, Check, CPU, ("budget-exhausted", "check computed for more than")),
    long(
        "stalled server in check",
        SINS,
        Check,
        "wall clock of host calls and of a call",
        ("timed-out", "check took longer than"),
    ),
    long(
        "stalled batch in check",
        SINS,
        Check,
        "wall clock of host calls and of a call",
        ("timed-out", "check took longer than"),
    ),
    long("loop in realloc", guests::LOOP_IN_REALLOC, Check, CPU, ("budget-exhausted", "check computed for more than")),
    row("memory growth", guests::GROWS, Check, "memory of a store", ("budget-exhausted", "ran out of memory")),
    row("table growth", guests::TABLES, Check, "tables of a store", ("budget-exhausted", "ran out of tables")),
    row("recursion", guests::RECURSION, Check, "stack of a guest", ("trapped", "nested too deeply")),
    row("recursion in memory", SINS, Check, "memory of a store", ("trapped", "outside of its memory")),
    row("handles", SINS, Check, "things held for a guest", ("budget-exhausted", "too many things of the host")),
    row("batches", guests::HOARDS, Check, "batches at a time", ("answered", "refused 24")),
    row("log flood", guests::FLOODS, Check, "log of a call", ("logged", "further lines of this operation are dropped")),
    row("exit", guests::EXITS, Check, "WASI with nothing behind it", ("trapped", "ended itself in check")),
    row("search for the host", guests::PROBES, Check, "WASI with nothing behind it", ("answered", "")),
    row(
        "quadratic list of strings",
        guests::MANY_OF_ONE,
        Check,
        "what a call hands over",
        ("too-large", "more than 16 MiB at once"),
    ),
    row("text that is no UTF-8", guests::TEXT_NOT_UTF8, Check, LIFT, ("trapped", "utf-8")),
    row("text beyond the memory", guests::TEXT_BEYOND, Check, LIFT, ("trapped", "out of bounds")),
    row("list beyond the memory", guests::LIST_BEYOND, Check, LIFT, ("trapped", "out of bounds")),
    row("list of overflowing size", guests::LIST_OVERFLOWS, Check, LIFT, ("trapped", "check")),
    row("list at an odd address", guests::LIST_AT_ODD_ADDRESS, Check, LIFT, ("trapped", "aligned")),
    row("result that is none", guests::NO_SUCH_RESULT, Check, LIFT, ("trapped", "check")),
    row("option that is none", guests::NO_SUCH_OPTION, Check, LIFT, ("trapped", "check")),
    row("answer beyond the memory", guests::ANSWER_BEYOND, Check, LIFT, ("trapped", "check")),
    row("room beyond the memory", guests::ROOM_BEYOND, Check, LIFT, ("trapped", "check")),
    row("call in realloc", guests::CALL_IN_REALLOC, Check, LIFT, ("trapped", "cannot leave")),
    row("trap afterwards", guests::TRAP_AFTERWARDS, Check, "a store of its own", ("trapped", "check")),
    row("trap", guests::TRAPS, Check, "a store of its own", ("trapped", "the pigeon has no seventh letter")),
    row("trap in check", SINS, Check, "a store of its own", ("trapped", "check is a trap")),
    row("trap in plan", SINS, Plan, "a store of its own", ("trapped", "plan is a trap")),
    row("trap in read", SINS, Read("p", ""), "a store of its own", ("trapped", "read is a trap")),
    row("trap in columns", SINS, Columns, "a store of its own", ("trapped", "columns is a trap")),
    row("trap in confirm", SINS, Confirm, "a store of its own", ("trapped", "confirm is a trap")),
    row("too many objects", MUCH, Read("objects", ""), "objects of a page", ("too-large", "1001 objects")),
    row("too much text", MUCH, Read("text", ""), "text of a page", ("too-large", "more than 8 MiB")),
    row("huge return", MUCH, Read("more", ""), "what a call hands over", ("too-large", "more than 16 MiB at once")),
    row(
        "objects that are none",
        guests::BAD_OBJECTS,
        Read("p", ""),
        "check of each object",
        ("invalid-object", "lies outside the partition"),
    ),
    row("strangers", SINS, Read("p", ""), "check of each object", ("invalid-object", "lies outside the partition")),
    row(
        "request outside the scope",
        guests::ASKS,
        Read("p", r#"[{ "url": "http://169.254.169.254/latest/meta-data" }]"#),
        "the way out (more in `it egress`)",
        ("answered", "denied: the request is outside of what the connector declared to reach"),
    ),
    row(
        "forged authorization",
        guests::ASKS,
        Asks("header `authorization:"),
        "the host writes this header itself",
        ("denied", "header"),
    ),
    row(
        "smuggled header",
        guests::ASKS,
        Asks("header `x-mine: a\\r\\nauthorization"),
        "the characters of a header",
        ("denied", "header"),
    ),
    row(
        "forbidden host, spelled as a number",
        guests::ASKS,
        Asks("URL `http://2130706434:"),
        "one spelling of each address",
        ("denied", "the connector asked for"),
    ),
    row(
        "redirect to a metadata address",
        guests::ASKS,
        Asks("redirect to a metadata"),
        "nothing is followed",
        ("302", ""),
    ),
    row(
        "reflected secret",
        guests::ASKS,
        Asks("reflected secret, in-body"),
        "answers are searched for what was sent",
        ("denied", "secret"),
    ),
    row(
        "minting a token",
        guests::ASKS,
        Asks("minting a token"),
        "the credential's methods and paths",
        ("denied", "with the connection's credential"),
    ),
    row(
        "DROP in a statement",
        guests::ASKS,
        Asks("statement `{\\\"statement\\\":\\\"SELECT 1; DROP"),
        "the credential's statements",
        ("denied", "with the connection's credential"),
    ),
    row(
        "catalogue posted to a foreign bucket",
        guests::ASKS,
        Asks("catalogue posted to a foreign bucket"),
        "what is declared to be reached",
        ("denied", "does not declare"),
    ),
    row(
        "cursor that stands still",
        guests::REPEATS,
        Again("walks"),
        "comparing cursors",
        ("internal", "the listing would never end"),
    ),
    row("repeats", SINS, Sync, "comparing cursors", ("internal", "the listing would never end")),
    row("alternates", SINS, Sync, "remembering cursors", ("unsupported", "the same cursor twice")),
    row("never ends", SINS, Sync, "pages that bring nothing", ("endless", "5000 pages with nothing on them")),
    row("duplicates", SINS, Sync, "check of each object", ("duplicate-path", "twice in one page")),
    row("orphans", SINS, Sync, "check of each object", ("unknown-parent", "container is not in the inventory")),
    row("polls", SINS, Endless(16), "least pause, and the operator", ("cancelled", "pages")),
    row("tiny pages", SINS, Endless(1_000_000), "the operator, or 1 000 000 pages", ("cancelled", "pages")),
];

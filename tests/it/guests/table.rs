//! The table: every sin, who commits it, what stops it, and what the operator sees of it.
//!
//! `it guests::table --nocapture` prints it from what really happened. A guest that stands in no row does not compile. Ways
//! out have a row for each sort of them; every spelling stands in the table of `it egress`, and names that change their
//! answer in `it rebinding`, which needs a network of its own.

mod act;
mod rows;

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use wharfinger_tests::{TestHost, guests, neighbours};

use self::rows::ROWS;

/// What is asked of the guest.
#[derive(Clone, Copy)]
enum Act {
    /// To be loaded.
    Load,
    /// To be loaded, while another guest is called.
    Besides,
    /// Its check.
    Check,
    /// Where to begin.
    Plan,
    /// A page of the partition with this id and payload, all of which lies below `db`.
    Read(&'static str, &'static str),
    /// The page after the cursor `again`.
    Again(&'static str),
    /// Columns by name.
    Columns,
    /// Whether a name is still there.
    Confirm,
    /// A sync by a real host, to its end.
    Sync,
    /// A sync that goes on until the operator ends it, and brings at most so many pages until then.
    Endless(u64),
    /// To make one of the attempts of `it egress`: how its name begins.
    Asks(&'static str),
}

/// One sin.
struct Row {
    sin: &'static str,
    /// Path of who commits it.
    guest: &'static str,
    act: Act,
    /// What stops it.
    stopped_by: &'static str,
    /// The code that is seen, and a part of the message; where that is empty, so is the message.
    sees: (&'static str, &'static str),
    /// The time that calls have, as a multiple of the default.
    time: f64,
}

/// Guests that commit nothing: what they are for stands in them.
const HARMLESS: &[&str] =
    &[guests::ECHOES, guests::VERSIONS, guests::PAGES_BY_NAME, guests::PAGES_V1, guests::PAGES_V2, guests::PAGES_V3];

/// What was seen: a code and a message.
type Seen = (String, String);

/// How long an endless sync runs until it is ended.
const PATIENCE: Duration = Duration::from_secs(2);

const _: () = {
    let mut at = 0;
    while at < guests::ALL.len() {
        assert!(
            stands(guests::ALL[at].1),
            "a guest of tests/guests/examples stands in no row of it/guests/table/rows.rs, nor among the harmless ones"
        );
        at += 1;
    }
};

const fn stands(guest: &str) -> bool {
    let mut at = 0;
    while at < ROWS.len() {
        if same(guest, ROWS[at].guest) {
            return true;
        }
        at += 1;
    }
    let mut at = 0;
    while at < HARMLESS.len() {
        if same(guest, HARMLESS[at]) {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

impl Row {
    /// What of it the row expects.
    fn expected<'a>(&self, seen: &'a [Seen]) -> Option<&'a Seen> {
        let (code, part) = self.sees;
        let is = |(found, message): &&Seen| {
            found == code && if part.is_empty() { message.is_empty() } else { message.contains(part) }
        };
        // On a busy machine the wall clock may be first.
        let late = |(found, message): &&Seen| {
            let is_such = found == code || found == "timed-out";
            part.contains("computed for more than") && is_such && message.contains("took longer than")
        };
        seen.iter().find(is).or_else(|| seen.iter().find(late))
    }

    /// The name of who commits it.
    fn name(&self) -> &'static str {
        guests::ALL.iter().find(|(_, path)| *path == self.guest).map_or(self.guest, |(name, _)| name)
    }

    #[allow(clippy::print_stdout, reason = "the table is for people")]
    fn print(&self, (code, message): &Seen) {
        let (sin, stopped_by, message) = (self.sin, self.stopped_by, message.replace('|', "\\|"));
        println!("| {sin} | `{}` | {stopped_by} | `{code}`: {message} |", self.name());
    }
}

/// One guest commits many: none of them goes without a row either.
#[test]
fn every_sin_that_a_connection_can_ask_for_is_asked_for() {
    let source = include_str!("../../guests/examples/sins.rs");
    let arms = source.split("\" =>").filter_map(|before| Some(before.rsplit_once('"')?.1));
    let traps = source.split(" != \"").skip(1).filter_map(|after| Some(after.split_once('"')?.0));
    let sins: Vec<&str> = arms.chain(traps).filter(|sin| !sin.contains('\n')).collect();
    assert!(sins.len() > 20, "{sins:?}");
    let is_asked = |sin: &&&str| {
        ROWS.iter().any(|row| row.sin == **sin) || neighbours::SINS.iter().any(|known| known.name == **sin)
    };
    let missing: Vec<_> = sins.iter().filter(|sin| !is_asked(sin)).collect();
    assert!(missing.is_empty(), "{missing:?} stand neither in a row nor among what neighbours live beside");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sin_is_stopped_and_the_operator_sees_by_what() -> anyhow::Result<()> {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("0.0.0.0:0")?;
    let port = silent.local_addr()?.port();
    let host = TestHost::start().await?;
    host.app().connectors().load(&super::bytes(guests::SINS)?).await?;

    println!("| sin | guest | stopped by | the operator sees |\n| --- | --- | --- | --- |");
    let mut wrong = Vec::new();
    for (number, row) in (1..).zip(ROWS) {
        // An account is registered once: each has an address of its own.
        let at = SocketAddr::from(([127, 0, 0, number], port));
        let seen = act::seen(row, at, &host).await.with_context(|| row.sin.to_owned())?;
        match row.expected(&seen) {
            Some(seen) => row.print(seen),
            None => wrong.push(format!("{}: expected {:?}, seen {seen:?}", row.sin, row.sees)),
        }
    }
    host.stop().await;
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
    Ok(())
}

//! How the versions of a connector fare, counted since the host was started.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{format, text},
    Known,
};
use crate::{connector::health::Snapshot, model::connector::Version};

/// A table of the versions that are loaded and were called; nothing where none was.
pub(super) fn table(known: &Known, now: Timestamp) -> Markup {
    let each = known.versions.iter().filter_map(|version| Some((version, known.health.get(&version.digest)?)));
    let called: Vec<_> = each.filter(|(_, health)| health.calls > 0).collect();
    html! {
        @if !called.is_empty() {
            h2 { "Health" }
            p.hint { "Since the host was started. Failed are the connector's own failures among its last calls; a version that fails more than the one before it is taken back." }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Version" }
                    th.num scope="col" { "Calls" }
                    th.num scope="col" { "Failed lately" }
                    th.num scope="col" title="Ended in their midst: traps, deadlines, limits" { "Stopped" }
                    th.num.wide scope="col" { "Computed" }
                    th.num.wide scope="col" title="Most memory of one call" { "Memory" }
                    th.num.wide scope="col" { "Requests" }
                    th.num.wide scope="col" { "Received" }
                    th.num scope="col" title="Requests, memory and tables that it was not given" { "Denied" }
                } }
                tbody { @for (version, health) in &called { (row(version, health)) } }
            } }
            @for (version, health) in &called { (left_alone(known, version, health, now)) }
        }
    }
}

fn row(version: &Version, health: &Snapshot) -> Markup {
    let denied = health.denied_requests + health.denied_memory + health.denied_tables;
    let stops: Vec<String> = health.stops.iter().map(|(stop, n)| format!("{}: {n}", stop.as_str())).collect();
    html! {
        tr {
            td { (text::name(&version.version)) }
            td.num { (format::count(health.calls)) }
            td.num { (health.recent_failures()) " of " (health.recent.len()) }
            td.num title=(stops.join(", ")) { (format::count(health.stops.values().sum())) }
            td.num.wide { (format::duration(health.computed.try_into().unwrap_or_default())) }
            td.num.wide { (format::bytes(health.memory_high_water)) }
            td.num.wide { (format::count(health.requests)) }
            td.num.wide { (format::bytes(health.bytes)) }
            td.num { (format::count(denied)) }
        }
    }
}

/// Connections on which a version crashed so often that it is left alone for a while.
fn left_alone(known: &Known, version: &Version, health: &Snapshot, now: Timestamp) -> Markup {
    html! {
        @for (connection, until) in &health.open {
            @if let Some(served) = known.served.iter().find(|served| served.id == *connection) {
                p.notice.warn {
                    (text::name(&version.version)) " crashed again and again on " (text::name(served.key.as_str()))
                    " and is left alone there; the next try is " (format::time(*until, now)) "."
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::api::ui::sample as pages;

    #[test]
    fn what_was_called_is_told_with_where_it_is_left_alone() {
        let mut known = sample::known();
        assert_eq!(table(&known, pages::now()).into_string(), "", "nothing was called");
        let digest = known.version(Some("1.2.0")).expect("version").digest.clone();
        let health = Snapshot {
            calls: 1234,
            recent: [true, false].into(),
            memory_high_water: 5_000_000,
            denied_requests: 2,
            denied_memory: 1,
            open: [(known.served[0].id, pages::now())].into(),
            ..Snapshot::default()
        };
        known.health.insert(digest, health);
        let shown = table(&known, pages::now()).into_string();
        for part in
            ["1,234", "1 of 2", "5.0 MB", "<td class=\"num\">3</td>", "crashed again and again", "My &lt;Lake&gt;"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

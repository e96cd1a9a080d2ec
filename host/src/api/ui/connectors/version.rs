//! The versions of a connector: a table, and what each may do where it is granted.

use std::collections::BTreeSet;

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{format, icons, links, text},
    Known,
};
use crate::{
    api::connectors::state_of,
    model::{
        connector::{Built, Origin, Version},
        signature::SignatureState,
    },
};

/// Of a key's id, enough to tell it from others.
const SHORT: usize = 12;

pub(super) fn table(known: &Known, now: Timestamp) -> Markup {
    html! {
        div.scroll { table.versions {
            thead { tr {
                th scope="col" { "Version" }
                th scope="col" { "State" }
                th.wide scope="col" { "Signature" }
                th.wide scope="col" { "From" }
                th.wide scope="col" { "Installed" }
                th.wide scope="col" title="The versions of the contract and of the SDK that it was built with" { "Built with" }
                th.wide scope="col" title="SHA-256 of the component; one click selects all of it" { "Digest" }
                th.act scope="col" { "Action" }
            } }
            tbody { @for version in &known.versions { (row(known, version, now)) } }
        } }
    }
}

fn row(known: &Known, version: &Version, now: Timestamp) -> Markup {
    html! {
        tr {
            td { strong { (text::name(&version.version)) } }
            td {
                (state(known, version))
                @if let Some(why) = &version.taken_back { div.hint { (text::prose(why)) } }
                @if let Some(why) = known.why_broken(version) { div.hint { (text::prose(why)) } }
            }
            td.wide { (signature(version)) }
            td.wide { (origin(&version.origin)) }
            td.wide {
                (format::time(version.at, now))
                @if let Some(by) = &version.by { " by " (text::name(&by.name)) }
            }
            td.wide { (built(&version.built)) }
            td.wide { code.digest title=(version.digest) { (version.digest) } }
            td.act { (menu(known, version)) }
        }
    }
}

fn state(known: &Known, version: &Version) -> Markup {
    let (class, word) = match state_of(&known.installed, version) {
        "active" => ("good", "Active"),
        "canary" => ("live", "Trying out"),
        "takenBack" => ("bad", "Taken back"),
        "waiting" => ("warn", "Waits for approval"),
        "previous" => ("", "Active before"),
        _ => ("", "Ready"),
    };
    let under_way = known.installed.under_way().filter(|rollout| rollout.version == version.version);
    html! {
        @if let Some(it) = under_way { span.badge.live { @if it.shadow { "Comparing" } @else { "Activating" } } } @else { span.badge.(class) { (word) } }
        @if known.why_broken(version).is_some() { " " span.badge.bad { "Cannot be loaded" } }
    }
}

/// Who vouches for a version, as it was found when it was installed.
pub(super) fn signature(version: &Version) -> Markup {
    html! {
        @match (&version.origin, version.signature.parse()) {
            (Origin::Bundled, _) => span.faint title="It came with the host's own program" { "Part of the host" },
            (_, Ok(SignatureState::Trusted { key })) => span.badge.good title={ "Key " (key) } { "Trusted key " (short(&key.to_string())) },
            (_, Ok(SignatureState::Untrusted { key })) =>
                span.badge.warn title={ "Names key " (key) ", which is not known here: not checked, counts as not signed" } { "Unknown key " (short(&key.to_string())) },
            (_, Ok(SignatureState::Unsigned)) => span.badge { "Not signed" },
            (_, Err(_)) => (text::name(&version.signature)),
        }
    }
}

fn built(built: &Built) -> Markup {
    html! {
        @match &built.contract { Some(wit) => { "WIT " (text::name(wit)) } None => span.faint { "not known" } }
        @if let Some(sdk) = &built.sdk { ", SDK " (text::name(sdk)) }
    }
}

fn short(key: &str) -> &str {
    key.get(..SHORT).unwrap_or(key)
}

fn origin(origin: &Origin) -> Markup {
    html! {
        @match origin {
            Origin::Bundled => span.faint { "the host" },
            Origin::Upload => span.faint { "an upload" },
            Origin::SaidToBeFrom(place) => (text::name(place)),
        }
    }
}

/// What can be done with a version. Entries are plain links to pages that ask first.
fn menu(known: &Known, version: &Version) -> Markup {
    let it = &known.installed;
    let is_active = it.active_version() == Some(version.version.as_str());
    let waits = !it.waiting(version).is_empty();
    let link = |verb| links::version(&it.name, &version.version, verb);
    let menu = format!("menu-{}", version.digest);
    html! {
        @if waits || !is_active {
            button.quiet.more type="button" popovertarget=(menu) aria-haspopup="true"
                aria-label={ "More actions for version " (text::plain(&version.version)) } { (icons::more()) }
            div.menu id=(menu) popover {
                @if waits { a href=(link("approve")) data-dialog { "Approve…" } }
                @if !is_active && !waits && it.under_way().is_none() { a href=(link("activate")) data-dialog { "Activate…" } }
                @if it.needs(&version.version).is_none() { a.danger href=(link("remove")) data-dialog { "Remove…" } }
            }
        }
    }
}

/// What each version may do, the differences marked.
pub(super) fn permissions(known: &Known) -> Markup {
    let it = &known.installed;
    let active = known.version(it.active_version());
    html! {
        @for version in &known.versions {
            @let waiting = it.waiting(version);
            @let is_active = active.is_some_and(|active| active.version == version.version);
            details.names open[is_active || !waiting.is_empty()] {
                summary {
                    (text::name(&version.version)) " may do " (format::counted(version.permissions.len() as u64, "thing", "things"))
                    @if !waiting.is_empty() {
                        " " span.badge.warn { (format::counted(waiting.len() as u64, "waits", "wait")) " for approval" }
                    }
                }
                (lines(version.permissions.iter().map(|line| (line.as_str(), waiting.contains(line).then_some("New")))))
            }
        }
    }
}

/// Permissions with a mark each.
fn lines<'a>(lines: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Markup {
    html! {
        ul.permissions { @for (line, mark) in lines {
            li.new[mark.is_some()] {
                @if let Some(mark) = mark { span.badge.warn { (mark) } " " }
                (text::prose(line))
            }
        } }
    }
}

/// Exactly what approving a version would change, against what the active one may do.
pub(super) fn difference(known: &Known, version: &Version) -> Markup {
    let it = &known.installed;
    let waiting = it.waiting(version);
    let own: BTreeSet<&String> = version.permissions.iter().collect();
    let before: BTreeSet<&String> =
        known.version(it.active_version()).into_iter().flat_map(|active| &active.permissions).collect();
    let (gone, same) = (before.difference(&own).count(), version.permissions.len() - waiting.len());
    html! {
        p { strong { "It would be allowed, and was never before, to" } }
        (lines(waiting.iter().map(|line| (line.as_str(), Some("New")))))
        @if same > 0 {
            details.names {
                summary { (format::counted(same as u64, "thing", "things")) " it does were granted before" }
                (lines(version.permissions.iter().filter(|line| !waiting.contains(line)).map(|line| (line.as_str(), None))))
            }
        }
        @if gone > 0 {
            details.names {
                summary { (format::counted(gone as u64, "thing", "things")) " that the active version does, it does not" }
                (lines(before.difference(&own).map(|line| (line.as_str(), None))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::api::ui::sample as pages;

    fn rows() -> Vec<String> {
        let text = table(&sample::known(), pages::now()).into_string();
        text.split("<tr>").skip(2).map(str::to_owned).collect()
    }

    #[test]
    fn each_version_tells_its_state_and_who_vouches_for_it() {
        for (row, parts) in rows().iter().zip([
            ["2.0.0", "Waits for approval", "Not signed", "Approve…"],
            ["1.3.0", "Taken back", "Unknown key", "3 of its last 20 calls failed"],
            ["1.2.0", "Active", "Trusted key", "an upload"],
            ["1.1.0", "Active before", "Part of the host", "Activate…"],
        ]) {
            assert!(parts.iter().all(|part| row.contains(part)), "{parts:?}: {row}");
        }
    }

    #[test]
    fn only_what_can_be_done_is_offered() {
        let rows = rows();
        assert!(!rows[0].contains("Activate…") && rows[0].contains("Remove…"), "it waits: {}", rows[0]);
        assert!(rows[1].contains("Activate…"), "it may be tried again: {}", rows[1]);
        assert!(!rows[2].contains("popover"), "it is active: {}", rows[2]);
        assert!(!rows[3].contains("Remove…"), "a roll-back goes to it: {}", rows[3]);
    }

    #[test]
    fn what_is_new_is_marked_and_what_goes_is_told() {
        let known = sample::known();
        let version = known.version(Some("2.0.0")).expect("version");
        let text = difference(&known, version).into_string();
        let (new, rest) = text.split_once("<details").expect("what was granted before");
        assert!(new.contains("send POST to the connection's host, /&lt;b&gt;all") && new.contains("New"), "{text}");
        assert!(!new.contains("/lists") && rest.contains("/lists") && !rest.contains("New"), "{text}");
        assert!(rest.contains("1 thing that the active version does, it does not") && rest.contains("/old"), "{text}");
    }
}

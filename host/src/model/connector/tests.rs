use super::*;
use crate::model::id::PrincipalId;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("time")
}

fn installed(versions: &[&str]) -> Installed {
    let mut connector = Installed::new("guest".into(), "Guest".parse().expect("technology"));
    for version in versions {
        connector.promote(version, None, None, at(0));
    }
    connector
}

fn tally(failures: u32, operations: u32) -> Tally {
    Tally { operations, failures }
}

fn somebody() -> Actor {
    Actor { id: PrincipalId::generate(), name: "somebody".into(), email: None }
}

fn rollout(version: &str) -> Rollout {
    Rollout {
        version: version.into(),
        canary: None,
        shadow: false,
        forced: false,
        step: Step::Check,
        findings: Vec::new(),
        by: Some(somebody()),
        at: at(0),
        began: 1,
        revision: 1,
    }
}

#[test]
fn a_version_is_taken_back_at_three_failures_and_twice_the_rate() {
    for (recent, before, taken_back) in [
        (tally(2, 2), tally(0, 20), false),
        (tally(3, 3), tally(0, 20), true),
        // Nothing, or next to nothing, is known of the one before: it may have failed as often.
        (tally(3, 20), tally(0, 0), false),
        (tally(3, 20), tally(0, 4), false),
        (tally(9, 20), tally(0, 0), false),
        (tally(10, 20), tally(0, 0), true),
        (tally(3, 6), tally(0, 4), true),
        (tally(3, 7), tally(0, 4), false),
        (tally(2, 2), tally(0, 0), false),
        (tally(4, 4), tally(4, 4), true),
        (tally(3, 20), tally(0, 5), true),
        (tally(3, 20), tally(1, 20), true),
        (tally(3, 20), tally(2, 20), false),
        (tally(4, 20), tally(2, 20), true),
        (tally(20, 20), tally(10, 20), true),
        // Where the platform was out of order before, more of it says nothing about the version.
        (tally(20, 20), tally(11, 20), false),
        (tally(19, 20), tally(5, 10), false),
    ] {
        assert_eq!(is_worse(recent, before), taken_back, "{recent:?} after {before:?}");
    }
}

#[test]
fn two_generations_stay_ready() {
    let connector = installed(&["1.0.0", "1.1.0", "1.2.0", "1.3.0"]);
    assert_eq!(
        (connector.active_version(), connector.previous.as_slice()),
        (Some("1.3.0"), &["1.2.0".to_owned(), "1.1.0".into()][..])
    );
    let mut connector = installed(&["1.0.0", "1.1.0"]);
    connector.promote("1.0.0", None, None, at(1));
    assert_eq!(connector.previous, ["1.1.0"], "a version is not its own generation before");
    connector.promote("1.0.0", None, None, at(1));
    assert_eq!(connector.previous, ["1.1.0"]);
}

#[test]
fn a_roll_back_goes_one_generation_and_never_to_nothing() {
    let mut connector = installed(&["1.0.0", "1.1.0", "1.2.0"]);
    let revision = connector.revision;
    let done = connector.roll_back(None, None, at(1)).expect("rolled back");
    assert_eq!((done.from.as_str(), done.to.as_str()), ("1.2.0", "1.1.0"));
    assert_eq!(connector.roll_back(None, None, at(2)).map(|done| done.to).as_deref(), Some("1.0.0"));
    let last = connector.clone();
    assert_eq!(connector.roll_back(None, None, at(3)), None);
    assert_eq!((&connector, connector.revision), (&last, revision + 2));
    assert_eq!(installed(&[]).roll_back(None, None, at(1)), None);
}

#[test]
fn a_canary_serves_the_chosen_and_gives_way_first() {
    let (chosen, other) = (ConnectionId::from_u128(1), ConnectionId::from_u128(2));
    let mut connector = installed(&["1.0.0", "1.1.0"]);
    connector.try_out("1.2.0", BTreeSet::from([chosen]));
    assert_eq!(connector.serving(chosen, None), Some("1.2.0"));
    assert_eq!(
        (connector.serving(other, None), connector.serving(chosen, Some("0.9.0"))),
        (Some("1.1.0"), Some("0.9.0"))
    );
    assert_eq!((connector.before(chosen, None), connector.before(other, None)), (Some("1.1.0"), Some("1.0.0")));
    assert_eq!(connector.before(chosen, Some("0.9.0")), None);
    let done = connector.roll_back(None, None, at(1)).expect("rolled back");
    assert_eq!((done.from.as_str(), done.to.as_str()), ("1.2.0", "1.1.0"));
    assert_eq!((connector.active_version(), &connector.canary), (Some("1.1.0"), &None));
}

#[test]
fn only_what_serves_or_has_served_is_pinned() {
    let (chosen, other) = (ConnectionId::from_u128(1), ConnectionId::from_u128(2));
    let mut connector = installed(&["1.0.0", "1.1.0"]);
    connector.try_out("1.2.0", BTreeSet::from([chosen]));
    connector.rollout = Some(rollout("1.3.0"));
    for (version, connection, may) in [
        ("1.0.0", Some(other), true),
        ("1.1.0", None, true),
        ("1.2.0", Some(chosen), true),
        ("1.2.0", Some(other), false),
        ("1.2.0", None, false),
        ("1.3.0", Some(chosen), false),
    ] {
        assert_eq!(connector.may_pin(version, connection), may, "{version} {connection:?}");
    }
}

#[test]
fn what_is_under_way_gives_way_before_what_serves() {
    let mut connector = installed(&["1.0.0", "1.1.0"]);
    connector.rollout = Some(rollout("1.2.0"));
    let done = connector.roll_back(None, None, at(1)).expect("given up");
    assert_eq!((done.what, done.from.as_str(), done.to.as_str()), (Gave::Rollout, "1.2.0", "1.1.0"));
    assert_eq!((connector.active_version(), connector.under_way()), (Some("1.1.0"), None));
    // What turned bad is named: something else that serves by now stays, and a rollout ends with it.
    connector.rollout = Some(rollout("1.2.0"));
    assert_eq!(connector.roll_back(Some("0.1.0"), None, at(2)), None);
    assert!(connector.under_way().is_some());
    let done = connector.roll_back(Some("1.1.0"), None, at(2)).expect("taken back");
    assert_eq!((done.what, done.to.as_str(), connector.under_way()), (Gave::Active, "1.0.0", None));
}

#[test]
fn what_is_needed_is_not_removed() {
    let mut connector = installed(&["1.0.0", "1.1.0", "1.2.0"]);
    connector.try_out("1.3.0", BTreeSet::new());
    connector.rollout = Some(rollout("1.4.0"));
    let needed = |connector: &Installed, version| connector.needs(version).is_some();
    for (version, is_needed) in
        [("1.0.0", false), ("1.1.0", true), ("1.2.0", true), ("1.3.0", true), ("1.4.0", true), ("2.0.0", false)]
    {
        assert_eq!(needed(&connector, version), is_needed, "{version}");
    }
    connector.end_rollout(Step::Blocked);
    assert!(!needed(&connector, "1.4.0"));
}

#[test]
fn versions_are_compared_as_such() {
    assert!(is_newer("0.10.0", "0.9.0") && is_newer("1.0.0", "1.0.0-rc.1"));
    assert!(!is_newer("1.0.0", "1.0.0") && !is_newer("0.9.0", "0.10.0") && !is_newer("new", "0.1.0"));
}

#[test]
fn one_that_goes_on_whatever_is_found_leaves_out_what_could_only_delay_it() {
    let at = |step, shadow, forced| Rollout { step, shadow, forced, ..rollout("1.1.0") }.next();
    for (step, shadow, forced, next) in [
        (Step::Compatibility, false, false, Step::Check),
        (Step::Check, false, false, Step::Promote),
        (Step::Compatibility, false, true, Step::Promote),
        (Step::Check, true, false, Step::Shadow),
        (Step::Compatibility, true, true, Step::Shadow),
        (Step::Shadow, true, false, Step::Done),
        (Step::Blocked, false, false, Step::Blocked),
    ] {
        assert_eq!(at(step, shadow, forced), next, "{step:?}, compared: {shadow}, forced: {forced}");
    }
}

#[test]
fn what_is_removed_is_not_what_somebody_saw_and_a_change_under_way_goes_on() {
    let mut connector = installed(&["1.0.0", "1.1.0", "1.2.0"]);
    let before = connector.revision;
    connector.rollout = Some(Rollout { revision: before, began: before, ..rollout("1.3.0") });
    connector.forget("1.0.0");
    assert_eq!((connector.previous.as_slice(), connector.revision), (&["1.1.0".to_owned()][..], before + 1));
    let under_way = connector.under_way().expect("under way");
    assert_eq!((under_way.revision, under_way.began), (before + 1, before));
    connector.end_rollout(Step::Ended);
    connector.forget("1.1.0");
    assert_eq!((connector.revision, connector.rollout.expect("ended").revision), (before + 2, before + 1));
}

#[test]
fn what_comes_with_the_host_leaves_to_people_what_is_theirs() {
    let mut connector = installed(&["1.0.0"]);
    assert!(connector.takes("1.1.0") && !connector.takes("1.0.0") && !connector.takes("0.9.0"));
    let own = |step| Some(Rollout { by: None, step, ..rollout("1.1.0") });
    for (step, takes) in [(Step::Check, false), (Step::Ended, false), (Step::Blocked, true), (Step::Done, true)] {
        connector.rollout = own(step);
        assert_eq!(connector.takes("1.1.0"), takes, "its own, {step:?}");
        assert!(connector.takes("1.2.0"), "a newer one, over its own, {step:?}");
    }
    connector.rollout = Some(rollout("1.0.1"));
    assert!(!connector.takes("1.1.0"), "somebody is about to activate another one");
    connector.rollout = None;
    connector.canary = Some(Canary { version: "1.0.1".into(), connections: [ConnectionId::generate()].into() });
    assert!(!connector.takes("1.1.0"), "somebody tries another one out");
    connector.roll_back(None, Some(somebody()), at(1)).expect("no longer tried out");
    assert!(connector.takes("1.1.0") && !connector.takes("1.0.1"), "somebody ceased to try that one out");
    for shadow in [true, false] {
        connector.rollout = Some(Rollout { shadow, ..rollout("1.1.0") });
        connector.roll_back(None, Some(somebody()), at(1)).expect("ended");
        connector.rollout = None;
        assert_eq!(connector.takes("1.1.0"), shadow, "only a comparison says nothing about it");
    }
    connector.promote("1.0.1", Some(somebody()), None, at(1));
    assert!(!connector.takes("1.1.0"), "somebody chose");
    let mut first = installed(&[]);
    assert!(first.takes("1.0.0"));
    first.rollout = Some(rollout("1.0.1"));
    assert!(!first.takes("1.0.0"), "somebody is about to activate the first one");
}

//! Which operations on a connection share a session.

use super::*;

#[tokio::test]
async fn a_connector_that_authenticates_otherwise_has_a_session_beside_the_old_one() {
    let platform = Platform::start(|_| Answer::new(200, "{}")).await;
    let egress = egress_with(policy());
    let id = ConnectionId::generate();
    let of =
        |recipe: Value, revision| SessionSpec { connection: Some((id, revision)), ..spec(platform.address(), recipe) };
    let other = || {
        let mut recipe = static_recipe();
        recipe["apply"]["headers"] = json!({"x-token": "{{ secret.token }}"});
        recipe
    };
    let old = egress.session(of(static_recipe(), 1)).unwrap();
    let same = egress.session(of(static_recipe(), 1)).unwrap();
    assert!(Arc::ptr_eq(&old, &same), "another version with the same recipe and reach");
    let new = egress.session(of(other(), 1)).unwrap();
    assert!(!Arc::ptr_eq(&old, &new));
    assert!(Arc::ptr_eq(&old.permits, &new.permits), "the platform sees one connection");
    // A call that is under way goes on, and what begins again with the old recipe finds its session.
    old.send(get(&platform, "/api/x"), &budget()).await.unwrap();
    assert!(Arc::ptr_eq(&old, &egress.session(of(static_recipe(), 1)).unwrap()));
    assert!(Arc::ptr_eq(&new, &egress.session(of(other(), 1)).unwrap()));
    let narrower = SessionSpec { reach: Vec::new(), ..of(other(), 1) };
    assert!(!Arc::ptr_eq(&new, &egress.session(narrower).unwrap()), "what it reaches counts too");
    assert!(!Arc::ptr_eq(&new, &egress.session(of(other(), 2)).unwrap()), "and so does the revision");
    let ended = Arc::downgrade(&old);
    drop((old, same));
    assert_eq!(ended.strong_count(), 0, "it ends with its last call");
}

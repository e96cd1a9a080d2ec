//! A name that answers differently every time it is asked: the connection goes to an address that was checked, or to none.
//!
//! The name is resolved by the system's resolver, as in production. So that a test can be the name service, all of it
//! runs in namespaces of its own (user, network, mounts), in which loopback's port 53 and `/etc/resolv.conf` are free to
//! be taken.

use std::process::Command;

#[test]
fn a_name_that_changes_its_answer_never_leads_past_the_check() {
    let inside = "ip link set lo up && exec \"$0\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", inside])
        .arg(env!("CARGO_BIN_EXE_rebinding"))
        .output()
        .expect("`unshare` of util-linux is there");
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "user namespaces must be allowed here: {told}{errors}");
    print!("{told}");
    assert!(told.contains("100 runs"), "{told}");
}

//! A name that answers differently every time it is asked: the connection goes to an address that was checked, or to none.
//!
//! The name is resolved by the system's resolver, as in production. So that a test can be the name service, all of it
//! runs in namespaces of its own (user, network, mounts), in which loopback's port 53 and `/etc/resolv.conf` are free to
//! be taken.

use std::{io::Write as _, process::Command};

/// Namespaces of its own, as far as this machine gives them: root needs no namespace of users.
const NAMESPACES: [&[&str]; 2] = [&["--user", "--map-root-user", "--net", "--mount"], &["--net", "--mount"]];

/// Gives a new network its loopback, with what is there: `ip` of iproute2, or what it asks of the kernel (SIOCSIFFLAGS).
const LOOPBACK: &str = "ip link set lo up 2>/dev/null || python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack(\"16sH14x\", b\"lo\", 1))'";

#[test]
fn a_name_that_changes_its_answer_never_leads_past_the_check() {
    let inside = format!("{{ {LOOPBACK}; }} && exec \"$0\"");
    let works = |namespaces: &&&[&str]| {
        let tried = Command::new("unshare").args(**namespaces).args(["sh", "-c", LOOPBACK]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(namespaces) = NAMESPACES.iter().find(works) else {
        // Not through the harness, which shows nothing of tests that pass.
        let told = "!! names that change their answer are NOT tested here: `unshare --net --mount` (with `--user` where \
                    nobody is root) has to be allowed, and `ip` of iproute2 or python3 to be there";
        let _ = writeln!(std::io::stderr(), "{told}");
        return;
    };
    let output = Command::new("unshare")
        .args(*namespaces)
        .args(["sh", "-c", &inside])
        .arg(env!("CARGO_BIN_EXE_rebinding"))
        .output()
        .expect("`unshare` of util-linux is there");
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{errors}");
    print!("{told}");
    assert!(told.contains("100 runs"), "{told}");
}

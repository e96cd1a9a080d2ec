//! Programs that are no compilers: what becomes of the host's wait for them.

use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

use super::*;

/// A script in the place of the program.
struct Script(PathBuf);

impl Script {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wharfinger-compiler-{}", uuid::Uuid::now_v7()));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("mode");
        Self(path)
    }

    /// Why it comes to nothing within so many seconds. On a busy machine even a short script takes some.
    async fn fails(&self, seconds: u32) -> LoadError {
        let limits = CompileLimits { compile_seconds: seconds, ..CompileLimits::default() };
        let compiler = Compiler::new(self.0.clone(), limits);
        loop {
            let error = compiler.compile(&vec![0; 1 << 20], Layout::Reserved, "c").await.expect_err("no code");
            // Another test's child may have inherited the file while it was written.
            if !error.message.contains("Text file busy") {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_child_is_killed_at_its_deadline() {
    let told = std::env::temp_dir().join(format!("wharfinger-compiler-{}", uuid::Uuid::now_v7()));
    let script = Script::new(&format!("echo $$ > {}\nexec sleep 60", told.display()));
    let begun = Instant::now();
    let error = script.fails(4).await;
    assert_eq!(error.code, "compile-timeout", "{error}");
    assert!(error.message.contains("longer than 4 s") && error.message.contains("`compile_seconds`"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let pid = fs::read_to_string(&told).expect("it ran");
    assert!(!PathBuf::from(format!("/proc/{}", pid.trim())).exists(), "it still runs");
    fs::remove_file(told).expect("cleaned");
}

#[tokio::test]
async fn every_end_of_a_child_has_its_words() {
    for (seconds, text, code, part) in [
        (
            30,
            "cat > /dev/null; echo the seventh byte is wrong >&2; exit 3",
            "not-a-component",
            "the seventh byte is wrong",
        ),
        (30, "exit 1", "compile-failed", "exit status: 1"),
        (30, "echo Cannot allocate memory >&2; exit 1", "compile-memory", "more than 2048 MiB"),
        (30, "kill -KILL $$", "compile-memory", "`compile_memory_mib`"),
        (30, "kill -XCPU $$", "compile-timeout", "longer than 30 s"),
        (30, "echo memory allocation of 7 bytes failed >&2; kill -ABRT $$", "compile-memory", "more than 2048 MiB"),
        (30, "kill -ABRT $$", "compile-failed", "signal: 6"),
        (2, "while :; do echo too much is said here >&2; done", "compile-timeout", "longer than 2 s"),
    ] {
        let error = Script::new(text).fails(seconds).await;
        assert_eq!(error.code, code, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_program_that_is_gone_is_told() {
    let compiler = Compiler::new("/nowhere/at/all".into(), CompileLimits::default());
    let error = compiler.compile(b"", Layout::Reserved, "c").await.expect_err("nothing to start");
    assert_eq!(error.code, "compile-failed");
    assert!(error.message.contains("/nowhere/at/all"), "{error}");
}

#[test]
fn what_a_child_is_told_arrives() {
    let order = Order { layout: Layout::Checked, limits: CompileLimits::default(), compatibility: "c".into() };
    let read = Order::parse(&order.arguments()).expect("own arguments");
    assert_eq!((read.layout, read.limits, read.compatibility), (order.layout, order.limits, order.compatibility));
}

//! Components that are hard to compile, in the real process that compiles.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use wharfinger::{
    connector::{CompileLimits, Connectors, Setup, error::LoadError},
    egress::vault::Vault,
};
use wharfinger_tests::{
    guests,
    host::{TempDir, program},
};

/// A component around one function that is as large as asked for, and branches everywhere.
fn bomb(steps: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = String::new();
    for step in 0..steps {
        write!(
            body,
            "(if (i32.and (local.get 0) (i32.const {step})) (then (local.set 0 (i32.mul (local.get 0) (i32.const {step})))))"
        )?;
    }
    let exports: String = ["descriptor", "check", "catalog"]
        .iter()
        .map(|name| format!("(export \"wharfinger:connector/{name}@0.1.0\" (instance $all))\n"))
        .collect();
    let text = format!(
        r#"(component
            (core module $m (func (export "f")) (func (export "g") (param i32) {body}))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $all (export "describe" (func $f)))
            {exports})"#
    );
    Ok(wat::parse_str(text)?)
}

async fn refused(limits: CompileLimits, bytes: &[u8]) -> anyhow::Result<LoadError> {
    let connectors = Connectors::new(Setup { compile: limits, ..Setup::new(program()?) })?;
    match connectors.prepare(bytes).await {
        Ok(_) => anyhow::bail!("it was taken"),
        Err(error) => Ok(error),
    }
}

#[tokio::test]
async fn a_bomb_ends_at_the_deadline_and_the_host_goes_on() -> anyhow::Result<()> {
    let bytes = bomb(200_000)?;
    let limits = CompileLimits { compile_seconds: 1, compile_memory_mib: 65_536 };
    let connectors = Connectors::new(Setup { compile: limits, ..Setup::new(program()?) })?;
    let begun = Instant::now();
    let error = connectors.prepare(&bytes).await.map(|_| ()).expect_err("it takes too long");
    assert_eq!(error.code, "compile-timeout", "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // The same engine takes the next one.
    let usual = Connectors::new(Setup::new(program()?))?;
    usual.prepare(&std::fs::read(guests::ECHOES)?).await?;
    Ok(())
}

#[tokio::test]
async fn a_bomb_ends_with_the_memory_that_it_may_take() -> anyhow::Result<()> {
    let limits = CompileLimits { compile_seconds: 120, compile_memory_mib: 256 };
    let error = refused(limits, &bomb(200_000)?).await?;
    assert_eq!(error.code, "compile-memory", "{error}");
    assert!(error.message.contains("more than 256 MiB") && error.message.contains("`compile_memory_mib`"), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_does_not_compile_is_told_in_the_compilers_words() -> anyhow::Result<()> {
    let mut bytes = std::fs::read(guests::ECHOES)?;
    // In the midst of the code, where reading the outside does not look.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    let error = refused(CompileLimits::default(), &bytes).await?;
    assert_eq!(error.code, "not-a-component", "{error}");
    assert!(error.message.contains("does not compile"), "{error}");
    Ok(())
}

#[tokio::test]
async fn kept_code_is_used_until_somebody_touches_it() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let place = dir.path().join("code");
    let bytes = std::fs::read(guests::ECHOES)?;
    // A program that is not there compiles nothing: whatever is loaded through it was kept.
    let setup = |program: std::path::PathBuf| -> anyhow::Result<Setup> {
        let key = Vault::new(&[1; 32]).mac_key("code")?;
        let code = wharfinger::connector::CodeCache::open(&place, key)?;
        Ok(Setup { code: Some(code), ..Setup::new(program) })
    };
    Connectors::new(setup(program()?)?)?.prepare(&bytes).await?;
    let without = Connectors::new(setup("/nowhere".into())?)?;
    without.prepare(&bytes).await?;
    let file = std::fs::read_dir(&place)?.next().expect("a file")?.path();
    let mut kept = std::fs::read(&file)?;
    let middle = kept.len() / 2;
    kept[middle] ^= 1;
    std::fs::write(&file, kept)?;
    let error = without.prepare(&bytes).await.map(|_| ()).expect_err("it is compiled again");
    assert_eq!(error.code, "compile-failed", "{error}");
    assert!(!file.exists(), "the file that somebody touched is removed");
    Ok(())
}

#[tokio::test]
async fn twenty_kept_versions_are_ready_in_no_time() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let open = || -> anyhow::Result<Connectors> {
        let key = Vault::new(&[1; 32]).mac_key("code")?;
        let code = wharfinger::connector::CodeCache::open(&dir.path().join("code"), key)?;
        Connectors::new(Setup { code: Some(code), ..Setup::new(program()?) })
    };
    // Different files of the same component: what follows its last section is a section of its own.
    let (_, bundled) = wharfinger::connector::bundled::BUNDLED.first().expect("one is bundled");
    let versions: Vec<Vec<u8>> = (0..20_u8).map(|n| [bundled, &[0, 3, 1, b'n', n][..]].concat()).collect();
    let first = open()?;
    let begun = Instant::now();
    for bytes in &versions {
        first.prepare(bytes).await?;
    }
    let compiled = begun.elapsed();
    let again = open()?;
    let begun = Instant::now();
    for bytes in &versions {
        again.prepare(bytes).await?;
    }
    let kept = begun.elapsed();
    eprintln!("20 versions: compiled in {compiled:?}, taken from the directory in {kept:?}");
    // Far above what is measured, so that a busy machine does not fail it; compiling takes several times as long.
    assert!(kept < compiled / 3, "{kept:?} of {compiled:?}");
    Ok(())
}

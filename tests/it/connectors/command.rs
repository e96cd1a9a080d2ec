//! The same from the command line.

use serde_json::json;
use wharfinger_tests::{
    TestHost,
    host::ADMIN_KEY,
    versions::{Variant, payload},
};

use super::*;
use crate::cli::executable;

/// How a command ended, and what it printed.
async fn run(host: &TestHost, args: &[&str]) -> anyhow::Result<(i32, String)> {
    let mut command = executable();
    command
        .arg("connector")
        .args(args)
        .env("WHARFINGER_URL", host.client().base())
        .env("WHARFINGER_API_KEY", ADMIN_KEY);
    let output = command.output().await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8(said)?))
}

/// The code with which a version is granted what it waits for, as it is shown where nobody can be asked.
async fn granting(host: &TestHost, version: &str) -> anyhow::Result<String> {
    let (code, said) = run(host, &["approve", NAME, version]).await?;
    ensure!(code == 1 && said.contains("asks for:\n  send "), "{code} {said}");
    Ok(said.trim_end().rsplit_once("--code ").context("a code")?.1.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_installed_swapped_and_removed_from_the_command_line() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let file = |variant: Variant| -> anyhow::Result<String> {
        let path = host.dir.path().join(format!("{}.wasm", uuid::Uuid::now_v7()));
        std::fs::write(&path, variant.component()?)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let (code, said) = run(&host, &["install", &file(Variant::new("1.0.0"))?]).await?;
    assert!(
        code == 0 && said.contains("waits for approval of:\n  send GET to the connection's host, /*"),
        "{code} {said}"
    );
    let (code, said) = run(&host, &["activate", NAME, "1.0.0", "--wait"]).await?;
    assert!(code == 3 && said.contains("waits for approval"), "{code} {said}");
    let code_of_first = granting(&host, "1.0.0").await?;
    let (code, said) = run(&host, &["approve", NAME, "1.0.0", "--code", &code_of_first]).await?;
    assert!(code == 0 && said.contains("granted versions 1.0.0 3 permissions"), "{code} {said}");
    let (code, said) = run(&host, &["activate", NAME, "1.0.0", "--wait"]).await?;
    assert!(code == 0 && said.contains("1.0.0: done"), "{code} {said}");
    host.client().register(&payload("A", "Versions", 1)).await?;

    let more = json!(["GET", "POST"]);
    let next = Variant::new("1.1.0").with("/egress/0/methods", more);
    let next = file(next)?;
    let install = ["install", &next, "--approve", "--activate", "--origin", "oci://here/x:1"];
    let (code, said) = run(&host, &install).await?;
    assert!(code == 1 && said.contains("nothing was granted"), "{code} {said}");
    let code_of_next = granting(&host, "1.1.0").await?;
    let (code, said) = run(&host, &[&install[..], &["--code", &code_of_next]].concat()).await?;
    assert!(code == 0 && said.contains("granted:") && said.contains("1.1.0: done"), "{code} {said}");
    let (code, said) =
        run(&host, &["install", &file(Variant::new("1.2.0").doing("check-fails"))?, "--activate"]).await?;
    assert!(
        code == 5 && said.contains("1.2.0: blocked") && said.contains("stands in the way: connection A"),
        "{code} {said}"
    );

    let (_, list) = run(&host, &["list"]).await?;
    assert!(
        list.lines()
            .any(|line| line.starts_with("versions") && line.contains("1.1.0") && line.contains("1.2.0 blocked")),
        "{list}"
    );
    let (_, show) = run(&host, &["show", NAME]).await?;
    assert!(
        show.lines()
            .any(|line| line.starts_with("1.1.0") && line.contains("active") && line.contains("oci://here/x:1")),
        "{show}"
    );
    let (_, text) = run(&host, &["show", NAME, "--json"]).await?;
    assert_eq!(serde_json::from_str::<Value>(&text)?["version"], "1.1.0");

    let (code, said) = run(&host, &["pin", "A", "1.0.0"]).await?;
    assert!(code == 0 && said.contains("served by version 1.0.0"), "{said}");
    let (_, said) = run(&host, &["unpin", "A"]).await?;
    assert!(said.contains("served by version 1.1.0"), "{said}");
    let (code, said) = run(&host, &["rollback", NAME]).await?;
    assert!(code == 0 && said.contains("went back from 1.1.0 to 1.0.0"), "{said}");
    let (code, said) = run(&host, &["activate", NAME, "1.1.0", "--canary", "A", "--force", "--wait"]).await?;
    assert!(code == 0, "{said}");
    assert_eq!(serves(host.client(), "A").await?, "1.1.0");
    let (code, _) = run(&host, &["remove", NAME, "1.1.0"]).await?;
    assert_eq!(code, 3, "what somebody tries out is needed");
    run(&host, &["rollback", NAME]).await?;
    let (code, said) = run(&host, &["remove", NAME, "1.1.0"]).await?;
    assert!(code == 0 && said.contains("removed versions 1.1.0"), "{said}");
    host.stop().await;
    Ok(())
}

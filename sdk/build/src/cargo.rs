//! Calls cargo for one package and reads from its messages where the components are.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use crate::{
    Component, Request, TARGET, artefact,
    environment::Environment,
    error::{At, BuildError, ToolError},
    toolchain::Toolchain,
};

/// Builds what was asked for and checks that all of it is there.
pub(crate) fn build(
    environment: &Environment,
    toolchain: &Toolchain,
    package: &Path,
    request: &Request,
) -> Result<Vec<Component>, BuildError> {
    let mut command = environment.command("cargo", package);
    command.args(["build", "--target", TARGET, "--profile", &request.profile]);
    command.args(["--message-format", "json-render-diagnostics"]);
    command.arg("--manifest-path").arg(package.join("Cargo.toml"));
    if let Some(dir) = &request.target_dir {
        command.arg("--target-dir").arg(dir);
    }
    if request.examples.is_empty() {
        command.arg("--lib");
    }
    request.examples.iter().for_each(|example| {
        command.args(["--example", example]);
    });
    toolchain.apply(&mut command);

    let start = |source| BuildError::Cargo(ToolError::Start { tool: "cargo".to_owned(), source });
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(start)?;
    let mut components = Vec::new();
    if let Some(messages) = child.stdout.take() {
        // A message that cannot be read is as good as none: what is missing is noticed below.
        let lines = BufReader::new(messages).lines().map_while(Result::ok);
        components.extend(lines.filter_map(|line| artefact(&line, package, request)));
    }
    let status = child.wait().at("wait for cargo in", package)?;
    if !status.success() {
        return Err(BuildError::Compile { package: package.to_owned(), status });
    }
    check(package, request, &components)?;
    Ok(components)
}

/// The component that a message of cargo tells of, if it is one of those asked for.
fn artefact(line: &str, package: &Path, request: &Request) -> Option<Component> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    // A dependency may be a cdylib too.
    let manifest = Path::new(message["manifest_path"].as_str()?).canonicalize().ok()?;
    if manifest.parent() != Some(package) {
        return None;
    }
    let name = message["target"]["name"].as_str()?;
    let is_example = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "example");
    let wanted = if is_example { request.examples.iter().any(|e| e == name) } else { request.examples.is_empty() };
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
    let path = files.map(PathBuf::from).find(|file| file.extension().is_some_and(|end| end == "wasm"))?;
    wanted.then(|| Component { name: name.to_owned(), path })
}

fn check(package: &Path, request: &Request, components: &[Component]) -> Result<(), BuildError> {
    let missing = |name: &str| BuildError::Missing { package: package.to_owned(), name: name.to_owned() };
    if request.examples.is_empty() && components.is_empty() {
        return Err(missing("library"));
    }
    if let Some(name) = request.examples.iter().find(|name| !components.iter().any(|c| c.name == **name)) {
        return Err(missing(name));
    }
    for component in components {
        if !artefact::is_component(&component.path)? {
            return Err(BuildError::NotAComponent(component.path.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: &str, files: &str, examples: &[&str]) -> Option<Component> {
        let package = std::env::temp_dir().canonicalize().unwrap();
        // Cargo names the manifest; that it lies in the package's directory is all that is looked at.
        let manifest = package.join(".");
        let request =
            Request { examples: examples.iter().map(|e| (*e).to_owned()).collect(), ..Request::new(&package) };
        let line = format!(
            r#"{{"reason":"compiler-artifact","manifest_path":{manifest:?},"target":{{"name":"n","kind":[{kind}]}},"filenames":[{files}]}}"#
        );
        artefact(&line, package.parent().unwrap(), &request)
    }

    #[test]
    fn a_message_names_the_component_that_was_asked_for() {
        let component = Component { name: "n".to_owned(), path: "/t/n.wasm".into() };
        assert_eq!(found(r#""cdylib","rlib""#, r#""/t/n.wasm","/t/libn.rlib""#, &[]), Some(component.clone()));
        assert_eq!(found(r#""example""#, r#""/t/n.wasm""#, &["n"]), Some(component));
    }

    #[test]
    fn other_messages_are_none() {
        assert_eq!(found(r#""lib""#, r#""/t/libn.rlib""#, &[]), None);
        assert_eq!(found(r#""cdylib""#, r#""/t/n.wasm""#, &["n"]), None);
        assert_eq!(found(r#""example""#, r#""/t/n.wasm""#, &["other"]), None);
        assert_eq!(artefact("not json", Path::new("/"), &Request::new("/")), None);
        assert_eq!(artefact(r#"{"reason":"build-finished"}"#, Path::new("/"), &Request::new("/")), None);
    }
}

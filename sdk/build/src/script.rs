//! For build scripts: components into `OUT_DIR`, and cargo told what they depend on.
//!
//! All packages of a workspace share one target directory for components, beside the one that cargo uses outside: what
//! they have in common is compiled once, and the outer cargo's lock is not waited for.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
};

use crate::{BuildError, Component, Request, artefact, build, environment::Environment};

/// Builds a package's library, or those examples of it, and puts them into `OUT_DIR` as `<name>.wasm`, the name being the
/// package's directory or the example. Returns them as they lie there.
///
/// ```no_run
/// // build.rs
/// use wharfinger_component_build::script;
///
/// script::rerun_if_changed(&["../connectors", "../sdk"]);
/// script::bundle("../connectors/mine".as_ref(), &[])?;
/// # Ok::<(), wharfinger_component_build::BuildError>(())
/// ```
pub fn bundle(package: &Path, examples: &[String]) -> Result<Vec<Component>, BuildError> {
    let out = out_dir()?;
    let request = Request {
        package: package.to_owned(),
        examples: examples.to_owned(),
        target_dir: Some(target_dir(&out)),
        profile: "release".to_owned(),
        // Cargo shows what a build script writes there when asked for it (-vv) or when the script fails.
        progress: |line| eprintln!("{line}"),
    };
    let mut components = build(&request)?;
    for component in &mut components {
        if examples.is_empty() {
            component.name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        }
        let to = out.join(format!("{}.wasm", component.name));
        artefact::place(&component.path, &to)?;
        component.path = to;
    }
    Ok(components)
}

/// Tells cargo to run the script again only when something at these paths, relative to the package, has changed.
pub fn rerun_if_changed<P: AsRef<Path>>(paths: &[P]) {
    let mut stdout = std::io::stdout().lock();
    for path in paths {
        // Cargo reads this; if it does not, the script has no reader left to complain to.
        let _ = writeln!(stdout, "cargo::rerun-if-changed={}", path.as_ref().display());
    }
}

/// Writes a file into `OUT_DIR` and returns where it lies.
pub fn write(content: impl AsRef<[u8]>, name: &str) -> Result<PathBuf, BuildError> {
    let to = out_dir()?.join(name);
    artefact::write(content.as_ref(), &to)?;
    Ok(to)
}

fn out_dir() -> Result<PathBuf, BuildError> {
    let out = Environment::of_process().get("OUT_DIR").map(PathBuf::from);
    out.ok_or(BuildError::NotABuildScript("OUT_DIR"))
}

/// `OUT_DIR` is `<target>/<profile>/build/<package>/out`; components go to `<target>/<profile>/components`. Where cargo
/// arranges it otherwise, below `OUT_DIR`.
fn target_dir(out: &Path) -> PathBuf {
    let build = out.ancestors().nth(2).filter(|dir| dir.file_name() == Some(OsStr::new("build")));
    build.and_then(Path::parent).unwrap_or(out).join("components")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_a_workspace_share_a_target_directory_of_their_own() {
        let of = |out: &str| target_dir(Path::new(out));
        assert_eq!(of("/p/target/release/build/host-0a1b/out"), Path::new("/p/target/release/components"));
        assert_eq!(of("/wt/build/target/release/build/x-1/out"), Path::new("/wt/build/target/release/components"));
        assert_eq!(of("/build/else/where/out"), Path::new("/build/else/where/out/components"));
    }
}

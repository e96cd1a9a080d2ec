//! What a component imports and exports, read before anything of it is compiled.
//!
//! Only the outermost component's imports are looked at: what lies inside can import nothing but what the outer one
//! hands on. (The SDK's custom section lies inside, in the core module that the connector was compiled to.)
//! Every refusal says what the file is and what to do.

use wasmparser::{ComponentExternalKind, ComponentTypeRef, Encoding, Parser, Payload};

use super::{
    error::LoadError,
    limits::{MOST_COMPONENT_MIB, size},
};
use crate::model::connector::Built;

/// The package of the contract.
const CONTRACT: &str = "wharfinger:connector";
/// The contract's version that this host speaks. Until 1.0 a new minor version is another contract.
const CONTRACT_VERSION: (u64, u64) = (0, 1);
/// What of the contract a component may import; the last two hold types only.
const CONTRACT_IMPORTS: [&str; 4] = ["http", "log", "types", "catalog-types"];
/// What a connector must export.
const CONTRACT_EXPORTS: [&str; 3] = ["descriptor", "check", "catalog"];
/// Most imports of a component, and most exports. What WASI and the contract have is fewer.
const MAX_NAMES: usize = 200;
/// Longest name of one.
const MAX_NAME: usize = 256;
/// The custom section in which the SDK tells its versions.
const SDK_SECTION: &str = "wharfinger-sdk";

/// Longest version that is told, in bytes.
const MAX_VERSION: usize = 64;

/// The WASI 0.2 interfaces that are linked, with nothing behind them.
const WASI: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What the outside of a component shows.
#[derive(Debug, Default)]
struct Outside {
    imports: Vec<(String, bool)>,
    exports: Vec<String>,
    sdk: Option<Vec<u8>>,
}

/// The names of what a component imports and exports, in its order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Interfaces {
    /// What it needs.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
}

/// What a component that may be loaded imports and exports.
pub fn interfaces(bytes: &[u8]) -> Result<Interfaces, LoadError> {
    // Each host has its own limit: that one judges.
    audit(bytes, (MOST_COMPONENT_MIB as usize) << 20)?;
    let outside = read(bytes)?;
    Ok(Interfaces { imports: outside.imports.into_iter().map(|(name, _)| name).collect(), exports: outside.exports })
}

/// What a component that may be loaded was built with.
pub fn built(bytes: &[u8]) -> Result<Built, LoadError> {
    let outside = read(bytes)?;
    let contract = outside.exports.iter().find_map(|name| {
        let (interface, version) = name.split_once('@')?;
        (interface == format!("{CONTRACT}/{}", CONTRACT_EXPORTS[0])).then(|| version.to_owned())
    });
    let sdk = outside.sdk.as_deref().map(sdk).transpose()?.and_then(|sdk| sdk.sdk);
    let short = |text: &String| text.len() <= MAX_VERSION;
    Ok(Built { contract: contract.filter(short), sdk: sdk.filter(short) })
}

/// Checks that the bytes are a component that imports nothing but what is allowed and exports what is needed.
pub(super) fn audit(bytes: &[u8], most: usize) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(refuse("not-a-component", "the file is empty".into()));
    }
    if bytes.len() > most {
        let (found, most) = (bytes.len().div_ceil(1 << 20), size(most));
        let message =
            format!("the component has {found} MiB; at most {most} are allowed: see `component_mib` in `[connectors]`");
        return Err(refuse("too-large", message));
    }
    let outside = read(bytes)?;
    if let Some(sdk) = &outside.sdk {
        check_sdk(sdk)?;
    }
    for needed in CONTRACT_EXPORTS {
        check_export(needed, &outside.exports)?;
    }
    Ok(())
}

/// Judges each name when it is read, so that no component makes the host keep more than it would keep of a good one.
fn read(bytes: &[u8]) -> Result<Outside, LoadError> {
    let mut outside = Outside::default();
    let (mut depth, mut seen) = (0_usize, 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| unreadable(bytes, &error))? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(refuse(
                    "not-a-component",
                    "the file is a core WebAssembly module, not a component: build it with `wharfinger connector \
                     build`, or turn it into a component with `wasm-tools component new`"
                        .into(),
                ));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(|error| unreadable(bytes, &error))?;
                    let is_instance = matches!(import.ty, ComponentTypeRef::Instance(_));
                    let name = import.name.name;
                    check_length("imports", name, outside.imports.len())?;
                    check_import(name, is_instance)?;
                    outside.imports.push((name.to_owned(), is_instance));
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(|error| unreadable(bytes, &error))?;
                    seen += 1;
                    check_length("exports", export.name.name, seen - 1)?;
                    if export.kind == ComponentExternalKind::Instance {
                        outside.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) if section.name() == SDK_SECTION => {
                outside.sdk = Some(section.data().to_vec());
            }
            _ => {}
        }
    }
    Ok(outside)
}

fn check_length(verb: &str, name: &str, before: usize) -> Result<(), LoadError> {
    if before == MAX_NAMES {
        let message = format!("the component {verb} more than {MAX_NAMES} interfaces, functions and types");
        return Err(refuse("too-large", message));
    }
    if name.len() > MAX_NAME {
        let message = format!("the component {verb} something whose name has more than {MAX_NAME} bytes: {name}");
        return Err(refuse("too-large", message));
    }
    Ok(())
}

fn unreadable(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> LoadError {
    let magic = b"\0asm";
    if !bytes.starts_with(&magic[..bytes.len().min(4)]) {
        return refuse("not-a-component", "the file is not WebAssembly; a connector is a component (`.wasm`)".into());
    }
    // A file that was cut off asks for bytes beyond its end.
    if error.offset() >= bytes.len()
        || error.message().contains("unexpected end")
        || error.message().contains("extends past")
    {
        let message = format!("the component is truncated after {} bytes: copy or build it again", bytes.len());
        return refuse("truncated", message);
    }
    refuse("not-a-component", format!("the component cannot be read: {error}"))
}

fn check_import(name: &str, is_instance: bool) -> Result<(), LoadError> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    if let Some(ours) = interface.strip_prefix(CONTRACT).and_then(|rest| rest.strip_prefix('/')) {
        check_contract(name, version)?;
        if is_instance && CONTRACT_IMPORTS.contains(&ours) {
            return Ok(());
        }
    }
    if is_instance && WASI.contains(&interface) && minor(version) == Some((0, 2)) {
        return Ok(());
    }
    Err(refuse(
        "forbidden-import",
        format!(
            "the component imports {name:?}, which no connector gets: it may import `{CONTRACT}/http` and \
             `{CONTRACT}/log`, and the interfaces of WASI 0.2 that a standard library links"
        ),
    ))
}

/// Of several versions of an interface one that fits is enough; where none does, the first says what is wrong.
fn check_export(needed: &str, exports: &[String]) -> Result<(), LoadError> {
    let wanted = format!("{CONTRACT}/{needed}");
    let found = exports.iter().filter_map(|name| {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        (interface == wanted).then(|| check_contract(name, version))
    });
    let missing = refuse(
        "missing-export",
        format!("the component does not export `{wanted}`, which every connector does: it is no connector"),
    );
    found.reduce(|first, next| first.or_else(|error| next.map_err(|_| error))).unwrap_or(Err(missing))
}

/// Refuses an interface of another version of the contract and says which side is older.
fn check_contract(name: &str, version: &str) -> Result<(), LoadError> {
    let (major, patch) = CONTRACT_VERSION;
    let side = match minor(version) {
        Some(found) if found == CONTRACT_VERSION => return Ok(()),
        Some(found) if found > CONTRACT_VERSION => "upgrade the host",
        _ => "build the connector with a newer SDK",
    };
    Err(refuse(
        "unsupported-contract",
        format!("the component uses `{name}`, and this host speaks version {major}.{patch} of the contract: {side}"),
    ))
}

/// What the SDK writes into a component: a JSON object.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sdk {
    /// Its own version.
    #[serde(default)]
    sdk: Option<String>,
    /// The version of the contract.
    wit: String,
    /// The oldest host that it works with.
    #[serde(default)]
    minimum_host: Option<String>,
}

fn sdk(section: &[u8]) -> Result<Sdk, LoadError> {
    serde_json::from_slice(section).map_err(|_| unreadable_sdk())
}

fn unreadable_sdk() -> LoadError {
    let message = format!("the component's section `{SDK_SECTION}` cannot be read: build it again with the SDK");
    refuse("unsupported-contract", message)
}

/// Checks what the SDK wrote: the version of the contract, and the oldest host it works with.
fn check_sdk(section: &[u8]) -> Result<(), LoadError> {
    let sdk = sdk(section)?;
    check_contract(&format!("{CONTRACT}@{}", sdk.wit), &sdk.wit)?;
    let own = env!("CARGO_PKG_VERSION");
    match sdk.minimum_host {
        Some(needed) if version(&needed).ok_or_else(unreadable_sdk)? > version(own).unwrap_or_default() => Err(refuse(
            "unsupported-contract",
            format!("the component needs version {needed} of the host, and this is {own}: upgrade the host"),
        )),
        _ => Ok(()),
    }
}

/// Major and minor version.
fn minor(text: &str) -> Option<(u64, u64)> {
    version(text).map(|(major, minor, _)| (major, minor))
}

/// The three numbers of a version, without what follows them.
fn version(text: &str) -> Option<(u64, u64, u64)> {
    let numbers = text.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

fn refuse(code: &'static str, message: String) -> LoadError {
    LoadError::new(code, &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], code: &str, part: &str) {
        let error = audit(bytes, 1 << 20).expect_err("refused");
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(part), "{error}");
    }

    #[test]
    fn what_is_no_component_is_called_by_its_name() {
        refused(b"", "not-a-component", "empty");
        refused(b"#!/bin/sh", "not-a-component", "not WebAssembly");
        refused(b"\0as", "truncated", "3 bytes");
        refused(b"\0asm\x01\0\0\0", "not-a-component", "core WebAssembly module");
        refused(b"\0asm\x0d\0\x01\0", "missing-export", "descriptor");
        refused(b"\0asm\x0d\0\x01\0\x07\x7f", "truncated", "10 bytes");
        refused(&vec![0; (1 << 20) + 1], "too-large", "has 2 MiB; at most 1 MiB are allowed: see `component_mib`");
    }

    #[test]
    fn only_the_listed_imports_pass() {
        for name in ["wharfinger:connector/http@0.1.7", "wasi:io/streams@0.2.6", "wharfinger:connector/types@0.1.0"] {
            assert!(check_import(name, true).is_ok(), "{name}");
        }
        for (name, code) in [
            ("wasi:http/outgoing-handler@0.2.0", "forbidden-import"),
            ("wasi:io/streams@0.3.0", "forbidden-import"),
            ("wasi:io/streams", "forbidden-import"),
            ("env", "forbidden-import"),
            ("wharfinger:connector/vault@0.1.0", "forbidden-import"),
            ("wharfinger:connector/http@0.2.0", "unsupported-contract"),
            ("wharfinger:connector/http", "unsupported-contract"),
            ("wharfinger:connector-evil/http@0.1.0", "forbidden-import"),
        ] {
            assert_eq!(check_import(name, true).expect_err(name).code, code, "{name}");
        }
        assert!(check_import("wasi:io/streams@0.2.6", false).is_err(), "a function under an interface's name");
    }

    /// A component's header and one section.
    fn outside(section: u8, inside: &[u8]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        crate::connector::section::write(&mut bytes, section, inside);
        bytes
    }

    /// A component with a section of so many imports, all of them instances of this name.
    fn importing(count: u32, name: &str) -> Vec<u8> {
        // Five bytes of LEB128 for the numbers, whatever they are.
        let number = |n: u32| [0, 7, 14, 21, 28].map(|at| (n >> at) as u8 & 0x7f | if at < 28 { 0x80 } else { 0 });
        let one = [&[0][..], &number(name.len() as u32), name.as_bytes(), &[5, 0]].concat();
        outside(10, &[&number(count)[..], &one.repeat(count as usize)].concat())
    }

    #[test]
    fn imports_are_judged_one_by_one_and_counted() {
        // The first is refused, whatever follows: here bytes that cannot be read.
        let mut first = importing(2, "env");
        first.truncate(first.len() - 4);
        first[9] -= 4;
        refused(&first, "forbidden-import", "\"env\"");
        refused(&importing(MAX_NAMES as u32 + 1, "wasi:io/poll@0.2.0"), "too-large", "more than 200");
        let long = format!("wasi:io/poll@0.2.0-{}", "x".repeat(MAX_NAME));
        refused(&importing(1, &long), "too-large", "more than 256 bytes");
        let steers = "wasi:io/poll@0.2.0\u{1b}]0;owned\u{7}\u{202e}";
        let message = audit(&importing(1, &format!("env{steers}")), (MOST_COMPONENT_MIB as usize) << 20)
            .expect_err("refused")
            .message;
        assert!(!message.contains(|c: char| c.is_control() || c == '\u{202e}'), "{message:?}");
        // A hundred functions are exported besides, and one too many.
        let exports: String = (0..=MAX_NAMES).map(|i| format!("(export \"x{i}\" (type $t))")).collect();
        let bytes = wat::parse_str(format!("(component (type $t string) {exports})")).expect("component");
        refused(&bytes, "too-large", "exports more than 200");
    }

    #[test]
    fn of_several_versions_one_that_fits_is_enough() {
        let name = |version: &str| format!("{CONTRACT}/check@{version}");
        for versions in [["0.2.0", "0.1.0"], ["0.1.3", "0.0.1"]] {
            assert!(check_export("check", &versions.map(name)).is_ok(), "{versions:?}");
        }
        let error = check_export("check", &["0.2.0", "0.0.1"].map(name)).expect_err("none fits");
        assert!(error.code == "unsupported-contract" && error.message.contains("upgrade the host"), "{error}");
        assert_eq!(check_export("catalog", &["0.1.0"].map(name)).expect_err("another").code, "missing-export");
    }

    #[test]
    fn a_mismatch_says_which_side_to_upgrade() {
        let section = |text: &str| check_sdk(text.as_bytes()).map_err(|e| e.message);
        assert_eq!(section(r#"{"sdk":"0.1.0","wit":"0.1.0","minimumHost":"0.1.0"}"#), Ok(()));
        assert!(section(r#"{"wit":"0.2.0"}"#).is_err_and(|m| m.contains("upgrade the host")));
        assert!(section(r#"{"wit":"0.0.9"}"#).is_err_and(|m| m.contains("newer SDK")));
        assert!(
            section(r#"{"wit":"0.1.0","minimumHost":"99.0.0"}"#).is_err_and(|m| m.contains("needs version 99.0.0"))
        );
        assert!(section("?").is_err());
    }
}

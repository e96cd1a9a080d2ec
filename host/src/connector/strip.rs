//! Takes out of a component what only debuggers read. Names of functions stay: they make traps readable.

use super::section::{HEADER, sections, write};

/// The ids of sections that hold a whole module or component.
const NESTED: [u8; 2] = [1, 4];

/// Deeper ones are copied as they are.
const MAX_DEPTH: usize = 8;

/// The first bytes of a component's header; a core module's differ, and its sections of these ids hold no modules.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// The component without debug information, in its modules and components too. What cannot be told apart stays as it is.
#[must_use]
pub fn without_debug_information(bytes: &[u8]) -> Vec<u8> {
    stripped(bytes, 0).unwrap_or_else(|| bytes.to_vec())
}

fn stripped(bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
    let mut out = bytes.get(..HEADER)?.to_vec();
    let is_component = bytes.starts_with(COMPONENT);
    for section in sections(bytes) {
        let section = section.ok()?;
        let inside = &bytes[section.inside..section.end];
        if section.custom_name(bytes).is_some_and(is_debug) {
            continue;
        }
        let nested = is_component && NESTED.contains(&section.id) && depth < MAX_DEPTH;
        match nested.then(|| stripped(inside, depth + 1)).flatten() {
            Some(nested) => write(&mut out, section.id, &nested),
            None => out.extend_from_slice(&bytes[section.start..section.end]),
        }
    }
    Some(out)
}

fn is_debug(name: &[u8]) -> bool {
    name.starts_with(b".debug_") || [&b"sourceMappingURL"[..], b"external_debug_info"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with two modules, one of them inside another component, each with debug sections between others.
    fn component(debug: &str) -> Vec<u8> {
        let module = format!(
            r#"(core module {debug} (func (export "f") (result i32) i32.const 42) (@custom "kept" "k") {debug})"#
        );
        wat::parse_str(format!("(component {debug} {module} (component {module} {debug}))")).expect("component")
    }

    #[test]
    fn debug_sections_go_wherever_they_are_and_all_else_stays() {
        let debug = format!(r#"(@custom ".debug_info" "{}") (@custom "sourceMappingURL" "u")"#, "x".repeat(300));
        let with = component(&debug);
        let stripped = without_debug_information(&with);
        assert_eq!(stripped, component(""));
        assert!(with.len() > stripped.len() + 300 * 6);
        wasmparser::Validator::new().validate_all(&stripped).expect("still a component");
        assert_eq!(without_debug_information(&stripped), stripped);
    }

    #[test]
    fn what_cannot_be_read_stays_as_it_is() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0\x01\x7f", b"no wasm at all"] {
            assert_eq!(without_debug_information(bytes), bytes);
        }
        // A nested module that is damaged.
        let mut damaged = COMPONENT.to_vec();
        write(&mut damaged, 1, b"\0asm\x01\0\0\0\x00\x70.debug_info");
        assert_eq!(without_debug_information(&damaged), damaged);
    }

    #[test]
    fn nesting_without_end_is_no_work() {
        let mut bytes = COMPONENT.to_vec();
        for _ in 0..2000 {
            let mut outer = COMPONENT.to_vec();
            write(&mut outer, 4, &bytes);
            bytes = outer;
        }
        assert_eq!(without_debug_information(&bytes), bytes);
    }
}

//! Components that no compiler makes, written as text: what they get is told in the error.

use super::*;

/// A component that exports the contract's functions, all of them with a type that is not the contract's, around a core
/// module with this in it.
fn component(module: &str) -> Vec<u8> {
    importing("", module)
}

/// The same with imports.
fn importing(imports: &str, module: &str) -> Vec<u8> {
    let exports: String = ["descriptor", "check", "catalog"]
        .iter()
        .map(|name| format!("(export \"wharfinger:connector/{name}@0.1.0\" (instance $all))\n"))
        .collect();
    wat::parse_str(format!(
        r#"(component {imports}
            (core module $m (func (export "f")) {module})
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $all
                (export "describe" (func $f)) (export "run" (func $f))
                (export "plan" (func $f)) (export "read" (func $f)))
            {exports})"#
    ))
    .expect("the text of the component")
}

async fn refused(bytes: &[u8]) -> LoadError {
    match load(&Workshop::for_tests(), bytes).await {
        Ok(_) => panic!("must be refused"),
        Err(error) => error,
    }
}

#[track_caller]
fn says(error: &LoadError, code: &str, part: &str) {
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(part), "{error}");
}

#[tokio::test]
async fn exports_with_other_types_are_refused() {
    says(&refused(&component("")).await, "describe-failed", "type");
}

#[tokio::test]
async fn growing_tables_are_stopped() {
    let grows = r"(table $t 1 funcref)
        (func $start (if (i32.eq (table.grow $t (ref.null func) (i32.const 200000)) (i32.const -1))
            (then unreachable)))
        (start $start)";
    says(&refused(&component(grows)).await, "describe-failed", "ran out of tables");
}

#[tokio::test]
async fn growing_memory_is_stopped() {
    let grows = r"(memory $m 1)
        (func $start (if (i32.eq (memory.grow (i32.const 5000)) (i32.const -1)) (then unreachable)))
        (start $start)";
    says(&refused(&component(grows)).await, "describe-failed", "ran out of memory");
}

#[tokio::test]
async fn a_loop_while_starting_is_stopped() {
    let loops = "(func $start (loop $l (br $l))) (start $start)";
    // On a busy machine the wall clock may be first.
    says(&refused(&component(loops)).await, "describe-failed", "describe ");
}

#[tokio::test]
async fn an_import_that_is_not_listed_is_refused_before_anything_is_compiled() {
    let text = r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))"#;
    let error = refused(&wat::parse_str(text).expect("component")).await;
    says(&error, "forbidden-import", "wasi:http/outgoing-handler");
    let text = r#"(component (import "env" (func)))"#;
    says(&refused(&wat::parse_str(text).expect("component")).await, "forbidden-import", "env");
}

#[tokio::test]
async fn an_allowed_interface_with_another_function_does_not_link() {
    let bytes = importing(r#"(import "wharfinger:connector/log@0.1.0" (instance (export "steal" (func))))"#, "");
    says(&refused(&bytes).await, "forbidden-import", "does not fit the contract");
}

#[tokio::test]
async fn a_damaged_file_is_refused_wherever_it_is_damaged() {
    let whole = component("(memory 1)");
    for end in 0..whole.len() {
        match audit::audit(&whole[..end], usize::MAX) {
            // Only names for people, at its end, may be missing.
            Ok(()) => assert!(end > whole.len() / 2, "{end}"),
            Err(error) => {
                assert!(["truncated", "not-a-component", "missing-export"].contains(&error.code), "{end}: {error}");
            }
        }
    }
    let shop = Workshop::for_tests();
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        // What matters is that it comes back; nothing with these types can be loaded.
        assert!(load(&shop, &damaged).await.is_err(), "byte {at}");
    }
}

#[tokio::test]
async fn few_bytes_far_apart_do_not_become_megabytes_of_code() {
    let module = r#"(core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15700000) "b"))"#;
    let bytes = wat::parse_str(format!("(component {})", module.repeat(20))).expect("component");
    assert!(bytes.len() < 2000, "{}", bytes.len());
    let shop = Workshop::for_tests();
    let code = shop.compiler.compile(&bytes, shop.guests.layout, &shop.guests.compatibility).await.expect("compiles");
    assert!(code.len() < 4 << 20, "{} bytes", code.len());
}

#[tokio::test]
async fn code_of_what_is_refused_is_not_kept() {
    let place = std::env::temp_dir().join(format!("wharfinger-refused-{}", uuid::Uuid::now_v7()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[1; 32]);
    let code = crate::connector::code::CodeCache::open(&place, key).expect("cache");
    let shop = Workshop { code: Some(code), ..Workshop::for_tests() };
    // It compiles and links; what it says of itself has another type.
    let error = load(&shop, &component("")).await.err().expect("refused");
    says(&error, "describe-failed", "type");
    assert_eq!(std::fs::read_dir(&place).expect("directory").count(), 0);
    std::fs::remove_dir_all(&place).expect("removed");
}

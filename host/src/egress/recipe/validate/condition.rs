//! Whether what is said about answers can be looked for in them.

use serde_json::Value;

use super::{Checked, refuse};
use crate::egress::recipe::Condition;

pub(super) fn check_all(at: &str, conditions: &[Condition]) -> Checked {
    for (index, condition) in conditions.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if condition.status.is_empty() {
            return refuse(at, "name at least one status");
        }
        check_test(&at, condition.at.as_deref(), &condition.any_of)?;
    }
    Ok(())
}

pub(super) fn check_test(at: &str, pointer: Option<&str>, any_of: &[Value]) -> Checked {
    match pointer {
        Some(pointer) => check_pointer(&format!("{at}.at"), pointer)?,
        None if !any_of.is_empty() => return refuse(format!("{at}.in"), "it needs `at`"),
        None => {}
    }
    if any_of.iter().any(|value| value.is_array() || value.is_object()) {
        return refuse(format!("{at}.in"), "only strings, numbers, true, false and null can be compared");
    }
    Ok(())
}

pub(super) fn check_pointer(at: &str, pointer: &str) -> Checked {
    if pointer.is_empty() || pointer.starts_with('/') {
        Ok(())
    } else {
        refuse(at, format!("`{pointer}` is not a JSON pointer"))
    }
}

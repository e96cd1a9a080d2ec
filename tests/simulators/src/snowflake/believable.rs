//! The account that `wharfinger demo` shows.

use super::model::Account;

/// Fills an account.
pub fn account(seed: u64) -> Account {
    Account::new("HARBOUR", "RETAIL_EU", "HB41207", seed)
}

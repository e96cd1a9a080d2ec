//! The simulators against what is not theirs: the vendors' clients, recorded answers, and plain HTTP.

mod faults;
mod http;
mod json;
mod python;
mod recorded;
mod snowflake;
mod snowflake_python;
mod snowflake_rust;

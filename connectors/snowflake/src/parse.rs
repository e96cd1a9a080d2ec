//! What the platform answers: pure. Columns are found by name, rows are read straight from the answer's text, and an
//! answer that is not whole is an error.

mod problem;
mod rows;

pub(crate) use problem::{Problem, error_for};
pub(crate) use rows::{Part, Table, place, unpack};

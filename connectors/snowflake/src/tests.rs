//! The connector against canned platforms, natively: what is asked, what is made of the answers, what is never said.

mod account;
mod canned;
mod check;
mod columns;
mod confirm;
mod descriptor;
mod listing;
mod platform;

mod statements;

//! Third version, which reads no cursor but its own of a connector with many pages.

wharfinger_guests::export_pages!("3.0.0", ["3.0.0"]);

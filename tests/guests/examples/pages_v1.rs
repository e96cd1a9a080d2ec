//! First version of a connector with many pages.

wharfinger_guests::export_pages!("1.0.0", ["1.0.0", "2.0.0"]);

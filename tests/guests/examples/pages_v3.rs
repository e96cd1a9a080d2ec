//! Third version, which reads no cursor but its own of a connector with many pages.

use wharfinger_guests::{Error, Guest, Page, Partition, ReadRequest, pages};

const VERSION: &str = "3.0.0";

struct Pages;

impl Guest for Pages {
    fn describe() -> String {
        pages::describe(VERSION)
    }

    fn plan(_config: String, scope: Vec<String>) -> Result<Vec<Partition>, Error> {
        Ok(pages::plan(scope))
    }

    fn read(config: String, request: ReadRequest) -> Result<Page, Error> {
        pages::read(VERSION, &["3.0.0"], &config, &request)
    }
}

wharfinger_guests::export!(Pages);

//! Version of a connector with many pages that lists without columns, and is asked for them by name.

use wharfinger_guests::{Error, Guest, Object, Page, Partition, ReadRequest, pages};

const VERSION: &str = "0.9.0";

struct Pages;

impl Guest for Pages {
    fn describe() -> String {
        pages::describe(VERSION)
    }

    fn plan(_config: String, scope: Vec<String>) -> Result<Vec<Partition>, Error> {
        Ok(pages::plan(scope))
    }

    fn read(config: String, request: ReadRequest) -> Result<Page, Error> {
        let mut page = pages::read(VERSION, &[VERSION], &config, &request)?;
        page.objects = page.objects.into_iter().map(|table| Object { columns: None, ..table }).collect();
        Ok(page)
    }

    fn columns(config: String, names: Vec<String>) -> Result<Page, Error> {
        pages::columns(VERSION, &config, &names)
    }
}

wharfinger_guests::export!(Pages: optional);

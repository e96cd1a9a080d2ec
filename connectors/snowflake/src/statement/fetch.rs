//! Getting the rest of a result: parts from the account, or files from a cloud's storage, in parallel, and in order in
//! the end.

use wharfinger_sdk::{
    Context, Error, Flow,
    http::{RequestBuilder, Response},
};

use super::{Done, PARALLEL, Trouble, api};
use crate::{
    config::Config,
    parse::{Part, Table},
};

/// Largest result that is held.
const MAX_RESULT: usize = 96 << 20;
/// Most rows of a result: what comes of them fills several pages.
const MAX_ROWS: usize = 250_000;
/// Times that a file is asked for which came as something else.
const TRIES: u32 = 3;

/// Where the rows are that did not come with the first answer.
#[derive(Debug)]
pub(super) enum Rest {
    /// On the account: so many parts, the first among them.
    Partitions(usize),
    /// On a cloud's storage.
    Files(Vec<File>),
}

/// A file with rows.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Signed: needs no credential.
    pub(super) url: String,
    /// What the storage wants to see.
    pub(super) headers: Vec<(String, String)>,
}

/// The whole result.
pub(super) fn all(cx: &Context<Config>, done: Done) -> Result<Table, Trouble> {
    if done.bytes > MAX_RESULT || done.rows.is_some_and(|rows| rows > MAX_ROWS) {
        return Err(Trouble::TooLarge);
    }
    let requests: Vec<RequestBuilder> = match &done.rest {
        Rest::Partitions(count) => (1..*count).map(|number| api::partition(cx, &done.handle, number)).collect(),
        Rest::Files(files) => files.iter().map(|file| download(cx, file)).collect(),
    };
    let mut parts: Vec<Option<Part>> = requests.iter().map(|_| None).collect();
    let mut trouble = None;
    let mut left = MAX_RESULT;
    cx.http().send_all(requests, PARALLEL, |index, response| {
        let part = match (&done.rest, response) {
            (_, Err(error)) => Err(Trouble::from(error)),
            (Rest::Partitions(_), Ok(response)) => api::rows(response),
            (Rest::Files(files), Ok(response)) => match files.get(index) {
                Some(file) => rows(cx, file, response),
                None => return Flow::Continue(()),
            },
        };
        let part = part.and_then(|part| {
            left = left.checked_sub(part.len()).ok_or(Trouble::TooLarge)?;
            Ok(part)
        });
        match part {
            Ok(part) => {
                parts[index] = Some(part);
                Flow::Continue(())
            }
            Err(found) => {
                trouble = Some(found);
                Flow::Break(())
            }
        }
    });
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let parts: Vec<Part> = done.first.into_iter().chain(parts.into_iter().flatten()).collect();
    Table::new(done.columns, parts, done.rows).map_err(Trouble::Failed)
}

fn download(cx: &Context<Config>, file: &File) -> RequestBuilder {
    // Storages say 403 and 408 for a while, too.
    let request = [403, 408, 500, 502, 504].into_iter().fold(cx.http().get(&*file.url), RequestBuilder::retry_on);
    file.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// The rows of a file. What came as XML with status 200 is asked for again.
fn rows(cx: &Context<Config>, file: &File, mut response: Response) -> Result<Part, Trouble> {
    let mut tries = 1;
    loop {
        if response.status != 200 {
            let message = format!("A file of the result could not be fetched: the storage says {}.", response.status);
            return Err(Trouble::Failed(Error::unavailable(message).retry_after(response.retry_after_ms())));
        }
        match Part::bare(response.body) {
            Err(error) if error.is(wharfinger_sdk::codes::UNAVAILABLE) && tries < TRIES => {
                tries += 1;
                response = download(cx, file).send().map_err(Trouble::from)?;
            }
            part => return part.map_err(Trouble::from),
        }
    }
}

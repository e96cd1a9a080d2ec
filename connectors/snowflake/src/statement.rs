//! Sending a statement and getting its result, over whichever protocol the credential speaks.
//!
//! A statement that takes long is left running: the page ends, its handle stands in the cursor, and a later call goes on
//! from there. Statements are told apart by their text, so that a call which comes back sends the same ones and finds
//! those that it already paid for.

pub(crate) mod api;
pub(crate) mod driver;
mod fetch;
mod ran;

use std::cell::RefCell;

use wharfinger_sdk::{
    Context, Error, Flow, codes,
    http::{RequestBuilder, Response},
};

use crate::{
    config::{AuthenticationType, Config},
    parse::{Part, Problem, Table, error_for},
    request::Statement,
};

use fetch::Rest;
use ran::Ran;
pub(crate) use ran::{CURSOR, Waiting, abandon};

/// Requests at a time, the host willing.
pub(crate) const PARALLEL: u32 = 8;
/// How long a call waits for a statement.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Times that it is asked for.
    polls: u32,
    /// None begins later in the call.
    until_ms: u64,
}

/// Of a call that can leave the statement to the next one. (A guest cannot sleep, so it asks a few times at most.)
const LITTLE: Patience = Patience { polls: 3, until_ms: 10_000 };
/// Of a call that ends with its results or without any.
const MUCH: Patience = Patience { polls: 30, until_ms: 40_000 };

/// Why a statement gave no result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// The platform refused it.
    Refused(Problem),
    /// It still runs.
    Running,
    /// The result is larger than can be held: ask for less.
    TooLarge,
    /// Something else failed.
    Failed(Error),
}

/// What an answer says of a statement.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It still runs.
    Running(String),
    /// It is done.
    Done(Done),
}

/// A result, as far as it came.
#[derive(Debug)]
pub(crate) struct Done {
    /// Names the statement on the platform.
    handle: String,
    columns: Vec<String>,
    /// Rows that came with the answer.
    first: Option<Part>,
    /// Where the others are.
    rest: Rest,
    /// How many rows there are in all; none where it is not said.
    rows: Option<usize>,
    /// What all parts weigh, as far as it is said.
    bytes: usize,
}

/// The statements of one call.
pub(crate) struct Session<'a> {
    cx: &'a Context<Config>,
    patience: Patience,
    earlier: Vec<Ran>,
    ran: RefCell<Vec<Ran>>,
}

impl<'a> Session<'a> {
    /// A call that has to end with its results.
    pub(crate) fn new(cx: &'a Context<Config>) -> Self {
        Self { cx, patience: MUCH, earlier: Vec::new(), ran: RefCell::default() }
    }

    /// A call that can leave a statement running, and may find what an earlier one left.
    pub(crate) fn resume(cx: &'a Context<Config>, waiting: &Waiting) -> Self {
        Self { cx, patience: LITTLE, earlier: waiting.ran.clone(), ran: RefCell::default() }
    }

    /// The call's context.
    pub(crate) fn cx(&self) -> &'a Context<Config> {
        self.cx
    }

    /// Runs a statement.
    pub(crate) fn query(&self, statement: &Statement) -> Result<Table, Trouble> {
        if let Some(earlier) = self.earlier.iter().find(|ran| ran.is_of(statement)) {
            match self.settle(statement, &earlier.request, Reply::Running(earlier.handle.clone())) {
                Err(Trouble::Refused(problem)) if problem.has_forgotten_the_statement() => {}
                other => return other,
            }
        }
        let request = ran::request_id(&statement.text);
        let response = submit(self.cx, statement, &request)?.send();
        let reply = read(self.cx, response)?;
        self.settle(statement, &request, reply)
    }

    /// Runs statements at once and hands over each result, with the index of its statement, in order of completion.
    pub(crate) fn query_all(
        &self,
        statements: &[Statement],
        mut each: impl FnMut(usize, Result<Table, Trouble>) -> Flow,
    ) -> Result<(), Trouble> {
        let ids: Vec<String> = statements.iter().map(|statement| ran::request_id(&statement.text)).collect();
        let requests = statements.iter().zip(&ids).map(|(statement, id)| submit(self.cx, statement, id));
        let requests: Vec<RequestBuilder> = requests.collect::<Result<_, _>>()?;
        self.cx.http().send_all(requests, PARALLEL, |index, response| {
            let (Some(statement), Some(id)) = (statements.get(index), ids.get(index)) else {
                return Flow::Continue(());
            };
            let result = read(self.cx, response).and_then(|reply| self.settle(statement, id, reply));
            each(index, result)
        });
        Ok(())
    }

    /// Waits for a statement as long as it is worth it, and gets all of its result.
    fn settle(&self, statement: &Statement, request: &str, mut reply: Reply) -> Result<Table, Trouble> {
        let mut polls = 0;
        loop {
            match reply {
                Reply::Done(done) => {
                    if statement.computes {
                        self.note(statement, &done.handle, request, false);
                    }
                    return fetch::all(self.cx, done);
                }
                Reply::Running(handle) if polls < self.patience.polls && self.cx.within_ms(self.patience.until_ms) => {
                    polls += 1;
                    reply = read(self.cx, poll(self.cx, &handle).send())?;
                }
                Reply::Running(handle) => {
                    self.note(statement, &handle, request, true);
                    return Err(Trouble::Running);
                }
            }
        }
    }

    fn note(&self, statement: &Statement, handle: &str, request: &str, running: bool) {
        let mut ran = self.ran.borrow_mut();
        ran.retain(|other| !other.is_of(statement));
        ran.push(Ran::new(statement, handle, request, running));
    }

    /// Cancels what an earlier call left running and this one had no use for.
    pub(crate) fn tidy(&self) {
        let ran = self.ran.borrow();
        let is_used = |earlier: &Ran| ran.iter().any(|ran| ran.replaces(earlier));
        self.earlier.iter().filter(|ran| ran.running && !is_used(ran)).for_each(|ran| ran::cancel(self.cx, ran));
    }

    /// Ends the call in the middle: what it ran, and what it did not come back to, for the cursor.
    pub(crate) fn leave(&self, waiting: &mut Waiting) -> Result<u64, Error> {
        waiting.keep(self.ran.take());
        if waiting.is_hopeless() {
            waiting.ran.iter().filter(|ran| ran.running).for_each(|ran| ran::cancel(self.cx, ran));
            return Err(Error::unavailable("A statement has run for more than half an hour and was cancelled."));
        }
        Ok(waiting.pause_ms())
    }
}

/// Whether the credential speaks the drivers' protocol.
fn speaks_driver(cx: &Context<Config>) -> bool {
    cx.config().authentication_type == AuthenticationType::UserPassword
}

fn submit(cx: &Context<Config>, statement: &Statement, id: &str) -> Result<RequestBuilder, Trouble> {
    let request = if speaks_driver(cx) { driver::submit(cx, statement, id) } else { api::submit(cx, statement, id) };
    request.map_err(Trouble::Failed)
}

fn poll(cx: &Context<Config>, handle: &str) -> RequestBuilder {
    if speaks_driver(cx) { driver::poll(cx, handle) } else { api::poll(cx, handle) }
}

fn read(cx: &Context<Config>, response: Result<Response, Error>) -> Result<Reply, Trouble> {
    let response = response.map_err(Trouble::from)?;
    if speaks_driver(cx) { driver::read(response) } else { api::read(response) }
}

/// What is safe to send twice, because its id is executed once. Overload and gateways are not the statement's fault.
fn repeated(request: RequestBuilder) -> RequestBuilder {
    request.retriable().retry_on(500).retry_on(502).retry_on(504)
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if error.is(codes::TOO_LARGE) { Self::TooLarge } else { Self::Failed(error) }
    }
}

impl Trouble {
    /// Whether it concerns the object that was asked for, so that the rest goes on without it. A statement that the
    /// host will not send is about the name in it.
    pub(crate) fn is_about_the_object(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.is_about_the_object(),
            Self::Failed(error) => error.is(codes::DENIED),
            Self::Running | Self::TooLarge => false,
        }
    }

    /// Whether a smaller question may be answered.
    pub(crate) fn is_too_much(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.is_too_much(),
            Self::TooLarge => true,
            Self::Running | Self::Failed(_) => false,
        }
    }

    /// As an error of the contract. `what` completes "could not …".
    pub(crate) fn error(self, what: &str) -> Error {
        match self {
            Self::Refused(problem) => error_for(what, &problem),
            Self::Running => Error::unavailable(format!("Could not {what}: the statement still runs.")),
            Self::TooLarge => Error::too_large(format!("Could not {what}: the answer is larger than can be held.")),
            Self::Failed(error) => error,
        }
    }
}

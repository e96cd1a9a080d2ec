//! Reading the columns of named tables: with INFORMATION_SCHEMA for all at once, and table by table what it does not tell.
//!
//! A table gets columns only when they are all there. Facts and fingerprints come along as a listing has them, since what
//! is answered here takes the place of what a listing said.

use serde::{Deserialize, Serialize};
use wharfinger_sdk::{Column, ColumnsRequest, Context, Error, Flow, Full, Object, Page, Pager, codes, cursor};

use crate::{
    config::Config,
    details::{self, Wanted, Way},
    lookup,
    parse::Table,
    request::{self, Container, Schema, Statement, quoted},
    statement::{CURSOR, Session, Trouble, Waiting},
};

/// Up to so many tables are asked for one by one rather than with their whole schema.
const FEW: usize = 50;
/// Nothing further is begun in a call that has lasted this long.
const ENOUGH_MS: u64 = 10_000;

/// Where to go on: the host names only what is still open, so little is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct At {
    way: Way,
    waiting: Waiting,
}

/// The columns of the named tables of a schema.
pub(crate) fn read(cx: &Context<Config>, request: &ColumnsRequest) -> Result<Page, Error> {
    let at: At = cursor::read(CURSOR, request.cursor.as_deref())?;
    let Some(Container::Schema(schema)) = Container::at(&request.scope) else {
        return Err(Error::unsupported("Only tables and views have columns."));
    };
    let session = Session::resume(cx, &at.waiting);
    let mut reading = Reading {
        session: &session,
        schema,
        pager: Pager::new(),
        open: request.names.len(),
        at: At { waiting: Waiting::default(), ..at.clone() },
        failure: None,
    };
    match reading.all(request) {
        Ok(()) => {
            session.tidy();
            reading.finish()
        }
        Err(Trouble::Running) => {
            let mut at = At { way: reading.at.way, waiting: at.waiting };
            let pause = session.leave(&mut at.waiting)?;
            let mut page = reading.pager.finish(Some(cursor::write(CURSOR, &at)?));
            page.not_before_ms = Some(pause);
            Ok(page)
        }
        Err(trouble) => Err(trouble.error(&format!("read the columns of schema {}", schema.quoted()))),
    }
}

/// One call.
struct Reading<'a> {
    session: &'a Session<'a>,
    schema: Schema<'a>,
    pager: Pager,
    /// Names that are not answered.
    open: usize,
    at: At,
    failure: Option<Error>,
}

impl Reading<'_> {
    fn all(&mut self, request: &ColumnsRequest) -> Result<(), Trouble> {
        let mut found = lookup::find(self.session, Container::Schema(self.schema), &request.names)?;
        let mut objects = Vec::with_capacity(found.len());
        for name in &request.names {
            match found.remove(name) {
                Some(object) => objects.push(object),
                None => self.refuse(name, Error::not_found("It is not there any more, or not for this role.")),
            }
        }
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        let wanted = if objects.len() <= FEW { Wanted::ColumnsOfFew } else { Wanted::ColumnsOfSome };
        let done = details::add(self.session, self.schema, &mut objects, wanted, &mut self.at.way)?;
        objects.truncate(done);
        let (known, unknown): (Vec<Object>, Vec<Object>) =
            objects.into_iter().partition(|object| object.columns.is_some());
        for object in known {
            if self.give(object).is_break() {
                return Ok(());
            }
        }
        self.one_by_one(unknown)
    }

    /// Asks for each. What fails for now stays open and is asked again, as long as anything gets on.
    fn one_by_one(&mut self, objects: Vec<Object>) -> Result<(), Trouble> {
        let schema = self.schema;
        let mut undecided = Vec::new();
        let ended = self.each(
            objects,
            request::columns_of_table,
            |table, name| details::of_one(table, schema, name),
            &mut undecided,
        )?;
        if ended.is_break() {
            return Ok(());
        }
        let mut none = Vec::new();
        let _ended =
            self.each(undecided, request::describe, |table, _| details::of_description(table).map(Some), &mut none)?;
        Ok(())
    }

    /// Sends a statement for each object and reads its columns; those that it cannot decide about go to `undecided`.
    fn each(
        &mut self,
        objects: Vec<Object>,
        statement: fn(Schema<'_>, &str) -> Statement,
        read: impl Fn(&Table, &str) -> Result<Option<Vec<Column>>, Error>,
        undecided: &mut Vec<Object>,
    ) -> Result<Flow, Trouble> {
        let session = self.session;
        let statements: Vec<Statement> = objects.iter().map(|object| statement(self.schema, name(object))).collect();
        let mut objects: Vec<Option<Object>> = objects.into_iter().map(Some).collect();
        let mut flow = Flow::Continue(());
        session.query_all(&statements, |index, result| {
            let Some(mut object) = objects.get_mut(index).and_then(Option::take) else { return Flow::Continue(()) };
            let columns = result.and_then(|table| read(&table, name(&object)).map_err(Trouble::from));
            flow = match columns {
                Ok(Some(columns)) => {
                    object.columns = Some(columns);
                    self.give(object)
                }
                Ok(None) => {
                    undecided.push(object);
                    Flow::Continue(())
                }
                Err(trouble) => self.fail(&object, trouble),
            };
            if self.pager.has_content() && !session.cx().within_ms(ENOUGH_MS) {
                flow = Flow::Break(());
            }
            flow
        })?;
        Ok(flow)
    }

    fn give(&mut self, object: Object) -> Flow {
        if let Err(Full(_)) = self.pager.push(object) {
            return Flow::Break(());
        }
        self.open -= 1;
        Flow::Continue(())
    }

    fn refuse(&mut self, name: &str, error: Error) {
        let path = vec![self.schema.database.to_owned(), self.schema.name.to_owned(), name.to_owned()];
        self.pager.error(error.at(path));
        self.open -= 1;
    }

    /// What concerns one table is told of it; what concerns more stays open.
    fn fail(&mut self, object: &Object, trouble: Trouble) -> Flow {
        let is_its_own = trouble.is_about_the_object() || trouble.is_too_much();
        let what = format!("read the columns of {}", quoted(&[self.schema.database, self.schema.name, name(object)]));
        let error = trouble.error(&what);
        if is_its_own || error.is(codes::UNSUPPORTED) {
            self.refuse(name(object), error);
            return Flow::Continue(());
        }
        let is_fatal = error.is(codes::UNAUTHENTICATED) || error.is(codes::BUDGET_EXHAUSTED);
        self.failure = Some(error);
        if is_fatal { Flow::Break(()) } else { Flow::Continue(()) }
    }

    fn finish(self) -> Result<Page, Error> {
        match self.failure {
            Some(error) if !self.pager.has_content() => Err(error),
            failure => {
                let next = if self.open > 0 { Some(cursor::write(CURSOR, &self.at)?) } else { None };
                let mut page = self.pager.finish(next);
                page.not_before_ms = failure.and_then(|error| error.retry_after_ms);
                Ok(page)
            }
        }
    }
}

fn name(object: &Object) -> &str {
    object.path.last().map_or("", String::as_str)
}

//! A host for tests: the same trait, natively, without WebAssembly.
//!
//! [`MockHost`] answers requests from a closure and remembers them; [`context`] makes what a connector is given;
//! [`walk`] lists everything the way a host does, and holds pages to their limits.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use serde_json::Value;

use crate::{
    Attributes, Connector, Context, Error, Host, Listing, MAX_BYTES, MAX_OBJECTS, Object, ReadRequest,
    host::Flow,
    http::{Request, Response},
};

type Answer = Box<dyn Fn(&Request) -> Result<Response, Error>>;

/// A host that answers from a closure.
pub struct MockHost {
    answer: Answer,
    requests: RefCell<Vec<Request>>,
    lines: RefCell<Vec<(String, String)>>,
}

impl MockHost {
    /// A host whose platform is `answer`.
    pub fn new(answer: impl Fn(&Request) -> Result<Response, Error> + 'static) -> Rc<Self> {
        Rc::new(Self { answer: Box::new(answer), requests: RefCell::default(), lines: RefCell::default() })
    }

    /// The requests so far; forgets them.
    pub fn take_requests(&self) -> Vec<Request> {
        self.requests.take()
    }

    /// Level and text of the lines logged so far; forgets them.
    pub fn take_lines(&self) -> Vec<(String, String)> {
        self.lines.take()
    }
}

impl Host for MockHost {
    fn send(&self, request: Request) -> Result<Response, Error> {
        let answer = (self.answer)(&request);
        self.requests.borrow_mut().push(request);
        answer
    }

    fn send_all(
        &self,
        requests: Vec<Request>,
        _parallel: u32,
        answer: &mut dyn FnMut(usize, Result<Response, Error>) -> Flow,
    ) {
        // Answers come in order of completion, which is nobody's order: the last request is the first answered.
        for (index, request) in requests.into_iter().enumerate().rev() {
            if answer(index, self.send(request)).is_break() {
                return;
            }
        }
    }

    fn log(&self, level: &str, message: &str, _fields: &Attributes) {
        self.lines.borrow_mut().push((level.to_owned(), message.to_owned()));
    }

    fn log_enabled(&self, _level: &str) -> bool {
        true
    }

    fn elapsed_ms(&self) -> Option<u64> {
        Some(0)
    }
}

/// An answer with a JSON body.
#[must_use]
pub fn json(status: u16, body: &Value) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
        extra: Attributes::new(),
    }
}

/// An answer with a text body.
#[must_use]
pub fn text(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: body.as_bytes().to_vec(),
        extra: Attributes::new(),
    }
}

/// What a connector is given for a call. `config` is the payload without secrets.
pub fn context<T: Connector>(config: &Value, origin: &str, host: Rc<MockHost>) -> Result<Context<T::Config>, Error> {
    let mut config = config.clone();
    if let Some(properties) = config.as_object_mut() {
        properties.insert("origin".to_owned(), origin.into());
    }
    Context::new(&config.to_string(), host)
}

/// Everything that a listing delivered.
#[derive(Debug, Default)]
pub struct Walked {
    /// Objects in the order of delivery.
    pub objects: Vec<Object>,
    /// What could not be read.
    pub errors: Vec<Error>,
    /// Containers said to be complete.
    pub listed: Vec<Listing>,
    /// Number of pages.
    pub pages: usize,
}

impl Walked {
    /// The object at this path.
    #[must_use]
    pub fn object(&self, path: &[&str]) -> Option<&Object> {
        self.objects.iter().find(|object| object.path == path)
    }
}

/// Lists what lies below `scope`: plan, then every partition page by page, each in a fresh context. Fails like the
/// first call that fails, and on a page that a host would refuse.
pub fn walk<T: Connector>(
    config: &Value,
    origin: &str,
    host: &Rc<MockHost>,
    scope: &[String],
    want_columns: bool,
) -> Result<Walked, Error> {
    let mut walked = Walked::default();
    let mut partitions: VecDeque<_> = T::plan(&context::<T>(config, origin, Rc::clone(host))?, scope)?.into();
    while let Some(partition) = partitions.pop_front() {
        let mut cursor = None;
        loop {
            let cx = context::<T>(config, origin, Rc::clone(host))?;
            let extra = Attributes::new();
            let page = T::read(&cx, ReadRequest { partition: partition.clone(), want_columns, cursor, extra })?;
            if page.objects.len() > MAX_OBJECTS {
                return Err(Error::internal(format!("a page of {} objects", page.objects.len())));
            }
            let bytes = page.objects.iter().map(crate::page::object_bytes).sum::<usize>();
            if bytes > MAX_BYTES {
                return Err(Error::internal(format!("a page of {bytes} bytes")));
            }
            walked.pages += 1;
            walked.objects.extend(page.objects);
            walked.errors.extend(page.errors);
            walked.listed.extend(page.listed);
            partitions.extend(page.partitions);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
    }
    Ok(walked)
}

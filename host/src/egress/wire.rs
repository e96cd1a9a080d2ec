//! Sending one request once, and what its failures mean. The last place before the network: the address is checked
//! here, whatever came before.

use std::{error::Error, net::IpAddr, sync::Arc, sync::atomic::Ordering};

use ::url::{Host, Url};
use tokio::time::{Instant, timeout_at};

use super::{
    address::{AddressDenied, AddressFilter},
    error::{SendError, SendErrorKind},
    session::Budget,
};

/// Requests that one operation may make, repeats, token requests and refused ones included: far more than any run of a
/// connector needs, and an end to one that asks for ever.
const MAX_REQUESTS: u64 = 10_000;

/// A client and the filter that its resolver uses too.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) client: reqwest::Client,
    pub(super) filter: Arc<AddressFilter>,
}

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: SendError,
    pub(super) again: Again,
}

/// Whether a failed request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It never left: any request may.
    Unsent,
    /// It may have arrived: only what may be sent twice.
    IfRepeatable,
    /// It would fail in the same way.
    Never,
}

impl Failed {
    /// `repeatable`: whether the request may arrive twice.
    pub(super) fn may_be_repeated(&self, repeatable: bool) -> bool {
        match self.again {
            Again::Unsent => true,
            Again::IfRepeatable => repeatable,
            Again::Never => false,
        }
    }
}

impl Wire {
    /// Sends, and returns with the head of the answer.
    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        budget: &Budget,
    ) -> Result<reqwest::Response, Failed> {
        self.check_literal(url)?;
        if budget.bytes.load(Ordering::Relaxed) > budget.max_bytes {
            return Err(too_many_bytes(budget));
        }
        count_request(budget)?;
        in_time(budget, request.send()).await?.map_err(|error| failed(&error))
    }

    /// Names go through the resolver; an address that is written out does not.
    fn check_literal(&self, url: &Url) -> Result<(), Failed> {
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.filter.check(address).map_err(|denied| denial(&denied))
    }
}

/// Takes one request from those that the operation may still make.
pub(super) fn count_request(budget: &Budget) -> Result<(), Failed> {
    let one_more = |made: u64| (made < MAX_REQUESTS).then_some(made + 1);
    budget
        .requests
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        .map(drop)
        .map_err(|_| too_many_requests())
}

/// Whether the operation may make another request.
pub(super) fn check_requests(budget: &Budget) -> Result<(), Failed> {
    if budget.requests.load(Ordering::Relaxed) < MAX_REQUESTS { Ok(()) } else { Err(too_many_requests()) }
}

fn too_many_requests() -> Failed {
    exhausted(format!("the operation has made {MAX_REQUESTS} requests, which is all that one may"))
}

/// The next piece of a body; none at its end.
pub(super) async fn piece(response: &mut reqwest::Response, budget: &Budget) -> Result<Option<bytes::Bytes>, Failed> {
    let piece = in_time(budget, response.chunk()).await?.map_err(|error| failed(&error))?;
    let length = piece.as_ref().map_or(0, |p| p.len() as u64);
    let before = budget.bytes.fetch_add(length, Ordering::Relaxed);
    if before.saturating_add(length) > budget.max_bytes { Err(too_many_bytes(budget)) } else { Ok(piece) }
}

fn too_many_bytes(budget: &Budget) -> Failed {
    exhausted(format!("the operation has received more than {} MiB", budget.max_bytes >> 20))
}

fn exhausted(text: String) -> Failed {
    Failed { error: SendError::new(SendErrorKind::BudgetExhausted, text), again: Again::Never }
}

async fn in_time<T>(budget: &Budget, work: impl Future<Output = T>) -> Result<T, Failed> {
    let late = |_| Failed { error: SendError::timed_out(), again: Again::Never };
    timeout_at(Instant::from_std(budget.end()), work).await.map_err(late)
}

fn denial(denied: &AddressDenied) -> Failed {
    let error = SendError::denied("the platform's address is not allowed by the egress policy")
        .for_operator(denied.to_string());
    Failed { error, again: Again::Never }
}

/// What a failure of the client means. Its own texts hold URLs and addresses: they are for the operator.
fn failed(error: &reqwest::Error) -> Failed {
    let first: &(dyn Error + 'static) = error;
    let chain = || std::iter::successors(Some(first), |e: &&(dyn Error + 'static)| (*e).source());
    if let Some(denied) = chain().find_map(|e| e.downcast_ref::<AddressDenied>()) {
        return denial(denied);
    }
    let tls = chain().any(|e| e.is::<rustls::Error>() || io_inner_is_tls(e));
    let (message, again) = if error.is_connect() && error.is_timeout() {
        ("the platform did not accept a connection in time", Again::Unsent)
    } else if tls {
        ("a secure connection to the platform could not be made", Again::Never)
    } else if error.is_dns() || chain().any(|e| e.is::<super::resolver::Unresolvable>()) {
        ("the platform's host name cannot be resolved", Again::Unsent)
    } else if error.is_connect() {
        ("the platform cannot be reached", Again::Unsent)
    } else if error.is_builder() {
        ("the request could not be built", Again::Never)
    } else {
        ("the platform broke the connection off", Again::IfRepeatable)
    };
    // From the second on: the first repeats the whole URL, whose query may hold names.
    let causes: Vec<String> = chain().skip(1).map(ToString::to_string).collect();
    let error =
        SendError::new(SendErrorKind::Unavailable, message).for_operator(format!("{message}: {}", causes.join(": ")));
    Failed { error, again }
}

/// TLS errors travel inside I/O errors, several deep, and the source of those skips what is right inside.
fn io_inner_is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    while let Some(error) = inner {
        if error.is::<rustls::Error>() {
            return true;
        }
        inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    }
    false
}

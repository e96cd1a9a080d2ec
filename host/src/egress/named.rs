//! Addresses that answers name, such as pre-signed files: remembered for the operation that got the answer, and no
//! longer.
//!
//! Such an address is a key to what lies there, so nothing of it is stored or logged. It is fetched as it stands, by
//! GET, with nothing of the guest's beside it: a request that could carry something would be a way out.

mod pointer;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    error::{SendError, SendErrorKind},
    recipe::FromResponse,
    scope::Places,
    url,
};
pub(super) use pointer::{Pointer, Texts};

/// Addresses that one operation remembers.
const MAX_ADDRESSES: usize = 10_000;

/// Bytes of them, and of the headers that go along.
const MAX_BYTES: usize = 16 << 20;

/// Longest answer that is looked into.
const MAX_ANSWER: usize = 64 << 20;

/// From this size on an answer is read where nobody waits for a thread.
const LARGE: usize = 256 << 10;

/// What one operation remembers.
#[derive(Default)]
pub struct Named(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    addresses: HashMap<String, Arc<Leave>>,
    bytes: usize,
}

/// What may go along with the request to an address.
pub(super) struct Leave {
    /// Names in lower case, and values.
    headers: HashSet<(String, String)>,
    constants: BTreeMap<String, String>,
}

/// What stands in an answer.
struct Found {
    urls: Vec<String>,
    headers: Vec<(String, String)>,
}

impl Named {
    /// Looks for addresses in an answer.
    pub(super) async fn look(
        &self,
        rule: &Arc<FromResponse>,
        places: &Places,
        body: &bytes::Bytes,
    ) -> Result<(), SendError> {
        if body.len() > MAX_ANSWER {
            return Ok(());
        }
        let found = if body.len() < LARGE {
            find(rule, body)
        } else {
            let (rule, body) = (Arc::clone(rule), body.clone());
            let found = tokio::task::spawn_blocking(move || find(&rule, &body)).await;
            found.map_err(|_| SendError::new(SendErrorKind::Unavailable, "the answer could not be read"))?
        };
        self.remember(rule, places, found?)
    }

    fn remember(&self, rule: &FromResponse, places: &Places, found: Found) -> Result<(), SendError> {
        // What is inside is whole between any two statements.
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.bytes += found.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let headers = found.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let leave = Arc::new(Leave { headers, constants: rule.headers.clone() });
        for address in found.urls {
            let allowed =
                url::canonical(&address).is_ok_and(|(_, origin)| places.may_be_named(&origin, &rule.host_suffixes));
            if allowed {
                inside.bytes += address.len();
                inside.addresses.insert(address, Arc::clone(&leave));
            }
            if inside.addresses.len() > MAX_ADDRESSES || inside.bytes > MAX_BYTES {
                return Err(too_many());
            }
        }
        Ok(())
    }

    /// What may go along with a request to this address; none where no answer named it.
    pub(super) fn leave(&self, url: &str) -> Option<Arc<Leave>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).addresses.get(url).cloned()
    }
}

impl Leave {
    /// Whether a header may have this value: it is for the answer to say which one has which. Names are in lower case.
    pub(super) fn allows(&self, name: &str, value: &str) -> bool {
        // Said out, because even what is accepted could tell something.
        const ACCEPT: [&str; 6] =
            ["*/*", "application/json", "application/octet-stream", "application/xml", "text/csv", "text/plain"];
        (name == "accept" && ACCEPT.contains(&value))
            || self.headers.contains(&(name.to_owned(), value.to_owned()))
            || self.constants.get(name).is_some_and(|constant| constant == value)
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Named({} addresses)", inside.addresses.len())
    }
}

fn find(rule: &FromResponse, body: &[u8]) -> Result<Found, SendError> {
    let mut urls = Texts::new(MAX_ADDRESSES, MAX_BYTES);
    let mut headers = Texts::new(MAX_ADDRESSES, MAX_BYTES);
    // What is not JSON names nothing.
    if let Some(pointer) = Pointer::parse(&rule.at) {
        pointer.texts("", body, &mut urls);
    }
    if !urls.found.is_empty() {
        for (name, at) in rule.header_places() {
            match (Pointer::parse(at), name) {
                (Some(pointer), Some(name)) => pointer.texts(name, body, &mut headers),
                (Some(pointer), None) => pointer.members(body, &mut headers),
                (None, _) => {}
            }
        }
    }
    if urls.full || headers.full {
        return Err(too_many());
    }
    Ok(Found { urls: urls.found.into_iter().map(|(_, url)| url).collect(), headers: headers.found })
}

fn too_many() -> SendError {
    let text = format!("the answers name more than {MAX_ADDRESSES} addresses, or longer ones than are remembered");
    SendError::new(SendErrorKind::BudgetExhausted, text)
}

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

/// Bytes of them, and of the values that their headers may have.
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
    values: HashSet<String>,
    constants: BTreeMap<String, String>,
}

/// What stands in an answer.
struct Found {
    urls: Vec<String>,
    values: Vec<String>,
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
        let values: usize = found.values.iter().map(String::len).sum();
        let leave = Arc::new(Leave { values: found.values.into_iter().collect(), constants: rule.headers.clone() });
        inside.bytes += values;
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
    /// Whether a header may have this value. Names are in lower case.
    pub(super) fn allows(&self, name: &str, value: &str) -> bool {
        // Said out, because even what is accepted could tell something.
        const ACCEPT: [&str; 6] =
            ["*/*", "application/json", "application/octet-stream", "application/xml", "text/csv", "text/plain"];
        (name == "accept" && ACCEPT.contains(&value))
            || self.values.contains(value)
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
    let mut values = Texts::new(MAX_ADDRESSES, MAX_BYTES);
    // What is not JSON names nothing.
    if let Some(pointer) = Pointer::parse(&rule.at) {
        pointer.texts(body, &mut urls);
    }
    if !urls.found.is_empty() {
        for pointer in rule.header_values.iter().filter_map(|text| Pointer::parse(text)) {
            pointer.texts_and_objects(body, &mut values);
        }
    }
    if urls.full || values.full { Err(too_many()) } else { Ok(Found { urls: urls.found, values: values.found }) }
}

fn too_many() -> SendError {
    let text = format!("the answers name more than {MAX_ADDRESSES} addresses, or longer ones than are remembered");
    SendError::new(SendErrorKind::BudgetExhausted, text)
}

//! Names to addresses, of which only those pass that the policy allows. The connection is made to exactly these, so a
//! name that answers differently the next time gains nothing.

use std::{io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{AddressDenied, AddressFilter};

/// Resolves with the system's resolver.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) filter: Arc<AddressFilter>,
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("the host name cannot be resolved")]
pub(super) struct Unresolvable(#[source] Option<io::Error>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = Arc::clone(&self.filter);
        Box::pin(async move {
            // The port is put in by the connector.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|e| Unresolvable(Some(e)))?;
            let addresses = select(&filter, found.collect())?.ok_or(Unresolvable(None))?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The allowed ones; a denial where there are only others; none where there is nothing.
fn select(filter: &AddressFilter, found: Vec<SocketAddr>) -> Result<Option<Vec<SocketAddr>>, AddressDenied> {
    let mut denied = None;
    let mut allowed = found;
    allowed.retain(|address| match filter.check(address.ip()) {
        Ok(()) => true,
        Err(error) => {
            denied.get_or_insert(error);
            false
        }
    });
    match (allowed.is_empty(), denied) {
        (true, Some(denied)) => Err(denied),
        (true, None) => Ok(None),
        (false, _) => Ok(Some(allowed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_addresses_of_a_name_remain() {
        let filter = AddressFilter::new(Vec::new());
        let addresses = |texts: &[&str]| texts.iter().map(|t| SocketAddr::new(t.parse().unwrap(), 0)).collect();
        let mixed = select(&filter, addresses(&["10.0.0.1", "8.8.8.8", "::1"])).unwrap().unwrap();
        assert_eq!(mixed, [SocketAddr::new("8.8.8.8".parse().unwrap(), 0)]);
        let denied = select(&filter, addresses(&["::ffff:10.0.0.1", "::1"])).unwrap_err();
        assert!(denied.to_string().contains("10.0.0.1/32"));
        assert!(select(&filter, Vec::new()).unwrap().is_none());
    }
}

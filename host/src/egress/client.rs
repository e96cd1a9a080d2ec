//! HTTP clients: one per session, so that no connection is shared between two accounts. No redirects, no proxy from the
//! environment, no cookies, no repeats of its own; TLS with ring against the system's root certificates.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, client::Resumption, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::{address::AddressFilter, resolver::Resolver};

/// For one connection to be made, name resolution and TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an unused connection stays.
const IDLE: Duration = Duration::from_secs(30);

/// TLS as all sessions use it.
pub(super) fn tls() -> Result<ClientConfig, rustls::Error> {
    let versions = || {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()
    };
    match versions()?.with_platform_verifier() {
        Ok(config) => Ok(config.with_no_client_auth()),
        Err(error) => {
            // A host that only speaks to platforms without TLS shall start all the same.
            tracing::warn!(
                %error,
                "the system has no root certificates: every TLS connection will be refused until they are installed (package `ca-certificates`)"
            );
            Ok(versions()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
        }
    }
}

/// A client of its own.
pub(super) fn client(tls: &ClientConfig, filter: &Arc<AddressFilter>) -> reqwest::Result<reqwest::Client> {
    let mut tls = tls.clone();
    // Tickets would tell the platform that two connections are of the same host.
    tls.resumption = Resumption::in_memory_sessions(16);
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Resolver { filter: Arc::clone(filter) })
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(super::session::IN_FLIGHT)
        .user_agent(concat!("wharfinger/", env!("CARGO_PKG_VERSION")))
        .build()
}

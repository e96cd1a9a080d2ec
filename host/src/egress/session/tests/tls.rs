//! TLS: certificates are checked for their name and their issuer. The fixtures are of an authority that exists nowhere
//! else, valid for a hundred years.

use std::fs;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn fixture(name: &str) -> String {
    format!("{}/src/egress/session/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Answers one request per connection, with a certificate for `localhost`.
async fn secure() -> (Address, tokio::task::JoinSet<()>) {
    let chain = vec![CertificateDer::from_pem_file(fixture("localhost.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixture("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    });
    (Address { insecure: false, hostname: "localhost".into(), port }, tasks)
}

fn trusting(authority: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    assert!(fs::exists(fixture(authority)).unwrap());
    roots.add(CertificateDer::from_pem_file(fixture(authority)).unwrap()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn sent(tls: ClientConfig, address: &Address) -> (Result<u16, SendError>, u64) {
    let egress = Egress::with(policy(), Surroundings::default(), tls, Pacing::default());
    let session = egress.session(spec(address.clone(), static_recipe())).unwrap();
    let request = Request {
        method: "GET".into(),
        url: format!("{address}/api/x"),
        auth: Some("connection".into()),
        ..Request::default()
    };
    let budget = budget();
    let result = session.send(request, &budget).await.map(|response| response.status);
    (result, budget.requests.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_certificate_must_be_of_the_host_and_of_a_known_authority() {
    let (address, _tasks) = secure().await;
    assert_eq!(sent(trusting("authority.pem"), &address).await.0.unwrap(), 200);
    let by_number = Address { hostname: "127.0.0.1".into(), ..address.clone() };
    for (tls, address, what) in [
        (trusting("authority.pem"), &by_number, "another name"),
        (client::tls().unwrap(), &address, "an unknown authority"),
    ] {
        let (result, requests) = sent(tls, address).await;
        let error = result.unwrap_err();
        assert_eq!(error.message, "a secure connection to the platform could not be made", "{what}");
        assert_eq!((error.kind, requests), (SendErrorKind::Unavailable, 1), "{what}: not tried again");
        assert!(error.operator.unwrap().contains("certificate"), "the operator learns why");
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let address = Address { insecure: false, ..platform.address() };
    let error = sent(trusting("authority.pem"), &address).await.0.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unavailable);
    assert!(platform.asked().is_empty());
}

//! The conversation with a registry: the few calls of the distribution API that a pull and a push need.
//!
//! Credentials go to the registry's own origin and to the token endpoint that it names, and never without TLS except to
//! this machine or where the user said so. Every answer is bounded before it is read.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE},
};
use serde::Deserialize;
use url::{Origin, Position, Url};

use super::{
    OciError,
    access::{Challenge, Credentials},
    manifest::{MANIFEST, digest_of},
    reference::{Reference, is_loopback},
};
use crate::cli::table;

const MAX_MANIFEST: u64 = 1 << 20;
/// A token, or what a registry says about an error.
const MAX_SMALL: u64 = 64 << 10;
/// Of an error for people.
const MAX_SHOWN: usize = 300;
const MAX_REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const READ: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(600);

/// What will be done in the repository.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Pull,
    Push,
}

/// One repository of a registry.
pub(super) struct Registry {
    http: reqwest::Client,
    base: Url,
    registry: String,
    repository: String,
    purpose: Purpose,
    /// Whether without TLS is good enough beyond this machine.
    plain_http: bool,
    /// Whether the registry is on this machine.
    local: bool,
    credentials: Option<Credentials>,
    /// What the registry was content with.
    authorization: Option<HeaderValue>,
}

/// One request, which may have to be made again.
struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    /// Whether the answer may lie elsewhere.
    follow: bool,
}

/// Registries say errors like this.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorText>,
}

#[derive(Deserialize)]
struct ErrorText {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    pub(super) fn new(
        reference: &Reference,
        purpose: Purpose,
        credentials: Option<Credentials>,
        plain_http: bool,
    ) -> Result<Self, OciError> {
        let local = reference.is_local();
        let scheme = if local || plain_http { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/", reference.host()))
            .map_err(|_| OciError::Layout("its registry has no usable name".into()))?;
        // The first one wins; whoever it was chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .connect_timeout(CONNECT)
            .read_timeout(READ)
            .timeout(WHOLE)
            .user_agent(concat!("wharfinger/", env!("CARGO_PKG_VERSION")));
        if local {
            builder = builder.no_proxy();
        }
        let registry = reference.registry.clone();
        let http = builder.build().map_err(|source| OciError::Unreachable { host: registry.clone(), source })?;
        let repository = reference.repository.clone();
        Ok(Self { http, base, registry, repository, purpose, plain_http, local, credentials, authorization: None })
    }

    /// A manifest with the digest of its bytes and its kind.
    pub(super) async fn manifest(&mut self, version: &str) -> Result<(Vec<u8>, String, String), OciError> {
        let mut call = self.call(Method::GET, &format!("manifests/{version}"))?;
        call.headers.insert(ACCEPT, HeaderValue::from_static(MANIFEST));
        let response = expect(self.send(call).await?, "get the manifest", &[StatusCode::OK]).await?;
        let header = |name: &str| text_of(response.headers().get(name));
        let (kind, said) = (header("content-type"), header("docker-content-digest"));
        let bytes = bounded(response, "the manifest", MAX_MANIFEST).await?;
        let digest = digest_of(&bytes);
        // Where the version is a digest, that is what counts; what a registry says of a tag must at least be true.
        for expected in [version, &said].into_iter().filter(|text| text.starts_with("sha256:")) {
            same("the manifest", expected, &digest)?;
        }
        Ok((bytes, digest, kind))
    }

    /// A blob of this digest and size.
    pub(super) async fn blob(&mut self, digest: &str, size: u64) -> Result<Vec<u8>, OciError> {
        let mut call = self.call(Method::GET, &format!("blobs/{digest}"))?;
        call.follow = true;
        let response = expect(self.send(call).await?, "get the component", &[StatusCode::OK]).await?;
        let bytes = bounded(response, "the component", size).await?;
        same("the component", digest, &digest_of(&bytes))?;
        Ok(bytes)
    }

    /// Uploads a blob, unless it is there.
    pub(super) async fn upload(&mut self, bytes: Bytes) -> Result<(), OciError> {
        let digest = digest_of(&bytes);
        let mut call = self.call(Method::HEAD, &format!("blobs/{digest}"))?;
        call.follow = true;
        if self.send(call).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let call = self.call(Method::POST, "blobs/uploads/")?;
        let at = call.url.clone();
        let begun = expect(self.send(call).await?, "begin an upload", &[StatusCode::ACCEPTED]).await?;
        let mut place = self.location(&at, &begun)?;
        place.query_pairs_mut().append_pair("digest", &digest);
        let mut call = Call { url: place, ..self.call(Method::PUT, "")? };
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        call.body = bytes;
        expect(self.send(call).await?, "upload", &[StatusCode::CREATED]).await?;
        Ok(())
    }

    /// Uploads the manifest under a tag.
    pub(super) async fn put_manifest(&mut self, tag: &str, manifest: Vec<u8>) -> Result<String, OciError> {
        let digest = digest_of(&manifest);
        let mut call = self.call(Method::PUT, &format!("manifests/{tag}"))?;
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MANIFEST));
        call.body = manifest.into();
        let response = expect(self.send(call).await?, "put the manifest", &[StatusCode::CREATED]).await?;
        let said = text_of(response.headers().get("docker-content-digest"));
        if !said.is_empty() {
            same("the manifest", &said, &digest)?;
        }
        Ok(digest)
    }

    fn call(&self, method: Method, path: &str) -> Result<Call, OciError> {
        let url = self.base.join(&format!("v2/{}/{path}", self.repository));
        let url = url.map_err(|_| OciError::Layout("it has no usable name".into()))?;
        Ok(Call { method, url, headers: HeaderMap::new(), body: Bytes::new(), follow: false })
    }

    /// Sends a request, with what the registry asks for, wherever it is led.
    async fn send(&mut self, mut call: Call) -> Result<Response, OciError> {
        let (mut challenged, mut hops) = (false, 0);
        loop {
            let ours = self.is_own(&call.url);
            let mut request = self
                .http
                .request(call.method.clone(), call.url.clone())
                .headers(call.headers.clone())
                .body(call.body.clone());
            if let Some(authorization) = self.authorization.as_ref().filter(|_| ours) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = request.send().await.map_err(|source| Self::lost(&call.url, source))?;
            if response.status() == StatusCode::UNAUTHORIZED && ours {
                if challenged {
                    return Err(self.unauthorized());
                }
                challenged = true;
                self.authorization = Some(self.answer(response.headers()).await?);
            } else if response.status().is_redirection() && call.follow && hops < MAX_REDIRECTS {
                hops += 1;
                call.url = self.location(&call.url, &response)?;
            } else {
                return Ok(response);
            }
        }
    }

    /// What to answer to a registry that wants to know who asks.
    async fn answer(&self, headers: &HeaderMap) -> Result<HeaderValue, OciError> {
        let challenges =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|header| Challenge::read(header.to_str().ok()?));
        let challenge = challenges.max_by_key(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        match (challenge, &self.credentials) {
            (Some(Challenge::Basic), Some(credentials)) => {
                let pair = format!("{}:{}", credentials.user, credentials.password.as_str());
                secret(&format!("Basic {}", STANDARD.encode(pair)))
            }
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                secret(&format!("Bearer {}", self.token(&realm, service, scope).await?))
            }
            _ => Err(self.unauthorized()),
        }
    }

    async fn token(&self, realm: &str, service: Option<String>, scope: Option<String>) -> Result<String, OciError> {
        let mut url = Url::parse(realm).map_err(|_| OciError::Insecure(realm.to_owned()))?;
        self.check(&url)?;
        let actions = match self.purpose {
            Purpose::Pull => "pull",
            Purpose::Push => "pull,push",
        };
        let scope = scope.unwrap_or_else(|| format!("repository:{}:{actions}", self.repository));
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.http.get(url.clone());
        if let Some(credentials) = &self.credentials {
            request = request.basic_auth(&credentials.user, Some(credentials.password.as_str()));
        }
        let response = request.send().await.map_err(|source| Self::lost(&url, source))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.unauthorized());
        }
        let response = expect(response, "get a token", &[StatusCode::OK]).await?;
        let bytes = bounded(response, "the token", MAX_SMALL).await?;
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        token.ok_or_else(|| OciError::Layout("its registry's token endpoint gives no token".into()))
    }

    /// Where an answer leads, if one may go there.
    fn location(&self, from: &Url, response: &Response) -> Result<Url, OciError> {
        let location = text_of(response.headers().get(LOCATION));
        let url = from.join(&location).ok().filter(|_| !location.is_empty());
        let url = url.ok_or_else(|| OciError::Layout("its registry leads nowhere".into()))?;
        self.check(&url)?;
        Ok(url)
    }

    /// Refuses what would go over the network in the clear, and what leads from elsewhere to this machine.
    fn check(&self, url: &Url) -> Result<(), OciError> {
        let local = self.local && url.host_str().is_some_and(is_loopback);
        match url.scheme() {
            "https" => Ok(()),
            "http" if local || self.plain_http => Ok(()),
            _ => {
                Err(OciError::Insecure(table::shown(&format!("{}://{}", url.scheme(), url.host_str().unwrap_or("?")))))
            }
        }
    }

    fn unauthorized(&self) -> OciError {
        OciError::Unauthorized { registry: self.registry.clone(), known: self.credentials.is_some() }
    }

    fn is_own(&self, url: &Url) -> bool {
        let own: Origin = self.base.origin();
        url.origin() == own
    }

    fn lost(url: &Url, source: reqwest::Error) -> OciError {
        let host = place(url);
        // The address may carry a signature that lets its holder in.
        OciError::Unreachable { host, source: source.without_url() }
    }
}

fn secret(text: &str) -> Result<HeaderValue, OciError> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| OciError::Layout("its registry's token is none".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn text_of(header: Option<&HeaderValue>) -> String {
    header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn same(what: &'static str, expected: &str, found: &str) -> Result<(), OciError> {
    if expected == found {
        return Ok(());
    }
    Err(OciError::Digest { what, expected: table::shown(expected), found: found.to_owned() })
}

/// Passes on an answer of one of these kinds.
async fn expect(response: Response, action: &'static str, wanted: &[StatusCode]) -> Result<Response, OciError> {
    let status = response.status();
    if wanted.contains(&status) {
        return Ok(response);
    }
    let body = bounded(response, "the error", MAX_SMALL).await.unwrap_or_default();
    let errors: Option<Errors> = serde_json::from_slice(&body).ok();
    let said =
        errors.and_then(|errors| errors.errors.into_iter().next()).map(|error| error.message).unwrap_or_default();
    let said: String = table::shown(&said).chars().take(MAX_SHOWN).collect();
    Err(OciError::Refused { action, status, said })
}

/// Host and port, without whatever lets its holder in.
fn place(url: &Url) -> String {
    url[Position::BeforeHost..Position::AfterPort].to_owned()
}

async fn bounded(mut response: Response, what: &'static str, limit: u64) -> Result<Vec<u8>, OciError> {
    let too_large = || OciError::TooLarge { what, limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let host = place(response.url());
    let mut bytes = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|source| OciError::Unreachable { host: host.clone(), source: source.without_url() })?
    {
        if bytes.len() as u64 + piece.len() as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_on_this_machine_leads_to_this_machine_without_tls() {
        let leads = |registry: &str, plain_http: bool, to: &str| {
            let reference: Reference = format!("{registry}/shelf:1").parse().expect("reference");
            let registry = Registry::new(&reference, Purpose::Pull, None, plain_http).expect("registry");
            registry.check(&Url::parse(to).expect("URL")).is_ok()
        };
        let here = "http://127.0.0.1:9/token";
        assert!(leads("127.0.0.1:5000", false, here) && leads("r.example", true, here));
        assert!(!leads("r.example", false, here) && !leads("r.example", false, "http://localhost/"));
        assert!(!leads("127.0.0.1:5000", false, "http://r.example/"));
        assert!(leads("r.example", false, "https://other.example/"));
    }
}

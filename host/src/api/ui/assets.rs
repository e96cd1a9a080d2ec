//! The static files, inside the binary. Their addresses carry their digest, so that browsers keep them for good and a
//! new version is fetched at once.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ring::digest::{SHA256, digest};

/// One static file.
pub(super) struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
    digest: LazyLock<String>,
}

/// The style sheet.
pub(super) static STYLE: Asset = Asset {
    name: "style.css",
    media_type: "text/css; charset=utf-8",
    content: include_str!("../../../ui/style.css"),
    digest: LazyLock::new(|| short_digest(include_str!("../../../ui/style.css"))),
};

/// The script.
pub(super) static SCRIPT: Asset = Asset {
    name: "app.js",
    media_type: "text/javascript; charset=utf-8",
    content: include_str!("../../../ui/app.js"),
    digest: LazyLock::new(|| short_digest(include_str!("../../../ui/app.js"))),
};

/// The window's icon.
pub(super) static ICON: Asset = Asset {
    name: "icon.svg",
    media_type: "image/svg+xml",
    content: include_str!("../../../ui/icon.svg"),
    digest: LazyLock::new(|| short_digest(include_str!("../../../ui/icon.svg"))),
};

impl Asset {
    /// Where this version of the file is.
    pub(super) fn url(&self) -> String {
        format!("/ui/static/{}/{}", *self.digest, self.name)
    }
}

fn short_digest(content: &str) -> String {
    digest(&SHA256, content.as_bytes()).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Serves a static file. An old address answers too, without being kept: a page from before an update still works.
pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(asset) = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep = if version == *asset.digest { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
    ];
    (headers, asset.content).into_response()
}

//! A component comes in through a form.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        frame, links,
        session::{Uploaded, Visitor},
        text,
    },
    page,
};
use crate::{
    api::{ApiState, connectors::not_installed, error::ApiError},
    model::connector::Origin,
};

/// Installs it, or says why not.
pub(in crate::api::ui) async fn install(
    State(state): State<ApiState>,
    uploaded: Uploaded,
) -> Result<Response, ApiError> {
    let visitor = &uploaded.visitor;
    let (component, signature) = (uploaded.file("component"), uploaded.file("signature"));
    let detached = (!signature.is_empty()).then_some(&signature[..]);
    let done = state.registry.install(component.to_vec(), detached, Origin::Upload, visitor.caller.actor()).await;
    match done.map_err(not_installed) {
        Ok(done) => {
            let told = if done.is_new { "installed" } else { "again" };
            let version = done.version;
            Ok(Redirect::to(&links::connector_told(&version.connector, told, &version.version)).into_response())
        }
        Err(error) if error.status().is_client_error() => {
            let mut response = page(&state, visitor, Some(&error)).await?;
            *response.status_mut() = error.status();
            Ok(response)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn form(visitor: &Visitor, refused: Option<&ApiError>) -> Markup {
    html! {
        h2 #upload { "Install a connector" }
        @if let Some(error) = refused {
            div.notice.bad role="alert" {
                strong { "It was not installed." }
                p { (text::prose(error.message())) }
                @if let Some(hint) = error.hint_text() { p.hint { (text::prose(hint)) } }
            }
        }
        p.hint {
            "A component, or another version of one that is there. It is examined in the sandbox and serves nobody until it is activated. "
            "From a registry: " code { "wharfinger connector install oci://…" } "."
        }
        form.upload method="post" action="/ui/connectors" enctype="multipart/form-data" {
            (frame::token(visitor))
            label { "Component (.wasm)" input type="file" name="component" accept=".wasm,application/wasm" required; }
            label { "Signature beside it (.sig), if there is one" input type="file" name="signature" accept=".sig"; }
            button.primary type="submit" { "Install" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    #[test]
    fn a_refused_component_is_told_with_what_to_do() {
        let error = ApiError::conflict("version-taken", "1.2.0 is <there>").hint("give it another version");
        let text = form(&sample::visitor(), Some(&error)).into_string();
        assert!(text.contains("1.2.0 is &lt;there&gt;") && text.contains("give it another version"), "{text}");
        assert!(text.contains("multipart/form-data") && text.contains("name=\"token\""), "{text}");
    }
}

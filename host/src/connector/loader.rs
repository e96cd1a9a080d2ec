//! From a file to a connector that can be called.
//!
//! In this order, each refusal before anything costly happens: size and imports, compile, link, describe twice with nothing
//! granted, read the description. Nothing is kept of what is refused.

use std::{sync::Arc, time::Instant};

use ring::digest;
use tokio::runtime::Handle;
use wasmtime::component::{Component, InstancePre};

use super::{
    Connector, Descriptor, audit,
    engine::Guests,
    error::{CallError, LoadError, clean},
    instance,
    limits::{Limits, MAX_MESSAGE, Times},
    state::{Grant, State},
    v0_1::Exports,
};

/// Loads a component.
pub(super) async fn load(guests: &Arc<Guests>, limits: Limits, bytes: &[u8]) -> Result<Connector, LoadError> {
    audit::audit(bytes)?;
    let digest = hex(digest::digest(&digest::SHA256, bytes).as_ref());
    let component = compile(guests, bytes, &digest).await?;
    let exports = Exports::find(&component).map_err(|missing| LoadError {
        code: "missing-export",
        message: format!("the component does not export `wharfinger:connector/{missing}`: it is no connector"),
    })?;
    let exports = Arc::new(exports);
    let description = describe(guests, &component, &exports).await?;
    if describe(guests, &component, &exports).await? != description {
        return Err(LoadError {
            code: "nondeterministic-describe",
            message: "the component describes itself differently each time: what it says of itself must be constant"
                .into(),
        });
    }
    let descriptor = Descriptor::parse(&description)?;
    let label = format!("{} {}", descriptor.name, descriptor.version).into();
    Ok(Connector { descriptor, digest, label, limits, guests: guests.clone(), component, exports })
}

/// Compiles and links on a thread for what takes long. (Half a second for an ordinary component.)
async fn compile(guests: &Arc<Guests>, bytes: &[u8], digest: &str) -> Result<InstancePre<State>, LoadError> {
    let started = Instant::now();
    let bytes = bytes.to_vec();
    let size = bytes.len();
    let guests = guests.clone();
    let compiled = tokio::task::spawn_blocking(move || {
        let component = Component::new(&guests.engine, &bytes).map_err(|error| LoadError {
            code: "not-a-component",
            message: format!("the component does not compile: {}", clean(format!("{error:#}"), MAX_MESSAGE)),
        })?;
        guests.linker.instantiate_pre(&component).map_err(|error| LoadError {
            code: "forbidden-import",
            message: format!("the component does not fit the contract: {}", clean(format!("{error:#}"), MAX_MESSAGE)),
        })
    });
    let component = compiled.await.unwrap_or_else(|error| {
        tracing::error!(%error, "compiling a component failed inside the host");
        Err(LoadError { code: "internal", message: "the host failed while it compiled the component".into() })
    })?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(digest, size, milliseconds, "compiled a component");
    Ok(component)
}

/// Asks the component what it is, and makes sure that its other functions have the contract's types.
async fn describe(
    guests: &Guests,
    component: &InstancePre<State>,
    exports: &Arc<Exports>,
) -> Result<String, LoadError> {
    let grant = Grant { session: None, label: "a new component".into(), io: Handle::current() };
    let exports = exports.clone();
    let (described, _) = instance::call(guests, component, Times::DESCRIBE, grant, move |store, instance| {
        Box::pin(async move {
            let guest = exports.descriptor.load(&mut *store, instance)?;
            exports.typed(&mut *store, instance)?;
            Ok(Ok(guest.call_describe(store).await?))
        })
    })
    .await;
    described.map_err(|error: CallError| {
        let detail = error.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        LoadError {
            code: "describe-failed",
            message: format!("the component cannot be used: {}{detail}", error.message),
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;

//! From a file to a connector that can be called.
//!
//! In this order, each refusal before anything costly happens: size and imports, compile, link, describe twice with nothing
//! granted, read the description. Nothing is kept of what is refused but its machine code.

use std::{sync::Arc, time::Instant};

use ring::digest;
use tokio::runtime::Handle;
use wasmtime::component::{Component, InstancePre};

use super::{
    Connector, Descriptor, Workshop, audit,
    code::CodeKey,
    engine::Guests,
    error::{CallError, LoadError, clean},
    health::Health,
    instance,
    limits::{Limits, MAX_MESSAGE, Times},
    state::{Grant, State},
    v0_1::Exports,
};

/// Loads a component.
pub(super) async fn load(shop: &Workshop, bytes: &[u8]) -> Result<Connector, LoadError> {
    audit::audit(bytes, shop.limits.component())?;
    let guests = &shop.guests;
    let digest = hex(digest::digest(&digest::SHA256, bytes).as_ref());
    let component = component(shop, bytes, &digest).await?;
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
    let label = Arc::from(format!("{} {}", descriptor.name, descriptor.version));
    let health = Health::new(&label, shop.troubled.clone(), shop.clock.clone());
    let limits = shop.limits.of(&descriptor.name);
    Ok(Connector { descriptor, digest, label, limits, guests: guests.clone(), component, exports, health })
}

/// The component, ready to be instantiated: from code that was compiled before, or compiled now.
async fn component(shop: &Workshop, bytes: &[u8], digest: &str) -> Result<InstancePre<State>, LoadError> {
    let started = Instant::now();
    let key = CodeKey::new(digest, &shop.guests.compatibility);
    let known = match shop.code.clone() {
        Some(cache) => {
            let key = key.clone();
            blocking(move || cache.get(&key)).await?
        }
        None => None,
    };
    let from = if known.is_some() { "kept" } else { "compiled" };
    let code = match known {
        Some(code) => code,
        None => compile(shop, bytes, &key).await?,
    };
    let guests = shop.guests.clone();
    let component = blocking(move || link(&guests, &code)).await??;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(digest, size = bytes.len(), milliseconds, from, "a component is ready to run");
    Ok(component)
}

/// Compiles, and keeps the code.
async fn compile(shop: &Workshop, bytes: &[u8], key: &CodeKey) -> Result<Vec<u8>, LoadError> {
    let code = shop.compiler.compile(bytes, shop.guests.layout, &shop.guests.compatibility).await?;
    match shop.code.clone() {
        Some(cache) => {
            let key = key.clone();
            blocking(move || {
                cache.put(&key, &code);
                code
            })
            .await
        }
        None => Ok(code),
    }
}

/// Takes machine code for what it is, and connects its imports.
fn link(guests: &Guests, code: &[u8]) -> Result<InstancePre<State>, LoadError> {
    #[allow(unsafe_code, reason = "machine code has no other way in")]
    // SAFETY: the code comes from the compiler's process just now, or from a file whose tag shows that it did before and
    // that nobody changed it since; both are for this engine's settings, which wasmtime checks once more.
    let component = unsafe { Component::deserialize(&guests.engine, code) }.map_err(|error| LoadError {
        code: "compile-failed",
        message: format!("the compiled component cannot be used: {}", clean(format!("{error:#}"), MAX_MESSAGE)),
    })?;
    guests.linker.instantiate_pre(&component).map_err(|error| LoadError {
        code: "forbidden-import",
        message: format!("the component does not fit the contract: {}", clean(format!("{error:#}"), MAX_MESSAGE)),
    })
}

/// Runs on a thread for what takes long.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "making a component ready failed inside the host");
        LoadError { code: "internal", message: "the host failed while it made the component ready".into() }
    })
}

/// Asks the component what it is, and makes sure that its other functions have the contract's types.
async fn describe(
    guests: &Guests,
    component: &InstancePre<State>,
    exports: &Arc<Exports>,
) -> Result<String, LoadError> {
    let grant = Grant { session: None, label: "a new component".into(), io: Handle::current() };
    let exports = exports.clone();
    let called =
        instance::call(guests, component, Limits::default(), Times::DESCRIBE, grant, move |store, instance| {
            Box::pin(async move {
                let guest = exports.descriptor.load(&mut *store, instance)?;
                exports.typed(&mut *store, instance)?;
                Ok(Ok(guest.call_describe(store).await?))
            })
        })
        .await;
    called.result.map_err(|error: CallError| {
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

//! From a file to a connector that can be called.
//!
//! In this order, each refusal before anything costly happens: size and imports, compile, link, describe twice with nothing
//! granted, read the description. Nothing is kept of what is refused.

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
    let guests = &shop.guests;
    let (read, most) = (bytes.to_vec(), shop.limits.component());
    let digest = blocking(move || {
        audit::audit(&read, most)?;
        Ok::<_, LoadError>(hex(digest::digest(&digest::SHA256, &read).as_ref()))
    })
    .await??;
    let key = Arc::new(CodeKey::new(&digest, &guests.compatibility));
    if let Some(cache) = &shop.code {
        cache.hold(&key);
    }
    let (component, compiled) = component(shop, bytes, &digest, &key).await?;
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
    let descriptor = blocking(move || Descriptor::parse(&description)).await??;
    keep(shop, &key, compiled).await?;
    let label = Arc::from(format!("{} {}", descriptor.name, descriptor.version));
    let health = Health::new(&label, shop.troubled.clone(), shop.clock.clone());
    let limits = shop.limits.of(&descriptor.name);
    Ok(Connector { descriptor, digest, label, limits, guests: guests.clone(), component, exports, health, _code: key })
}

/// The component, ready to be instantiated: from code that was compiled before, or compiled now, which comes along.
async fn component(
    shop: &Workshop,
    bytes: &[u8],
    digest: &str,
    key: &Arc<CodeKey>,
) -> Result<(InstancePre<State>, Option<Vec<u8>>), LoadError> {
    let started = Instant::now();
    let known = match shop.code.clone() {
        Some(cache) => {
            let key = key.clone();
            blocking(move || cache.get(&key)).await?
        }
        None => None,
    };
    let (from, is_new) = if known.is_some() { ("kept", false) } else { ("compiled", shop.code.is_some()) };
    let code = match known {
        Some(code) => code,
        None => shop.compiler.compile(bytes, shop.guests.layout, &shop.guests.compatibility).await?,
    };
    let guests = shop.guests.clone();
    let (component, code) = blocking(move || link(&guests, &code).map(|component| (component, code))).await??;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(digest, size = bytes.len(), milliseconds, from, "a component is ready to run");
    Ok((component, is_new.then_some(code)))
}

/// Keeps code of a component that turned out to be a connector: what is refused must not take the room of what serves.
async fn keep(shop: &Workshop, key: &Arc<CodeKey>, code: Option<Vec<u8>>) -> Result<(), LoadError> {
    match (shop.code.clone(), code) {
        (Some(cache), Some(code)) => {
            let key = key.clone();
            blocking(move || cache.put(&key, &code)).await
        }
        _ => Ok(()),
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
        LoadError::new("describe-failed", &format!("the component cannot be used: {}{detail}", error.message))
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;

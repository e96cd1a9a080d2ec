//! Version 0.1 of the contract: generated bindings, and the way from their types to the model's and back.
//!
//! The only module that sees both. What comes from a guest is checked here before it becomes a model type.

mod bindings;
mod error;
mod outcome;
mod page;

use wasmtime::component::InstancePre;

use self::bindings::exports::wharfinger::connector::{catalog, catalog_columns, catalog_confirm, check, descriptor};
pub(super) use self::bindings::{
    exports::wharfinger::connector::catalog::ReadRequest, wharfinger::connector::catalog_types,
};
pub(super) use self::{
    bindings::wharfinger::connector::{http, log, types},
    error::call_error,
    outcome::{outcomes, presences},
    page::{Expect, page, partitions},
};
use super::state::State;
use crate::model::{page::Partition, path::RemotePath};

/// What a component exports, found once when it is loaded.
pub(super) struct Exports {
    pub(super) descriptor: descriptor::GuestIndices,
    pub(super) check: check::GuestIndices,
    pub(super) catalog: catalog::GuestIndices,
    pub(super) columns: Option<catalog_columns::GuestIndices>,
    pub(super) confirm: Option<catalog_confirm::GuestIndices>,
}

impl Exports {
    /// Finds the exports. The error names the interface that is missing.
    pub(super) fn find(pre: &InstancePre<State>) -> Result<Self, &'static str> {
        Ok(Self {
            descriptor: descriptor::GuestIndices::new(pre).map_err(|_| "descriptor")?,
            check: check::GuestIndices::new(pre).map_err(|_| "check")?,
            catalog: catalog::GuestIndices::new(pre).map_err(|_| "catalog")?,
            columns: catalog_columns::GuestIndices::new(pre).ok(),
            confirm: catalog_confirm::GuestIndices::new(pre).ok(),
        })
    }

    /// Checks that every function that was found has the contract's type.
    pub(super) fn typed(
        &self,
        store: &mut wasmtime::Store<State>,
        instance: &wasmtime::component::Instance,
    ) -> wasmtime::Result<()> {
        self.check.load(&mut *store, instance)?;
        self.catalog.load(&mut *store, instance)?;
        if let Some(columns) = &self.columns {
            columns.load(&mut *store, instance)?;
        }
        if let Some(confirm) = &self.confirm {
            confirm.load(&mut *store, instance)?;
        }
        Ok(())
    }
}

/// A path as guests take it.
pub(super) fn path(path: &RemotePath) -> Vec<String> {
    path.0.iter().map(|name| name.as_str().to_owned()).collect()
}

/// A partition as guests take it.
pub(super) fn partition(partition: &Partition) -> catalog_types::Partition {
    catalog_types::Partition {
        id: partition.id.clone(),
        scope: path(&partition.scope),
        payload: partition.payload.clone(),
        weight: partition.weight,
        extra: Vec::new(),
    }
}

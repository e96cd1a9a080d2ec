//! What `wit-bindgen` makes of `wit/`: records, imports, and the traits behind the exports.
//!
//! Generated once, here, so that connectors need neither the tool nor the WIT. Optional interfaces stand in worlds of
//! their own: a component then exports exactly those that [`crate::export!`] was told. Nobody but this crate and that
//! macro may name anything in here.

#![allow(unsafe_code, reason = "generated: calls across the component boundary")]
#![allow(missing_docs, reason = "generated: documentation is that of the WIT")]
#![allow(unreachable_pub, reason = "generated")]
#![allow(clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]

/// The world every connector implements.
pub mod connector {
    wit_bindgen::generate!({
        path: "../wit",
        world: "connector",
        runtime_path: "::wharfinger_sdk::__private::rt",
        pub_export_macro: true,
        export_macro_name: "export_connector",
        default_bindings_module: "::wharfinger_sdk::__private::connector",
        additional_derives: [PartialEq, Eq],
        generate_all,
    });
}

/// The optional interface `catalog-columns`.
pub mod columns {
    wit_bindgen::generate!({
        path: "../wit",
        world: "with-columns",
        runtime_path: "::wharfinger_sdk::__private::rt",
        pub_export_macro: true,
        export_macro_name: "export_columns",
        default_bindings_module: "::wharfinger_sdk::__private::columns",
        with: {
            "wharfinger:connector/types@0.1.0": super::connector::wharfinger::connector::types,
            "wharfinger:connector/catalog-types@0.1.0": super::connector::wharfinger::connector::catalog_types,
            "wharfinger:connector/http@0.1.0": super::connector::wharfinger::connector::http,
            "wharfinger:connector/log@0.1.0": super::connector::wharfinger::connector::log,
        },
        generate_all,
    });
}

/// The optional interface `catalog-confirm`.
pub mod confirm {
    wit_bindgen::generate!({
        path: "../wit",
        world: "with-confirm",
        runtime_path: "::wharfinger_sdk::__private::rt",
        pub_export_macro: true,
        export_macro_name: "export_confirm",
        default_bindings_module: "::wharfinger_sdk::__private::confirm",
        with: {
            "wharfinger:connector/types@0.1.0": super::connector::wharfinger::connector::types,
            "wharfinger:connector/http@0.1.0": super::connector::wharfinger::connector::http,
            "wharfinger:connector/log@0.1.0": super::connector::wharfinger::connector::log,
        },
        generate_all,
    });
}

/// The optional interface `abandon`.
pub mod abandon {
    wit_bindgen::generate!({
        path: "../wit",
        world: "with-abandon",
        runtime_path: "::wharfinger_sdk::__private::rt",
        pub_export_macro: true,
        export_macro_name: "export_abandon",
        default_bindings_module: "::wharfinger_sdk::__private::abandon",
        with: {
            "wharfinger:connector/types@0.1.0": super::connector::wharfinger::connector::types,
            "wharfinger:connector/http@0.1.0": super::connector::wharfinger::connector::http,
            "wharfinger:connector/log@0.1.0": super::connector::wharfinger::connector::log,
        },
        generate_all,
    });
}

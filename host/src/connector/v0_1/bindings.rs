//! What `bindgen!` makes of `wit/`, in a world of our own that holds the optional interfaces too.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code; the contract documents it")]

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package wharfinger:host;
        world host {
            include wharfinger:connector/connector@0.1.0;
            include wharfinger:connector/with-columns@0.1.0;
            include wharfinger:connector/with-confirm@0.1.0;
        }
    ",
    world: "wharfinger:host/host",
    imports: {
        "wharfinger:connector/log@0.1.0": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    with: {
        "wharfinger:connector/http@0.1.0.batch": crate::connector::imports::http::Batch,
        "wharfinger:connector/http@0.1.0.body-stream": crate::connector::imports::http::BodyStream,
    },
});

//! The guests that the tests run, as paths of components. The build script compiles `tests/guests/examples` into them.

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

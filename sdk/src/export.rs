//! The bridge from the trait to the component's exports, and the macro that builds it.

use std::{marker::PhantomData, rc::Rc};

use crate::{
    Abandon, ColumnsRequest, Confirm, Connector, Context, Error, Outcome, Page, Partition, Path, ReadColumns,
    ReadRequest,
    bindings::{abandon, columns, confirm, connector},
    descriptor,
    host::ComponentHost,
};

/// Implements the generated traits for a connector.
pub struct Component<T>(PhantomData<T>);

fn context<T: Connector>(config: &str) -> Result<Context<T::Config>, Error> {
    Context::new(config, Rc::new(ComponentHost::new()))
}

impl<T: Connector> connector::exports::wharfinger::connector::descriptor::Guest for Component<T> {
    fn describe() -> String {
        descriptor::document::<T>()
    }
}

impl<T: Connector> connector::exports::wharfinger::connector::check::Guest for Component<T> {
    fn run(config: String) -> Result<Vec<Outcome>, Error> {
        T::check(&context::<T>(&config)?)
    }
}

impl<T: Connector> connector::exports::wharfinger::connector::catalog::Guest for Component<T> {
    fn plan(config: String, scope: Path) -> Result<Vec<Partition>, Error> {
        T::plan(&context::<T>(&config)?, &scope)
    }

    fn read(config: String, request: ReadRequest) -> Result<Page, Error> {
        T::read(&context::<T>(&config)?, request)
    }
}

impl<T: ReadColumns> columns::exports::wharfinger::connector::catalog_columns::Guest for Component<T> {
    fn read(
        config: String,
        scope: Path,
        namespace: String,
        names: Vec<String>,
        cursor: Option<String>,
    ) -> Result<Page, Error> {
        T::read_columns(&context::<T>(&config)?, ColumnsRequest { scope, namespace, names, cursor })
    }
}

impl<T: Confirm> confirm::exports::wharfinger::connector::catalog_confirm::Guest for Component<T> {
    fn confirm(config: String, scope: Path, namespace: String, names: Vec<String>) -> Result<Vec<String>, Error> {
        let answers = T::confirm(&context::<T>(&config)?, &scope, &namespace, &names)?;
        Ok(answers.into_iter().map(|presence| presence.as_str().to_owned()).collect())
    }
}

impl<T: Abandon> abandon::exports::wharfinger::connector::abandon::Guest for Component<T> {
    fn abandon(config: String, cursor: String) {
        if let Ok(cx) = context::<T>(&config) {
            T::abandon(&cx, &cursor);
        }
    }
}

const SECTION_TEXT: &str =
    concat!(r#"{"sdk":""#, env!("CARGO_PKG_VERSION"), r#"","wit":"0.1.0","minimumHost":"0.1.0"}"#);

/// Length of [`SECTION`].
pub const SECTION_LEN: usize = SECTION_TEXT.len();

/// Content of the custom section `wharfinger-sdk`: a JSON object with the versions of SDK and contract, and the oldest
/// host.
pub const SECTION: [u8; SECTION_LEN] = {
    let text = SECTION_TEXT.as_bytes();
    let mut bytes = [0; SECTION_LEN];
    let mut i = 0;
    while i < SECTION_LEN {
        bytes[i] = text[i];
        i += 1;
    }
    bytes
};

/// Makes a crate a component that exports this connector.
///
/// After a colon stand the optional interfaces that it implements: `columns` ([`ReadColumns`]), `confirm`
/// ([`Confirm`]), `abandon` ([`Abandon`]). Emits nothing outside WebAssembly, so that the same crate links natively.
///
/// ```ignore
/// wharfinger_sdk::export!(MyConnector: columns, confirm);
/// ```
#[macro_export]
macro_rules! export {
    ($connector:ty $(: $($interface:ident),+ $(,)?)?) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "exports of the component")]
        const _: () = {
            type Exported = $crate::__private::Component<$connector>;
            $crate::__private::connector::export_connector!(
                Exported with_types_in $crate::__private::connector
            );
            $($($crate::__export_optional!($interface Exported);)+)?

            #[unsafe(link_section = "wharfinger-sdk")]
            #[used]
            static SECTION: [u8; $crate::__private::SECTION_LEN] = $crate::__private::SECTION;
        };

        // Outside WebAssembly nothing is exported, but a missing implementation is still an error.
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            const fn connector<T: $crate::Connector>() {}
            connector::<$connector>();
            $($($crate::__require_optional!($interface $connector);)+)?
        };
    };
}

/// One optional interface of [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __export_optional {
    (columns $exported:ident) => {
        $crate::__private::columns::export_columns!($exported with_types_in $crate::__private::columns);
    };
    (confirm $exported:ident) => {
        $crate::__private::confirm::export_confirm!($exported with_types_in $crate::__private::confirm);
    };
    (abandon $exported:ident) => {
        $crate::__private::abandon::export_abandon!($exported with_types_in $crate::__private::abandon);
    };
}

/// One optional interface of [`export!`], checked natively.
#[doc(hidden)]
#[macro_export]
macro_rules! __require_optional {
    (columns $connector:ty) => {{
        const fn columns<T: $crate::ReadColumns>() {}
        columns::<$connector>();
    }};
    (confirm $connector:ty) => {{
        const fn confirm<T: $crate::Confirm>() {}
        confirm::<$connector>();
    }};
    (abandon $connector:ty) => {{
        const fn abandon<T: $crate::Abandon>() {}
        abandon::<$connector>();
    }};
}

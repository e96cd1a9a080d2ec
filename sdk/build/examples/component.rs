//! Builds one connector crate: `cargo run --release -p wharfinger-component-build --example component -- DIR [FILE]`.

use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let package = arguments.next().unwrap_or_else(|| ".".into());
    let output = arguments.next();
    let component = wharfinger_component_build::build_file(package.as_ref(), output.as_deref().map(Path::new))?;
    eprintln!("{}", component.display());
    Ok(())
}

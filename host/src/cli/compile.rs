//! `compile-component`: the process that compiles one component for a host, which starts it.

use clap::Args;

use super::Exit;
use crate::connector::compile::child::{self, Failed, Order};

#[derive(Debug, Args)]
pub(super) struct CompileArgs {
    /// As the host writes them.
    #[arg(hide = true)]
    order: Vec<String>,
}

pub(super) fn run(args: &CompileArgs) -> Exit {
    let done = Order::parse(&args.order).map_err(Failed::Other).and_then(|order| child::run(&order));
    match done {
        Ok(()) => Exit::Done,
        Err(failed) => {
            eprintln!("{failed}");
            match failed {
                Failed::Refused(_) => Exit::Refused,
                Failed::Other(_) => Exit::Failed,
            }
        }
    }
}

//! A simulated Unity Catalog as a program: listens, prints where and with what credentials, runs until it is ended.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use serde_json::json;
use wharfinger_simulators::unity_catalog::{
    self, Authorization, Dialect, Names, Options, Shape, UnityCatalog, believable,
};

/// Simulates the metadata API of a Unity Catalog.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:8085")]
    listen: SocketAddr,
    /// Where control commands are taken (`/__control/…`).
    #[arg(long)]
    control: Option<SocketAddr>,
    /// Whose API it is.
    #[arg(long, value_enum, default_value = "commercial")]
    dialect: DialectArgument,
    /// Ask nobody for a token (open source only).
    #[arg(long)]
    no_authorization: bool,
    /// `demo`, or catalogs x schemas x tables x columns such as `2x3x100x20`.
    #[arg(long, default_value = "demo")]
    catalogue: String,
    /// How generated things are called.
    #[arg(long, value_enum, default_value = "plain")]
    names: NamesArgument,
    /// What generated content follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds before every answer.
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Seconds a fetched token is good.
    #[arg(long, default_value_t = 3600)]
    token_lifetime: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectArgument {
    Commercial,
    OpenSource,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NamesArgument {
    Plain,
    Odd,
    Hostile,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let simulator = UnityCatalog::start(options(&arguments)?).await.context("start the simulator")?;
    say(&simulator);
    tokio::signal::ctrl_c().await.context("wait for the end")?;
    Ok(())
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let metastore = match arguments.catalogue.as_str() {
        "demo" => believable::metastore(arguments.seed),
        shape => parse_shape(shape, arguments.names)?.generate(arguments.seed),
    };
    let (dialect, open) = match arguments.dialect {
        DialectArgument::Commercial => (Dialect::Commercial, false),
        DialectArgument::OpenSource => (Dialect::OpenSource, arguments.no_authorization),
    };
    Ok(Options {
        bind: arguments.listen,
        control: arguments.control,
        dialect,
        authorization: if open { Authorization::Off } else { Authorization::On },
        latency: Duration::from_millis(arguments.latency),
        token_lifetime: Duration::from_secs(arguments.token_lifetime),
        ..Options::new(metastore)
    })
}

fn parse_shape(text: &str, names: NamesArgument) -> anyhow::Result<Shape> {
    let numbers: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
    let [catalogs, schemas, tables, columns] = numbers.unwrap_or_default()[..] else {
        anyhow::bail!("`{text}` is neither `demo` nor four numbers such as `2x3x100x20`");
    };
    let names = match names {
        NamesArgument::Plain => Names::Plain,
        NamesArgument::Odd => Names::Odd,
        NamesArgument::Hostile => Names::Hostile,
    };
    Ok(Shape { catalogs, schemas, tables, columns, names })
}

/// One line of JSON: scripts read it, people can.
#[expect(clippy::print_stdout, reason = "this is the program's output")]
fn say(simulator: &UnityCatalog) {
    let counts = simulator.read(unity_catalog::Metastore::counts);
    println!(
        "{}",
        json!({
            "url": format!("http://{}", simulator.addr()),
            "control": simulator.control_addr().map(|addr| format!("http://{addr}")),
            "token": unity_catalog::TOKEN,
            "clientId": unity_catalog::CLIENT_ID,
            "clientSecret": unity_catalog::CLIENT_SECRET,
            "catalogs": counts[0], "schemas": counts[1], "tables": counts[2], "columns": counts[3],
        })
    );
}

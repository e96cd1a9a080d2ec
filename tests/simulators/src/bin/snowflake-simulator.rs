//! A simulated Snowflake account as a program: listens, prints where and with what credentials, runs until it is ended.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use serde_json::json;
use wharfinger_simulators::snowflake::{
    self, Account, ClientAuth, Lifetimes, Limits, Names, Options, Partitions, Shape, Snowflake, believable, keys,
};

/// Simulates a Snowflake account: the SQL API, the drivers' protocol, storage for large results, an identity provider.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where the account listens.
    #[arg(long, default_value = "127.0.0.1:8086")]
    listen: SocketAddr,
    /// Where control commands are taken (`/__control/…`).
    #[arg(long)]
    control: Option<SocketAddr>,
    /// `demo`, or databases x schemas x objects x columns such as `2x3x100x20`.
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
    /// Seconds a session token is good.
    #[arg(long, default_value_t = 3600)]
    session_lifetime: i64,
    /// Seconds an OAuth access token is good.
    #[arg(long, default_value_t = 600)]
    access_lifetime: i64,
    /// Rows that come with an answer itself; the rest are partitions or chunks.
    #[arg(long, default_value_t = 10_000)]
    first_rows: usize,
    /// Most rows of a query over INFORMATION_SCHEMA.
    #[arg(long, default_value_t = 1_000_000)]
    information_schema_rows: usize,
    /// Take client credentials only from the header or only from the body.
    #[arg(long, value_enum)]
    client_auth: Option<ClientAuthArgument>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NamesArgument {
    Plain,
    Odd,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClientAuthArgument {
    Header,
    Body,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let simulator = Snowflake::start(options(&arguments)?).await.context("start the simulator")?;
    say(&simulator);
    tokio::signal::ctrl_c().await.context("wait for the end")?;
    Ok(())
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let account = match arguments.catalogue.as_str() {
        "demo" => believable::account(arguments.seed),
        shape => parse_shape(shape, arguments.names)?.generate(arguments.seed),
    };
    let rows = Partitions { first_rows: arguments.first_rows, ..Partitions::default() };
    let session = arguments.session_lifetime;
    Ok(Options {
        bind: arguments.listen,
        control: arguments.control,
        latency: Duration::from_millis(arguments.latency),
        lifetimes: Lifetimes { session, access: arguments.access_lifetime, ..Lifetimes::default() },
        partitions: rows,
        limits: Limits { information_schema_rows: arguments.information_schema_rows, ..Limits::default() },
        client_auth: match arguments.client_auth {
            None => ClientAuth::Either,
            Some(ClientAuthArgument::Header) => ClientAuth::Header,
            Some(ClientAuthArgument::Body) => ClientAuth::Body,
        },
        ..Options::new(account)
    })
}

fn parse_shape(text: &str, names: NamesArgument) -> anyhow::Result<Shape> {
    let numbers: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
    let [databases, schemas, tables, columns] = numbers.unwrap_or_default()[..] else {
        anyhow::bail!("`{text}` is neither `demo` nor four numbers such as `2x3x100x20`");
    };
    let names = match names {
        NamesArgument::Plain => Names::Plain,
        NamesArgument::Odd => Names::Odd,
    };
    Ok(Shape { databases, schemas, tables, columns, names })
}

/// One line of JSON: scripts read it, people can.
#[expect(clippy::print_stdout, reason = "this is the program's output")]
fn say(simulator: &Snowflake) {
    let counts = simulator.read(Account::counts);
    println!(
        "{}",
        json!({
            "url": format!("http://{}", simulator.addr()),
            "storage": format!("http://{}", simulator.storage_addr()),
            "identityProvider": format!("http://{}/oauth/token", simulator.identity_addr()),
            "control": simulator.control_addr().map(|addr| format!("http://{addr}")),
            "user": snowflake::USER,
            "password": snowflake::PASSWORD,
            "accessToken": snowflake::ACCESS_TOKEN,
            "privateKey": keys::private_key(keys::KeyForm::Pkcs8),
            "role": snowflake::ROLE,
            "warehouse": snowflake::WAREHOUSE,
            "clientId": snowflake::CLIENT_ID,
            "clientSecret": snowflake::CLIENT_SECRET,
            "databases": counts[0], "schemas": counts[1], "tables": counts[2], "columns": counts[3],
        })
    );
}

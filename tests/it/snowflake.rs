//! The bundled Snowflake connector in a real host, against the simulated account: every way in, every size at which the
//! platform's statements begin to lie, every fault.

mod columns;
mod expiry;
mod faults;
mod latency;
mod names;
mod sizes;
mod ways_in;

use wharfinger::clock::Clock;
use wharfinger_simulators::snowflake::{Options, Partitions, Shape, Simulated, Snowflake};
use wharfinger_tests::{
    TestHost,
    inventory::{differences, of_account, of_host, present},
};

const KEY: &str = "My Account";
const URL: &str = "My%20Account";

/// A simulated account of this shape.
async fn account(shape: Shape) -> anyhow::Result<Snowflake> {
    Ok(Snowflake::start(Options::new(shape.generate(7))).await?)
}

/// The same with results in small parts: every one of them has further partitions or files on the storage.
async fn account_in_parts(shape: Shape) -> anyhow::Result<Snowflake> {
    let partitions = Partitions { first_rows: 7, rows: 20, ..Partitions::default() };
    Ok(Snowflake::start(Options { partitions, ..Options::new(shape.generate(7)) }).await?)
}

fn shape(databases: usize, schemas: usize, tables: usize, columns: usize) -> Shape {
    Shape { databases, schemas, tables, columns, ..Shape::one_schema(0, 0) }
}

/// A host whose operator approved the account's identity provider.
async fn host(platform: &Snowflake) -> anyhow::Result<TestHost> {
    let provider = format!("http://{}", platform.identity_addr());
    TestHost::start_with(Clock::system(), |config| {
        config.egress.approved_origins = vec![provider.parse().expect("an origin")];
    })
    .await
}

/// The inventory holds what the account has, and nothing of it is called missing.
async fn assert_equal(host: &TestHost, platform: &Simulated) -> anyhow::Result<()> {
    let found = present(of_host(host.app().db(), KEY).await?);
    let differences = differences(&platform.read(of_account), &found);
    assert!(differences.is_empty(), "the inventory differs from the platform:\n{differences}");
    let violations = host.app().db().verify().await?;
    assert!(violations.is_empty(), "{violations:?}");
    Ok(())
}

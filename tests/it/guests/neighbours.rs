//! A hostile connection disturbs no other: the second one's syncs go on without an error. How much slower they are is
//! printed; `bench neighbours` measures it with more runs.

use std::time::Duration;

use wharfinger_tests::neighbours::{SINS, Street};

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_syncs_without_errors_beside_every_sin_that_runs() -> anyhow::Result<()> {
    let street = Street::start(300, 5, Duration::from_millis(10)).await?;
    for sin in SINS {
        println!("{}", street.measure(sin, 1).await?);
    }
    street.stop().await;
    Ok(())
}

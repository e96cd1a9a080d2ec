//! Sizes at which the platform's statements refuse or cut their answers.

use wharfinger_simulators::snowflake::{KeyForm, Method, Names, Shape};

use super::{KEY, URL, account, assert_equal, host, shape};

#[tokio::test(flavor = "multi_thread")]
async fn twelve_thousand_tables_in_one_schema() -> anyhow::Result<()> {
    let platform = account(shape(1, 1, 12_000, 3)).await?;
    let host = host(&platform).await?;
    host.client().register(&platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8))).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_columns_in_a_schema_than_one_show_tells_without_a_warehouse() -> anyhow::Result<()> {
    // 220 tables of 50 columns: 11 000.
    for method in [Method::UserPassword, Method::ProgrammaticAccessToken] {
        let platform = account(shape(1, 1, 220, 50)).await?;
        let host = host(&platform).await?;
        let mut payload = platform.payload_for(KEY, method);
        payload["connection"].as_object_mut().expect("object").remove("warehouse");
        host.client().register(&payload).await?;
        assert_equal(&host, &platform).await?;
        host.client().sync(URL).await?;
        assert_equal(&host, &platform).await?;
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_schemas() -> anyhow::Result<()> {
    let platform = account(shape(3, 100, 3, 2)).await?;
    let host = host(&platform).await?;
    host.client().register(&platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8))).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_come_through_as_they_are_in_both_protocols() -> anyhow::Result<()> {
    for method in [Method::UserPassword, Method::KeyPair(KeyForm::Pkcs8)] {
        let platform = account(Shape { names: Names::Odd, ..shape(3, 3, 60, 4) }).await?;
        let host = host(&platform).await?;
        host.client().register(&platform.payload_for(KEY, method)).await?;
        assert_equal(&host, &platform).await?;
        host.client().sync(URL).await?;
        assert_equal(&host, &platform).await?;
        host.stop().await;
    }
    Ok(())
}

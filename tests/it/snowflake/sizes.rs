//! Sizes at which the platform's statements refuse or cut their answers.

use wharfinger_simulators::snowflake::{KeyForm, Method, Names, Shape};

use super::{KEY, URL, account, account_in_parts, assert_equal, host, shape};

/// All of an account of these sizes is found.
async fn is_found(sizes: Shape) -> anyhow::Result<()> {
    let platform = account(sizes).await?;
    let host = host(&platform).await?;
    host.client().register(&platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8))).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_thousand_tables_in_one_schema() -> anyhow::Result<()> {
    is_found(shape(1, 1, 12_000, 3)).await
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
    is_found(shape(3, 100, 3, 2)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_come_through_as_they_are_in_both_protocols() -> anyhow::Result<()> {
    for method in [Method::UserPassword, Method::KeyPair(KeyForm::Pkcs8)] {
        // Odd are the names of databases in the first, of schemas in the second, of tables in the third.
        for sizes in [shape(60, 1, 1, 2), shape(1, 60, 2, 2), shape(1, 2, 60, 4)] {
            let platform = account_in_parts(Shape { names: Names::Odd, ..sizes }).await?;
            let host = host(&platform).await?;
            host.client().register(&platform.payload_for(KEY, method)).await?;
            assert_equal(&host, &platform).await?;
            host.client().sync(URL).await?;
            assert_equal(&host, &platform).await?;
            host.stop().await;
        }
    }
    Ok(())
}

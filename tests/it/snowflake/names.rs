//! Names that read like what the credential's scope forbids are names, wherever the platform can take them for nothing else.

use wharfinger_simulators::snowflake::{Change, KeyForm, Kind, Method, NewColumn, path};

use super::{KEY, URL, account, assert_equal, host, shape};

#[tokio::test(flavor = "multi_thread")]
async fn schemas_and_tables_may_be_called_like_functions() -> anyhow::Result<()> {
    for (method, has_warehouse) in
        [(Method::UserPassword, true), (Method::KeyPair(KeyForm::Pkcs8), true), (Method::UserPassword, false)]
    {
        let platform = account(shape(1, 1, 3, 2)).await?;
        let database = platform.read(|account| account.databases.keys().next().cloned()).expect("a database");
        for schema in ["NEXTVAL", "SYSTEM$\"OLD\"", "table(x)"] {
            let add = |path, columns| Change::Add { path, kind: Kind::Table, columns, comment: None };
            platform.change(&add(path(&[&database, schema]), Vec::new()))?;
            for table in ["SYSTEM$LOG", "IDENTIFIER(1)", "GET_PRESIGNED_URL", "nextval"] {
                let columns = vec![NewColumn::new("SYSTEM$ID", "NUMBER(38,0)")];
                platform.change(&add(path(&[&database, schema, table]), columns))?;
            }
        }
        let mut payload = platform.payload_for(KEY, method);
        if !has_warehouse {
            payload["connection"].as_object_mut().expect("object").remove("warehouse");
        }
        let host = host(&platform).await?;
        let job = host.client().register(&payload).await?;
        assert_eq!(job["output"]["errorCount"], 0, "{job}");
        assert_equal(&host, &platform).await?;
        // One by one, too: what is gone is asked for by its name.
        platform.change(&Change::Drop { path: path(&[&database, "NEXTVAL", "SYSTEM$LOG"]) })?;
        host.client().sync(URL).await?;
        assert_equal(&host, &platform).await?;
        host.stop().await;
    }
    Ok(())
}

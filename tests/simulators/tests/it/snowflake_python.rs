//! The vendor's connector for Python, in both generations and with every credential, agrees with the account's model.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use serde_json::json;
use wharfinger_simulators::snowflake::{
    ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, KeyForm, Names, Options, PASSWORD, Partitions, ROLE, Shape, Snowflake,
    USER, WAREHOUSE, believable, keys,
};

use crate::python::said;

const FOUR: &str = "requirements-snowflake-4";
const FIVE: &str = "requirements-snowflake-5";

/// Lists an account with a generation and a method; how much was compared must be right too.
async fn agrees(set: &str, method: &str, options: Options, form: KeyForm) -> Result<()> {
    let control = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // Small first parts, so that chunks are in play everywhere.
    let partitions = Partitions { first_rows: 200, rows: 2_000, ..Partitions::default() };
    let simulator = Snowflake::start(Options { control: Some(control), partitions, ..options }).await?;
    let [_, _, objects, columns] = simulator.read(|account| account.counts());
    let control = simulator.control_addr().context("control port")?;
    let credentials = json!({
        "user": USER, "password": PASSWORD, "accessToken": ACCESS_TOKEN, "role": ROLE, "warehouse": WAREHOUSE,
        "privateKey": keys::private_key(form), "passphrase": (form == KeyForm::Encrypted).then_some(keys::PASSPHRASE),
        "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET,
        "identityProvider": format!("http://{}/oauth/token", simulator.identity_addr()),
    });
    let arguments = [format!("http://{}", simulator.addr()), format!("http://{control}"), method.to_owned()];
    let Some(said) = said(set, "snowflake_client.py", &arguments, &credentials).await? else { return Ok(()) };
    assert_eq!((&said["objects"], &said["columns"]), (&json!(objects), &json!(columns)), "{said}");
    let version = if set == FOUR { "4.8.1" } else { "5.2.0" };
    assert_eq!(said["version"], version);
    if columns > 1_000 {
        assert!(said["chunks"].as_u64() > Some(0), "{said}");
    }
    Ok(())
}

fn generated(names: Names) -> Options {
    Options::new(Shape { databases: 2, schemas: 2, tables: 60, columns: 20, names }.generate(3))
}

#[tokio::test]
async fn a_password_lists_the_demo() -> Result<()> {
    for set in [FOUR, FIVE] {
        agrees(set, "password", Options::new(believable::account(1)), KeyForm::Pkcs8).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_password_lists_odd_names_through_chunks() -> Result<()> {
    for set in [FOUR, FIVE] {
        agrees(set, "password", generated(Names::Odd), KeyForm::Pkcs8).await?;
    }
    Ok(())
}

#[tokio::test]
async fn key_pairs_list_everything() -> Result<()> {
    agrees(FOUR, "key-pair", generated(Names::Plain), KeyForm::Pkcs8).await?;
    agrees(FIVE, "key-pair", generated(Names::Plain), KeyForm::Encrypted).await
}

#[tokio::test]
async fn oauth_tokens_list_everything() -> Result<()> {
    for set in [FOUR, FIVE] {
        agrees(set, "oauth", generated(Names::Plain), KeyForm::Pkcs8).await?;
    }
    Ok(())
}

#[tokio::test]
async fn access_tokens_list_everything() -> Result<()> {
    for set in [FOUR, FIVE] {
        agrees(set, "token", generated(Names::Plain), KeyForm::Pkcs8).await?;
        agrees(set, "token-as-password", Options::new(believable::account(1)), KeyForm::Pkcs8).await?;
    }
    Ok(())
}

//! Runs statements with `snowflake-connector-rs` and prints what came back as JSON.
//!
//! Standard input: `{"url", "account", "user", "role", "warehouse", "method": "password"|"key-pair"|"oauth", "secret",
//! "passphrase"?, "statements": […]}`. Output: an array with, per statement, `{"rows": [{column: value}]}` or
//! `{"error": "…"}`; a login that fails is one `{"login": "…"}`.

use std::error::Error;

use serde_json::{Value, json};
use snowflake_connector_rs::{
    AuthConfig, Client, ClientConfig, DynamicRow, EndpointConfig, KeyPairConfig, Session, SessionConfig,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let input: Value = serde_json::from_reader(std::io::stdin())?;
    let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let auth = match input["method"].as_str() {
        Some("key-pair") if input["passphrase"].is_string() => {
            AuthConfig::key_pair(KeyPairConfig::from_encrypted_pem(text("secret"), text("passphrase").into_bytes()))
        }
        Some("key-pair") => AuthConfig::key_pair(KeyPairConfig::from_pem(text("secret"))),
        Some("oauth") => AuthConfig::oauth(text("secret")),
        _ => AuthConfig::password(text("secret")),
    };
    let session = SessionConfig::new().with_role(text("role")).with_warehouse(text("warehouse"));
    let config = ClientConfig::new(text("user"), text("account"), auth)
        .with_session(session)
        .with_endpoint(EndpointConfig::custom_base_url(text("url").parse()?));
    let session = match Client::new(config)?.create_session().await {
        Ok(session) => session,
        Err(error) => {
            println!("{}", json!({"login": chain(&error)}));
            return Ok(());
        }
    };
    let mut answers = Vec::new();
    for statement in input["statements"].as_array().into_iter().flatten() {
        let answer = run(&session, statement.as_str().unwrap_or_default()).await;
        answers.push(answer.unwrap_or_else(|error| json!({"error": chain(error.as_ref())})));
    }
    println!("{}", Value::from(answers));
    Ok(())
}

async fn run(session: &Session, statement: &str) -> Result<Value, Box<dyn Error>> {
    let result = session.query(statement.to_owned()).await?;
    let rows: Vec<DynamicRow> = result.collect().await?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(DynamicRow::into_json_object).collect();
    Ok(json!({"rows": rows?}))
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        text += &format!(": {error}");
        inner = error.source();
    }
    text
}

//! An account, a client, and tokens signed for it.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{
    ACCESS_TOKEN, Fault, KeyForm, Options, PASSWORD, ROLE, Rule, Shape, Snowflake, Twist, USER, WAREHOUSE, keys,
};

use crate::http::{self, Answer};

pub(super) struct Setup {
    pub(super) simulator: Snowflake,
    pub(super) client: reqwest::Client,
}

/// What a key-pair token says.
pub(super) struct Token {
    pub(super) algorithm: &'static str,
    pub(super) account: &'static str,
    pub(super) user: &'static str,
    pub(super) subject: Option<&'static str>,
    pub(super) fingerprint: String,
    pub(super) issued: i64,
    pub(super) expires: i64,
    pub(super) key: &'static str,
}

impl Token {
    /// A good one.
    pub(super) fn new(now: i64) -> Self {
        Self {
            algorithm: "RS256",
            account: "127",
            user: USER,
            subject: None,
            fingerprint: STANDARD.encode(digest(&SHA256, &keys::public_key())),
            issued: now - 30,
            expires: now + 3_300,
            key: keys::private_key(KeyForm::Pkcs8),
        }
    }

    pub(super) fn sign(&self) -> Result<String> {
        let subject = self.subject.map_or_else(|| format!("{}.{}", self.account, self.user), str::to_owned);
        let claims = json!({
            "iss": format!("{}.{}.SHA256:{}", self.account, self.user, self.fingerprint), "sub": subject,
            "iat": self.issued, "exp": self.expires,
        });
        let header = json!({"alg": self.algorithm, "typ": "JWT"});
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let pair = RsaKeyPair::from_pkcs8(&keys::der(self.key)).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn encoded(of: &Value) -> String {
    URL_SAFE_NO_PAD.encode(of.to_string())
}

pub(super) fn twisted(on: &str, twist: Twist) -> Rule {
    Rule::once(on, Fault::Twisted { twist })
}

impl Setup {
    pub(super) async fn with(options: Options) -> Result<Self> {
        Ok(Self { simulator: Snowflake::start(options).await?, client: http::client()? })
    }

    pub(super) async fn new(tables: usize, columns: usize) -> Result<Self> {
        Self::with(Options::new(Shape::one_schema(tables, columns).generate(1))).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.simulator.addr())
    }

    /// A request to the SQL API with a token of a kind.
    pub(super) fn with_token(
        &self,
        request: reqwest::RequestBuilder,
        kind: &str,
        token: &str,
    ) -> reqwest::RequestBuilder {
        request
            .bearer_auth(token)
            .header("x-snowflake-authorization-token-type", kind)
            .header("user-agent", "test/1.0")
            .header("accept", "application/json")
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        self.with_token(request, "PROGRAMMATIC_ACCESS_TOKEN", ACCESS_TOKEN)
    }

    /// A statement over the SQL API, with the query and members of the body that are given.
    pub(super) async fn submit(&self, query: &str, body: Value) -> Result<Answer> {
        http::send(self.authorized(self.client.post(self.url(&format!("/api/v2/statements{query}")))).json(&body)).await
    }

    /// A statement with role and warehouse.
    pub(super) async fn sql(&self, statement: &str) -> Result<Answer> {
        self.submit("", json!({"statement": statement, "role": ROLE, "warehouse": WAREHOUSE})).await
    }

    /// The rows of a statement that fits into one partition.
    pub(super) async fn rows(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>> {
        let answer = self.sql(statement).await?;
        ensure!(answer.status == 200, "{statement}: {} {}", answer.status, answer.text());
        Ok(serde_json::from_value(answer.json()?["data"].clone())?)
    }

    /// The texts of a column of a statement.
    pub(super) async fn column(&self, statement: &str, name: &str) -> Result<Vec<String>> {
        let answer = self.sql(statement).await?;
        ensure!(answer.status == 200, "{statement}: {} {}", answer.status, answer.text());
        let json = answer.json()?;
        let headers = json["resultSetMetaData"]["rowType"].as_array().context("rowType")?;
        let at = headers.iter().position(|header| header["name"] == name).context("the column")?;
        let rows = json["data"].as_array().context("data")?;
        Ok(rows.iter().map(|row| row[at].as_str().unwrap_or("NULL").to_owned()).collect())
    }

    /// Status and code of a statement that may fail.
    pub(super) async fn refusal(&self, statement: &str) -> Result<(u16, String)> {
        let answer = self.sql(statement).await?;
        let code = answer.json()?["code"].as_str().unwrap_or_default().to_owned();
        Ok((answer.status, code))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        http::send(self.authorized(self.client.get(self.url(path)))).await
    }

    pub(super) async fn post(&self, path: &str) -> Result<Answer> {
        http::send(self.authorized(self.client.post(self.url(path)))).await
    }

    /// A login over the drivers' protocol with members of its data.
    pub(super) async fn login_with(&self, data: Value) -> Result<Value> {
        let url = self.url(&format!("/session/v1/login-request?request_id=1&warehouse={WAREHOUSE}&roleName={ROLE}"));
        http::send(self.client.post(url).json(&json!({"data": data}))).await?.json()
    }

    /// A session token and its master token, by password.
    pub(super) async fn login(&self) -> Result<(String, String)> {
        let data = json!({"ACCOUNT_NAME": "127", "LOGIN_NAME": "wharfinger", "PASSWORD": PASSWORD});
        let answer = self.login_with(data).await?;
        let text = |name: &str| answer["data"][name].as_str().map(str::to_owned).with_context(|| answer.to_string());
        Ok((text("token")?, text("masterToken")?))
    }

    /// A request of a session.
    pub(super) async fn session(&self, token: &str, path: &str, body: &Value) -> Result<Value> {
        let header = format!("Snowflake Token=\"{token}\"");
        let request = self.client.post(self.url(path)).header("authorization", header);
        http::send(request.header("accept", "application/snowflake").json(body)).await?.json()
    }

    /// A statement of a session.
    pub(super) async fn query(&self, token: &str, sql: &str) -> Result<Value> {
        self.session(token, "/queries/v1/query-request", &json!({"sqlText": sql})).await
    }
}

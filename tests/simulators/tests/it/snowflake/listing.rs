//! What statements list, how they page, where they cut, and what a role does not see.

use anyhow::Result;
use wharfinger_simulators::snowflake::{
    Change, Kind, Limits, Names, NewColumn, On, Options, Privilege, ROLE, Shape, USER, WAREHOUSE, WarehouseState,
    grant, grant_below, path,
};

use super::setup::Setup;

const SCHEMA: &str = "DATABASE_00000.SCHEMA_00000";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[tokio::test]
async fn pages_by_an_exclusive_cursor_meet_every_odd_name_once() -> Result<()> {
    let shape = Shape { databases: 1, schemas: 1, tables: 120, columns: 1, names: Names::Odd };
    let setup = Setup::with(Options::new(shape.generate(2))).await?;
    let (database, schema, names) = setup.simulator.read(|account| {
        let (database, of) = account.databases.iter().next().expect("one");
        let (schema, of) = of.schemas.iter().next().expect("one");
        (database.clone(), schema.clone(), of.tables.keys().cloned().collect::<Vec<_>>())
    });
    let scope = format!("SCHEMA {}.{}", quoted(&database), quoted(&schema));
    let (mut seen, mut cursor) = (vec![], String::new());
    loop {
        let page = setup.column(&format!("SHOW OBJECTS IN {scope} LIMIT 25{cursor}"), "name").await?;
        seen.extend(page.iter().cloned());
        match page.last() {
            Some(last) if page.len() == 25 => cursor = format!(" FROM {}", literal(last)),
            _ => break,
        }
    }
    assert_eq!(seen, names, "in order of code points");
    let tables = setup.column(&format!("SHOW TABLES IN {scope}"), "name").await?;
    let views = setup.column(&format!("SHOW VIEWS IN {scope}"), "name").await?;
    assert_eq!(tables.len() + views.len(), names.len());
    for name in &names {
        let object = format!("{}.{}.{}", quoted(&database), quoted(&schema), quoted(name));
        assert_eq!(setup.column(&format!("SHOW COLUMNS IN TABLE {object}"), "table_name").await?, [name.as_str()]);
        let described = setup
            .column(
                &format!(
                    "SELECT TABLE_NAME FROM {}.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
                    quoted(&database),
                    literal(&schema),
                    literal(name)
                ),
                "TABLE_NAME",
            )
            .await?;
        assert_eq!(described, [name.as_str()]);
    }
    let started = setup.column(&format!("SHOW OBJECTS IN {scope} STARTS WITH 'a.b' LIMIT 100"), "name").await?;
    assert!(started.len() > 2 && started.iter().all(|name| name.starts_with("a.b")));
    let alike = setup.column(&format!("SHOW OBJECTS LIKE 'SELECT' IN {scope}"), "name").await?;
    assert_eq!(alike, ["SELECT", "select"]);
    Ok(())
}

#[tokio::test]
async fn a_cursor_over_many_schemas_loses_names_as_the_real_one_does() -> Result<()> {
    let shape = Shape { databases: 1, schemas: 3, tables: 4, columns: 1, names: Names::Plain };
    let setup = Setup::with(Options::new(shape.generate(2))).await?;
    let page = "SHOW TABLES IN DATABASE DATABASE_00000 LIMIT 5";
    assert_eq!(setup.column(page, "name").await?.len(), 5);
    let next = setup.column(&format!("{page} FROM 'TABLE_00003'"), "name").await?;
    assert_eq!(next, [""; 0], "the cursor looks at the name alone");
    let schemas = setup.column("SHOW SCHEMAS IN DATABASE DATABASE_00000 LIMIT 10", "name").await?;
    assert_eq!(schemas, ["INFORMATION_SCHEMA", "SCHEMA_00000", "SCHEMA_00001", "SCHEMA_00002"]);
    Ok(())
}

#[tokio::test]
async fn much_is_an_error_here_and_cut_silently_there() -> Result<()> {
    let setup = Setup::with(Options::new(Shape::one_schema(10_900, 1).generate(2))).await?;
    let (status, code) = setup.refusal(&format!("SHOW TABLES IN SCHEMA {SCHEMA}")).await?;
    assert_eq!((status, code.as_str()), (200, "090001"), "not all of them are tables");
    let text = setup.sql("SHOW TABLES IN ACCOUNT LIMIT 10001").await?;
    assert_eq!(text.status, 422, "{}", text.text());
    for what in ["OBJECTS", "COLUMNS"] {
        let rows = setup.rows(&format!("SHOW {what} IN SCHEMA {SCHEMA}")).await?;
        assert_eq!(rows.len(), 10_000, "{what}");
    }
    for at in 0..2_000 {
        let path = path(&["DATABASE_00000", "SCHEMA_00000", &format!("MORE_{at}")]);
        setup.simulator.change(&Change::add(path, Kind::Table, vec![]))?;
    }
    let refused = setup.sql(&format!("SHOW TABLES IN SCHEMA {SCHEMA}")).await?;
    assert!(refused.text().contains("exceeded the max number of rows(10000)"), "{}", refused.text());
    assert_eq!(setup.rows(&format!("SHOW TABLES IN SCHEMA {SCHEMA} LIMIT 10000")).await?.len(), 10_000);
    Ok(())
}

#[tokio::test]
async fn the_information_schema_needs_a_warehouse_and_has_its_limits() -> Result<()> {
    let limits = Limits { information_schema_rows: 100, ..Limits::default() };
    let setup = Setup::with(Options { limits, ..Options::new(Shape::one_schema(30, 10).generate(2)) }).await?;
    let columns =
        "SELECT COLUMN_NAME FROM DATABASE_00000.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'SCHEMA_00000'";
    assert_eq!(setup.refusal(columns).await?, (422, "090030".into()));
    let batch = format!("{columns} AND TABLE_NAME >= 'TABLE_00002' AND TABLE_NAME <= 'TABLE_00008'");
    assert_eq!(setup.rows(&batch).await?.len(), 70);
    let listed = format!("{columns} AND TABLE_NAME IN ('TABLE_00002', 'TABLE_00004', 'NONE')");
    assert_eq!(setup.rows(&listed).await?.len(), 20);
    let count = "SELECT COUNT(*) FROM DATABASE_00000.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'SCHEMA_00000'";
    assert_eq!(setup.rows(count).await?, [[Some("30".into())]]);
    let ordered = "SELECT TABLE_NAME FROM DATABASE_00000.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA <> \
                   'INFORMATION_SCHEMA' ORDER BY 1 DESC LIMIT 2 OFFSET 1";
    assert_eq!(setup.column(ordered, "TABLE_NAME").await?, ["TABLE_00028", "TABLE_00027"]);
    let own =
        "SELECT TABLE_NAME FROM DATABASE_00000.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'INFORMATION_SCHEMA'";
    assert!(setup.rows(own).await?.len() > 5, "it describes itself");
    assert_eq!(setup.refusal(&columns.replace("COLUMN_NAME", "AFAF")).await?, (422, "000904".into()));
    for state in [WarehouseState::Locked, WarehouseState::Started] {
        setup.simulator.change(&Change::Warehouse { name: WAREHOUSE.into(), state })?;
        let code = if state == WarehouseState::Locked { "000606" } else { "090001" };
        assert_eq!(setup.refusal(count).await?.1, code);
    }
    assert_eq!(setup.rows("SHOW DATABASES").await?.len(), 1, "no warehouse is needed for that");
    setup.simulator.change(&Change::DropWarehouse { name: WAREHOUSE.into() })?;
    assert_eq!(setup.refusal(count).await?.1, "000606");
    Ok(())
}

#[tokio::test]
async fn what_a_role_may_not_see_is_not_there() -> Result<()> {
    let shape = Shape { databases: 2, schemas: 2, tables: 4, columns: 1, names: Names::Plain };
    let setup = Setup::with(Options::new(shape.generate(2))).await?;
    setup.simulator.with_model(|account| {
        account.roles.get_mut(ROLE).expect("it is there").grants.clear();
        account.grant_to(
            ROLE,
            [
                grant(Privilege::Usage, &["DATABASE_00000"]),
                grant(Privilege::Usage, &["DATABASE_00000", "SCHEMA_00000"]),
                grant(Privilege::References, &["DATABASE_00000", "SCHEMA_00000", "TABLE_00002"]),
            ],
        );
    });
    assert_eq!(setup.column("SHOW DATABASES", "name").await?, ["DATABASE_00000"]);
    let schemas = setup.column("SHOW SCHEMAS IN DATABASE DATABASE_00000", "name").await?;
    assert_eq!(schemas, ["INFORMATION_SCHEMA", "SCHEMA_00000"]);
    assert_eq!(setup.column(&format!("SHOW OBJECTS IN SCHEMA {SCHEMA}"), "name").await?, ["TABLE_00002"]);
    assert_eq!(setup.refusal("SHOW SCHEMAS IN DATABASE DATABASE_00001").await?, (422, "002003".into()));
    assert_eq!(setup.refusal("SHOW TABLES IN SCHEMA DATABASE_00000.SCHEMA_00001").await?.1, "002003");
    assert_eq!(setup.refusal(&format!("DESCRIBE TABLE {SCHEMA}.TABLE_00000")).await?.1, "002003");
    let count = "SELECT COUNT(*) FROM DATABASE_00000.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'SCHEMA_00000'";
    assert_eq!(setup.refusal(count).await?.1, "000606", "nor may it use the warehouse");
    let warehouse =
        wharfinger_simulators::snowflake::Grant { privilege: Privilege::Usage, on: On::Warehouse(WAREHOUSE.into()) };
    setup.simulator.change(&Change::Grant { role: ROLE.into(), grant: warehouse })?;
    assert_eq!(setup.rows(count).await?, [[Some("1".into())]]);
    let grants = setup.rows("SHOW GRANTS TO ROLE INVENTORY").await?;
    assert_eq!(grants.len(), 4);
    let below = grant_below(Privilege::Usage, &["DATABASE_00000"]);
    setup.simulator.change(&Change::Grant { role: ROLE.into(), grant: below.clone() })?;
    assert_eq!(setup.column("SHOW SCHEMAS IN DATABASE DATABASE_00000", "name").await?.len(), 3);
    let granted = setup.column("SHOW GRANTS ON SCHEMA DATABASE_00000.SCHEMA_00001", "privilege").await?;
    assert_eq!(granted, ["USAGE"]);
    setup.simulator.change(&Change::Revoke { role: ROLE.into(), grant: below })?;
    assert_eq!(setup.column("SHOW SCHEMAS IN DATABASE DATABASE_00000", "name").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn shares_end_hidden_objects_stay_hidden_and_names_are_exact() -> Result<()> {
    let setup = Setup::new(3, 2).await?;
    setup
        .simulator
        .change(&Change::Hide { path: path(&["DATABASE_00000", "SCHEMA_00000", "TABLE_00001"]), hidden: true })?;
    let described =
        "SELECT TABLE_NAME FROM DATABASE_00000.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'SCHEMA_00000'";
    assert_eq!(setup.column(described, "TABLE_NAME").await?, ["TABLE_00000", "TABLE_00002"]);
    assert_eq!(setup.column(&format!("SHOW TABLES IN SCHEMA {SCHEMA}"), "name").await?.len(), 3);
    setup.simulator.change(&Change::add(
        path(&["DATABASE_00000", "SCHEMA_00000", "lower"]),
        Kind::Event,
        vec![NewColumn::new("a.b", "VARIANT")],
    ))?;
    assert_eq!(setup.refusal(&format!("DESCRIBE TABLE {SCHEMA}.lower")).await?.1, "002003");
    assert_eq!(setup.column(&format!("DESCRIBE TABLE {SCHEMA}.\"lower\""), "name").await?, ["a.b"]);
    assert_eq!(setup.column(&format!("SHOW TABLES IN SCHEMA {SCHEMA}"), "is_event").await?, ["N", "N", "N", "Y"]);
    assert_eq!(setup.refusal("SHOW TABLES IN SCHEMA SCHEMA_00000").await?.1, "090105");
    assert_eq!(setup.refusal("SELECT NOPE()").await?.1, "002141");
    assert_eq!(setup.refusal(&format!("SELECT * FROM {SCHEMA}.TABLE_00000")).await?.1, "003001");
    setup.simulator.with_model(|account| {
        account.databases.get_mut("DATABASE_00000").expect("it is there").has_information_schema = false;
    });
    assert_eq!(setup.refusal(described).await?.1, "002003");
    setup.simulator.change(&Change::Share { database: "DATABASE_00000".into(), revoked: true })?;
    assert_eq!(setup.column("SHOW DATABASES", "name").await?, ["DATABASE_00000"]);
    for statement in ["SHOW SCHEMAS IN DATABASE DATABASE_00000", "SHOW TABLES IN ACCOUNT", described] {
        assert_eq!(setup.refusal(statement).await?, (422, "003030".into()), "{statement}");
    }
    setup.simulator.with_model(|account| account.users.get_mut(USER).expect("it is there").disabled = true);
    assert_eq!(setup.sql("SHOW DATABASES").await?.status, 401);
    Ok(())
}

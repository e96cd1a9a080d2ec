//! The grammar, by hand: one function a clause, each taking what it understands off the front.

mod select;

use super::token::{Placed, Token, error_at, tokens};
use super::{Scope, Show, Statement, SyntaxError, Use, What};

/// Reads one statement.
pub(crate) fn parse(sql: &str) -> Result<Statement, SyntaxError> {
    let mut words = Words { sql, tokens: tokens(sql)?, at: 0, binds: 0, depth: 0 };
    let statement = words.statement()?;
    words.sign(";");
    if words.at < words.tokens.len() { words.unexpected() } else { Ok(statement) }
}

type Parsed<T> = Result<T, SyntaxError>;

struct Words<'a> {
    sql: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    binds: usize,
    depth: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    fn unexpected<T>(&self) -> Parsed<T> {
        let (at, what) = match self.tokens.get(self.at) {
            None => (self.sql.chars().count(), "<EOF>".to_owned()),
            Some(Placed { token, at }) => (
                *at,
                match token {
                    Token::Word(text) | Token::Number(text) => text.clone(),
                    Token::Quoted(name) => format!("\"{name}\""),
                    Token::Text(text) => format!("'{text}'"),
                    Token::Sign(sign) => (*sign).to_owned(),
                },
            ),
        };
        Err(error_at(self.sql, at, what))
    }

    fn word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(here);
        here
    }

    /// Several words, all or none.
    fn words(&mut self, words: &str) -> bool {
        let before = self.at;
        let all = words.split(' ').all(|word| self.word(word));
        if !all {
            self.at = before;
        }
        all
    }

    fn sign(&mut self, sign: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(here);
        here
    }

    fn need(&mut self, here: bool) -> Parsed<()> {
        if here { Ok(()) } else { self.unexpected() }
    }

    fn need_sign(&mut self, sign: &str) -> Parsed<()> {
        let here = self.sign(sign);
        self.need(here)
    }

    fn text(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => self.unexpected(),
        }
    }

    fn number(&mut self) -> Parsed<u64> {
        match self.peek() {
            Some(Token::Number(digits)) if digits.parse::<u64>().is_ok() => {
                let number = digits.parse().unwrap_or_default();
                self.at += 1;
                Ok(number)
            }
            _ => self.unexpected(),
        }
    }

    fn identifier(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected(),
        }
    }

    /// `a.b.c`, up to three parts.
    fn name(&mut self) -> Parsed<Vec<String>> {
        let mut parts = vec![self.identifier()?];
        while parts.len() < 3 && self.sign(".") {
            parts.push(self.identifier()?);
        }
        Ok(parts)
    }

    fn statement(&mut self) -> Parsed<Statement> {
        if self.word("SHOW") {
            return self.show();
        }
        if self.word("DESCRIBE") || self.word("DESC") {
            let view = self.word("VIEW");
            let table = view || self.word("TABLE");
            self.need(table)?;
            return Ok(Statement::Describe { view, name: self.name()? });
        }
        if self.word("SELECT") {
            return self.select().map(Statement::Select);
        }
        if self.word("USE") {
            return self.use_();
        }
        if self.words("ALTER SESSION SET") {
            let name = self.identifier()?;
            self.need_sign("=")?;
            let value = match self.peek() {
                Some(Token::Text(text) | Token::Word(text) | Token::Number(text)) => text.clone(),
                _ => return self.unexpected(),
            };
            self.at += 1;
            return Ok(Statement::AlterSession { name, value });
        }
        self.unexpected()
    }

    fn use_(&mut self) -> Parsed<Statement> {
        let what = if self.word("ROLE") {
            Use::Role
        } else if self.word("WAREHOUSE") {
            Use::Warehouse
        } else if self.word("SCHEMA") {
            Use::Schema
        } else if self.words("SECONDARY ROLES") {
            Use::SecondaryRoles
        } else {
            self.word("DATABASE");
            Use::Database
        };
        Ok(Statement::Use { what, name: self.name()? })
    }

    fn show(&mut self) -> Parsed<Statement> {
        let terse = self.word("TERSE");
        let what = self.what()?;
        self.word("HISTORY");
        let like = if self.word("LIKE") { Some(self.text()?) } else { None };
        let scope = if self.word("IN") || self.word("FOR") { self.scope(&what)? } else { Scope::Session };
        let starts_with = if self.words("STARTS WITH") { Some(self.text()?) } else { None };
        let limit = if self.word("LIMIT") { Some(self.number()?) } else { None };
        let from = if limit.is_some() && self.word("FROM") { Some(self.text()?) } else { None };
        Ok(Statement::Show(Show { what, terse, like, scope, starts_with, limit, from }))
    }

    fn what(&mut self) -> Parsed<What> {
        const PLAIN: &[(&str, What)] = &[
            ("DATABASES", What::Databases),
            ("SCHEMAS", What::Schemas),
            ("TABLES", What::Tables),
            ("VIEWS", What::Views),
            ("MATERIALIZED VIEWS", What::MaterializedViews),
            ("EXTERNAL TABLES", What::ExternalTables),
            ("DYNAMIC TABLES", What::DynamicTables),
            ("EVENT TABLES", What::EventTables),
            ("ICEBERG TABLES", What::IcebergTables),
            ("HYBRID TABLES", What::HybridTables),
            ("OBJECTS", What::Objects),
            ("COLUMNS", What::Columns),
            ("WAREHOUSES", What::Warehouses),
            ("PARAMETERS", What::Parameters),
        ];
        if let Some((_, what)) = PLAIN.iter().find(|(words, _)| self.words(words)) {
            return Ok(what.clone());
        }
        if self.words("GRANTS TO ROLE") {
            return Ok(What::GrantsTo(self.identifier()?));
        }
        let grants = self.words("GRANTS ON");
        self.need(grants)?;
        let what = ["DATABASE", "SCHEMA", "TABLE", "VIEW", "WAREHOUSE", "ACCOUNT"].into_iter().find(|w| self.word(w));
        match what {
            None => self.unexpected(),
            Some("ACCOUNT") => Ok(What::GrantsOn { what: "ACCOUNT", name: vec![] }),
            Some(what) => Ok(What::GrantsOn { what, name: self.name()? }),
        }
    }

    fn scope(&mut self, what: &What) -> Parsed<Scope> {
        if self.word("ACCOUNT") || self.word("SESSION") {
            return Ok(Scope::Account);
        }
        if self.word("DATABASE") {
            return Ok(Scope::Database(self.name()?));
        }
        if self.word("SCHEMA") {
            return Ok(Scope::Schema(self.name()?));
        }
        if *what == What::Columns && (self.word("TABLE") || self.word("VIEW")) {
            return Ok(Scope::Object(self.name()?));
        }
        let name = self.name()?;
        Ok(match what {
            What::Schemas => Scope::Database(name),
            What::Columns => Scope::Object(name),
            _ => Scope::Schema(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::snowflake::sql::{Item, Scope, Statement, What};

    #[test]
    fn names_are_exact_when_quoted_and_upper_case_otherwise() {
        let Ok(Statement::Show(show)) = parse(r#"show tables in schema "a""b.c".lower limit 10 from 'it''s \\ here'"#)
        else {
            panic!("it is a SHOW");
        };
        assert_eq!(show.what, What::Tables);
        assert_eq!(show.scope, Scope::Schema(vec!["a\"b.c".into(), "LOWER".into()]));
        assert_eq!((show.limit, show.from.as_deref()), (Some(10), Some("it's \\ here")));
    }

    #[test]
    fn selects_are_read() {
        let sql = r#"SELECT "TABLE_NAME", column_name AS c, COUNT(*) FROM "d".INFORMATION_SCHEMA.COLUMNS
            WHERE TABLE_SCHEMA = 's' AND (TABLE_NAME >= 'a' OR TABLE_NAME NOT IN ('b', ?)) ORDER BY 1, TABLE_NAME DESC LIMIT 5"#;
        let Ok(Statement::Select(select)) = parse(sql) else { panic!("it is a SELECT") };
        assert_eq!(select.items.len(), 3);
        assert_eq!(select.items[2], Item::Count { name: "COUNT(*)".into() });
        assert_eq!(select.from, Some(vec!["d".into(), "INFORMATION_SCHEMA".into(), "COLUMNS".into()]));
        assert_eq!((select.order.len(), select.limit), (2, Some(5)));
    }

    #[test]
    fn what_is_not_understood_is_placed() {
        let error = parse("SHOW TABLES\nIN SCHEMA a.b LIMIT many").unwrap_err();
        assert_eq!((error.line, error.position, error.unexpected.as_str()), (2, 20, "MANY"));
        assert!(parse("DROP TABLE x").is_err() && parse("SELECT 'open").is_err() && parse("").is_err());
        assert!(parse(&format!("SELECT 1 FROM a WHERE {}", "NOT ".repeat(5_000))).is_err());
    }
}

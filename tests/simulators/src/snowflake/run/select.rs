//! Queries: over a view of `INFORMATION_SCHEMA`, or over nothing but the session.

use super::test::{self, Filter};
use super::{Output, Run, Scene, Source};
use crate::snowflake::errors::Refusal;
use crate::snowflake::relation::{Cell, Field, Row, Type};
use crate::snowflake::result::Answer;
use crate::snowflake::sql::{Item, Order, Select, Value};
use crate::snowflake::twist::Twist;

impl Scene<'_> {
    pub(super) fn select(&self, select: &Select) -> Run<Answer> {
        let Some(from) = &select.from else {
            let outputs = select.items.iter().map(|item| self.constant(item)).collect::<Run<_>>()?;
            return Ok(self.answer(outputs, &[Row::Texts(&[])]));
        };
        let (database, of, view) = self.information_schema(from)?;
        self.warehouse()?;
        if self.twist == Some(&Twist::TooMuchData) {
            return Err(Refusal::too_much_data());
        }
        let fields = view.fields();
        let filter = match &select.filter {
            Some(test) => test::compile(self, fields, test)?,
            None => Filter::default(),
        };
        // What cannot be compiled is said before anything is counted.
        let counted = match &select.items[..] {
            [Item::Count { name }] => Some(name),
            _ => None,
        };
        let outputs = if counted.is_some() { vec![] } else { self.outputs(fields, &select.items)? };
        let mut rows = self.described(database, of, view, &filter);
        if rows.len() > self.limits.information_schema_rows {
            return Err(Refusal::too_much_data());
        }
        if let Some(name) = counted {
            let count = Source::Constant(Cell::Number(rows.len() as i64));
            let output = Output { name: name.into(), kind: Type::Number, source: count };
            return Ok(self.answer(vec![output], &[Row::Texts(&[])]));
        }
        self.order(&mut rows, fields, &outputs, &select.order)?;
        let rows: Vec<_> = rows
            .into_iter()
            .skip(select.offset as usize)
            .take(select.limit.map_or(usize::MAX, |n| n as usize))
            .collect();
        Ok(self.answer(outputs, &rows))
    }

    fn outputs<'s>(&'s self, fields: &'static [Field], items: &'s [Item]) -> Run<Vec<Output<'s>>> {
        let mut outputs = Vec::new();
        for item in items {
            match item {
                Item::All => outputs.extend(fields.iter().map(Output::field)),
                Item::Value { value: Value::Column(column), name } => {
                    let field = self.field(fields, column)?;
                    outputs.push(Output { name: name.into(), ..Output::field(field) });
                }
                item => outputs.push(self.constant(item)?),
            }
        }
        Ok(outputs)
    }

    pub(super) fn field(&self, fields: &'static [Field], name: &str) -> Run<&'static Field> {
        let found = fields.iter().find(|field| field.name == name);
        found.ok_or_else(|| Refusal::invalid_identifier(self.sql, name))
    }

    fn order(
        &self,
        rows: &mut [Row<'_>],
        fields: &'static [Field],
        outputs: &[Output<'_>],
        by: &[(Value, Order)],
    ) -> Run<()> {
        let key = |value: &Value| match value {
            Value::Number(digits) => {
                let at = digits.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
                match at.and_then(|at| outputs.get(at)) {
                    Some(Output { source: Source::Field(get), .. }) => Ok(*get),
                    _ => Err(Refusal::invalid_identifier(self.sql, digits)),
                }
            }
            Value::Column(name) => match outputs.iter().find(|output| output.name == *name) {
                Some(Output { source: Source::Field(get), .. }) => Ok(*get),
                _ => self.field(fields, name).map(|field| field.get),
            },
            _ => Err(Refusal::not_supported("ORDER BY an expression")),
        };
        let keys: Vec<_> = by.iter().map(|(value, order)| Ok((key(value)?, *order))).collect::<Run<_>>()?;
        rows.sort_by(|a, b| {
            let compared = keys.iter().map(|(get, order)| match order {
                Order::Up => test::order(&get(a), &get(b)),
                Order::Down => test::order(&get(b), &get(a)),
            });
            compared.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        Ok(())
    }

    fn constant<'s>(&'s self, item: &'s Item) -> Run<Output<'s>> {
        let Item::Value { value, name } = item else {
            return Err(Refusal::not_supported("this query"));
        };
        let (kind, cell) = match value {
            Value::Column(name) => return Err(Refusal::invalid_identifier(self.sql, name)),
            Value::Number(digits) => match digits.parse() {
                Ok(number) => (Type::Number, Cell::Number(number)),
                Err(_) => return Err(Refusal::not_numeric(digits)),
            },
            Value::Function(name) => (Type::Text, self.function(name)?),
            value => (Type::Text, self.value(value)?),
        };
        Ok(Output { name: name.into(), kind, source: Source::Constant(cell) })
    }

    /// The value of a literal or a bind.
    pub(super) fn value(&self, value: &Value) -> Run<Cell<'static>> {
        match value {
            Value::Text(text) => Ok(Cell::text(text.clone())),
            Value::Number(digits) => digits.parse().map(Cell::Number).map_err(|_| Refusal::not_numeric(digits)),
            Value::Null => Ok(Cell::Null),
            Value::Bind(at) => match self.binds.get(at.wrapping_sub(1)) {
                Some(Some(text)) => Ok(Cell::text(text.clone())),
                Some(None) => Ok(Cell::Null),
                None => Err(Refusal::bind_missing(*at)),
            },
            Value::Function(name) => self.function(name),
            Value::Column(name) => Err(Refusal::invalid_identifier(self.sql, name)),
        }
    }

    fn function(&self, name: &str) -> Run<Cell<'static>> {
        let (account, identity) = (self.account, self.identity);
        let maybe = |of: &Option<String>| of.clone().map_or(Cell::Null, Cell::text);
        Ok(match name {
            "CURRENT_ORGANIZATION_NAME" => Cell::text(account.organization.clone()),
            "CURRENT_ACCOUNT_NAME" => Cell::text(account.name.clone()),
            "CURRENT_ACCOUNT" => Cell::text(account.locator.clone()),
            "CURRENT_REGION" => Cell::text(account.region.clone()),
            "CURRENT_USER" => Cell::text(identity.user.clone()),
            "CURRENT_ROLE" => maybe(&identity.role),
            "CURRENT_WAREHOUSE" => maybe(&identity.warehouse),
            "CURRENT_DATABASE" => maybe(&identity.database),
            "CURRENT_SCHEMA" => maybe(&identity.schema),
            "CURRENT_VERSION" => Cell::text("9.38.1"),
            _ => return Err(Refusal::unknown_function(name)),
        })
    }
}

//! The grammar of `SELECT`: items, conditions, order.

use super::super::token::Token;
use super::super::{Case, Compare, Item, Order, Select, Test, Value};
use super::{Parsed, Words};

/// Conditions nested deeper than this are refused.
const DEEPEST: usize = 64;

impl Words<'_> {
    pub(super) fn select(&mut self) -> Parsed<Select> {
        let mut items = vec![self.item()?];
        while self.sign(",") {
            items.push(self.item()?);
        }
        let from = if self.word("FROM") { Some(self.name()?) } else { None };
        let filter = if self.word("WHERE") { Some(self.or()?) } else { None };
        let mut order = Vec::new();
        if self.words("ORDER BY") {
            loop {
                let value = self.value()?;
                let down = self.word("DESC");
                if !down {
                    self.word("ASC");
                }
                order.push((value, if down { Order::Down } else { Order::Up }));
                if !self.sign(",") {
                    break;
                }
            }
        }
        let limit = if self.word("LIMIT") { Some(self.number()?) } else { None };
        let offset = if self.word("OFFSET") { self.number()? } else { 0 };
        Ok(Select { items, from, filter, order, limit, offset })
    }

    fn item(&mut self) -> Parsed<Item> {
        if self.sign("*") {
            return Ok(Item::All);
        }
        let before = self.at;
        let count = self.word("COUNT") && self.sign("(") && self.sign("*") && self.sign(")");
        if count {
            let name = self.alias()?.unwrap_or_else(|| "COUNT(*)".to_owned());
            return Ok(Item::Count { name });
        }
        self.at = before;
        let value = self.value()?;
        let name = match (self.alias()?, &value) {
            (Some(alias), _) => alias,
            (None, Value::Column(name)) => name.clone(),
            (None, Value::Function(name)) => format!("{name}()"),
            (None, Value::Number(digits)) => digits.clone(),
            (None, Value::Text(text)) => format!("'{text}'"),
            (None, Value::Null) => "NULL".to_owned(),
            (None, Value::Bind(at)) => format!("?{at}"),
        };
        Ok(Item::Value { value, name })
    }

    fn alias(&mut self) -> Parsed<Option<String>> {
        if self.word("AS") {
            return self.identifier().map(Some);
        }
        match self.peek() {
            Some(Token::Quoted(_)) => self.identifier().map(Some),
            Some(Token::Word(word)) if !["FROM", "WHERE", "ORDER", "LIMIT", "OFFSET"].contains(&word.as_str()) => {
                self.identifier().map(Some)
            }
            _ => Ok(None),
        }
    }

    fn value(&mut self) -> Parsed<Value> {
        let negative = self.sign("-");
        let value = match self.peek() {
            Some(Token::Text(text)) if !negative => Value::Text(text.clone()),
            Some(Token::Number(digits)) => Value::Number(format!("{}{digits}", if negative { "-" } else { "" })),
            Some(Token::Sign("?")) if !negative => {
                self.binds += 1;
                Value::Bind(self.binds)
            }
            Some(Token::Sign(":")) if !negative => {
                self.at += 1;
                return Ok(Value::Bind(self.number()? as usize));
            }
            Some(Token::Word(word)) if word == "NULL" && !negative => Value::Null,
            Some(Token::Word(_) | Token::Quoted(_)) if !negative => {
                let name = self.identifier()?;
                if self.sign("(") {
                    self.need_sign(")")?;
                    return Ok(Value::Function(name));
                }
                return Ok(Value::Column(name));
            }
            _ => return self.unexpected(),
        };
        self.at += 1;
        Ok(value)
    }

    fn or(&mut self) -> Parsed<Test> {
        let mut test = self.and()?;
        while self.word("OR") {
            test = Test::Or(Box::new(test), Box::new(self.and()?));
        }
        Ok(test)
    }

    fn and(&mut self) -> Parsed<Test> {
        let mut test = self.not()?;
        while self.word("AND") {
            test = Test::And(Box::new(test), Box::new(self.not()?));
        }
        Ok(test)
    }

    fn not(&mut self) -> Parsed<Test> {
        if self.depth >= DEEPEST {
            return self.unexpected();
        }
        self.depth += 1;
        let test = if self.word("NOT") {
            Test::Not(Box::new(self.not()?))
        } else if self.sign("(") {
            let inner = self.or()?;
            self.need_sign(")")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(test)
    }

    fn test(&mut self) -> Parsed<Test> {
        let starts = self.word("STARTSWITH");
        if starts {
            self.need_sign("(")?;
            let value = self.value()?;
            self.need_sign(",")?;
            let prefix = self.value()?;
            self.need_sign(")")?;
            return Ok(Test::StartsWith(value, prefix));
        }
        let left = self.value()?;
        if self.word("IS") {
            let negated = self.word("NOT");
            let null = self.word("NULL");
            self.need(null)?;
            return Ok(negate(negated, Test::IsNull(left)));
        }
        let negated = self.word("NOT");
        if self.word("IN") {
            self.need_sign("(")?;
            let mut list = vec![self.value()?];
            while self.sign(",") {
                list.push(self.value()?);
            }
            self.need_sign(")")?;
            return Ok(negate(negated, Test::In(left, list)));
        }
        for (word, case) in [("LIKE", Case::Counts), ("ILIKE", Case::Ignored)] {
            if self.word(word) {
                return Ok(negate(negated, Test::Like(left, self.value()?, case)));
            }
        }
        if self.word("BETWEEN") {
            let low = Test::Compare(left.clone(), Compare::AtLeast, self.value()?);
            let and = self.word("AND");
            self.need(and)?;
            let high = Test::Compare(left, Compare::AtMost, self.value()?);
            return Ok(negate(negated, Test::And(Box::new(low), Box::new(high))));
        }
        let signs = [
            ("=", Compare::Equal),
            ("<>", Compare::Unequal),
            ("!=", Compare::Unequal),
            ("<=", Compare::AtMost),
            (">=", Compare::AtLeast),
            ("<", Compare::Less),
            (">", Compare::More),
        ];
        match signs.into_iter().find(|(sign, _)| !negated && self.sign(sign)) {
            Some((_, compare)) => Ok(Test::Compare(left, compare, self.value()?)),
            None => self.unexpected(),
        }
    }
}

fn negate(negated: bool, test: Test) -> Test {
    if negated { Test::Not(Box::new(test)) } else { test }
}

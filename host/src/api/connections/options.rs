//! A connection's options: as people write them, and as they are shown.

use std::{fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use super::{
    hold::{self, HoldInput, HoldRuleJson},
    payload::Warning,
    schedule::{self, ScheduleInput},
};
use crate::{
    api::{error::ApiError, settings::never},
    model::{
        connection::ConnectionOptions,
        filter::{Filter, InvalidFilter, List, Pattern},
    },
};

/// Longest age of columns that can be asked for.
const MAX_AGE: Duration = Duration::from_secs(366 * 24 * 3600);

/// Behaviour that people may choose. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OptionsInput {
    /// Every sync also scans disabled objects.
    force_recursive_crawl: Option<bool>,
    /// Nothing but what one of these patterns names, what lies below it, and the containers on the way; `[]` for all.
    include: Option<Vec<PatternInput>>,
    /// Of that, not what one of these patterns names, and nothing below it.
    exclude: Option<Vec<PatternInput>>,
    /// How long columns that were read count as current where the platform gives an object no fingerprint: seconds, or a
    /// text such as `90m`, `24h` or `7d`. `null`: every sync reads them.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Age>")]
    columns_max_age: Option<Option<Age>>,
    /// When it is synced by itself; what is left out of it stays, `null` is the default. It cannot be switched off.
    #[serde(default, deserialize_with = "given")]
    schedule: Option<Option<ScheduleInput>>,
    /// When what vanished at once is held back instead of being marked missing; what is left out of it stays, `null` is
    /// the default.
    #[serde(default, deserialize_with = "given")]
    hold: Option<Option<HoldInput>>,
    /// A version of its connector that serves it, whatever becomes active; `null` for whichever is active.
    #[serde(default, deserialize_with = "given")]
    pin: Option<Option<String>>,
    /// Cannot be switched on.
    impersonation: Option<bool>,
    /// Cannot be switched on.
    project_workspaces: Option<bool>,
}

/// Patterns to try, as `options` takes them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterInput {
    /// As in `options`; what is stored where it is left out.
    include: Option<Vec<PatternInput>>,
    /// As in `options`; what is stored where it is left out.
    exclude: Option<Vec<PatternInput>>,
}

/// Options as they are.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionOptions")]
pub(super) struct OptionsJson {
    /// Every sync also scans disabled objects.
    force_recursive_crawl: bool,
    /// Patterns as arrays of globs, one for each level.
    include: Vec<Vec<String>>,
    /// Patterns as arrays of globs, one for each level.
    exclude: Vec<Vec<String>>,
    /// Seconds; null: every sync reads the columns of objects without a fingerprint.
    columns_max_age: Option<u64>,
    /// When it is synced by itself.
    schedule: ScheduleInput,
    /// When what vanished at once is held back.
    hold: HoldRuleJson,
    /// The version of its connector that it is pinned to.
    pin: Option<String>,
}

/// A pattern as it is written: an array of globs, or one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PatternInput {
    Globs(Vec<String>),
    Text(String),
}

/// A length of time as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age(Duration);

impl OptionsInput {
    /// The version that it pins.
    pub(super) fn pin(&self) -> Option<&str> {
        self.pin_change().flatten()
    }

    /// What it says about pinning, if anything.
    pub(super) fn pin_change(&self) -> Option<Option<&str>> {
        self.pin.as_ref().map(Option::as_deref)
    }

    /// The options after this change.
    pub(super) fn over(self, stored: &ConnectionOptions) -> Result<ConnectionOptions, ApiError> {
        never("options.impersonation", self.impersonation)?;
        never("options.projectWorkspaces", self.project_workspaces)?;
        Ok(ConnectionOptions {
            force_recursive_crawl: self.force_recursive_crawl.unwrap_or(stored.force_recursive_crawl),
            filter: FilterInput { include: self.include, exclude: self.exclude }.within("options.", &stored.filter)?,
            schedule: schedule::over(self.schedule, &stored.schedule)?,
            hold: hold::over(self.hold, stored.hold)?,
            pin: self.pin.unwrap_or_else(|| stored.pin.clone()),
            columns_max_age: match self.columns_max_age {
                Some(age) => age.map(|age| age.0),
                None => stored.columns_max_age,
            },
        })
    }
}

impl FilterInput {
    /// Patterns from a form, one a line, as [`line`] writes them; empty lines are none.
    pub(in crate::api) fn of_lines(include: &str, exclude: &str) -> Self {
        let lines = |text: &str| {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Some(lines.map(PatternInput::of_line).collect())
        };
        Self { include: lines(include), exclude: lines(exclude) }
    }

    /// The patterns after this change.
    pub(in crate::api) fn over(self, stored: &Filter) -> Result<Filter, ApiError> {
        self.within("", stored)
    }

    /// The same, with errors that name the place in a larger body.
    fn within(self, place: &str, stored: &Filter) -> Result<Filter, ApiError> {
        let read = |list: List, given: Option<Vec<PatternInput>>, stored: &[Pattern]| {
            let Some(given) = given else { return Ok(stored.to_vec()) };
            let each = given.into_iter().enumerate().map(|(index, input)| {
                input
                    .pattern()
                    .map_err(|why| malformed(&format!("{place}{list}[{index}]"), &format!("the pattern {why}")))
            });
            each.collect::<Result<Vec<_>, ApiError>>()
        };
        let include = read(List::Include, self.include, stored.include())?;
        let exclude = read(List::Exclude, self.exclude, stored.exclude())?;
        Filter::new(include, exclude).map_err(|why| match why {
            InvalidFilter::TooMany(list, _) => malformed(&format!("{place}{list}"), &why.to_string()),
            InvalidFilter::TooLarge => {
                malformed(&format!("{place}{} and {}", List::Include, List::Exclude), &why.to_string())
            }
        })
    }
}

fn malformed(place: &str, why: &str) -> ApiError {
    ApiError::bad_request("invalid-filter", format!("at {place}: {why}"))
        .hint("a pattern is an array of globs, one for each level below the connection, or a text such as SALES.RAW_*")
}

/// What speaks against patterns, though they can be taken.
pub(in crate::api) fn doubts(filter: &Filter) -> Vec<Warning> {
    let sweeping = filter.exclude().iter().enumerate().filter(|(_, pattern)| pattern.is_sweeping());
    let warn = |(index, pattern): (usize, &Pattern)| {
        let what = match pattern.globs().len() {
            1 => "everything".to_owned(),
            level => format!("everything from level {level} below the connection down"),
        };
        Warning {
            code: "excludes-everything".into(),
            message: format!("exclude[{index}], {pattern}, leaves out {what}"),
            hint: Some("POST /data/filter tells what patterns would leave".into()),
            path: None,
        }
    };
    sweeping.map(warn).collect()
}

/// A pattern as a line of a form: its text, or where that holds a line break or another control character, which no form
/// gives back as it was, the array of its globs.
pub(in crate::api) fn line(pattern: &Pattern) -> String {
    if pattern.globs().iter().any(|glob| glob.contains(char::is_control)) {
        serde_json::json!(pattern.globs()).to_string()
    } else {
        pattern.to_string()
    }
}

/// A pattern as it is shown.
pub(super) fn shown(patterns: &[Pattern]) -> Vec<Vec<String>> {
    patterns.iter().map(|pattern| pattern.globs().to_vec()).collect()
}

impl From<&ConnectionOptions> for OptionsJson {
    fn from(options: &ConnectionOptions) -> Self {
        Self {
            force_recursive_crawl: options.force_recursive_crawl,
            include: shown(options.filter.include()),
            exclude: shown(options.filter.exclude()),
            columns_max_age: options.columns_max_age.map(|age| age.as_secs()),
            schedule: ScheduleInput::from(&options.schedule),
            hold: HoldRuleJson::from(&options.hold),
            pin: options.pin.clone(),
        }
    }
}

impl PatternInput {
    /// No text of a pattern begins like an array of texts: a quote stands at the beginning of a level.
    fn of_line(line: &str) -> Self {
        match serde_json::from_str::<Vec<String>>(line) {
            Ok(globs) if !globs.is_empty() => Self::Globs(globs),
            _ => Self::Text(line.to_owned()),
        }
    }

    fn pattern(self) -> Result<Pattern, crate::model::filter::InvalidPattern> {
        match self {
            Self::Globs(globs) => Pattern::new(globs),
            Self::Text(text) => text.parse(),
        }
    }
}

impl<'de> Deserialize<'de> for PatternInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = PatternInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of globs, or a text such as SALES.RAW_*")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PatternInput, E> {
                Ok(PatternInput::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<PatternInput, A::Error> {
                let mut globs = Vec::new();
                while let Some(glob) = items.next_element()? {
                    globs.push(glob);
                }
                Ok(PatternInput::Globs(globs))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for PatternInput {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Globs from below the connection down (`*` any characters, `?` any one, `\\` takes the next as \
                it is; compared exactly), or one text of them joined by dots, with those that hold a dot in double quotes.",
            "oneOf": [
                { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "maxItems": 31 },
                { "type": "string", "minLength": 1 }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Age;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds from 1 to 366 days, or a text such as 90m, 24h or 7d")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Age, E> {
                age(seconds, 1).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(seconds), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Age, E> {
                let refused = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                let unit = text.chars().last().ok_or_else(refused)?;
                let seconds = match unit {
                    's' => 1,
                    'm' => 60,
                    'h' => 3600,
                    'd' => 24 * 3600,
                    _ => return Err(refused()),
                };
                let number = text.strip_suffix(unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
                number.and_then(|n| n.parse().ok()).and_then(|n| age(n, seconds)).ok_or_else(refused)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn age(number: u64, seconds: u64) -> Option<Age> {
    let age = Duration::from_secs(number.checked_mul(seconds)?);
    (!age.is_zero() && age <= MAX_AGE).then_some(Age(age))
}

impl JsonSchema for Age {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Age".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "integer", "minimum": 1, "maximum": MAX_AGE.as_secs() },
                { "type": "string", "pattern": "^[0-9]+[smhd]$" }
            ]
        })
    }
}

/// Tells a field that is null from one that is not there.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::input::parse;

    fn options(body: &Value, stored: &ConnectionOptions) -> Result<ConnectionOptions, ApiError> {
        parse::<OptionsInput>(body.to_string().as_bytes())?.over(stored)
    }

    #[test]
    fn options_keep_what_is_not_said() {
        let body = json!({
            "forceRecursiveCrawl": true, "include": ["SALES.\"a.b\".*", ["HR", "RAW_*"]], "exclude": [["TMP"]],
            "columnsMaxAge": "24h", "schedule": { "cron": "30 2 * * *" }, "hold": { "share": 0.5, "confirmAfter": 3 },
            "pin": "1.2.0"
        });
        let stored = options(&body, &ConnectionOptions::default()).expect("options");
        assert_eq!(options(&json!({}), &stored).expect("ok"), stored);
        let shown = serde_json::to_value(OptionsJson::from(&stored)).expect("json");
        let expect = json!({
            "forceRecursiveCrawl": true, "include": [["SALES", "a.b", "*"], ["HR", "RAW_*"]], "exclude": [["TMP"]],
            "columnsMaxAge": 86400, "schedule": { "cron": "30 2 * * *", "jitter": 0 },
            "hold": { "share": 0.5, "minimum": 50, "confirmAfter": 3 }, "pin": "1.2.0"
        });
        assert_eq!(shown, expect);
        assert_eq!(options(&shown, &ConnectionOptions::default()).expect("read back"), stored);
        let cleared = json!({ "include": [], "columnsMaxAge": null });
        let cleared = options(&cleared, &stored).expect("cleared");
        assert!(cleared.filter.include().is_empty() && cleared.columns_max_age.is_none());
        assert_eq!(cleared.filter.exclude().len(), 1);
        assert_eq!(options(&json!({ "impersonation": true }), &stored).expect_err("never").status(), 400);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let many = vec!["a"; 501];
        let fat = vec!["x".repeat(512); 200];
        for (body, part) in [
            (json!({ "exclude": ["a", "b", "a..b"] }), "options.exclude[2]: the pattern has nothing at level 2"),
            (json!({ "include": [""] }), "options.include[0]: the pattern has nothing at level 1"),
            (json!({ "include": [[]] }), "options.include[0]: the pattern has no level"),
            (json!({ "include": [vec!["*"; 32]] }), "options.include[0]: the pattern has 32 levels"),
            (json!({ "include": ["\"a"] }), "options.include[0]: the pattern is not well formed at character 0"),
            (json!({ "include": [["x".repeat(513)]] }), "options.include[0]: the pattern has more than 512 characters"),
            (json!({ "include": many }), "options.include: 501 patterns"),
            (json!({ "exclude": many }), "options.exclude: 501 patterns"),
            (json!({ "exclude": fat }), "64 KiB"),
            (json!({ "exclude": "a" }), "at exclude"),
            (json!({ "exclude": [7] }), "at exclude[0]: expected an array of globs"),
            (json!({ "exclude": [null] }), "at exclude[0]"),
            (json!({ "exclude": [["a", 7]] }), "at exclude[0][1]"),
            (json!({ "columnsMaxAge": 0 }), "columnsMaxAge: expected seconds"),
            (json!({ "columnsMaxAge": -1 }), "columnsMaxAge"),
            (json!({ "columnsMaxAge": "1y" }), "columnsMaxAge: expected seconds"),
            (json!({ "columnsMaxAge": "+1h" }), "columnsMaxAge"),
            (json!({ "columnsMaxAge": "99999999999999999999d" }), "columnsMaxAge"),
            (json!({ "columnsMaxAge": "367d" }), "columnsMaxAge"),
            (json!({ "columnsMaxAge": "é" }), "columnsMaxAge"),
            (json!({ "columnsMaxAge": "" }), "columnsMaxAge"),
            (json!({ "hold": { "share": 1.5 } }), "options.hold.share must be a number from 0 to 1"),
            (json!({ "hold": { "share": -0.1 } }), "options.hold.share must be"),
            (json!({ "hold": { "share": "20 %" } }), "hold.share"),
            (json!({ "hold": { "minimum": 0 } }), "options.hold.minimum must be at least 1"),
            (json!({ "hold": { "confirmAfter": 0 } }), "options.hold.confirmAfter must be at least 1, or null"),
            (json!({ "hold": { "max": 1 } }), "max"),
        ] {
            let error = options(&body, &ConnectionOptions::default()).expect_err(part);
            assert_eq!(error.status(), 400, "{part}");
            assert!(error.message().contains(part), "{part}: {}", error.message());
        }
    }

    #[test]
    fn lines_of_a_form_are_patterns() {
        let filter =
            FilterInput::of_lines(" SALES.* \r\n\r\n\"a b\".c\n", "").over(&Filter::default()).expect("filter");
        assert_eq!(shown(filter.include()), [vec!["SALES", "*"], vec!["a b", "c"]]);
        let error = FilterInput::of_lines("", "ok\n\na..b").over(&Filter::default()).expect_err("bad");
        assert!(error.message().starts_with("at exclude[1]: "), "{}", error.message());
    }

    #[test]
    fn a_pattern_that_leaves_out_everything_is_doubted() {
        let doubted = |exclude: &[&str]| {
            let exclude = exclude.iter().map(|text| text.parse().expect("pattern")).collect();
            doubts(&Filter::new(vec![], exclude).expect("filter")).into_iter().map(|w| w.message).collect::<Vec<_>>()
        };
        assert_eq!(doubted(&["a", "*"]), ["exclude[1], *, leaves out everything"]);
        assert_eq!(
            doubted(&["*.*"]),
            ["exclude[0], *.*, leaves out everything from level 2 below the connection down"]
        );
        assert!(doubted(&["*.a", "a*"]).is_empty());
    }
}

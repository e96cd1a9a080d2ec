//! When what vanished at once is held back (D33): as people write it, and as it is shown.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    api::error::ApiError,
    model::hold::{HoldRule, Share},
};

/// When absences are held back. What is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HoldInput {
    /// More than this share of what is known below a container is held: from 0, which holds everything, to 1, which
    /// holds nothing, and to a millionth. Default 0.2.
    share: Option<f64>,
    /// Where fewer are known the share says nothing. Default 50.
    minimum: Option<u64>,
    /// After so many scheduled syncs with the very same result it is believed; `null`, the default: never.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<u32>")]
    confirm_after: Option<Option<u32>>,
}

/// When absences are held back, as it is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HoldRule")]
pub(super) struct HoldRuleJson {
    /// More than this share of what is known below a container is held.
    share: f64,
    /// Where fewer are known the share says nothing.
    minimum: u64,
    /// After so many scheduled syncs with the very same result it is believed; null: never.
    confirm_after: Option<u32>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The rule after a change; null is the default.
pub(super) fn over(change: Option<Option<HoldInput>>, stored: HoldRule) -> Result<HoldRule, ApiError> {
    let Some(change) = change else { return Ok(stored) };
    let Some(change) = change else { return Ok(HoldRule::default()) };
    let wrong = |field: &str, why: &str| ApiError::bad_request("invalid-hold", format!("options.hold.{field} {why}"));
    let share = change.share.map(|share| Share::try_from(share).map_err(|why| wrong("share", &why.to_string())));
    let share = share.transpose()?.unwrap_or(stored.share);
    if change.minimum == Some(0) {
        return Err(wrong("minimum", "must be at least 1"));
    }
    if change.confirm_after == Some(Some(0)) {
        return Err(wrong("confirmAfter", "must be at least 1, or null for never"));
    }
    Ok(HoldRule {
        share,
        minimum: change.minimum.unwrap_or(stored.minimum),
        confirm_after: change.confirm_after.unwrap_or(stored.confirm_after),
    })
}

impl From<&HoldRule> for HoldRuleJson {
    fn from(rule: &HoldRule) -> Self {
        Self { share: rule.share.as_f64(), minimum: rule.minimum, confirm_after: rule.confirm_after }
    }
}

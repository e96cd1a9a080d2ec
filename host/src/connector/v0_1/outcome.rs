//! Answers of `check` and of `catalog-confirm`.

use super::{bindings::exports::wharfinger::connector::check, page::remote_path};
use crate::{
    connector::{
        CheckStatus, Outcome,
        error::{CallError, ErrorCode, clean},
        limits::{MAX_LABEL, MAX_MESSAGE, MAX_OUTCOMES},
    },
    model::page::Presence,
};

/// What was found out about each capability. A list that is too long is cut: it is for people.
pub(in crate::connector) fn outcomes(outcomes: Vec<check::Outcome>) -> Vec<Outcome> {
    outcomes.into_iter().take(MAX_OUTCOMES).map(outcome).collect()
}

fn outcome(outcome: check::Outcome) -> Outcome {
    let mut identity = None;
    let mut basis = None;
    if outcome.capability == "authenticate" {
        for (key, value) in outcome.extra {
            match key.as_str() {
                "identity" => identity = Some(clean(value, MAX_LABEL)),
                "basis" => basis = Some(clean(value, MAX_LABEL)),
                _ => {}
            }
        }
    }
    Outcome {
        capability: clean(outcome.capability, MAX_LABEL),
        status: status(&outcome.status),
        message: clean(outcome.message, MAX_MESSAGE),
        hint: outcome.hint.map(|h| clean(h, MAX_MESSAGE)),
        path: outcome.path.and_then(|p| remote_path(p).ok()),
        identity: identity.filter(|i| !i.is_empty()),
        basis: basis.filter(|b| !b.is_empty()),
    }
}

fn status(text: &str) -> CheckStatus {
    match text {
        "passed" => CheckStatus::Passed,
        "warning" => CheckStatus::Warning,
        "skipped" => CheckStatus::Skipped,
        _ => CheckStatus::Failed,
    }
}

/// What is said of each of `asked` names. Another number of answers says nothing of any.
pub(in crate::connector) fn presences(answers: &[String], asked: usize) -> Result<Vec<Presence>, CallError> {
    if answers.len() != asked {
        let message = format!("the connector answered {} of {asked} names", answers.len());
        return Err(CallError::new(ErrorCode::Internal, message));
    }
    Ok(answers
        .iter()
        .map(|answer| match answer.as_str() {
            "present" => Presence::Present,
            "absent" => Presence::Absent,
            _ => Presence::Unknown,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_answer_says_nothing_of_any_name() {
        let answers = ["present", "absent", "maybe"].map(String::from);
        let found = presences(&answers, 3).expect("as many as asked");
        assert_eq!(found, [Presence::Present, Presence::Absent, Presence::Unknown]);
        assert!(presences(&answers, 4).is_err());
    }

    #[test]
    fn only_authenticating_tells_an_identity_and_a_status_nobody_knows_is_a_failure() {
        let say = |capability: &str, status: &str| check::Outcome {
            capability: capability.into(),
            status: status.into(),
            message: "a\nb".into(),
            hint: None,
            path: None,
            extra: vec![("identity".into(), "metastore".into()), ("basis".into(), String::new())],
        };
        let found = outcomes(vec![say("authenticate", "passed"), say("reach", "superb")]);
        assert_eq!(found[0].identity.as_deref(), Some("metastore"));
        assert_eq!((found[0].basis.as_ref(), found[0].message.as_str()), (None, "a b"));
        assert_eq!((found[1].identity.as_ref(), found[1].status), (None, CheckStatus::Failed));
    }
}

//! The end of a sync that found something absent: what is too much to be believed is held back, with what may help (D33).
//!
//! The store decides. Here the connector is asked what it lacks, because a lost grant is the likeliest cause; it is asked
//! only where something is held, and what it cannot say costs no more than the hint.

use super::super::worker::{Attempt, Means, Stopped};
use crate::{
    connector::{CheckStatus, Outcome, Usage},
    db::sync::Advanced,
    model::{hold::Verdict, job::Task},
};

/// Hints that one hold tells at most.
const MAX_HINTS: usize = 10;

/// Longest hint, in characters.
const MAX_HINT_CHARS: usize = 500;

/// Decides about what the job has proved to be absent, step by step.
pub(super) async fn decide(attempt: &Attempt, task: &Task) -> Result<Advanced, Stopped> {
    let db = &attempt.context.db;
    let means = attempt.means().await?;
    let (mut verdicts, mut usage) = (Vec::new(), Usage::default());
    // Weighed before: what is left is only told apart.
    if task.cursor.is_none() {
        verdicts = db.weigh_absences(attempt.claimed.claim).await?;
        if !verdicts.is_empty() {
            let outcomes;
            (outcomes, usage) = check(&means).await;
            for verdict in &mut verdicts {
                verdict.hints = hints(&outcomes, verdict);
                tracing::warn!(path = %verdict.path, "held back: {}", verdict.cause);
            }
        }
    }
    Ok(db.judge(attempt.step(&means, task, usage), verdicts).await?)
}

/// What the connector finds lacking; nothing where it cannot tell.
async fn check(means: &Means) -> (Vec<Outcome>, Usage) {
    match means.connector.check(&means.session, &means.config).await {
        (Ok(outcomes), usage) => (outcomes, usage),
        (Err(error), usage) => {
            tracing::info!(code = error.code.as_str(), "the check for the likely cause failed: {}", error.message);
            (Vec::new(), usage)
        }
    }
}

/// What a check says that concerns what is held, or the connection as a whole: first what is about the place itself.
fn hints(outcomes: &[Outcome], verdict: &Verdict) -> Vec<String> {
    let falls_short = |o: &&Outcome| matches!(o.status, CheckStatus::Failed | CheckStatus::Warning);
    let concerns = |o: &&Outcome| {
        let path = o.path.as_ref();
        path.is_none_or(|path| path.is_within(&verdict.path) || verdict.path.is_within(path))
    };
    let (there, elsewhere): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().filter(falls_short).filter(concerns).partition(|o| o.path.is_some());
    let mut hints: Vec<String> = Vec::new();
    for outcome in there.into_iter().chain(elsewhere) {
        let hint = outcome.hint.as_ref().unwrap_or(&outcome.message);
        let hint: String = hint.chars().take(MAX_HINT_CHARS).collect();
        if hints.len() < MAX_HINTS && !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{id::ObjectId, path::RemotePath};

    fn path(text: &str) -> RemotePath {
        RemotePath(text.split('/').filter(|n| !n.is_empty()).map(|n| n.parse().expect("name")).collect())
    }

    fn outcome(status: CheckStatus, at: Option<&str>, hint: &str) -> Outcome {
        Outcome {
            capability: "list-containers".into(),
            status,
            message: "says so".into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            path: at.map(path),
            identity: None,
            basis: None,
        }
    }

    fn told(outcomes: &[Outcome], at: &str) -> Vec<String> {
        let verdict = Verdict {
            scope: ObjectId::from_u128(1),
            path: path(at),
            cause: String::new(),
            hints: Vec::new(),
            known: 0,
            vanished: 0,
            equal_syncs: 0,
        };
        hints(outcomes, &verdict)
    }

    #[test]
    fn what_is_lacking_there_comes_first_and_what_is_fine_or_elsewhere_is_not_told() {
        let outcomes = [
            outcome(CheckStatus::Warning, None, "whole"),
            outcome(CheckStatus::Failed, Some("sales/eu"), "below"),
            outcome(CheckStatus::Failed, Some("sales"), "there"),
            outcome(CheckStatus::Failed, Some("hr"), "elsewhere"),
            outcome(CheckStatus::Passed, Some("sales"), "fine"),
            outcome(CheckStatus::Failed, Some("sales"), ""),
        ];
        assert_eq!(told(&outcomes, "sales"), ["below", "there", "says so", "whole"]);
        assert_eq!(told(&outcomes, ""), ["below", "there", "elsewhere", "says so", "whole"]);
        assert_eq!(told(&outcomes, "hr/x"), ["elsewhere", "whole"]);
    }

    #[test]
    fn hints_are_few_and_each_is_told_once() {
        let mut outcomes: Vec<Outcome> =
            (0..30).map(|n| outcome(CheckStatus::Failed, None, &format!("{}{n}", "x".repeat(600)))).collect();
        assert_eq!(told(&outcomes, "").len(), 1, "the same, once cut");
        outcomes = (0..30).map(|n| outcome(CheckStatus::Failed, None, &format!("grant {n}"))).collect();
        assert_eq!(told(&outcomes, "").len(), MAX_HINTS);
    }
}

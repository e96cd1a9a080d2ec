//! A request and everything that the host does about it by itself: authentication, repeats, a new grant for an expired
//! one.

use std::{sync::Arc, time::Instant};

use tokio::time::timeout_at;

use super::{Budget, OpenResponse, Request, Response, Session, admit::Admitted, answer::Answer};
use crate::egress::{
    condition,
    credential::Grant,
    error::{SendError, SendErrorKind},
    header,
    recipe::Action,
    retry,
    wire::{self, Again, Failed},
};

/// How much of the body is read before the answer is judged.
#[derive(Clone, Copy)]
enum Body {
    /// All of it, up to so many bytes.
    Whole(usize),
    /// Only what the recipe looks at.
    Streamed,
}

enum Verdict {
    /// For the guest.
    Answer,
    /// The credential is refused for good.
    Rejected,
    /// A new grant may help.
    Expired(Action),
    /// It may be sent again.
    Again,
}

impl Session {
    pub(super) async fn whole(&self, request: Request, budget: &Budget) -> Result<Response, SendError> {
        let admitted = self.admitted(request, budget)?;
        let _permit = self.permit(budget).await?;
        let answer = self.converse(&admitted, Body::Whole(budget.max_response), budget).await?;
        let (status, headers) = (answer.status, header::for_guest(&answer.headers));
        let body = bytes::Bytes::from(answer.read);
        if let Some(rule) = admitted.names.as_ref().filter(|_| (200..300).contains(&status)) {
            budget.named.look(rule, &self.places, &body).await?;
        }
        Ok(Response { status, headers, body })
    }

    pub(super) async fn streamed(&self, request: Request, budget: &Budget) -> Result<OpenResponse, SendError> {
        let admitted = self.admitted(request, budget)?;
        let permit = self.permit(budget).await?;
        let answer = self.converse(&admitted, Body::Streamed, budget).await?;
        let (status, headers) = (answer.status, header::for_guest(&answer.headers));
        Ok(OpenResponse {
            status,
            headers,
            stream: answer.into_stream()?,
            told: Arc::clone(&self.told),
            _permit: permit,
        })
    }

    /// What is refused counts as well, else a guest could have requests checked without end.
    fn admitted(&self, request: Request, budget: &Budget) -> Result<Admitted, SendError> {
        wire::check_requests(budget).map_err(|failed| failed.error)?;
        let asked = spelled(&request);
        self.admit(request, &budget.named).map_err(|refused| {
            drop(wire::count_request(budget));
            let told = format!("the connector asked for {asked}, which was refused: {refused}");
            if refused.operator.is_none() { refused.for_operator(told) } else { refused }
        })
    }

    async fn permit(&self, budget: &Budget) -> Result<tokio::sync::OwnedSemaphorePermit, SendError> {
        let turn = Arc::clone(&self.permits).acquire_owned();
        let permit = timeout_at(tokio::time::Instant::from_std(budget.end()), turn).await;
        // The semaphore is never closed.
        permit.map_err(|_| SendError::timed_out())?.map_err(|_| SendError::timed_out())
    }

    async fn converse(&self, request: &Admitted, body: Body, budget: &Budget) -> Result<Answer, SendError> {
        let mut expired: Option<(Arc<Grant>, Action)> = None;
        let mut left = vec![Action::Renew, Action::Acquire];
        let (mut repeat, mut unanswered) = (0, 0);
        loop {
            let grant = self.grant(request, expired.as_ref(), budget).await?;
            let (asked, result) = match self.attempt(request, &grant, repeat > 0, body, budget).await {
                Ok(answer) => match self.judge(request, &answer) {
                    Verdict::Answer => return finished(answer),
                    Verdict::Rejected => return Err(self.refused(&answer, &grant)),
                    Verdict::Expired(asked) => match self.remedy(asked, &mut left) {
                        Some(action) => {
                            expired = Some((grant, action));
                            continue;
                        }
                        None => return Err(self.refused(&answer, &grant)),
                    },
                    Verdict::Again => (retry::retry_after(&answer.headers), finished(answer)),
                },
                Err(failed) => {
                    unanswered += 1;
                    if !failed.may_be_repeated(request.repeatable) || unanswered > retry::MAX_UNANSWERED {
                        return Err(failed.error);
                    }
                    (None, Err(failed.error))
                }
            };
            if !self.pacing.wait(repeat, asked, budget).await {
                return result;
            }
            repeat += 1;
        }
    }

    async fn grant(
        &self,
        request: &Admitted,
        expired: Option<&(Arc<Grant>, Action)>,
        budget: &Budget,
    ) -> Result<Arc<Grant>, SendError> {
        if !request.authenticated {
            return Ok(self.credential.known());
        }
        self.credential.grant(expired.map(|(grant, action)| (grant, *action)), budget).await
    }

    /// What is done about an expired grant: each remedy once for one request. Where the one that the answer asks for
    /// has been tried, the other one may help.
    fn remedy(&self, asked: Action, left: &mut Vec<Action>) -> Option<Action> {
        if self.credential.recipe().renew.is_none() {
            left.retain(|action| *action == Action::Acquire);
        }
        let at = left.iter().position(|action| *action == asked).or(left.len().checked_sub(1))?;
        Some(left.remove(at))
    }

    async fn attempt(
        &self,
        request: &Admitted,
        grant: &Arc<Grant>,
        repeated: bool,
        body: Body,
        budget: &Budget,
    ) -> Result<Answer, Failed> {
        let begun = Instant::now();
        let mut url = request.url.clone();
        if repeated && !request.retry_query.is_empty() {
            set_query(&mut url, &request.retry_query);
        }
        let mut outgoing =
            self.wire.client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if request.authenticated {
            let injected = self.credential.headers(grant).map_err(|error| Failed { error, again: Again::Never })?;
            for (name, value) in injected {
                outgoing = outgoing.header(name, value);
            }
        }
        if let Some(bytes) = &request.body {
            outgoing = outgoing.body(bytes.clone());
        }
        let response = self.wire.send(outgoing, &url, budget).await?;
        let mut answer = Answer::new(response, Arc::clone(grant))?;
        match body {
            Body::Whole(max) => answer.read_whole(max, budget).await?,
            Body::Streamed if self.looks_into(request, answer.status) => {
                answer.read_up_to(condition::MAX_BODY, budget).await?;
            }
            Body::Streamed => {}
        }
        tracing::debug!(
            method = %request.method,
            origin = %self.places.origin(),
            path = url.path(),
            status = answer.status,
            bytes = answer.read.len(),
            millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        Ok(answer)
    }

    fn looks_into(&self, request: &Admitted, status: u16) -> bool {
        let recipe = self.credential.recipe();
        let looks = |conditions| condition::needs_body(conditions, status);
        request.authenticated && (looks(&recipe.expired) || looks(&recipe.rejected))
    }

    fn refused(&self, answer: &Answer, grant: &Grant) -> SendError {
        let text = format!("the platform refused the connection's credential (HTTP {})", answer.status);
        let said = answer.whole().map(|body| self.credential.words(grant, body)).filter(|said| !said.is_empty());
        let error = SendError::new(SendErrorKind::Unauthenticated, text.clone());
        match said {
            Some(said) => error.for_operator(format!("{text}: {said}")),
            None => error,
        }
    }

    fn judge(&self, request: &Admitted, answer: &Answer) -> Verdict {
        let recipe = self.credential.recipe();
        let seen = condition::Seen::new(answer.status, answer.whole());
        let first = |conditions| if request.authenticated { seen.first(conditions) } else { None };
        // What can be mended comes first: a recipe may call any other refusal final.
        if let Some(condition) = first(&recipe.expired) {
            Verdict::Expired(condition.action.unwrap_or(Action::Renew))
        } else if first(&recipe.rejected).is_some() {
            Verdict::Rejected
        } else if request.repeatable
            && (matches!(answer.status, 429 | 503) || request.retry_statuses.contains(&answer.status))
        {
            Verdict::Again
        } else {
            Verdict::Answer
        }
    }
}

/// A request as it is told: without its query, which may hold anything, and without what steers a terminal.
fn spelled(request: &Request) -> String {
    let url = request.url.split(['?', '#']).next().unwrap_or_default();
    let shown = |text: &str, most: usize| text.chars().take(most).collect::<String>().escape_default().to_string();
    format!("{} {}", shown(&request.method, 16), shown(url, 200))
}

/// An answer for the guest. That the platform wants fewer requests is the host's to act upon, so it is an error.
fn finished(answer: Answer) -> Result<Answer, SendError> {
    if answer.status != 429 {
        return Ok(answer);
    }
    let mut error = SendError::new(SendErrorKind::RateLimited, "the platform asks to slow down");
    error.retry_after = retry::retry_after(&answer.headers);
    Err(error)
}

/// Sets parameters of the query, in place of those of the same name.
fn set_query(url: &mut ::url::Url, set: &[(String, String)]) {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| set.iter().all(|(n, _)| n != name))
        .map(|(n, v)| (n.into(), v.into()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(set);
}

//! Bodies of answers: bounded, counted, and searched for secrets before anybody sees a byte.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::Budget;
use crate::egress::{
    credential::Grant,
    error::{SendError, SendErrorKind},
    wire::{self, Again, Failed},
};

/// Room that is made for a body because its head says so, at most.
const MAX_HINT: u64 = 4 << 20;

/// An answer whose body may still be under way.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// What has been read of the body.
    pub(super) read: Vec<u8>,
    /// Where the rest comes from; none at the end.
    rest: Option<reqwest::Response>,
    grant: Arc<Grant>,
}

impl Answer {
    /// The head of an answer, searched.
    pub(super) fn new(response: reqwest::Response, grant: Arc<Grant>) -> Result<Self, Failed> {
        if grant.needles.found_in_headers(response.headers()) {
            return Err(reflected());
        }
        let hint = response.content_length().unwrap_or(0).min(MAX_HINT);
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            read: Vec::with_capacity(usize::try_from(hint).unwrap_or(0)),
            rest: Some(response),
            grant,
        })
    }

    /// Reads until the end or until there are more than `enough` bytes.
    pub(super) async fn read_up_to(&mut self, enough: usize, budget: &Budget) -> Result<(), Failed> {
        while let Some(response) = &mut self.rest
            && self.read.len() <= enough
        {
            match wire::piece(response, budget).await? {
                Some(piece) => self.read.extend_from_slice(&piece),
                None => self.rest = None,
            }
        }
        Ok(())
    }

    /// Reads all of the body, of which nothing is given out when it is too long or holds a secret.
    pub(super) async fn read_whole(&mut self, max: usize, budget: &Budget) -> Result<(), Failed> {
        self.read_up_to(max, budget).await?;
        if self.read.len() > max {
            let text = format!("the answer is larger than {max} bytes; ask for smaller pages");
            return Err(Failed { error: SendError::new(SendErrorKind::TooLarge, text), again: Again::Never });
        }
        if self.grant.needles.found_in(&self.read) { Err(reflected()) } else { Ok(()) }
    }

    /// The whole body, if it has been read.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.rest.is_none().then_some(self.read.as_slice())
    }

    pub(super) fn into_stream(self) -> Result<Stream, SendError> {
        if self.grant.needles.found_in(&self.read) {
            return Err(reflected().error);
        }
        Ok(Stream { kept: self.grant.needles.longest().saturating_sub(1), given: 0, answer: self })
    }
}

/// A body that is given out piece by piece. The end of what has been read is kept back, as long as a secret could begin
/// in it.
pub(super) struct Stream {
    answer: Answer,
    kept: usize,
    given: u64,
}

impl Stream {
    pub(super) async fn read(&mut self, max: usize, budget: &Budget) -> Result<Bytes, SendError> {
        loop {
            let answer = &mut self.answer;
            let ready =
                if answer.rest.is_some() { answer.read.len().saturating_sub(self.kept) } else { answer.read.len() };
            if ready > 0 || answer.rest.is_none() {
                let piece: Vec<u8> = answer.read.drain(..ready.min(max.max(1))).collect();
                self.given += piece.len() as u64;
                if self.given > budget.max_stream {
                    let text = format!("the answer is larger than {} MiB", budget.max_stream >> 20);
                    return Err(SendError::new(SendErrorKind::TooLarge, text));
                }
                return Ok(piece.into());
            }
            let known = answer.read.len();
            answer.read_up_to(known, budget).await.map_err(|failed| failed.error)?;
            // A secret that ends in the new bytes begins in those that were kept back.
            if answer.grant.needles.found_in(&answer.read) {
                answer.read.clear();
                answer.rest = None;
                return Err(reflected().error);
            }
        }
    }
}

fn reflected() -> Failed {
    let error = SendError::new(SendErrorKind::SecretReflected, "the answer was discarded: it is not safe to hand on")
        .for_operator(
            "the platform's answer held a secret of the connection; it was discarded before the connector saw it",
        );
    Failed { error, again: Again::Never }
}

//! `log`: a guest's lines, under the tracing target `guest`.
//!
//! A line is cut, an operation's lines are counted, and what could steer a terminal or forge a line is escaped. What a
//! guest says is never taken for anything but text.

use std::fmt::Write as _;

use tracing::Level;

use crate::connector::{
    limits::{MAX_LOG_LINE, size},
    state::State,
    v0_1::log::Host,
};

/// The part of a log line's length that one operation has used.
#[derive(Debug, Default)]
pub(in crate::connector) struct LogQuota {
    used: usize,
    /// Whether the operator has been told that lines were dropped.
    told: bool,
}

/// Bytes that a line has besides the guest's text: time, level, span and name.
const AROUND: usize = 128;

impl Host for State {
    fn log(&mut self, level: String, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        let level = level_of(&level);
        if !kept(level) {
            return Ok(());
        }
        if self.log.told {
            return Ok(());
        }
        let line = line(&message, &fields);
        let most = self.limits.log();
        // What the host writes around it counts too, or empty lines would cost nothing.
        let cost = line.len() + AROUND;
        if self.log.used + cost > most {
            // Shorter lines do not slip through after it: what is dropped is everything from here on.
            self.log.used = most;
            self.log.told = true;
            let most = size(most);
            tracing::warn!(target: "guest", connector = %self.grant.label, "further lines of this operation are dropped: it logged {most}");
            return Ok(());
        }
        self.log.used += cost;
        emit(level, &self.grant.label, &line);
        Ok(())
    }

    fn enabled(&mut self, level: String) -> wasmtime::Result<bool> {
        Ok(kept(level_of(&level)) && self.log.used < self.limits.log())
    }
}

fn level_of(text: &str) -> Level {
    match text {
        "error" => Level::ERROR,
        "warn" => Level::WARN,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        _ => Level::INFO,
    }
}

/// Whether the operator's filter keeps lines of this level. (The level of an event must be a constant.)
fn kept(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: "guest", Level::ERROR),
        Level::WARN => tracing::enabled!(target: "guest", Level::WARN),
        Level::INFO => tracing::enabled!(target: "guest", Level::INFO),
        Level::DEBUG => tracing::enabled!(target: "guest", Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: "guest", Level::TRACE),
    }
}

fn emit(level: Level, connector: &str, line: &str) {
    match level {
        Level::ERROR => tracing::error!(target: "guest", connector, "{line}"),
        Level::WARN => tracing::warn!(target: "guest", connector, "{line}"),
        Level::INFO => tracing::info!(target: "guest", connector, "{line}"),
        Level::DEBUG => tracing::debug!(target: "guest", connector, "{line}"),
        Level::TRACE => tracing::trace!(target: "guest", connector, "{line}"),
    }
}

/// One line of text, escaped and at most [`MAX_LOG_LINE`] bytes long.
fn line(message: &str, fields: &[(String, String)]) -> String {
    let mut line = String::with_capacity(message.len().min(MAX_LOG_LINE));
    escape(message, &mut line);
    for (key, value) in fields {
        if line.len() >= MAX_LOG_LINE {
            break;
        }
        line.push(' ');
        escape(key, &mut line);
        line.push('=');
        escape(value, &mut line);
    }
    if line.len() > MAX_LOG_LINE {
        line.truncate(line.floor_char_boundary(MAX_LOG_LINE - '…'.len_utf8()));
        line.push('…');
    }
    line
}

/// Appends text with control characters, line separators and text direction marks escaped; stops where the line is
/// full.
fn escape(text: &str, line: &mut String) {
    for c in text.chars() {
        if line.len() > MAX_LOG_LINE {
            return;
        }
        if is_steering(c) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{}", c.escape_unicode());
        } else {
            line.push(c);
        }
    }
}

/// Characters that move the cursor, end the line or turn the direction of what is shown.
pub(in crate::connector) fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        let fields = [("key".to_owned(), "a\nb".to_owned())];
        assert_eq!(line("\u{1b}[31mred\u{202e}", &fields), "\\u{1b}[31mred\\u{202e} key=a\\u{a}b");
        assert_eq!(line("日本 👾 ä", &[]), "日本 👾 ä");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let cut = line(&"ä".repeat(MAX_LOG_LINE), &[]);
        assert!(cut.len() <= MAX_LOG_LINE && cut.ends_with("ä…"), "{}", cut.len());
        let cut = line(&"\n".repeat(MAX_LOG_LINE), &[]);
        assert!(cut.len() <= MAX_LOG_LINE, "{}", cut.len());
    }
}

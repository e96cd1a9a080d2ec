//! Names as people see them. A platform may call a table anything: control characters, characters that turn the
//! direction of writing or have no width, and outer spaces are written out and set apart, and every name is isolated,
//! so that none can rearrange, hide or imitate what stands around it. Markup is escaped by maud, never here.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::model::{name::Ident, path::ObjectPath};

/// A name on one line, shortened by the style sheet where there is no room, whole in its title.
pub(super) fn name(text: &str) -> Markup {
    html! { bdi.name title=(plain(text)) { (pieces(text)) } }
}

/// Text that may be long, such as a comment, with its line breaks kept.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        bdi.prose {
            @for (i, line) in text.lines().enumerate() {
                @if i > 0 { br; }
                (pieces(line))
            }
        }
    }
}

/// A path below each other's names, for people.
pub(super) fn path(segments: &[Ident]) -> Markup {
    html! {
        span.path {
            @for (i, segment) in segments.iter().enumerate() {
                @if i > 0 { span.sep aria-hidden="true" { "›" } " " }
                (name(segment.as_str())) " "
            }
        }
    }
}

/// A name for attributes and titles, which cannot hold markup.
pub(super) fn plain(text: &str) -> String {
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for piece in split(text) {
        match piece {
            Piece::Text(run) => out.push_str(run),
            Piece::Written(c) => out.push_str(&written(c)),
        }
    }
    out
}

/// A path for attributes and titles.
pub(super) fn plain_path(path: &ObjectPath) -> String {
    path.segments().iter().map(|s| plain(s.as_str())).collect::<Vec<_>>().join(" › ")
}

fn pieces(text: &str) -> Markup {
    html! {
        @if text.is_empty() { span.esc { "(empty)" } }
        @for piece in split(text) {
            @match piece {
                Piece::Text(run) => (run),
                Piece::Written(c) => span.esc title={ "U+" (format!("{:04X}", u32::from(c))) } { (written(c)) },
            }
        }
    }
}

enum Piece<'a> {
    Text(&'a str),
    Written(char),
}

fn split(text: &str) -> Vec<Piece<'_>> {
    let inner = text.trim();
    // An inner part exists and lies within the text, or everything is white space.
    let start = if inner.is_empty() { text.len() } else { inner.as_ptr() as usize - text.as_ptr() as usize };
    let end = start + inner.len();
    let mut pieces = Vec::new();
    let mut run = 0;
    for (at, c) in text.char_indices() {
        let outer = at < start || at >= end;
        if outer || is_hidden(c) {
            if run < at {
                pieces.push(Piece::Text(&text[run..at]));
            }
            pieces.push(Piece::Written(c));
            run = at + c.len_utf8();
        }
    }
    if run < text.len() {
        pieces.push(Piece::Text(&text[run..]));
    }
    pieces
}

/// Whether a character shows nothing of its own, or changes how others are shown. Joiners stay: scripts and emoji
/// need them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{2000}'..='\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
            | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
        )
}

fn written(c: char) -> String {
    match c {
        ' ' => "␣".to_owned(),
        '\n' | '\r' | '\t' | '\0' => c.escape_default().to_string().replace("\\u{0}", "\\0"),
        c => {
            let mut out = String::new();
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(plain(text), want);
    }

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        check("plain", "plain");
        check("", "(empty)");
        check(" ", "␣");
        check(" a b ", "␣a b␣");
        check("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c");
        check("a\0b\nc\u{7f}", "a\\0b\\nc\\u{7f}");
        check("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}");
        check("شيء", "شيء");
        check("👩\u{200d}🚀", "👩\u{200d}🚀");
        check("\u{3000}全角", "\\u{3000}全角");
    }

    #[test]
    fn markup_in_a_name_is_text() {
        let shown = name("<script>alert('1')</script>\u{202e}\"").into_string();
        assert!(!shown.contains("<script"), "{shown}");
        assert!(!shown.contains('\u{202e}'), "{shown}");
        assert!(shown.contains("&lt;script&gt;"), "{shown}");
        assert!(shown.starts_with("<bdi"), "{shown}");
    }
}

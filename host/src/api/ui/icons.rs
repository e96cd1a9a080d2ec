//! Small drawings, inline so that they take the colour of the text. Decoration only: what they say stands beside them.

use maud::{Markup, PreEscaped, html};

/// What an object is, by the platform's word for it; anything unknown gets the drawing of its kind.
pub(super) fn object(object_type: &str, is_container: bool) -> Markup {
    let lower = object_type.to_lowercase();
    let shape = if lower == "connection" {
        r#"<path d="M6 3v4M10 3v4M4 7h8v2a4 4 0 0 1-8 0zM8 13v2"/>"#
    } else if lower.contains("schema") {
        r#"<path d="M2 5a1 1 0 0 1 1-1h3.5L8 5.5h5a1 1 0 0 1 1 1V12a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1z"/>"#
    } else if is_container {
        r#"<ellipse cx="8" cy="4" rx="5" ry="2"/><path d="M3 4v8c0 1.1 2.2 2 5 2s5-.9 5-2V4M3 8c0 1.1 2.2 2 5 2s5-.9 5-2"/>"#
    } else if lower.contains("view") {
        r#"<path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8z"/><circle cx="8" cy="8" r="2"/>"#
    } else {
        r#"<rect x="2" y="3" width="12" height="10" rx="1"/><path d="M2 6.5h12M6 6.5V13"/>"#
    };
    drawing("icon", shape)
}

/// The sign of running work; the style sheet turns it.
pub(super) fn gear() -> Markup {
    drawing(
        "icon gear",
        r#"<circle cx="8" cy="8" r="2.2"/><path d="M8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M3.4 12.6l1.4-1.4M11.2 4.8l1.4-1.4"/><circle cx="8" cy="8" r="4.6"/>"#,
    )
}

/// Opens and closes.
pub(super) fn chevron() -> Markup {
    drawing("icon chevron", r#"<path d="M6 4l4 4-4 4"/>"#)
}

/// A connector.
pub(super) fn plug() -> Markup {
    drawing("icon", r#"<path d="M2 6h3V4a2 2 0 1 1 4 0v2h4v3h-1a2 2 0 1 0 0 4h1v1H2z"/>"#)
}

/// More actions.
pub(super) fn more() -> Markup {
    drawing(
        "icon",
        r#"<g fill="currentColor" stroke="none"><circle cx="3.5" cy="8" r="1.4"/><circle cx="8" cy="8" r="1.4"/><circle cx="12.5" cy="8" r="1.4"/></g>"#,
    )
}

/// Object sync.
pub(super) fn sync() -> Markup {
    drawing(
        "icon",
        r#"<path d="M13.5 8a5.5 5.5 0 0 1-9.9 3.3M2.5 8a5.5 5.5 0 0 1 9.9-3.3M12.7 1.8v3h-3M3.3 14.2v-3h3"/>"#,
    )
}

/// Looking for something.
pub(super) fn search() -> Markup {
    drawing("icon", r#"<circle cx="7" cy="7" r="4.2"/><path d="M10.2 10.2L14 14"/>"#)
}

/// The product.
pub(super) fn brand() -> Markup {
    drawing(
        "icon brand",
        r#"<path d="M8 5v9M8 14c-3.5 0-5.5-2-6-4.5l2 .8M8 14c3.5 0 5.5-2 6-4.5l-2 .8M5 7h6"/><circle cx="8" cy="3.2" r="1.7"/>"#,
    )
}

fn drawing(class: &str, shape: &'static str) -> Markup {
    html! {
        svg class=(class) viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"
            fill="none" stroke="currentColor" stroke-width="1.3" stroke-linecap="round" stroke-linejoin="round" {
            (PreEscaped(shape))
        }
    }
}

//! What can be done with an object, as the menu of its row (F110, F111). Entries are plain links to pages that ask
//! first; with the script they open as dialogs.

use maud::{Markup, html};

use super::{icons, links, text};
use crate::model::{object::ObjectView, sight::Visible};

/// The more-actions menu of one object; nothing for somebody who may not act on it. `place` tells menus of one object
/// on one page apart.
pub(super) fn menu(object: &ObjectView, place: &str) -> Markup {
    if object.visible != Visible::Whole {
        return html! {};
    }
    let (id, name) = (object.id, object.path.name());
    let menu = format!("menu-{place}-{id}");
    html! {
        button.quiet.more type="button" popovertarget=(menu) aria-haspopup="true"
            aria-label={ "More actions for " (text::plain(name.as_str())) } { (icons::more()) }
        div.menu id=(menu) popover {
            a href=(links::sync(id)) data-dialog { "Run Object Sync…" }
            a href=(links::settings(id)) { "Settings" }
            a.danger href=(links::delete(id)) data-dialog { "Delete…" }
        }
    }
}

//! What can be done with an object, as the menu of its row (F110, F111). Entries are plain links to pages that ask
//! first; with the script they open as dialogs.

use maud::{Markup, html};

use super::{icons, links, session::Visitor, text};
use crate::model::{object::ObjectView, sight::Visible};

/// Whether a visitor may act on an object.
pub(super) fn may_act_on(object: &ObjectView, visitor: &Visitor) -> bool {
    object.visible == Visible::Whole && visitor.may_act()
}

/// The more-actions menu of one object; nothing for somebody who may not act on it. `place` tells menus of one object
/// on one page apart.
pub(super) fn menu(object: &ObjectView, visitor: &Visitor, place: &str) -> Markup {
    if !may_act_on(object, visitor) {
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

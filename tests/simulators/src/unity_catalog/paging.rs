//! Pages of a listing by the rules of either server.
//!
//! Commercial: `max_results` 0 is the server's page, n is at most that, absent is everything or a refusal; tokens are
//! opaque and belong to one listing; what the caller may not see is left out before paging. Open source: never more than
//! 100, the token is the last name, an exactly full last page carries one too, and filtering happens after paging.

use std::collections::BTreeMap;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Dialect, Twist};

/// Sizes of the server's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageSizes {
    /// Catalogs and schemas.
    pub containers: usize,
    /// Tables.
    pub tables: usize,
    /// Summaries of tables.
    pub summaries: usize,
    /// A listing without `max_results` that has more than this is refused.
    pub unpaginated: usize,
    /// No page of the open-source server has more.
    pub open_source: usize,
}

impl Default for PageSizes {
    fn default() -> Self {
        Self { containers: 1_000, tables: 50, summaries: 10_000, unpaginated: 1_000, open_source: 100 }
    }
}

/// What a caller asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) max_results: Option<String>,
    pub(crate) page_token: Option<String>,
}

/// Why there is no page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PageError {
    Negative,
    NotANumber(String),
    TooLarge,
    BadToken,
}

/// A page: the items in order, and how to go on.
#[derive(Debug)]
pub(crate) struct Page<'a, T> {
    pub(crate) items: Vec<(&'a str, &'a T)>,
    pub(crate) next: Option<String>,
}

/// The page of `of` that was asked for. `listing` names what is listed: a token of another listing is refused.
pub(crate) fn page<'a, T>(
    of: &'a BTreeMap<String, T>,
    asked: &Asked,
    listing: &str,
    (dialect, server_page, sizes): (Dialect, usize, PageSizes),
    twist: Option<Twist>,
    visible: impl Fn(&str, &T) -> bool,
) -> Result<Page<'a, T>, PageError> {
    let size = size(asked.max_results.as_deref(), dialect)?;
    let token = asked.page_token.as_deref().filter(|token| !token.is_empty());
    let after = match (token, dialect) {
        (None, _) => None,
        (Some(token), Dialect::OpenSource) => Some(token.to_owned()),
        (Some(token), Dialect::Commercial) => Some(open_token(token, listing).ok_or(PageError::BadToken)?),
    };
    match twist {
        Some(Twist::EmptyPage) => {
            let after = after.unwrap_or_default();
            let again = match dialect {
                Dialect::OpenSource => after + "\u{1}",
                Dialect::Commercial => make_token(listing, &after),
            };
            return Ok(Page { items: vec![], next: Some(again) });
        }
        Some(Twist::NoListKey) => return Ok(Page { items: vec![], next: None }),
        _ => {}
    }
    let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = of.range::<str, _>((from, Bound::Unbounded)).map(|(name, item)| (name.as_str(), item));
    let mut page = match dialect {
        Dialect::OpenSource => {
            let limit = size.filter(|&size| size > 0).unwrap_or(sizes.open_source).min(sizes.open_source);
            let mut items: Vec<_> = rest.by_ref().take(limit).collect();
            let next = if items.len() == limit { items.last().map(|(name, _)| (*name).to_owned()) } else { None };
            items.retain(|(name, item)| visible(name, item));
            Page { items, next }
        }
        Dialect::Commercial => {
            let mut rest = rest.filter(|(name, item)| visible(name, item));
            let limit = match size {
                None => sizes.unpaginated,
                Some(0) => server_page,
                Some(size) => size.min(server_page),
            };
            let items: Vec<_> = rest.by_ref().take(limit).collect();
            let more = rest.next().is_some();
            if more && size.is_none() {
                return Err(PageError::TooLarge);
            }
            let next = items.last().filter(|_| more).map(|(name, _)| make_token(listing, name));
            Page { items, next }
        }
    };
    if twist == Some(Twist::RepeatToken) {
        let first = page.items.first().map(|(name, _)| match dialect {
            Dialect::OpenSource => (*name).to_owned(),
            Dialect::Commercial => make_token(listing, name),
        });
        page.next = token.map(str::to_owned).or(page.next).or(first);
    }
    Ok(page)
}

fn size(asked: Option<&str>, dialect: Dialect) -> Result<Option<usize>, PageError> {
    let Some(asked) = asked.filter(|asked| dialect == Dialect::Commercial || !asked.is_empty()) else {
        return Ok(None);
    };
    let size: i32 = asked.parse().map_err(|_| PageError::NotANumber(asked.to_owned()))?;
    usize::try_from(size).map(Some).map_err(|_| PageError::Negative)
}

fn make_token(listing: &str, after: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1\0{listing}\0{after}"))
}

fn open_token(token: &str, listing: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let rest = text.strip_prefix("1\0")?.strip_prefix(listing)?.strip_prefix('\0')?;
    Some(rest.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Asked, PageError, PageSizes, page};
    use crate::unity_catalog::Dialect;

    fn walk(dialect: Dialect, count: usize, max_results: Option<&str>) -> Result<Vec<usize>, PageError> {
        let of: BTreeMap<String, ()> = (0..count).map(|n| (format!("t{n:04}"), ())).collect();
        let mut asked = Asked { max_results: max_results.map(str::to_owned), page_token: None };
        let mut sizes = vec![];
        loop {
            let rules = (dialect, 50, PageSizes::default());
            let page = page(&of, &asked, "tables:c.s", rules, None, |_, _| true)?;
            sizes.push(page.items.len());
            asked.page_token = page.next;
            if asked.page_token.is_none() {
                return Ok(sizes);
            }
        }
    }

    #[test]
    fn commercial_pages_end_without_an_empty_one() {
        assert_eq!(walk(Dialect::Commercial, 100, Some("0")), Ok(vec![50, 50]));
        assert_eq!(walk(Dialect::Commercial, 101, Some("1000")), Ok(vec![50, 50, 1]));
        assert_eq!(walk(Dialect::Commercial, 3, Some("2")), Ok(vec![2, 1]));
        assert_eq!(walk(Dialect::Commercial, 1000, None), Ok(vec![1000]));
        assert_eq!(walk(Dialect::Commercial, 1001, None), Err(PageError::TooLarge));
        assert_eq!(walk(Dialect::Commercial, 1, Some("-1")), Err(PageError::Negative));
    }

    #[test]
    fn open_source_pages_are_capped_and_a_full_last_one_is_followed_by_an_empty_one() {
        assert_eq!(walk(Dialect::OpenSource, 230, None), Ok(vec![100, 100, 30]));
        assert_eq!(walk(Dialect::OpenSource, 20, Some("20")), Ok(vec![20, 0]));
        assert_eq!(walk(Dialect::OpenSource, 150, Some("2147483647")), Ok(vec![100, 50]));
        let refused = PageError::NotANumber("2147483648".into());
        assert_eq!(walk(Dialect::OpenSource, 1, Some("2147483648")), Err(refused));
    }

    #[test]
    fn a_token_belongs_to_its_listing() {
        let of: BTreeMap<String, ()> = [("a".into(), ())].into();
        let token = Some(super::make_token("tables:c.s", "a"));
        let asked = Asked { max_results: Some("0".into()), page_token: token };
        let rules = (Dialect::Commercial, 50, PageSizes::default());
        assert!(page(&of, &asked, "tables:c.s", rules, None, |_, _| true).is_ok());
        assert_eq!(page(&of, &asked, "tables:c.t", rules, None, |_, _| true).err(), Some(PageError::BadToken));
    }
}

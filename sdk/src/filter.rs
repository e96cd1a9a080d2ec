//! What shall be listed: the connection's include and exclude patterns.
//!
//! A pattern is a glob for each level from below the connection (`*` any characters, `?` any one, `\` takes the next
//! character as it is; compared exactly). It speaks of the objects at its depth and of everything below them.

use serde::Deserialize;

/// Patterns that the listing keeps to. The default one leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Nothing but what one of these names, and the containers on the way there; all if there is none.
    #[serde(default)]
    include: Vec<Vec<String>>,
    /// Of that, not what one of these names.
    #[serde(default)]
    exclude: Vec<Vec<String>>,
}

impl Filter {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether the object at this path is listed: one that is included, lies below one that is, or is a container on the
    /// way to what may be; and neither it nor anything above it is excluded.
    #[must_use]
    pub fn keeps(&self, path: &[String]) -> bool {
        let agrees = |pattern: &Vec<String>| pattern.iter().zip(path).all(|(glob, name)| matches(glob, name));
        let included = self.include.is_empty() || self.include.iter().any(agrees);
        included && !self.exclude.iter().any(|pattern| pattern.len() <= path.len() && agrees(pattern))
    }

    /// What the names of all children of `parent` that are listed begin with: for platforms that can be asked for a
    /// prefix. Empty where nothing can be said.
    #[must_use]
    pub fn prefix(&self, parent: &[String]) -> String {
        let on_the_way = |pattern: &&Vec<String>| pattern.iter().zip(parent).all(|(glob, name)| matches(glob, name));
        let mut common: Option<String> = None;
        for pattern in self.include.iter().filter(on_the_way) {
            let literal = pattern.get(parent.len()).map(|glob| literal_prefix(glob)).unwrap_or_default();
            common = Some(match common {
                None => literal,
                Some(other) => other.chars().zip(literal.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect(),
            });
        }
        common.unwrap_or_default()
    }
}

/// What every text that the glob matches begins with.
fn literal_prefix(glob: &str) -> String {
    let mut literal = String::new();
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => break,
            '\\' => literal.push(chars.next().unwrap_or('\\')),
            other => literal.push(other),
        }
    }
    literal
}

/// Whether a glob matches a whole name. Goes back to the last `*` only, so that it takes at most the product of both
/// lengths.
fn matches(glob: &str, name: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut g, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match glob.get(g) {
            Some('*') => {
                retry = Some((g + 1, n));
                g += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('\\') if glob.get(g + 1).is_some_and(|c| *c == name[n]) => Some(2),
            Some(c) if *c != '\\' && *c == name[n] => Some(1),
            // A backslash at the very end stands for itself.
            Some('\\') if g + 1 == glob.len() && name[n] == '\\' => Some(1),
            _ => None,
        };
        match (step, retry) {
            (Some(width), _) => {
                g += width;
                n += 1;
            }
            (None, Some((after, from))) => {
                g = after;
                n = from + 1;
                retry = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn filter(include: &[&[&str]], exclude: &[&[&str]]) -> Filter {
        let patterns = |all: &[&[&str]]| all.iter().map(|names| path(names)).collect();
        Filter { include: patterns(include), exclude: patterns(exclude) }
    }

    #[test]
    fn globs_match_whole_names_exactly() {
        for (glob, name, expect) in [
            ("*", "", true),
            ("RAW_*", "RAW_", true),
            ("RAW_*", "raw_x", false),
            ("*_V?", "A_V1_V2", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("??", "ä👾", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("a\\", "a\\", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(glob, name), expect, "{glob} {name}");
        }
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn containers_on_the_way_are_kept_and_exclusion_reaches_down() {
        let filter = filter(&[&["SALES", "RAW_*"], &["HR"]], &[&["*", "RAW_TMP"], &["HR", "*", "X*"]]);
        for (names, expect) in [
            (&["SALES"][..], true),
            (&["SALES", "RAW_1"], true),
            (&["SALES", "RAW_1", "T"], true),
            (&["SALES", "MART"], false),
            (&["SALES", "RAW_TMP"], false),
            (&["SALES", "RAW_TMP", "T"], false),
            (&["HR", "ANY", "T"], true),
            (&["HR", "ANY", "X1"], false),
            (&["OTHER"], false),
        ] {
            assert_eq!(filter.keeps(&path(names)), expect, "{names:?}");
        }
        assert!(Filter::default().keeps(&path(&["ANY"])) && Filter::default().is_empty());
    }

    #[test]
    fn a_prefix_is_told_only_where_all_share_it() {
        let filter = filter(&[&["SALES", "RAW_A*"], &["SALES", "RAW_B"], &["HR"]], &[]);
        assert_eq!(filter.prefix(&path(&["SALES"])), "RAW_");
        assert_eq!(filter.prefix(&path(&["HR"])), "");
        assert_eq!(filter.prefix(&[]), "");
        assert_eq!(Filter::default().prefix(&[]), "");
    }
}

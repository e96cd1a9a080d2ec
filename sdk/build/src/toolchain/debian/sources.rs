//! Which mirror the machine uses, from apt's own source files in both of their forms.
//!
//! Pure: files come in as text. What it cannot read it skips, as the machine's own apt has its say about that already.

/// Where the archives are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirrors {
    /// The main archive, backports included.
    pub main: String,
    /// The security archive.
    pub security: String,
}

/// One archive and the suites taken from it.
struct Entry {
    uri: String,
    suites: Vec<String>,
}

/// The mirrors of a release. `files` are name and content.
pub(super) fn mirrors(files: &[(String, String)], codename: &str) -> Mirrors {
    let entries: Vec<Entry> = files
        .iter()
        .flat_map(|(name, text)| if name.ends_with(".sources") { deb822(text) } else { one_line(text) })
        .collect();
    let of = |suites: &[String]| {
        let entry = entries.iter().find(|entry| entry.suites.iter().any(|suite| suites.contains(suite)));
        entry.map(|entry| entry.uri.trim_end_matches('/').to_owned())
    };
    let main = of(&[codename.to_owned(), "stable".to_owned(), "oldstable".to_owned()])
        .unwrap_or_else(|| "http://deb.debian.org/debian".to_owned());
    // Mirrors of the main archive carry the security archive under this name, if at all.
    let security = of(&[format!("{codename}-security"), "stable-security".to_owned(), "oldstable-security".to_owned()])
        .unwrap_or_else(|| format!("{}-security", main.strip_suffix("-security").unwrap_or(&main)));
    Mirrors { main, security }
}

/// The form with one field per line and paragraphs.
fn deb822(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(paragraph).collect()
}

fn paragraph(lines: &[&str]) -> Option<Entry> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            _ => {
                let (name, value) = line.split_once(':')?;
                fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }
    let words = |name: &str| {
        let value = fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str());
        value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let off = words("enabled").iter().any(|value| ["no", "false", "off", "0"].contains(&value.as_str()));
    let binary = words("types").iter().any(|kind| kind == "deb");
    let uri = words("uris").into_iter().find(|uri| usable(uri))?;
    (binary && !off).then(|| Entry { uri, suites: words("suites") })
}

/// The form `deb [options] uri suite components`.
fn one_line(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        let uri = words.next().filter(|uri| usable(uri))?;
        Some(Entry { uri, suites: words.take(1).collect() })
    };
    text.lines().filter_map(entry).collect()
}

/// A CD is no mirror; a quote or bracket is no address, and would end up in a file that apt parses.
fn usable(uri: &str) -> bool {
    uri.contains(':') && !uri.starts_with("cdrom:") && !uri.contains(['[', ']', '"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> (String, String) {
        let mirrors = mirrors(&[(name.to_owned(), text.to_owned())], "bookworm");
        (mirrors.main, mirrors.security)
    }

    #[test]
    fn paragraphs_name_the_mirror() {
        let text = "Types: deb deb-src\n# URIs: http://old/debian\nURIs: http://m/debian/\nSuites: bookworm\n bookworm-updates\n\
            Components: main\n\nTypes: deb\nuris: https://s/sec\nSuites: bookworm-security\nComponents: main\n";
        assert_eq!(of("debian.sources", text), ("http://m/debian".to_owned(), "https://s/sec".to_owned()));
    }

    #[test]
    fn what_is_off_source_only_or_another_release_is_skipped() {
        let text = "Types: deb\nEnabled: no\nURIs: http://off/debian\nSuites: bookworm\n\n\
            Types: deb-src\nURIs: http://src/debian\nSuites: bookworm\n\n\
            Types: deb\nURIs: http://other/debian\nSuites: nodistro\n\nnonsense\n\n\
            Types: deb\nURIs: cdrom:[x]/ http://on/debian\nSuites: bookworm\n";
        assert_eq!(of("x.sources", text).0, "http://on/debian");
    }

    #[test]
    fn lines_name_the_mirror() {
        let text = "# deb http://no/debian bookworm main\ndeb-src http://src/debian bookworm main\n\
            deb cdrom:[Debian]/ bookworm main\n\
            deb [ arch=amd64 signed-by=/x.gpg ]  http://m/debian\tbookworm main contrib # ours\n\
            deb http://m/debian-security bookworm-security main\n";
        assert_eq!(of("sources.list", text), ("http://m/debian".to_owned(), "http://m/debian-security".to_owned()));
    }

    #[test]
    fn a_machine_that_says_nothing_uses_debians_own() {
        let expected = ("http://deb.debian.org/debian".to_owned(), "http://deb.debian.org/debian-security".to_owned());
        assert_eq!(of("sources.list", ""), expected);
        assert_eq!(of("sources.list", "deb"), expected);
        assert_eq!(of("sources.list", "deb [arch=amd64 http://m/debian bookworm main"), expected);
    }
}

//! Which Debian archive this machine uses, read from apt's own configuration: sources.list(5).

use std::path::{Path, PathBuf};

use super::AptError;

/// The keyring of Debian's package `debian-archive-keyring`; it knows the suites after the machine's own.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites that live in the main archive of every Debian mirror under an alias.
const ALIASES: [&str; 5] = ["stable", "oldstable", "testing", "unstable", "sid"];

/// An archive as a line of a sources list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) uri: String,
    /// What stands between brackets: `signed-by=…`.
    pub(super) options: String,
}

/// The archives packages are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archives {
    pub(super) main: Archive,
    pub(super) security: Option<Archive>,
}

impl Archives {
    /// Those of this machine, by its files under `/etc/apt`.
    pub fn of_machine() -> Result<Self, AptError> {
        let mut entries = Vec::new();
        for file in source_files(Path::new("/etc/apt")) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("sources") => entries.extend(parse_deb822(&text)),
                _ => entries.extend(parse_one_line(&text)),
            }
        }
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        choose(&entries, codename.unwrap_or_default().trim_matches('"'), Path::new(KEYRING).exists())
    }

    /// A mirror of the Debian archive given by its URI, with no archive of security updates.
    pub fn at(uri: &str) -> Result<Self, AptError> {
        let remote = uri.contains(":/");
        if !remote || uri.chars().any(|c| c.is_whitespace() || c.is_control() || "[]#".contains(c)) {
            return Err(AptError::Mirror { uri: uri.to_owned() });
        }
        let options = signed_by(None, Path::new(KEYRING).exists());
        Ok(Archives { main: Archive { uri: uri.to_owned(), options }, security: None })
    }

    /// The sources list for `suite`; `kind` is `deb` or `deb-src`.
    pub(super) fn sources_list(&self, kind: &str, suite: &str) -> String {
        let line = |archive: &Archive, suite: &str| {
            format!("{kind} [{}] {} {suite} main\n", archive.options, archive.uri)
        };
        let mut list = line(&self.main, suite);
        // A rolling suite has no updates beside it, and one that is an addition stands for itself.
        if suite.contains('-') || ["sid", "unstable", "experimental"].contains(&suite) {
            return list;
        }
        if let Some(security) = &self.security {
            list.push_str(&line(&self.main, &format!("{suite}-updates")));
            list.push_str(&line(security, &format!("{suite}-security")));
        }
        list
    }
}

fn source_files(etc: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(etc.join("sources.list.d"))
        .map(|folder| folder.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
        .unwrap_or_default();
    files.retain(|file| {
        file.extension().is_some_and(|extension| extension == "list" || extension == "sources")
    });
    files.sort();
    files.insert(0, etc.join("sources.list"));
    files
}

/// One archive with some of its suites, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// `deb [option=value …] uri suite component…`
fn parse_one_line(text: &str) -> Vec<Entry> {
    text.lines().filter_map(|line| one_line(line.split('#').next().unwrap_or_default())).collect()
}

fn one_line(line: &str) -> Option<Entry> {
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix("-src").unwrap_or(rest);
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Entry {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: options.split_whitespace().find_map(|o| o.strip_prefix("signed-by=")).map(str::to_owned),
    })
}

/// Paragraphs of `Types:`, `URIs:`, `Suites:`, `Components:`, `Signed-By:`.
fn parse_deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    // The extra empty line ends the last paragraph.
    let mut entry = Entry::default();
    let mut enabled = true;
    let mut key = String::new();
    for line in text.lines().chain([""]).filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            let finished = std::mem::take(&mut entry);
            if enabled && !finished.uris.is_empty() && !finished.suites.is_empty() {
                entries.push(finished);
            }
            (enabled, key) = (true, String::new());
            continue;
        }
        let value = match line.split_once(':') {
            Some((name, value)) if !line.starts_with(char::is_whitespace) => {
                key = name.to_ascii_lowercase();
                value
            }
            _ => line,
        };
        let words = value.split_whitespace().map(str::to_owned);
        match key.as_str() {
            "uris" => entry.uris.extend(words),
            "suites" => entry.suites.extend(words),
            "components" => entry.components.extend(words),
            "signed-by" => entry.signed_by.get_or_insert_default().push_str(value.trim()),
            "enabled" if ["no", "false", "0"].contains(&value.trim()) => enabled = false,
            _ => {}
        }
    }
    entries
}

/// The first entry that is Debian's own archive. Other people's archives may carry the same suite names,
/// so one that is signed by somebody else is left out; were the choice wrong all the same, apt would refuse
/// the archive, as nobody but Debian can sign for Debian's keyring.
fn choose(entries: &[Entry], codename: &str, keyring: bool) -> Result<Archives, AptError> {
    let debian = |entry: &&Entry| {
        let signer = entry.signed_by.as_deref();
        entry.components.iter().any(|component| component == "main")
            && signer.is_none_or(|signer| signer.contains("debian-archive-"))
    };
    let archive = |entry: &Entry| Archive {
        uri: entry.uris.first().cloned().unwrap_or_default(),
        options: signed_by(entry.signed_by.as_deref(), keyring),
    };
    let with_suite = |wanted: &dyn Fn(&str) -> bool| {
        entries.iter().filter(debian).find(|entry| entry.suites.iter().any(|suite| wanted(suite)))
    };
    let main = with_suite(&|suite| suite == codename || ALIASES.contains(&suite));
    let security = with_suite(&|suite| suite.ends_with("-security") || suite.ends_with("/updates"));
    Ok(Archives { main: main.map(archive).ok_or(AptError::NoMirror)?, security: security.map(archive) })
}

/// Debian's keyring where it is installed, for it covers newer suites too; else what the machine trusts.
fn signed_by(configured: Option<&str>, keyring: bool) -> String {
    match configured {
        _ if keyring => format!("signed-by={KEYRING}"),
        Some(path) if path.starts_with('/') => format!("signed-by={path}"),
        _ => "lang=none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
# a comment
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.invalid/security
Suites: bookworm-security
Components: main
";

    #[test]
    fn both_spellings_give_the_same_archives() {
        let lines = "deb [arch=amd64] http://other.invalid/debian bookworm stable\n\
            deb [signed-by=/k/somebody.gpg] http://somebody.invalid/ bookworm main\n\
            deb http://mirror.invalid/debian bookworm main # ours\n\
            # deb http://commented.invalid/debian bookworm main\n\
            deb http://mirror.invalid/security bookworm-security main\n";
        for entries in [parse_deb822(DEB822), parse_one_line(lines)] {
            let archives = choose(&entries, "bookworm", true).unwrap();
            assert_eq!(
                archives.sources_list("deb", "trixie"),
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.invalid/debian trixie main\n\
                 deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.invalid/debian trixie-updates main\n\
                 deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.invalid/security trixie-security main\n"
            );
            assert_eq!(archives.sources_list("deb-src", "sid").lines().count(), 1);
        }
    }

    #[test]
    fn a_disabled_or_foreign_archive_is_not_taken() {
        let disabled = DEB822.replace("Components: main", "Enabled: no\nComponents: main");
        assert!(matches!(choose(&parse_deb822(&disabled), "bookworm", true), Err(AptError::NoMirror)));
        let foreign = parse_one_line("deb http://other.invalid/ubuntu noble main");
        assert!(matches!(choose(&foreign, "bookworm", true), Err(AptError::NoMirror)));
    }

    #[test]
    fn a_given_mirror_cannot_smuggle_a_second_line() {
        assert!(Archives::at("http://mirror.invalid/debian\ndeb [trusted=yes] http://evil.invalid").is_err());
        assert!(Archives::at("http://mirror.invalid/debian").is_ok());
    }
}

//! The platform an artefact is for, as file names say it.

/// Operating systems, as Go's `GOOS` and Nix's systems name them.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "macos",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];

/// Processors, as `GOARCH`, Nix's systems and release files name them.
const PROCESSORS: &[&str] = &[
    "386",
    "aarch64",
    "amd64",
    "arm",
    "arm64",
    "armhf",
    "armv5",
    "armv6",
    "armv6l",
    "armv7",
    "armv7l",
    "armv8",
    "i386",
    "i686",
    "loong64",
    "loongarch64",
    "mips",
    "mips64",
    "mips64le",
    "mipsle",
    "powerpc64le",
    "ppc64",
    "ppc64le",
    "riscv64",
    "s390x",
    "universal",
    "wasm",
    "x86_64",
];

/// The platform in a file name: an operating system and a processor, in either order, joined by `-` or `_`; the longest one
/// there is. `tool-linux-armv6-v1.2.tar.gz` is for `linux-armv6`.
pub fn of(file: &str) -> Option<&str> {
    let starts = file.char_indices().map(|(at, _)| at).filter(|at| {
        let before = file[..*at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric())
    });
    starts.filter_map(|at| pair(&file[at..])).max_by_key(|found| found.len())
}

/// The longest platform that `text` begins with.
fn pair(text: &str) -> Option<&str> {
    let orders = [(SYSTEMS, PROCESSORS), (PROCESSORS, SYSTEMS)];
    let firsts = orders.into_iter().flat_map(|(firsts, seconds)| {
        firsts
            .iter()
            .filter_map(move |first| Some((text.strip_prefix(first)?.strip_prefix(['-', '_'])?, seconds)))
    });
    let lengths = firsts.flat_map(|(rest, seconds)| {
        let ends = seconds.iter().filter_map(|second| rest.strip_prefix(second));
        ends.filter(|rest| !rest.starts_with(char::is_alphanumeric)).map(|rest| text.len() - rest.len())
    });
    lengths.max().map(|length| &text[..length])
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn platforms_are_found_in_file_names() {
        for (file, target) in [
            ("tool-linux-armv6-v1.2.tar.gz", Some("linux-armv6")),
            ("tool_1.2_linux_amd64.zip", Some("linux_amd64")),
            ("tool-x86_64-linux", Some("x86_64-linux")),
            ("windows-386.exe", Some("windows-386")),
            ("tool-darwin-arm64", Some("darwin-arm64")),
            ("tool-source-v1.tar.gz", None),
            ("linux-headers.tar", None),
            ("mylinux-amd64", None),
            ("linux-amd64x", None),
            ("\u{e9}linux-amd64-\u{e9}", None),
            ("", None),
        ] {
            assert_eq!(of(file), target, "{file}");
        }
    }
}

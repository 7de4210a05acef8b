//! What `reprove explain` says about this room's codes.

use crate::code::{Code, Explanation};

/// One per code of [`super::SourceError`] and the errors below it.
pub const EXPLANATIONS: &[Explanation] = &[
    explain(
        401,
        "a tar archive cannot be read",
        "The bytes under the archive could not be read or \
        decompressed. The file is damaged, or was cut off while it was downloaded: fetch it again.",
    ),
    explain(
        402,
        "a tar archive is malformed",
        "A header breaks the format, or the archive ends before its end \
        mark. Archives that two readers could understand differently are refused as well: two sizes for one \
        entry, contents behind a link, data behind the end.",
    ),
    explain(
        403,
        "a path in a tar archive leaves the tree",
        "An entry or a hard link has an absolute path or \
        climbs with `..`. No honest package does; find out where the file comes from.",
    ),
    explain(
        404,
        "a tar archive uses a feature that is not supported",
        "Sparse files, multi-volume archives and \
        global headers that change entries are not read.",
    ),
    explain(
        405,
        "a tar archive is too large",
        "Entries, contents and headers are bounded, so that a small file \
        cannot unpack to an endless tree.",
    ),
    explain(
        410,
        "a package cannot be read",
        "The operating system could not read the file, or its compressed \
        archive is damaged or asks for too much memory.",
    ),
    explain(
        411,
        "not a Debian package",
        "The file is no ar archive of debian-binary, control.tar and data.tar \
        in this order (see deb(5)), or its control file lacks a field.",
    ),
    explain(
        412,
        "a package has no such file",
        "The pin asks for a file that is not in the package, or is a link \
        or directory there; links are not followed. Since Debian 13 what was in /bin and /lib is in /usr/bin \
        and /usr/lib: the message names a file of the same name when there is one.",
    ),
    explain(
        413,
        "a file of a package is too large",
        "Files taken out of packages are held in memory and bounded.",
    ),
    explain(
        420,
        "a program is not installed",
        "Another program is needed to fetch this source. The message \
        says which package has it; without it, add the file by hand with `reprove source add FILE`.",
    ),
    explain(
        421,
        "a program could not be run",
        "The operating system could not start it, or it printed without end.",
    ),
    explain(
        422,
        "a program failed",
        "Its command line, exit status and last lines are in the message. When it \
        is about the network: everything can be added by hand with `reprove source add FILE`.",
    ),
    explain(
        423,
        "a pin is misspelled",
        "Packages are pinned by `apt:<suite>/<arch>/<package>=<version>`, \
        with `#<member>` behind it for one file of it, by `apt:<suite>/source/<package>=<version>/<file>`, and by \
        `pypi:<project>==<version>/<file name>`.",
    ),
    explain(
        424,
        "the private package state cannot be used",
        "Package lists and downloaded packages are kept \
        below the state folder; the message names the file. The system's own apt state is never touched.",
    ),
    explain(
        425,
        "no Debian archive is configured",
        "The mirror is taken from this machine's own /etc/apt: an \
        enabled entry with the component main that Debian's keyring signs. On another system, give a mirror.",
    ),
    explain(
        426,
        "the package lists could not be downloaded",
        "apt's own message is quoted. Without a network, \
        packages that were fetched before are still found by hash, and others can be added by hand.",
    ),
    explain(
        427,
        "no such package",
        "The suite has no package of this name for this architecture. riscv64 is in \
        Debian since trixie.",
    ),
    explain(
        428,
        "the pinned version is not in the archive",
        "Debian's archive keeps only the newest version of \
        a suite. The pinned one was replaced: get its file elsewhere and add it by hand (the hash still decides), \
        or pin the version that is there now.",
    ),
    explain(
        429,
        "the archive's package has another hash than the pinned",
        "The same name and version, other \
        bytes: a rebuilt or a replaced file. Do not use it before you know why.",
    ),
    explain(
        430,
        "a program's output was not understood",
        "It is another version than we know; please report \
        the line that the message quotes.",
    ),
    explain(
        431,
        "a program did not end",
        "A package client or nix ran for an hour and was stopped; the message has its \
        last lines. Most often a server does not answer: try again, name another mirror, or add the file by hand \
        with `reprove source add FILE`.",
    ),
    explain(
        450,
        "a source is missing",
        "No place has bytes with the hash that the derivation names. The \
        message lists every place and what it said. Add the file with `reprove source add FILE` (it may have any \
        name, the hash finds it), give a hashed mirror, or allow the network.",
    ),
    explain(
        451,
        "a source has the wrong hash",
        "A place has something under the right name with other bytes: \
        the upstream file was replaced, the download was tampered with, or the derivation's hash is wrong. \
        Nothing of it was used.",
    ),
    explain(
        452,
        "a derivation's output path does not fit its hash",
        "The path of a fixed output is made of its \
        name and hash. A derivation that states another one was not written by Nix.",
    ),
    explain(
        453,
        "not a hashed mirror's address",
        "A mirror is a base URL with http or https; files are below \
        it as `<algorithm>/<hash in base-16>`.",
    ),
    explain(
        454,
        "a source file cannot be read or written",
        "The message names the file and gives the \
        operating system's answer.",
    ),
    explain(
        455,
        "this cannot be added as a source",
        "Only files and folders of files, links and folders can; \
        a socket, device or pipe has no contents.",
    ),
    explain(
        456,
        "the index of added files is damaged",
        "A small file below the state folder's files/index is \
        not what was written there. Adding the file again repairs it.",
    ),
];

const fn explain(code: u16, title: &'static str, text: &'static str) -> Explanation {
    Explanation { code: Code(code), title, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_the_rooms_range_and_in_order() {
        assert!(EXPLANATIONS.is_sorted_by(|a, b| a.code < b.code));
        assert!(EXPLANATIONS.iter().all(|explanation| (400..500).contains(&explanation.code.0)));
    }
}

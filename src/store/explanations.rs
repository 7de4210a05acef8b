//! What `reprove explain` says about this room's errors.

use crate::code::{Code, Explanation};

/// Every code of this room, in order.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(801),
        title: "cannot read or write the state directory",
        text: "The operating system refused an operation on a file of the state directory; the cause follows the path.\n\
               Nothing was registered by halves. Make the directory readable and writable for you, or name another one\n\
               with `--state` or the environment variable REPROVE_STATE.",
    },
    Explanation {
        code: Code(802),
        title: "no space left in the state directory",
        text: "The disk, the quota, or the limit on the size of a process's files is exhausted. Nothing was registered by\n\
               halves, and what was being written is gone. Make room, for example with `reprove store gc`, and run the\n\
               same command again: what was finished before is found again.",
    },
    Explanation {
        code: Code(803),
        title: "the state directory is of a later release",
        text: "The file `version` in the state directory names a layout that this program does not know. It was left\n\
               alone. Use the newer release that wrote it, or another state directory.",
    },
    Explanation {
        code: Code(804),
        title: "not a state directory",
        text: "A store is only made in a directory that is empty, so that nothing of yours is mixed with it or removed by\n\
               garbage collection. Name a new or empty directory.",
    },
    Explanation {
        code: Code(805),
        title: "another process is using the store",
        text: "Garbage collection and repair need the store alone: another process may be between writing a NAR and\n\
               registering the path it is for. Wait until the other `reprove` is done, or stop it. The lock is the kernel's\n\
               and cannot be left behind by a process that was killed.",
    },
    Explanation {
        code: Code(806),
        title: "a file of the store is damaged",
        text: "A record cannot be read, or is not what its name says. The disk lost bits, or somebody edited the file.\n\
               `reprove store verify` lists all damage, `reprove store verify --repair` removes it; what was built in a\n\
               machine can be built again.",
    },
    Explanation {
        code: Code(808),
        title: "NAR hash mismatch",
        text: "The bytes that came have another hash than the one that was promised. They were not kept. The place they\n\
               came from is damaged, or lies.",
    },
    Explanation {
        code: Code(809),
        title: "a path was to be registered without its NAR",
        text: "A path record may only speak of a NAR that is in the store. This is a fault of the program; or somebody removed\n\
               files from the state directory while it ran.",
    },
    Explanation {
        code: Code(810),
        title: "a path is registered with other bits",
        text: "The store has this path with another NAR. What is registered stays, and is never overwritten: two different\n\
               contents for one path are a finding. Compare them with `reprove diff`; to accept the new one, forget the old\n\
               one first with `reprove store forget`.",
    },
    Explanation {
        code: Code(811),
        title: "a path is registered with other references",
        text: "The store has this path with the same bits, but a different set of references was found this time. References\n\
               are part of what is signed for a path, so this is not passed over. One of the two was searched for among\n\
               fewer candidates; `reprove store forget` removes the old record.",
    },
    Explanation {
        code: Code(812),
        title: "a closure is not complete",
        text: "A path, or something it refers to, is not in the store. Build or add what is named, or build the whole closure\n\
               with `reprove build`.",
    },
    Explanation {
        code: Code(813),
        title: "no such attachment of a run",
        text: "A run is kept as files by name, such as `console.log`. The run has no file of that name, or the name could not\n\
               be one.",
    },
    Explanation {
        code: Code(814),
        title: "a record does not fit its type",
        text: "The record of a run was written by another release of this program and cannot be read by this one. The file\n\
               `record.json` in the run's directory is JSON and can be read by a person.",
    },
    Explanation {
        code: Code(820),
        title: "cannot read or write a file tree",
        text: "The operating system refused an operation while a tree was packed into a NAR or unpacked from one; path and\n\
               cause are given. An unpacked tree appears as a whole or not at all.",
    },
    Explanation {
        code: Code(821),
        title: "a NAR cannot hold this type of file",
        text: "Sockets, devices and named pipes have no place in a NAR; Nix refuses them as well. Remove the file.",
    },
    Explanation {
        code: Code(822),
        title: "a file changed while it was read",
        text: "The file got longer or shorter, or became something else, while its tree was packed. Stop whatever writes to\n\
               the tree, and pack it again.",
    },
    Explanation {
        code: Code(823),
        title: "a file cannot be in a NAR",
        text: "NARs bound the depth of a tree (64), the length of names (255 bytes) and of link targets (4095 bytes). Some\n\
               releases of Nix are laxer; the strictest one decides what everybody can read.",
    },
    Explanation {
        code: Code(824),
        title: "the destination cannot be unpacked to",
        text: "A NAR is unpacked to a path that does not exist yet, in a directory that does. Nothing that exists is ever\n\
               replaced or filled up.",
    },
    Explanation {
        code: Code(825),
        title: "the file system takes two names for one",
        text: "The NAR holds two names that differ only in case, or in how a letter with an accent is spelled, and the file\n\
               system at the destination does not tell them apart. Unpack it on one that does.",
    },
];

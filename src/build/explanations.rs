//! What `reprove explain` says about the codes of this room.

use crate::code::{Code, Explanation};

/// The explanations of 07xx.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(701),
        title: "the derivation is not supported",
        text: "Only input-addressed derivations for a system there is a machine for are built. Fixed-output derivations \
               are found by their hash instead. Floating content-addressed, impure and dynamic derivations, builders that \
               are a part of Nix (builtin:...), `__noChroot`, and system features such as kvm are reported, never guessed \
               at: nothing is said about the outputs.",
    },
    Explanation {
        code: Code(702),
        title: "the derivation cannot be built",
        text: "The derivation, or a setting, asks for something that no builder can be given: attributes that are not what \
               Nix demands (see the message), an environment variable of more than 128 KiB (Linux: \"Argument list too \
               long\"; use `passAsFile` or `__structuredAttrs`), or a setting that is no host name or directory. Nix fails \
               on such derivations too.",
    },
    Explanation {
        code: Code(703),
        title: "an input is missing",
        text: "A store path that the derivation needs, or that one of its inputs refers to, is not in the store. Build it \
               first (`reprove build` of the whole plan does), or take it from somewhere with `--trust-substitutes`.",
    },
    Explanation {
        code: Code(704),
        title: "the input drive or an output could not be written",
        text: "The host's disk is full, or a file of the store cannot be read. `reprove store verify` checks the store.",
    },
    Explanation {
        code: Code(705),
        title: "the machine failed while it ran",
        text: "The program that is the machine ended with an error or was killed; its last lines are in the message. This says \
               nothing about the derivation. A host that runs out of memory kills the largest program, which is the machine.",
    },
    Explanation {
        code: Code(706),
        title: "the build was cancelled",
        text: "It was stopped from outside before it ended; nothing of it was kept.",
    },
    Explanation {
        code: Code(707),
        title: "the inputs are too large",
        text: "All inputs of a derivation are copied into the memory of its machine, next to the guest's own. `--input-size` says how \
               much that may be; the host needs so much memory. Files that `exportReferencesGraph` asks for may be 32 MiB in all: that \
               limit is fixed, and beyond what any real closure needs. Nothing was tried.",
    },
    Explanation {
        code: Code(710),
        title: "the builder failed",
        text: "The builder ended with an exit code other than 0. The last lines of its log are in the message, all of it is shown \
               by `reprove log`. Exit code 125 with a line that begins with `enter:` means that the builder could not be \
               started at all.",
    },
    Explanation {
        code: Code(711),
        title: "the build took too long",
        text: "A limit of time was reached: guest time is counted by the machine's own clock and is the same in every run; \
               wall-clock time depends on the host. Both can be raised.",
    },
    Explanation {
        code: Code(712),
        title: "the machine was silent for too long",
        text: "The guest reports every ten seconds of its own time, so a silent machine hangs or is very slow. The limit can be \
               raised.",
    },
    Explanation {
        code: Code(713),
        title: "the build wrote more log than it may",
        text: "The log is limited so that a builder cannot fill the host's disk. The limit can be raised.",
    },
    Explanation {
        code: Code(714),
        title: "the build wanted more processes than it may have",
        text: "Processes beyond the limit were refused, and the build then failed or did not end: a fork bomb does that. The limit \
               can be raised for builds that need so many; it is never more than two for each MiB of the machine's memory.",
    },
    Explanation {
        code: Code(715),
        title: "the build ran out of memory",
        text: "Processes of the build were killed for want of memory. Files count too: the file system a build runs in lies in the \
               guest's memory. Give the machine more.",
    },
    Explanation {
        code: Code(716),
        title: "the build filled its file system",
        text: "The file system a build runs in lies in the guest's memory and takes three quarters of it. Give the machine more.",
    },
    Explanation {
        code: Code(717),
        title: "the outputs do not fit on the output drive",
        text: "The size of the output drive limits how much a build can hand out. It can be raised.",
    },
    Explanation {
        code: Code(720),
        title: "an output is missing",
        text: "The builder said it succeeded, and one or more of the outputs that the derivation promises do not exist.",
    },
    Explanation {
        code: Code(721),
        title: "an output holds a special file",
        text: "Devices, sockets and named pipes cannot be in a store. The builder must remove them from its output.",
    },
    Explanation {
        code: Code(722),
        title: "an output can be written by others",
        text: "The top of the output is writable for its group or for everybody. Nix refuses such outputs, since another process \
               could have changed them; the builder must set another mode or keep its umask of 022.",
    },
    Explanation {
        code: Code(723),
        title: "the output drive does not hold what the guest's tools write",
        text: "What came out of the machine is not a tar stream as the guest's own tar writes it: cut short, with paths that leave \
               the outputs, members twice, links to nothing, or trees that are no outputs. Nothing of it was kept. Either the \
               builder got hold of the drive, which it must not, or there is a fault in reprove.",
    },
    Explanation {
        code: Code(724),
        title: "an output cannot be kept",
        text: "The output is no tree that a NAR can hold (nested too deeply, for example), or writing it to the store failed.",
    },
    Explanation {
        code: Code(725),
        title: "the machine stopped without a result",
        text: "Success is believed only with a result record of this very run on the output drive, and there is none: a kernel \
               panic, a power-off by the builder, or a guest that ran out of memory. The end of the console is in the message.",
    },
    Explanation {
        code: Code(726),
        title: "the guest could not start the build",
        text: "The guest's `init` failed before the builder was started; the end of the console says at what. Too little memory is \
               the usual reason.",
    },
    Explanation {
        code: Code(727),
        title: "the outputs could not be archived",
        text: "The builder succeeded, and the archiver of the guest refused something in the outputs: a path too deep or \
               long, or a file of a kind that store objects cannot hold.",
    },
    Explanation {
        code: Code(730),
        title: "an output is not what the derivation says it must be",
        text: "The derivation limits what its outputs may refer to or how large they may be (allowedReferences, \
               allowedRequisites, disallowedReferences, disallowedRequisites, outputChecks), or two outputs refer to each other. \
               Nix fails on such outputs too.",
    },
];

//! The initial file system: busybox, the modules, and `init`.

use super::cpio::Archive;

/// Process 1.
pub const INIT: &str = include_str!("init.sh");

/// The programs of busybox that `init` calls.
pub const APPLETS: &[&str] = &[
    "awk", "cat", "chmod", "chown", "cp", "date", "dd", "find", "head", "hostname", "insmod", "ip", "ln",
    "mkdir", "mknod", "mount", "od", "poweroff", "sed", "sh", "sleep", "stat", "stty", "sync", "tar",
    "touch", "unshare", "wc",
];

/// The initial file system of a guest with these modules, loaded in this order; `observing` only when a build is looked at.
pub fn pack(busybox: &[u8], modules: &[(&str, Vec<u8>)], observing: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Archive::default();
    for path in ["bin", "dev", "in", "modules", "proc", "root", "sys"] {
        archive.directory(path);
    }
    // The kernel opens it for process 1 before anything is mounted.
    archive.device("dev/console", 5, 1);
    archive.file("init", 0o755, INIT.as_bytes());
    archive.file("bin/busybox", 0o755, busybox);
    for applet in APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox");
    }
    for (name, module) in modules.iter().chain(observing) {
        archive.file(&format!("modules/{name}.ko"), 0o644, module);
    }
    for (list, modules) in [("order", modules), ("observing", observing)] {
        let order: String = modules.iter().map(|(name, _)| format!("{name}.ko\n")).collect();
        archive.file(&format!("modules/{list}"), 0o644, order.as_bytes());
    }
    archive.finish()
}

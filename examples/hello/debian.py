"""What Debian's archive has now, for the scripts that write pins.

An apt state of its own per suite and architecture, in a folder of the caller's; the mirror is that of this machine's
apt configuration.
"""

import glob
import os
import pathlib
import re
import subprocess


def mirror():
    """The Debian archive this machine is configured for."""
    for name in glob.glob("/etc/apt/sources.list.d/*.sources") + ["/etc/apt/sources.list"]:
        text = pathlib.Path(name).read_text() if os.path.exists(name) else ""
        for url in re.findall(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)", text, re.M):
            if url.rstrip("/").endswith("/debian"):
                return url
    raise SystemExit("no Debian archive in this machine's apt sources")


class Apt:
    """An apt state of its own for one suite and architecture."""

    def __init__(self, folder, suite, arch):
        self.folder = pathlib.Path(folder) / f"{suite}-{arch}"
        for sub in ["state/lists/partial", "cache/archives/partial", "etc"]:
            (self.folder / sub).mkdir(parents=True)
        (self.folder / "status").touch()
        options = f"[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror()} {suite} main"
        (self.folder / "etc/sources.list").write_text(f"deb {options}\ndeb-src {options}\n")
        (self.folder / "apt.conf").write_text(
            f'Dir::State "{self.folder}/state"; Dir::State::status "{self.folder}/status";\n'
            f'Dir::Cache "{self.folder}/cache"; Dir::Etc::sourcelist "{self.folder}/etc/sources.list";\n'
            f'Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";\n'
            f'APT::Sandbox::User "root"; APT::Architecture "{arch}"; APT::Architectures {{ "{arch}"; }}; Acquire::Languages "none";\n'
        )
        self.run("apt-get", "update", "-q")

    def run(self, *argv, cwd=None):
        env = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf")}
        return subprocess.run(argv, env=env, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout

    def pin(self, package):
        shown = self.run("apt-cache", "show", "--no-all-versions", package)
        field = lambda name: re.search(rf"^{name}: (\S+)$", shown, re.M)[1]
        return {"version": field("Version"), "sha256": field("SHA256")}

    def pin_source(self, package, file):
        """A file of a source package, named by a pattern of which there has to be one file."""
        shown = self.run("apt-cache", "showsrc", package).split("\n\n")[0]
        version = re.search(r"^Version: (\S+)$", shown, re.M)[1]
        files = re.findall(r"^ ([0-9a-f]{64}) \d+ (\S+)$", shown, re.M)
        ((sha256, file),) = [pair for pair in files if re.fullmatch(file, pair[1])]
        return {"version": version, "file": file, "sha256": sha256}

    def pin_member(self, package, member):
        """The hash of a tree that holds `member` of the package, executable, and nothing else."""
        folder = self.folder / "member"
        folder.mkdir()
        self.run("apt-get", "download", "-q", package, cwd=folder)
        (deb,) = folder.glob("*.deb")
        self.run("dpkg-deb", "-x", str(deb), str(folder / "all"))
        target = folder / "tree" / member
        target.parent.mkdir(parents=True)
        (folder / "all" / member).rename(target)
        target.chmod(0o555)
        sha256 = self.run("nix-hash", "--type", "sha256", str(folder / "tree")).strip()
        return {"version": self.pin(package)["version"], "member": member, "sha256": sha256}

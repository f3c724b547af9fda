"""What a distribution is made from, downloaded and kept: zig, wheels, sources of libraries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxgan.errors import UserError, first_line

ROOT = Path(__file__).parent.parent.parent
SOURCES = ("libpng1.6", "zlib", "cli11")  # Debian's names


class BuildError(UserError):
    """A step went wrong, or what it made is not what it should be."""

    exit_code = 1


def run(log: Path, *command: str | Path, **options: Any) -> None:
    """Run a step; what it prints goes to a file.

    Raises:
        BuildError: It fails, or takes longer than the ``timeout`` given.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as file:
            words = [str(part) for part in command]
            done = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{log.stem}: {first_line(error)}") from error
    if done.returncode != 0:
        lines = log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
        faults = [line for line in lines if re.search(r"\berror\b|^E: ", line, re.IGNORECASE)]
        raise BuildError(f"{log.stem} failed: {(faults or lines)[-1].strip()} (all of it: {log})")


def once(folder: Path, key: str, make: Callable[[Path], None]) -> Path:
    """Make a folder, unless it was made with the same key before."""
    made = folder / ".made"
    if not made.exists() or made.read_text() != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        made.write_text(key)
    return folder


def pinned(package: str) -> str:
    """Return a package with the version that is tested: name==version."""
    lines = [
        line.split()[0]
        for name in ("requirements.txt", "scripts/dist/packages.txt")
        for line in (ROOT / name).read_text().splitlines()
        if line.startswith(f"{package}==")
    ]
    return lines[0]


class Cache:
    """What is downloaded and built on the way, kept for the next time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def log(self, name: str) -> Path:
        """Return the file for what a step prints."""
        return self.folder / "log" / f"{name}.log"

    def zig(self) -> Path:
        """Return zig's folder."""

        def make(folder: Path) -> None:
            _pip(self.log("zig"), "install", pinned("ziglang"), "--target", folder)

        return once(self.folder / "zig", pinned("ziglang"), make) / "ziglang"

    def wheel(self, package: str, tag: str) -> Path:
        """Return the folder of a package's wheel for a system, unpacked."""

        def make(folder: Path) -> None:
            _pip(
                self.log(f"{package}-{tag}"), "download", pinned(package), "--platform", tag,
                "--only-binary", ":all:", "--dest", folder,
            )  # fmt: skip
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as content:
                content.extractall(folder)
            wheel.unlink()

        return once(self.folder / package / tag, f"{pinned(package)} {sys.version_info[:2]}", make)

    def sources(self) -> Path:
        """Return the folder with the sources of libpng, zlib and CLI11."""
        return once(self.folder / "sources", " ".join(SOURCES), self._download_sources)

    def _download_sources(self, folder: Path) -> None:
        if shutil.which("apt-get") is None:
            raise UserError("libpng's and zlib's sources: expected Debian or Ubuntu (apt-get)")
        apt = _Apt(folder / "apt", self.log("sources"))
        for name in SOURCES:
            apt.source(name, folder)
            (unpacked,) = (path for path in folder.glob(f"{name}-*") if path.is_dir())
            unpacked.rename(folder / name)


def _pip(log: Path, *arguments: str | Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    run(log, *pip, *arguments, "--no-deps")


class _Apt:
    """apt-get with lists of its own, sources included, so that the system's are left alone."""

    def __init__(self, folder: Path, log: Path) -> None:
        for name in ("lists/partial", "archives/partial", "keys"):
            (folder / name).mkdir(parents=True)
        for keys in ("etc/apt/trusted.gpg.d/*", "usr/share/keyrings/*-archive-keyring.*"):
            for file in Path("/").glob(keys):
                (folder / "keys" / file.name).symlink_to(file)
        self._log = log
        self._options = [
            word
            for setting in (
                f"Dir::Etc::SourceList={folder}/sources.list", "Dir::Etc::SourceParts=/dev/null",
                f"Dir::State::Lists={folder}/lists", f"Dir::Cache={folder}",
                f"Dir::Etc::TrustedParts={folder}/keys", "APT::Sandbox::User=root",
            )
            for word in ("-o", setting)
        ]  # fmt: skip
        line = "deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)\n"
        known = _output("apt-get", "indextargets", "--format", line, "Created-By: Packages")
        if not known.strip():
            raise UserError("apt-get knows no packages; run: sudo apt-get update")
        lines = dict.fromkeys(known.splitlines())
        (folder / "sources.list").write_text("".join(f"{line}\n" for line in lines if line))
        run(log, "apt-get", *self._options, "update")

    def source(self, name: str, folder: Path) -> None:
        """Download and unpack a package's newest source that can be had: a mirror may lack one."""
        versions = re.findall(rf"{re.escape(name)} \| (\S+) \|", _output(
            "apt-cache", *self._options, "madison", name
        ))  # fmt: skip
        for choice in (name, *(f"{name}={version}" for version in reversed(versions))):
            try:
                return run(self._log, "apt-get", *self._options, "source", choice, cwd=folder)
            except BuildError as error:
                fault = error
        raise fault


def _output(*command: str | Path) -> str:
    return subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True
    ).stdout

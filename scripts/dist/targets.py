"""The systems to build for, and what each of them offers to a program."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.dist.binaries import Binary

PYTHONS = ("3.11", "3.12", "3.13")  # that a wheel is for


@dataclass(frozen=True)
class Target:
    """A system to build for."""

    zig: str
    """Its name in zig, with the oldest version of the system that LiteRT runs on."""

    runtime_wheel: str
    """Its name in the wheels of LiteRT."""

    wheel: str
    """Its name in our wheels."""

    runtime: str
    """LiteRT's library in the wheel."""

    offered: str
    """Libraries of the system that the program may use, as a regular expression."""

    offered_runtime: str
    """Those that LiteRT uses besides."""

    linked: tuple[tuple[str, str], ...] = ()
    """What zig links in besides libc++: (what, file of its licence in zig's lib folder)."""

    here: str = ""
    """How the system writes the folder that a program lies in."""

    program: str = "jaxgan-generate"
    library: str = "libjaxgan.so"
    archive: str = "gztar"

    def rpaths(self) -> tuple[str, ...]:
        """Return where the program of a wheel finds LiteRT: in the environment it lies in."""
        if not self.here:
            return ()
        packages = "/../lib/python{}/site-packages/ai_edge_litert"
        return tuple(self.here + packages.format(python) for python in PYTHONS)


def _linux(machine: str, glibc: str, runtime_glibc: str) -> Target:
    return Target(
        f"{machine}-linux-gnu.{glibc}",
        f"manylinux_{runtime_glibc.replace('.', '_')}_{machine}",
        f"manylinux_{glibc.replace('.', '_')}_{machine}",
        "libLiteRt.so",
        offered=r"(libc|libm|libdl|libpthread|librt|ld-linux[-\w]*)\.so\.\d+",
        offered_runtime=r"(libstdc\+\+|libgcc_s)\.so\.\d+",
        linked=(("startup code of the GNU C library", "libc/glibc/LICENSES"),),
        here="$ORIGIN",
    )


TARGETS = {
    "linux-x86_64": _linux("x86_64", "2.27", "2.27"),
    "linux-aarch64": _linux("aarch64", "2.34", "2.27"),
    "macos-arm64": Target(
        "aarch64-macos.14.0",
        "macosx_14_0_arm64",
        "macosx_14_0_arm64",
        "libLiteRt.dylib",
        offered=r"/usr/lib/libSystem\.B\.dylib",
        offered_runtime=r"/usr/lib/.+|/System/Library/Frameworks/.+",
        here="@loader_path",
        library="libjaxgan.dylib",
    ),
    "windows-x86_64": Target(
        "x86_64-windows-gnu",
        "win_amd64",
        "win_amd64",
        "libLiteRt.dll",
        offered=r"(KERNEL32|NTDLL|PSAPI|api-ms-win-crt-[-\w]+)\.dll",
        offered_runtime=r"(MSVCP140|VCRUNTIME140(_\w+)?)\.dll",
        linked=(("startup code of mingw-w64", "libc/mingw/COPYING"),),
        program="jaxgan-generate.exe",
        library="jaxgan.dll",
        archive="zip",
    ),
}
REFERENCE = "linux-x86_64"  # it runs here, and the others are compared with it


def faults_of(name: str, program: Binary, library: Binary, runtime: Binary) -> list[str]:
    """Return what would keep a target's binaries from being loaded on every such system."""
    target, faults = TARGETS[name], []
    system, machine = name.replace("arm64", "aarch64").split("-")
    for what, binary, offered in (
        ("program", program, target.offered),
        ("library", library, f"{target.offered}|{_own_name(target)}"),
        ("runtime", runtime, f"{target.offered}|{target.offered_runtime}"),
    ):
        if (binary.system, binary.machine) != (system, machine):
            faults.append(f"the {what} is one for {binary.system}-{binary.machine}")
        for needed in binary.libraries:
            if not re.fullmatch(offered, needed, re.IGNORECASE):
                faults.append(f"the {what} needs {needed}, which not every such system has")
        if system == "macos" and not binary.signed:
            faults.append(f"the {what} has no code signature")
    for path in (target.here, *target.rpaths()):
        if path and path not in program.rpaths:
            faults.append(f"the program does not look for its runtime in {path}")
    for what, binary in (("program", program), ("library", library)):
        for path in binary.rpaths:
            if not path.startswith(target.here):
                faults.append(f"the {what} looks for libraries in {path}")
    return faults


def _own_name(target: Target) -> str:
    return rf"@rpath/{re.escape(target.library)}"  # how macOS lists a library's own name


def needs_of(*parts: Binary) -> str:
    """Return in words the oldest system that has what binaries need."""
    needs = []
    versions = [version.split("_") for part in parts for version in part.versions]
    for prefix, words in (("GLIBC", "glibc"), ("GLIBCXX", "libstdc++ with GLIBCXX"),
                          ("macOS", "macOS")):  # fmt: skip
        found = [[int(n) for n in one[1].split(".")] for one in versions if one[0] == prefix]
        if found:
            needs.append(f"{words} {'.'.join(map(str, max(found)))}")
    libraries = {library.upper() for part in parts for library in part.libraries}
    if "KERNEL32.DLL" in libraries:
        needs.append("Windows 10 1903")
    if "MSVCP140.DLL" in libraries:
        needs.append("Microsoft's Visual C++ runtime 2022")
    return ", ".join(needs)

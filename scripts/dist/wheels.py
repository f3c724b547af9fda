"""A wheel for a target: what pip builds here, with the target's own library and program in it.

The program lies among a wheel's scripts, so that it is on the PATH of the environment it is
installed in. It finds LiteRT by its rpath in the package ai-edge-litert of the same environment;
Windows has no rpath, so there LiteRT's library is installed beside the program.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import sys
import zipfile
from pathlib import Path

from scripts.dist import notices
from scripts.dist.build import runtime_folder
from scripts.dist.cache import ROOT, Cache, run
from scripts.dist.targets import TARGETS

_BUILT_HERE = re.compile(r"jaxgan/drawing/(lib)?jaxgan\.(so|dylib|dll)")
_DATE = (1980, 1, 1, 0, 0, 0)  # the same content is the same file, whenever it was packed


def build_here(cache: Cache) -> Path:
    """Return the wheel that pip builds for this machine."""
    folder = cache.folder / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps")
    setting = f"--config-settings=build-dir={cache.folder / 'wheel-build'}"
    run(cache.log("wheel"), *pip, setting, "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("jaxgan-*.whl")
    return wheel


def assemble(cache: Cache, name: str, here: Path, built: Path, out: Path) -> Path:
    """Return a target's wheel.

    Args:
        cache: Has the licences of what is linked in.
        name: The target.
        here: This machine's wheel.
        built: Folder with the target's program and library.
        out: Folder to write to.
    """
    target = TARGETS[name]
    stem = "-".join(here.name.split("-")[:2])  # name and version
    scripts = [built / target.program]
    if not target.here:
        scripts.append(runtime_folder(cache, target) / target.runtime)
    files = _files(here)
    files[f"jaxgan/drawing/{target.library}"] = (built / target.library).read_bytes()
    for script in scripts:
        files[f"{stem}.data/scripts/{script.name}"] = script.read_bytes()
    notice = notices.wheel_notice(cache, target, has_runtime=len(scripts) > 1)
    files[f"{stem}.dist-info/licenses/NOTICE"] = notice.encode()
    _replace(
        files, f"{stem}.dist-info/METADATA", "License-File: LICENSE\n",
        "License-File: LICENSE\nLicense-File: NOTICE\n",
    )  # fmt: skip
    _replace(files, f"{stem}.dist-info/WHEEL", r"Tag: .*\n", f"Tag: py3-none-{target.wheel}\n")
    path = out / f"{stem}-py3-none-{target.wheel}.whl"
    write(path, files, f"{stem}.dist-info/RECORD")
    return path


def _files(wheel: Path) -> dict[str, bytes]:
    """Return a wheel's files without its list of them and without this machine's library."""
    with zipfile.ZipFile(wheel) as content:
        return {
            name: content.read(name)
            for name in content.namelist()
            if not (name.endswith("/RECORD") or _BUILT_HERE.fullmatch(name))
        }


def _replace(files: dict[str, bytes], name: str, pattern: str, text: str) -> None:
    changed, times = re.subn(pattern, text, files[name].decode())
    if times != 1:
        raise ValueError(f"{name}: expected one line {pattern!r}, got {times}")
    files[name] = changed.encode()


def write(path: Path, files: dict[str, bytes], record: str) -> None:
    """Write a wheel of files, with the list of them (PEP 427) that ``record`` names."""
    rows = [f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in {**files, record: "".join([*rows, f"{record},,\n"]).encode()}.items():
            entry = zipfile.ZipInfo(name, _DATE)
            mode = 0o755 if ".data/scripts/" in name or name.endswith(".sh") else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)


def _digest(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

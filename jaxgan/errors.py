"""Every exception that this package raises on purpose, with the exit code of a command."""


class JaxganError(Exception):
    """Base of all of them. A command ends with ``exit_code`` and the message as one sentence."""

    exit_code = 1


class UserError(JaxganError):
    """Wrong or missing input: an option, a dataset, a run directory, an extra to install."""

    exit_code = 2


class TrainingError(JaxganError):
    """Training went wrong by itself: a loss is not finite, memory ran out."""

    exit_code = 1


class ModelError(JaxganError):
    """A model file cannot be read, or a conversion failed its check."""

    exit_code = 3


class LibraryError(JaxganError):
    """The C++ library, or the runtime that it loads, is missing or too old."""

    exit_code = 4


class OutputError(JaxganError):
    """A file cannot be written: no permission, disk full, a directory in the way."""

    exit_code = 5


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, long ones shortened in the middle; or its kind."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= 240 else f"{line[:120]} … {line[-110:]}"


# Which extra of this package brings a module that is not part of the base install.
_EXTRAS = {
    "jax": "train", "jaxlib": "train", "flax": "train", "optax": "train", "orbax": "train",
    "matplotlib": "train", "scipy": "train", "tensorflow": "convert", "tensorflow_datasets": "data",
}  # fmt: skip


def missing_extra(error: ModuleNotFoundError) -> UserError:
    """Return what to say where a package is not installed: the command that installs it."""
    name = (error.name or "").split(".")[0]
    extra = f"jaxgan[{_EXTRAS[name]}]" if name in _EXTRAS else "jaxgan"
    return UserError(f"{name or error} is not installed; run: pip install '{extra}'")

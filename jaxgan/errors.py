"""Faults a person can mend, each kind with its exit code. Everything else is a bug."""


class UserError(Exception):
    """Wrong or missing input: an option, a dataset, a run directory."""

    exit_code = 2


class TrainingError(UserError):
    """Training went wrong by itself: a loss is not finite."""

    exit_code = 1


class ModelError(UserError):
    """A model file cannot be read, or a conversion failed its check."""

    exit_code = 3


class OutputError(UserError):
    """A file cannot be written: no permission, disk full, a directory in the way."""

    exit_code = 5


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, long ones shortened in the middle; or its kind."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= 240 else f"{line[:120]} … {line[-110:]}"

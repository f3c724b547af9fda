"""The options of a training, from ``jaxgan.config``: a table per group."""

from __future__ import annotations

import re
import types
import typing
from typing import Any

from jaxgan.config import GROUPS, Setting, TrainConfig, option, settings
from scripts.tables.markdown import markdown

_UNIONS = (types.UnionType, typing.Union)


def options() -> str:
    """Return the tables of all groups."""
    return "\n".join(_group(name, what) for name, what in GROUPS.items())


def _group(group: str, what: str) -> str:
    defaults = TrainConfig()
    rows = [
        (
            f"`{option(name)}`",
            _default(getattr(defaults, name)),
            _choices(name) or _bounds(known),
            "yes" if known.may_change else "no: network" if known.shapes_network else "no",
            re.sub(r"(--[a-z0-9-]+)", r"`\1`", known.help),
        )
        for name, known in settings().items()
        if known.group == group
    ]
    return f"**{group.capitalize()}.** {what}\n\n" + markdown(
        ("option", "default", "values", "may change", "what it is"), rows
    )


def _choices(name: str) -> str:
    """Return the words that an option takes; "" where it takes others."""
    hint = typing.get_type_hints(TrainConfig)[name]
    hints = typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)
    words = next((one for one in hints if typing.get_origin(one) is typing.Literal), None)
    return ", ".join(typing.get_args(words)) if words else ""


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if value == int(value) else f"{value:g}"
    return f"{value}"


def _bounds(known: Setting) -> str:
    parts = [
        f"{sign} {bound:,}"
        for sign, bound in (
            ("≥", known.minimum), (">", known.above), ("≤", known.maximum), ("<", known.below),
        )
        if bound is not None
    ]  # fmt: skip
    return ", ".join(parts)

"""TensorFlow as it is loaded, where it is needed at all."""

import sys
import types

import pytest

from jaxgan.errors import UserError
from jaxgan.io.tensorflow import load_tensorflow


def test_tensorflow_that_runs_already_is_taken_as_it_is(monkeypatch):
    def refuse(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    started = types.SimpleNamespace(config=types.SimpleNamespace(set_visible_devices=refuse))
    monkeypatch.setitem(sys.modules, "tensorflow", started)
    assert load_tensorflow() is started
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="tensorflow is not installed; run: pip install"):
        load_tensorflow()

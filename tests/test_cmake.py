"""CMake says in one message what a build lacks, and which option to change."""

import pytest
from conftest import ROOT, run


@pytest.mark.parametrize(
    "options, words",
    [
        # As where no TensorFlow Lite is, which may be there.
        (
            ("JAXGAN_RUNTIME=tflite", "CMAKE_DISABLE_FIND_PACKAGE_TensorFlowLite=ON"),
            ("No TensorFlow Lite", "libtensorflow-lite-dev", "-DTFLITE_ROOT", "=litert"),
        ),
        (("JAXGAN_RUNTIME=none",), ("expected litert or tflite, got none",)),
    ],
)
def test_a_runtime_that_is_not_there(tmp_path, options, words):
    defined = [f"-D{option}" for option in options]
    done = run("cmake", "-S", ROOT / "tflite_cpp", "-B", tmp_path, "-G", "Ninja", *defined)
    assert done.returncode != 0
    text = " ".join(done.stderr.split())  # CMake wraps lines
    for word in words:
        assert word in text

"""Levels, grids and PNG files."""

import numpy as np
import pytest
from PIL import Image

from jaxgan import images
from jaxgan.errors import OutputError
from jaxgan.files import write_whole


def test_levels():
    values = np.array([-1, 1, 0, -0.5, -7, 7], np.float32)
    np.testing.assert_array_equal(images.to_uint8(values), [0, 255, 128, 64, 0, 255])


def test_a_grid_row_by_row():
    pictures = np.arange(1, 7, dtype=np.uint8).reshape(3, 1, 2, 1)
    sheet = images.grid(pictures, 2)
    np.testing.assert_array_equal(sheet[..., 0], [[1, 2, 3, 4], [5, 6, 0, 0]])


@pytest.mark.parametrize("channels", (1, 3))
def test_a_png_gives_back_its_pixels(tmp_path, channels):
    picture = np.arange(4 * 5 * channels, dtype=np.uint8).reshape(4, 5, channels)
    images.write_png(tmp_path / "new" / "picture.png", picture)
    with Image.open(tmp_path / "new" / "picture.png") as image:
        back = np.asarray(image).reshape(picture.shape)
    np.testing.assert_array_equal(back, picture)


def test_writing_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot write .*taken"):
        write_whole(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]

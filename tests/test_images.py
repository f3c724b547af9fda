"""Levels, grids, PNG files with text, animations."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageSequence

from jaxgan.commands import generate
from jaxgan.drawing.generator import to_levels
from jaxgan.errors import OutputError, UserError
from jaxgan.io import images, png
from jaxgan.io.files import write_whole


def test_levels():
    values = np.array([-1, 1, 0, -0.5, -7, 7], np.float32)
    np.testing.assert_array_equal(images.to_uint8(values), [0, 255, 128, 64, 0, 255])


def test_the_library_has_the_same_levels():
    steps = np.arange(-1100, 1101, dtype=np.float32) / 1000
    ties = (np.arange(256, dtype=np.float32) + np.float32(0.5)) / np.float32(127.5) - 1
    values = np.concatenate([steps, ties, np.float32([np.nan, np.inf, -np.inf])])
    np.testing.assert_array_equal(to_levels(values), images.to_uint8(values))


def test_the_library_divides_by_alpha_as_numpy_does():
    values = np.random.default_rng(0).uniform(-1.1, 1.1, (200_000, 4)).astype(np.float32)
    values[::2, 3] = values[::2, 3] * np.float32(0.01) - np.float32(0.99)  # almost transparent
    values[::97, 1] = np.nan
    np.testing.assert_array_equal(to_levels(values), images.to_uint8(values))


def test_straight_colours_are_divided_by_their_alpha_and_rounded_once():
    half_red = [0.0, -1.0, -1.0, 0.0]  # 0.5 of red, premultiplied by an alpha of 0.5
    faint = [-0.99, -1.0, -1.0, -0.98]  # 0.005 of 0.01: half, at an alpha of 2.55 levels
    beyond = [1.0, 0.0, -1.0, 0.0]  # a colour above its alpha, as a network may draw it
    unseen = [1.0, 1.0, 1.0, -0.9965]  # alpha 0.45 of a level
    broken = [0.0, np.nan, 0.0, np.nan]
    values = np.float32([half_red, faint, beyond, unseen, broken])
    expected = [[255, 0, 0, 128], [128, 0, 0, 3], [255, 255, 0, 128], [0] * 4, [0] * 4]
    np.testing.assert_array_equal(images.to_uint8(values), expected)


def test_what_is_premultiplied_comes_back_where_alpha_is_full():
    levels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), np.uint8)
    levels[..., 3] = 255
    back = images.to_uint8(np.float32(images.premultiply(levels)) / np.float32(127.5) - 1)
    np.testing.assert_array_equal(back, levels)


def test_premultiplied_colours_are_the_nearest_to_their_products():
    colour, alpha = np.mgrid[:256, :256].astype(np.uint8)
    levels = np.stack([colour, colour, 255 - colour, alpha], -1)
    made = images.premultiply(levels)
    exact = levels[..., :3].astype(float) * levels[..., 3:] / 255
    np.testing.assert_array_equal(made[..., :3], np.rint(exact))
    np.testing.assert_array_equal(made[..., 3], alpha)


def test_an_image_on_a_background():
    seen, half, unseen = [10, 20, 30, 255], [100, 50, 0, 128], [0, 0, 0, 0]
    image = np.uint8([[seen, half, unseen]])
    on_white = images.over(image, 255)
    np.testing.assert_array_equal(on_white, [[[10, 20, 30], [227, 177, 127], [255] * 3]])
    np.testing.assert_array_equal(images.over(image, 0), image[..., :3])
    assert on_white.dtype == np.uint8
    overflowing = images.over(np.uint8([[[255, 0, 0, 0]]]), 255)  # brighter than its alpha
    np.testing.assert_array_equal(overflowing, [[[255, 255, 255]]])


def test_what_is_transparent_shows_a_checkerboard():
    board = images.checkerboard(np.zeros((2, 16, 24, 4), np.uint8))
    assert board.shape == (2, 16, 24, 3)
    np.testing.assert_array_equal(board[0, ::8, ::8, 0], [[255, 204, 255], [204, 255, 204]])
    full = np.full((16, 24, 4), 255, np.uint8)
    np.testing.assert_array_equal(images.checkerboard(full), full[..., :3])


def test_a_grid_row_by_row():
    pictures = np.arange(1, 7, dtype=np.uint8).reshape(3, 1, 2, 1)
    sheet = images.grid(pictures, 2)
    np.testing.assert_array_equal(sheet[..., 0], [[1, 2, 3, 4], [5, 6, 0, 0]])


@pytest.mark.parametrize("columns", [1, 35_715])
def test_a_grid_larger_than_a_png_can_be(columns):
    count = 35_715  # of 28 pixels: 1,000,020
    with pytest.raises(UserError, match=r"--columns: 35715 images .*1000020.* at most 1000000"):
        png.check_grid((28, 28, 1), count, columns)
    png.check_grid((28, 28, 1), count - 1, min(columns, count - 1))


@pytest.mark.parametrize("channels", (1, 3, 4))
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


TEXT = {"Software": "jaxgan 0.1.0", "jaxgan.model": "é", "jaxgan.image": "3"}
PICTURE = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


def test_text_stands_right_behind_the_head_in_order():
    content = images.encode_png(PICTURE, TEXT)
    kinds, at = [], 8
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kinds.append(content[at + 4 : at + 8].decode())
        if kinds[-1] in ("tEXt", "iTXt"):
            keyword, text = list(TEXT.items())[len(kinds) - 2]
            gap = "\0" if kinds[-1] == "tEXt" else "\0\0\0\0\0"
            assert content[at + 8 : at + 8 + length] == f"{keyword}{gap}{text}".encode()
        at += 12 + length
    assert kinds == ["IHDR", "tEXt", "iTXt", "tEXt", "IDAT", "IEND"]
    with Image.open(io.BytesIO(content)) as image:
        assert image.text == TEXT
        np.testing.assert_array_equal(image, PICTURE)


def test_text_is_read_back_a_line_each(tmp_path):
    path = tmp_path / "x.png"
    images.write_png(path, PICTURE, {**TEXT, "evil": "a\nb\x1b[31m"})
    shown = [*TEXT.items(), ("evil", r"a\x0ab\x1b[31m")]
    assert png.read_texts(path.read_bytes()) == shown


def test_text_in_latin_1_is_shown_by_its_bytes():
    content = images.encode_png(PICTURE)
    chunk = png._chunk(b"tEXt", b"a\0\xe9")
    assert png.read_texts(content[:33] + chunk + content[33:]) == [("a", r"\xe9")]


@pytest.mark.parametrize(
    "body", [b"a", b"a\0", b"a\0\0", b"a\0\0\0", b"a\0\0\0en", b"a\0\0\0en\0b"]
)
def test_international_text_that_is_cut_off_is_damage(body):
    content = images.encode_png(PICTURE)
    with pytest.raises(ValueError, match="damaged"):
        png.read_texts(content[:33] + png._chunk(b"iTXt", body) + content[33:])


def test_any_damage_is_seen():
    content = images.encode_png(PICTURE, TEXT)
    for at in range(len(content)):
        expected = "no PNG" if at < 8 else "damaged"
        flipped = content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]
        for wrong in (flipped, content[:at]):
            with pytest.raises(ValueError, match=expected):
                png.read_texts(wrong)


def test_compressed_text_is_left_alone():
    content = images.encode_png(PICTURE, TEXT)
    bomb = png._chunk(b"zTXt", b"jaxgan.model\0\0" + zlib.compress(bytes(1 << 20)))
    assert png.read_texts(content[:33] + bomb + content[33:]) == png.read_texts(content)


def describe(path):
    generate.main(generate.GenerateConfig(describe=path))


def test_files_that_describe_nothing(tmp_path):
    images.write_png(tmp_path / "bare.png", PICTURE)
    images.write_png(tmp_path / "other.png", PICTURE, {"Software": "another"})
    for name in ("bare.png", "other.png"):
        with pytest.raises(UserError, match=f"{name} names no jaxgan model"):
            describe(tmp_path / name)
    with pytest.raises(UserError, match=r"cannot read .*missing\.png: No such file"):
        describe(tmp_path / "missing.png")
    with pytest.raises(UserError, match=r"cannot read .*: Is a directory"):
        describe(tmp_path)


@pytest.mark.parametrize("kind, channels", [("GIF", 1), ("PNG", 1), ("PNG", 3), ("PNG", 4)])
def test_an_animation_shows_every_image_for_a_twentieth_of_a_second(kind, channels):
    frames = np.random.default_rng(0).integers(0, 256, (5, 28, 28, channels), np.uint8)
    frames[3] = frames[2]  # stored once, shown for twice as long
    content = images.encode_animation(frames, kind, TEXT)
    with Image.open(io.BytesIO(content)) as image:
        assert image.info["loop"] == 0  # for ever
        assert getattr(image, "text", {}) == ({} if kind == "GIF" else TEXT)
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        shown = [
            (frame.info["duration"], np.asarray(frame.convert(mode)).reshape(28, 28, channels))
            for frame in ImageSequence.Iterator(image)
        ]
    assert [duration for duration, _ in shown] == [50, 50, 100, 50]
    for (_, picture), expected in zip(shown, frames[[0, 1, 2, 4]], strict=True):
        np.testing.assert_array_equal(picture, expected)


def test_a_gif_shows_what_has_alpha_on_white():
    frames = np.uint8([[[[255, 0, 0, 255], [9, 9, 9, 0]]], [[[0, 0, 0, 0], [0, 0, 255, 255]]]])
    with Image.open(io.BytesIO(images.encode_animation(frames, "GIF", {}))) as image:
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    white = [255] * 3
    np.testing.assert_array_equal(shown, [[[[255, 0, 0], white]], [[white, [0, 0, 255]]]])


def test_one_image_is_an_animation_too():
    for kind in ("GIF", "PNG"):
        with Image.open(io.BytesIO(images.encode_animation(PICTURE[None], kind, {}))) as image:
            assert image.n_frames == 1

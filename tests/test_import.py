"""A person's own images: the zoo of odd files, the rules, the refusals."""

import json
import os
import re
import resource
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zoo
from conftest import call, python, refused
from PIL import Image

from jaxgan.commands import data as command
from jaxgan.console import progress as console
from jaxgan.data import gather, intake, pictures, sources, store
from jaxgan.data.importing import import_images
from jaxgan.data.pictures import BadPicture
from jaxgan.data.rules import Rules, name_of
from jaxgan.errors import OutputError, UserError

COUNT = 120  # pictures of a small set
ZOO = zoo.all_files()


def noise(seed: int, side: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), np.uint8)


def save(path: Path, levels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(path, "PNG")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of 120 different pictures of 16x16 in colour."""
    for index in range(COUNT):
        save(tmp_path / "set" / f"{index:03d}.png", noise(index))
    return tmp_path / "set"


def run(source: Path, **options):
    """Import into a folder beside the source, 16x16 unless the options say so."""
    known = {"size": "16", **options}
    places = {
        key: known.pop(key) for key in ("name", "force", "threads", "progress") if key in known
    }
    return import_images(source, str(source.parent / "data"), Rules(**known), **places)


def arrays(source: Path, name: str = "set") -> tuple[store.Dataset, store.Dataset]:
    train, test = (store.read(source.parent / "data", name, split) for split in store.SPLITS)
    return train, test


def every_image(source: Path, name: str = "set") -> np.ndarray:
    return np.concatenate([split.image for split in arrays(source, name)])


def record(source: Path, name: str = "set") -> dict:
    return json.loads((source.parent / "data" / name / "import.json").read_text())


def skipped(source: Path, name: str = "set") -> dict[str, str]:
    return {file: why for file, why in record(source, name)["skipped_files"]}


def left_in(source: Path) -> list[str]:
    place = source.parent / "data"
    return sorted(os.listdir(place)) if place.exists() else []


# The zoo


def test_the_zoo_has_sixty_animals():
    assert len(ZOO) >= 60


def of_quarters(image: np.ndarray) -> list[tuple[int, ...]]:
    """Return a pixel in the middle of each quarter of 16x16."""
    return [tuple(image[y, x].tolist()) for y in (4, 11) for x in (4, 11)]


@pytest.mark.parametrize("name", ZOO, ids=ascii)
def test_each_animal_is_read_rightly_or_refused_with_its_reason(name):
    animal = ZOO[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            got = of_quarters(pictures.read(animal.content, Rules(size="16")).image)
        except BadPicture as bad:
            got = str(bad)
    if isinstance(animal.outcome, str) and animal.outcome != "hidden":
        assert isinstance(got, str) and animal.outcome in got
        assert "\n" not in got and " at 0x" not in got  # no addresses: the same text on each run
    elif animal.outcome and animal.outcome != "hidden":
        same = not isinstance(animal.outcome[0], tuple)
        expected = [animal.outcome] * 4 if same else list(animal.outcome)
        np.testing.assert_allclose(got, expected, atol=animal.tolerance)
    else:
        assert not isinstance(got, str)


def write_zoo(place: Path) -> None:
    zoo.write(place)
    for index in range(500):
        save(place / f"good-{index:03d}.png", noise(index))


def test_a_folder_of_the_whole_zoo_is_imported_as_one_set(tmp_path):
    place = tmp_path / "set"
    write_zoo(place)
    with zoo.odd_entries(place) as entries:
        found = run(place, labels="none")
        reasons = skipped(place)
        repeated = run(place, labels="none")
    assert repeated.repeated and repeated == found._replace(repeated=True)
    for name, expected in entries.items():
        assert expected in reasons.get(name, "") and (name in reasons or not expected), name
    hidden = {name.split("/")[0] for name, animal in ZOO.items() if animal.outcome == "hidden"}
    assert {name for name, why in reasons.items() if why == "hidden"} <= {*hidden, *ZOO}
    for name, animal in ZOO.items():
        why = reasons.get(name, "")
        if isinstance(animal.outcome, str):
            assert animal.outcome == "hidden" or animal.outcome in why, name
        else:
            assert not why or why.startswith("duplicate"), (name, why)
    counts = {why: count for why, count, _ in found.skipped}
    beside = ("hidden", "broken link", "link to", "no regular file")
    bad = sum(count for why, count in counts.items() if not why.startswith(beside))
    others = len(("Thumbs.db", "notes.txt", "film.mp4", "picture.avif"))
    assert found.found == found.train + found.test + bad - others


def test_a_zip_gives_the_same_images_as_the_folder_in_it(tmp_path):
    place = tmp_path / "set"
    write_zoo(place)
    run(place, labels="none")
    names = [path for path in sorted(place.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in names:
            name = str(path.relative_to(tmp_path))  # a folder that holds everything is looked into
            if name.isascii() and name.isprintable():
                archive.write(path, name)
    found = run(tmp_path / "packed.zip", labels="none")
    assert found.name == "packed"
    a, b = ({image.tobytes() for image in every_image(place, name)} for name in ("set", "packed"))
    assert a == b


def test_what_is_imported_is_the_same_for_any_number_of_threads(tmp_path):
    place = tmp_path / "set"
    write_zoo(place)
    contents = []
    for threads in (1, 2, 8):
        run(place, labels="none", threads=threads, name=f"by-{threads}")
        there = tmp_path / "data" / f"by-{threads}"
        files = {path.name: path.read_bytes() for path in sorted(there.iterdir())}
        del files["store.json"]  # has the times of the files
        files["import.json"] = files["import.json"].replace(f"by-{threads}".encode(), b"")
        contents.append(files)
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.slow
def test_memory_stays_below_a_gigabyte_with_giants_side_by_side(tmp_path):
    place = tmp_path / "set"
    for index in range(COUNT):
        save(place / f"{index:03d}.png", noise(index))
    rows = (b"\0" + bytes(4 * 10_000)) * 10_000
    giant = zoo.png(10_000, 10_000, 8, 6, rows)
    del rows
    for index in range(3):
        (place / f"giant-{index}.png").write_bytes(giant)
    done = python(
        "-c",
        "import re; from pathlib import Path\n"
        "from jaxgan.data.importing import import_images, Rules\n"
        f"import_images(Path({str(place)!r}), {str(tmp_path / 'data')!r}, Rules(), threads=4)\n"
        # Its own peak: that of getrusage begins with what the process of the tests had.
        "text = Path('/proc/self/status').read_text()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+) kB', text)[1]) // 1000)",
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1_000


# One picture


def picture(levels: np.ndarray, **options) -> pictures.Picture:
    return pictures.from_array(levels, Rules(**{"size": "16", **options}))


def test_an_image_of_the_right_size_stays_as_it_is():
    levels = noise(0)
    np.testing.assert_array_equal(picture(levels).image, levels)


def test_resizing_is_antialiased():
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255  # one pixel on, one off
    image = picture(board.astype(np.uint8)[..., None]).image[2:-2, 2:-2]
    np.testing.assert_allclose(image, 127.5, atol=1.5)


def test_crop_keeps_the_middle():
    levels = np.zeros((16, 48, 3), np.uint8)
    levels[:, 16:32] = 200
    assert (picture(levels, fit="crop").image == 200).all()


def test_pad_adds_borders_of_the_background():
    levels = np.full((16, 32, 3), 200, np.uint8)
    image = picture(levels, fit="pad", alpha="#0a141e").image
    assert (image[4:12] == 200).all()
    assert (image[:4] == (10, 20, 30)).all() and (image[12:] == (10, 20, 30)).all()
    clear = picture(levels, fit="pad", alpha="keep").image
    assert (clear[4:12] == (200, 200, 200, 255)).all() and not clear[:4].any()


def test_stretch_shows_all():
    levels = np.zeros((16, 32, 3), np.uint8)
    levels[:, 16:] = 200
    image = picture(levels, fit="stretch").image
    assert (image[:, :5] <= 2).all() and (abs(image[:, 11:].astype(int) - 200) <= 2).all()


def test_a_rectangle_is_width_by_height():
    assert picture(noise(0, 100), size="96x64").image.shape == (64, 96, 3)


def test_a_turned_rectangle_is_turned_before_it_is_cropped():
    content = zoo.encoded(zoo.turned(6).resize((32, 64)), "PNG", exif=zoo.exif(6))
    image = pictures.read(content, Rules(size="32x16")).image
    assert image.shape == (16, 32, 3)
    colours = [tuple(image[y, x].tolist()) for y in (4, 11) for x in (8, 23)]
    assert colours == list(zoo.QUARTERS)


def test_colours_under_full_transparency_do_not_leak():
    levels = np.zeros((64, 64, 4), np.uint8)
    levels[:, :32] = (200, 0, 0, 255)
    levels[:, 32:] = (0, 255, 0, 0)  # green that nobody sees
    assert not picture(levels, alpha="keep").image[..., 1].any()
    np.testing.assert_array_equal(picture(levels, alpha="black").image[..., 1], 0)


def test_premultiplied_colours_never_exceed_alpha():
    levels = np.zeros((61, 61, 4), np.uint8)
    levels[13:40, 17:44] = 255  # sharp edges, at which the filter rings
    image = picture(levels, alpha="keep").image.astype(int)
    assert (image[..., :3] <= image[..., 3:]).all()
    assert image.max() == 255 and image.min() == 0


def test_half_transparent_red_on_each_background():
    levels = np.full((16, 16, 4), (200, 0, 0, 128), np.uint8)
    # 200 * 128 / 255 = 100.4; 255 * 127 / 255 = 127; 51 * 127 / 255 = 25.4
    for alpha, expected in {"white": (227, 127, 127), "black": (100, 0, 0),
                            "#333333": (125, 25, 25)}.items():  # fmt: skip
        np.testing.assert_array_equal(picture(levels, alpha=alpha).image[8, 8], expected)
    np.testing.assert_array_equal(picture(levels, alpha="keep").image[8, 8], (100, 0, 0, 128))


def test_a_jpeg_is_decoded_small_and_not_too_small(monkeypatch):
    smooth = Image.fromarray(noise(0, 12)).resize((500, 375), Image.Resampling.BICUBIC)
    content = zoo.encoded(smooth, "JPEG", quality=95)
    sizes, ready = [], pictures._ready
    monkeypatch.setattr(
        pictures, "_ready", lambda image, profile: sizes.append(image.size) or ready(image, profile)
    )
    image = pictures.read(content, Rules(size="64")).image
    assert sizes == [(250, 188)]  # an eighth and a quarter would be below twice 64
    box = (62.5, 0, 437.5, 375)
    whole = np.asarray(smooth.resize((64, 64), Image.Resampling.LANCZOS, box))
    assert np.abs(image.astype(int) - whole).mean() < 2


def test_a_large_picture_in_bands_is_what_it_is_at_once(monkeypatch):
    levels = np.asarray(Image.fromarray(noise(1, 12, 4)).resize((701, 483)))
    whole = picture(levels, alpha="keep").image
    monkeypatch.setattr(pictures, "_LARGE", 0)
    monkeypatch.setattr(pictures, "_BAND", 701 * 60)
    bands = picture(levels, alpha="keep").image
    assert np.abs(bands.astype(int) - whole).max() <= 6


# What is decided for the whole set


def test_a_grey_set_has_one_channel_and_one_coloured_image_makes_three(tmp_path):
    place = tmp_path / "set"
    for index in range(COUNT):
        grey = noise(index, 16, 1)
        save(place / f"{index}.png", grey if index % 2 else grey.repeat(3, axis=2))
    assert run(place).spec.shape == (16, 16, 1)
    save(place / "coloured.png", noise(0))
    assert run(place, name="coloured").spec.shape == (16, 16, 3)


def test_levels_that_differ_by_two_are_grey_still():
    levels = np.full((16, 16, 3), 100, np.uint8)
    levels[..., 2] = 102
    assert picture(levels).grey
    levels[0, 0, 2] = 103
    assert not picture(levels).grey


def test_alpha_is_kept_where_asked_and_where_there_is_any(folder):
    assert run(folder, alpha="keep").spec.shape == (16, 16, 3)
    assert "no image has transparency to keep" in " ".join(run(folder, alpha="keep").notes)
    clear = noise(7, channels=4)
    save(folder / "clear.png", clear)
    found = run(folder, alpha="keep", name="kept")
    assert found.spec.shape == (16, 16, 4)
    images = every_image(folder, "kept").astype(int)
    assert (images[..., :3] <= images[..., 3:]).all()
    notes = " ".join(run(folder, name="white").notes)
    assert "1 images have transparency, laid on white; --alpha keep trains four channels" in notes


def test_padding_is_no_transparency_of_an_image(tmp_path):
    for index in range(COUNT):
        save(tmp_path / "set" / f"{index}.png", noise(index)[4:12])
    assert run(tmp_path / "set", fit="pad", alpha="keep").spec.shape == (16, 16, 3)
    assert (every_image(tmp_path / "set")[:, :4] == 255).all()


# Labels and splits


def by_folders(place: Path, names=("cat", "dog"), under: str = "") -> None:
    for index in range(COUNT):
        save(place / under / names[index % len(names)] / f"{index}.png", noise(index))


def labelled(source: Path, name: str = "set") -> dict[bytes, str]:
    return {
        image.tobytes(): split.spec.name(int(label))
        for split in arrays(source, name)
        for image, label in zip(split.image, split.label, strict=True)
    }


def test_folders_are_labels(tmp_path):
    by_folders(tmp_path / "set")
    found = run(tmp_path / "set")
    assert found.spec.names == ("cat", "dog")
    assert sum(train + test for _, train, test in found.classes) == COUNT
    labels = labelled(tmp_path / "set")
    assert all(labels[noise(i).tobytes()] == ("cat", "dog")[i % 2] for i in range(COUNT))


def test_a_picture_beside_the_folders_or_one_folder_makes_no_labels(tmp_path):
    by_folders(tmp_path / "set", ("cat",))
    assert run(tmp_path / "set").spec.classes == 0
    by_folders(tmp_path / "beside")
    save(tmp_path / "beside" / "bird.png", noise(999))
    assert run(tmp_path / "beside").spec.classes == 0


def test_labels_none_ignores_the_folders(tmp_path):
    by_folders(tmp_path / "set")
    assert run(tmp_path / "set", labels="none").spec.classes == 0


def test_hidden_folders_and_those_without_pictures_are_no_classes(tmp_path):
    by_folders(tmp_path / "set")
    save(tmp_path / "set" / ".git" / "a.png", noise(998))
    (tmp_path / "set" / "docs").mkdir()
    (tmp_path / "set" / "docs" / "notes.txt").write_text("nothing")
    assert run(tmp_path / "set").spec.names == ("cat", "dog")


def test_class_names_are_sorted_and_can_be_typed(tmp_path):
    by_folders(tmp_path / "set", ("10", "9", "1"))
    assert run(tmp_path / "set").spec.names == ("1", "9", "10")
    by_folders(tmp_path / "odd", ("b, c", " a\n", "ü"))
    assert run(tmp_path / "odd").spec.names == ("a", "b c", "ü")


def test_folders_that_are_named_as_their_labels_are_counted_by_them(tmp_path):
    by_folders(tmp_path / "set", ("0", "1"))
    found = run(tmp_path / "set")
    assert (found.spec.names, found.spec.own_names) == (("0", "1"), ())
    assert [name for name, *_ in found.classes] == ["0", "1"]


def test_folders_train_and_test_are_splits(tmp_path):
    place = tmp_path / "set"
    for index in range(COUNT):
        split = ("train", "train", "test", "val")[index % 4]
        save(place / split / ("cat", "dog")[index // 4 % 2] / f"{index}.png", noise(index))
    found = run(place)
    assert (found.train, found.test) == (60, 60) and found.spec.names == ("cat", "dog")
    train, _ = arrays(place)
    held = {noise(index).tobytes() for index in range(COUNT) if index % 4 < 2}
    assert {image.tobytes() for image in train.image} == held


def test_train_beside_other_folders_is_a_class(tmp_path):
    by_folders(tmp_path / "set", ("train", "test", "car"))
    assert run(tmp_path / "set").spec.names == ("car", "test", "train")


@pytest.mark.parametrize("kind", ["metadata.csv", "metadata.jsonl", "dataset.json"])
def test_metadata_are_labels_before_folders(tmp_path, kind):
    by_folders(tmp_path / "set", ("x", "y"))
    names = sorted(str(p.relative_to(tmp_path / "set")) for p in (tmp_path / "set").rglob("*.png"))
    rows = [(name, int(name[2:-4]) % 3) for name in names[:-1]]  # the last has none
    if kind == "metadata.csv":
        text = "file_name,label\n" + "".join(f"./{name},{label}\n" for name, label in rows)
    elif kind == "metadata.jsonl":
        text = "".join(json.dumps({"file_name": a, "label": b}) + "\n" for a, b in rows)
    else:
        text = json.dumps({"labels": rows})
    (tmp_path / "set" / kind).write_text(text)
    found = run(tmp_path / "set")
    assert found.spec.names == ("0", "1", "2") and kind in " ".join(found.notes)
    labels = labelled(tmp_path / "set")
    assert len(labels) == COUNT - 1
    assert all(labels[noise(int(n[2:-4])).tobytes()] == str(label) for n, label in rows)
    assert skipped(tmp_path / "set")[names[-1]].startswith("no label")


def test_metadata_in_the_folders_of_splits(tmp_path):
    place = tmp_path / "set"
    for split, first in (("train", 0), ("validation", 100)):
        rows = "file_name,label\n"
        for index in range(first, first + 100):
            save(place / split / f"{index}.png", noise(index))
            rows += f"{index}.png,{'even' if index % 2 == 0 else 'odd'}\n"
        (place / split / "metadata.csv").write_text(rows)
    found = run(place)
    assert (found.train, found.test, found.spec.names) == (100, 100, ("even", "odd"))


def test_metadata_without_labels_are_none(folder):
    (folder / "metadata.csv").write_text("file_name,text\n000.png,a cat\n")
    assert run(folder).spec.classes == 0


BAD_METADATA = {
    "missing": ("metadata.csv", "file_name,label\nnot-there.png,a\n000.png,b\n", "1 of 2 files"),
    "two": ("metadata.csv", "file_name,label\n000.png,a\n000.png,b\n", "two labels"),
    "encoding": ("metadata.csv", b"file_name,label\n\xff\xfe,a\n", "cannot read metadata.csv"),
    "quote": ("metadata.csv", 'file_name,label\n"000.png,a\n', "metadata.csv is damaged"),
    "line": ("metadata.jsonl", '{"file_name": "000.png", "label": 1}\n{', "line 2 is damaged"),
    "kind": ("metadata.jsonl", "[1]\n", "expected an object"),
    "list": ("dataset.json", '{"labels": [["000.png", [1, 2]]]}', "text or whole numbers"),
    "pairs": ("dataset.json", '{"labels": [1]}', "pairs of a file"),
    "deep": ("dataset.json", "[" * 100_000, "damaged"),
}


@pytest.mark.parametrize("case", BAD_METADATA)
def test_metadata_that_do_not_fit_are_refused(folder, case):
    name, text, words = BAD_METADATA[case]
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=words):
        run(folder)
    assert left_in(folder) == []
    assert run(folder, labels="none").spec.classes == 0


def test_more_than_a_thousand_classes_are_refused(tmp_path):
    for index in range(1_001):
        save(tmp_path / "set" / f"c{index}" / "a.png", noise(index, 1))
    with pytest.raises(UserError, match="at most 1,000 classes, got 1,001"):
        run(tmp_path / "set")


# Duplicates and hold-out


def test_a_tenth_is_held_out_by_what_the_pictures_show(folder):
    found = run(folder)
    assert (found.train, found.test) == (108, 12)
    train, test = arrays(folder)
    assert not {i.tobytes() for i in train.image} & {i.tobytes() for i in test.image}
    for index, path in enumerate(sorted(folder.iterdir())):  # other names, same pictures
        path.rename(folder / f"renamed-{(index * 7) % COUNT}.png")
    run(folder, name="renamed")
    np.testing.assert_array_equal(arrays(folder, "renamed")[1].image, test.image)


def test_the_share_is_an_option(folder):
    assert run(folder, test_share=0.25).test == 30


def test_at_most_so_many_are_held_out(folder, monkeypatch):
    monkeypatch.setattr(gather, "MAX_TEST", 5)
    assert run(folder).test == 5


def test_duplicates_are_dropped(folder):
    shutil.copy(folder / "003.png", folder / "copy.png")
    Image.open(folder / "005.png").save(folder / "other-format.bmp")
    found = run(folder)
    assert found.train + found.test == COUNT
    assert skipped(folder) == {
        "copy.png": "duplicate: the same image as 003.png",
        "other-format.bmp": "duplicate: the same image as 005.png",
    }


def test_groups_are_held_out_together(tmp_path):
    place = tmp_path / "set"
    for index in range(COUNT):
        save(place / f"{index // 4:02d}-{index % 4}.png", noise(index))
    found = run(place, group_by="^[0-9]+")
    assert 0 < found.test <= 12
    _, test = arrays(place)
    held = {image.tobytes() for image in test.image}
    groups = [sum(noise(4 * g + k).tobytes() in held for k in range(4)) for g in range(COUNT // 4)]
    assert set(groups) == {0, 4}


def test_the_groups_of_the_expression_are_the_key():
    rules = Rules(group_by="^(.*)-1f3f[b-f](.*)$")
    assert rules.group("1f385-1f3fb.webp") == rules.group("1f385-1f3fd.webp") == "1f385.webp"
    assert rules.group("1f385.webp") == "1f385.webp"


def test_one_group_of_all_is_refused(folder):
    with pytest.raises(UserError, match="--group-by: no group is small enough"):
        run(folder, group_by="png")


def test_mirrored_images_are_for_training_alone(folder):
    found = run(folder, mirror=True)
    assert (found.train, found.test) == (216, 12)
    train, _ = arrays(folder)
    np.testing.assert_array_equal(train.image[108:], train.image[:108, :, ::-1])


# Arrays


def test_arrays_with_labels_and_splits(tmp_path):
    images = np.stack([noise(index) for index in range(COUNT)])
    labels = np.arange(COUNT) % 3
    np.savez_compressed(
        tmp_path / "set.npz",
        x_train=images[:80], y_train=labels[:80], x_test=images[80:], y_test=labels[80:, None],
    )  # fmt: skip
    found = run(tmp_path / "set.npz")
    assert (found.train, found.test, found.spec.names) == (80, 40, ("0", "1", "2"))
    known = labelled(tmp_path / "set.npz")
    assert all(known[images[i].tobytes()] == str(labels[i]) for i in range(COUNT))


@pytest.mark.parametrize(
    ("shape", "dtype", "channels"),
    [
        ((COUNT, 20, 24), np.uint8, 1), ((COUNT, 20, 24, 1), np.uint8, 1),
        ((COUNT, 20, 24, 3), np.uint8, 3), ((COUNT, 3, 20, 24), np.uint8, 3),
        ((COUNT, 20, 24, 4), np.uint8, 3), ((COUNT, 20, 24, 2), np.uint8, 1),
        ((COUNT, 20, 24), np.uint16, 1), ((COUNT, 20, 24), np.bool_, 1),
    ],
)  # fmt: skip
def test_layouts_of_a_npy_file(tmp_path, shape, dtype, channels):
    levels = np.random.default_rng(0).integers(0, 256, shape)
    values = levels > 127 if dtype is np.bool_ else (levels * (257 if dtype is np.uint16 else 1))
    np.save(tmp_path / "set.npy", values.astype(dtype))
    assert run(tmp_path / "set.npy").spec == (store.ImageSpec((16, 16, channels), 0))


def test_labels_beside_a_npy_file(tmp_path):
    np.save(tmp_path / "images.npy", np.stack([noise(index) for index in range(COUNT)]))
    np.save(tmp_path / "labels.npy", np.array(["cat", "dog"] * (COUNT // 2)))
    assert run(tmp_path / "images.npy").spec.names == ("cat", "dog")


BAD_ARRAYS = {
    "scaled": (np.zeros((COUNT, 16, 16), np.float32), "255 \\* images"),
    "wide": (np.zeros((COUNT, 16, 16), np.int64), "astype\\(numpy.uint8\\)"),
    "flat": (np.zeros((COUNT, 256), np.uint8), "expected an array of images"),
    "channels": (np.zeros((COUNT, 16, 16, 7), np.uint8), "1 to 4 channels"),
    "objects": (np.array([{}] * COUNT), "never unpickled"),
    "fortran": (np.asfortranarray(np.zeros((COUNT, 16, 16), np.uint8)), "C order"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_arrays_that_are_no_images_are_refused(tmp_path, case, kind):
    values, words = BAD_ARRAYS[case]
    save_array = np.save if kind == "npy" else np.savez
    save_array(tmp_path / f"set.{kind}", values)
    with pytest.raises(UserError, match=words):
        run(tmp_path / f"set.{kind}")
    assert left_in(tmp_path / "x") == []


def test_labels_that_do_not_fit_the_images_are_refused(tmp_path):
    np.savez(tmp_path / "set.npz", images=np.zeros((COUNT, 16, 16), np.uint8), labels=np.arange(7))
    with pytest.raises(UserError, match="one array of 120 labels"):
        run(tmp_path / "set.npz")


def test_a_truncated_npy_file_is_refused(tmp_path):
    np.save(tmp_path / "set.npy", np.zeros((COUNT, 16, 16), np.uint8))
    content = (tmp_path / "set.npy").read_bytes()
    for length in (0, 5, 40, 1_000, len(content) - 1):
        (tmp_path / "set.npy").write_bytes(content[:length])
        with pytest.raises(UserError):
            run(tmp_path / "set.npy")


# Zips


def packed(folder: Path) -> Path:
    path = folder.parent / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(folder.iterdir()):
            archive.write(one, one.name)
    return path


def test_an_encrypted_zip_is_refused(folder):
    path = packed(folder)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is encrypted; unpack it"):
        run(path)


def test_a_zip_that_grows_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_GROWN", 1 << 20)
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(8 << 20))
    with pytest.raises(UserError, match="more than any pictures make"):
        run(tmp_path / "set.zip")


def test_members_that_lie_or_are_too_large_are_skipped(folder, monkeypatch):
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 5_000)
    save(folder / "large.png", noise(1, 64))
    path = packed(folder)
    content = bytearray(path.read_bytes())
    content[500] ^= 255  # within the first member
    path.write_bytes(content)
    found = run(path)
    reasons = skipped(path)
    assert "too large" in reasons["large.png"] and "damaged in the zip" in reasons["000.png"]
    assert found.train + found.test == COUNT - 1


def test_names_in_a_zip_lead_nowhere(folder):
    path = folder.parent / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index, one in enumerate(sorted(folder.iterdir())):
            archive.write(one, f"../../{index}.png" if index % 2 else f"/etc/{index}.png")
    before = sorted(folder.parent.iterdir())
    found = run(path)
    assert found.train + found.test >= COUNT - 1
    assert sorted(p for p in folder.parent.iterdir() if p.name != "data") == before


def test_a_damaged_zip_is_refused(folder):
    path = packed(folder)
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(UserError, match="damaged zip"):
        run(path)


# Warnings


def warned(found) -> str:
    return " | ".join(found.warnings)


def test_levels_that_were_scaled_to_one_are_warned_of(tmp_path):
    for index in range(COUNT):
        save(tmp_path / "set" / f"{index}.png", noise(index) % 2)
    assert "the brightest pixel of all is 1 of 255: were they scaled" in warned(
        run(tmp_path / "set")
    )


def test_small_and_constant_images_are_warned_of(folder):
    save(folder / "flat.png", np.full((16, 16, 3), 9, np.uint8))
    found = run(folder, size="32")
    assert "121 images are smaller than --size 32" in warned(found)
    assert "1 images are of one colour" in warned(found)
    assert "smaller" not in warned(run(folder, name="right"))


def test_few_and_most_of_a_class_are_warned_of(tmp_path):
    for index in range(COUNT):
        save(tmp_path / "set" / ("few" if index < 10 else "most") / f"{index}.png", noise(index))
    text = warned(run(tmp_path / "set"))
    assert "1 classes have fewer than 20 images: few (10)" in text
    assert "92% of the images are of the class most" in text


# Refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "50"}, "got 50; the nearest are 48 and 52"),
        ({"size": "96x50"}, "the nearest are 96x48 and 96x52"),
        ({"size": "50x50"}, "the nearest are 48x48 and 52x52"),
        ({"size": "8"}, "the nearest is 16"), ({"size": "1000x64"}, "the nearest is 256x64"),
        ({"size": "-64"}, "such as 64 or 96x64"), ({"size": "64x64x3"}, "WIDTHxHEIGHT"),
        ({"alpha": "red"}, "white, black, keep or a colour"), ({"alpha": "#12345"}, "a colour"),
        ({"fit": "cover"}, "crop, pad or stretch"), ({"labels": "yes"}, "auto or none"),
        ({"group_by": "("}, "--group-by: expected a regular expression"),
        ({"test_share": 0.0}, "above 0"), ({"test_share": 0.9}, "at most 0.5"),
        ({"test_share": float("nan")}, "above 0"),
    ],
)  # fmt: skip
def test_rules_are_checked(options, words):
    with pytest.raises(UserError, match=words):
        Rules(**options)


def test_a_source_without_pictures_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(UserError, match=r"expected pictures, got none$"):
        run(tmp_path / "set")
    (tmp_path / "set" / "a.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"got none \(skipped: 1 not a picture\)"):
        run(tmp_path / "set")
    for index in range(COUNT):
        (tmp_path / "set" / f"{index}.png").write_text("nothing")
    with pytest.raises(UserError, match="120 of 120 pictures cannot be used, expected at most 10%"):
        run(tmp_path / "set")
    assert left_in(tmp_path / "set") == []


def test_more_than_a_tenth_of_bad_files_is_refused(folder):
    for index in range(13):
        (folder / f"bad-{index:02d}.png").write_bytes(b"")
    (folder / "bad-12.png").unlink()
    run(folder)
    (folder / "bad-13.png").write_bytes(b"")
    (folder / "bad-14.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"14 of 134 .* bad-00.png \(empty file\)"):
        run(folder, name="other")
    assert left_in(folder) == ["set"]


def test_fewer_than_a_hundred_are_refused(folder):
    for index in range(21):
        shutil.copy(folder / "100.png", folder / f"{index:03d}.png")
    with pytest.raises(
        UserError, match=r"at least 100 different pictures, got 99 \(skipped: 21 dup"
    ):
        run(folder)
    assert left_in(folder) == []


def test_a_split_with_nothing_left_is_refused(tmp_path):
    for index in range(COUNT):
        save(tmp_path / "set" / "train" / f"{index}.png", noise(index))
    (tmp_path / "set" / "test").mkdir()
    (tmp_path / "set" / "test" / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="no images are left for test"):
        run(tmp_path / "set")


@pytest.mark.parametrize("name", ["mnist", "../up", "a/b", "", ".hidden", "x" * 65, "a b"])
def test_names_are_checked(folder, name):
    if name:
        with pytest.raises(UserError, match="--name: "):
            run(folder, name=name)


def test_a_name_is_made_of_the_last_part(tmp_path):
    assert name_of(Path("/home/me/My pictures (old)")) == "My_pictures_old"
    assert name_of(tmp_path / "кот") == "images"
    assert name_of(Path("/x/emoji.zip")) == "emoji"


def test_sources_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(ZOO["plain.png"].content)
    with pytest.raises(UserError, match=r"expected a folder, a .zip, .npz or .npy file"):
        run(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"cannot read .*missing: No such file"):
        run(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="no regular file"):
        run(tmp_path / "pipe")


def test_a_name_that_is_taken_is_refused_unless_forced(folder):
    first = run(folder)
    before = every_image(folder)
    (folder / "000.png").unlink()
    with pytest.raises(UserError, match=r"is there already, imported from .*--force"):
        run(folder)
    np.testing.assert_array_equal(every_image(folder), before)
    with pytest.raises(UserError, match="is there already"):
        run(folder, size="32")
    found = run(folder, force=True)
    assert found.train + found.test == first.train + first.test - 1


def test_a_folder_that_is_no_dataset_is_never_replaced(folder):
    place = folder.parent / "data" / "set"
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("years")
    with pytest.raises(UserError, match="is no dataset of ours"):
        run(folder, force=True)
    assert (place / "thesis.txt").read_text() == "years"


def test_a_second_run_does_nothing(folder, monkeypatch):
    first = run(folder)
    monkeypatch.setattr(intake, "take", None)  # called it would fail
    assert run(folder) == first._replace(repeated=True)


def test_a_damaged_store_is_imported_again(folder):
    run(folder)
    before = every_image(folder)
    path = folder.parent / "data" / "set" / "train.npy"
    path.write_bytes(path.read_bytes()[:-5])
    assert not run(folder).repeated
    np.testing.assert_array_equal(every_image(folder), before)


def test_a_full_disk_leaves_nothing_half(folder):
    run(folder, name="older")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in (10_000, 60_000):  # while pictures are taken, and while the store is written
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            with pytest.raises(OutputError, match="cannot write the dataset set"):
                run(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert left_in(folder) == ["older"]


def test_files_that_vanish_are_skipped(folder):
    def remove(done: int, total: int) -> None:
        (folder / "110.png").unlink(missing_ok=True)

    run(folder, threads=1, progress=remove)
    assert "unreadable" in skipped(folder)["110.png"]


# The command


def test_the_command_shows_what_it_found(folder):
    shutil.copy(folder / "003.png", folder / "copy\x1b[31m.png")
    done = call(command.command, "jaxgan data", "import", folder, "--size", "16",
                "--data-dir", folder.parent / "data")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in ("found", "121", "used to train", "108", "skipped: duplicate", r"copy\x1b[31m.png",
                  "--dataset set"):  # fmt: skip
        assert words in done.stdout
    assert "\x1b" not in done.stdout
    again = call(command.command, "jaxgan data", "import", folder, "--size", "16",
                 "--data-dir", folder.parent / "data")  # fmt: skip
    assert again.returncode == 0 and "already imported" in again.stdout


def test_the_command_refuses_in_one_sentence(folder):
    data = "--data-dir", folder.parent / "data"
    refused(call(command.command, "jaxgan data", "import", folder, "--size", "50", *data), 2, "48")
    refused(call(command.command, "jaxgan data", "import", folder / "no", *data), 2, "cannot read")
    (folder.parent / "file").write_text("")
    place = folder.parent / "file" / "data"
    refused(call(command.command, "jaxgan data", "import", folder, "--data-dir", place), 5, "write")


def test_progress_tells_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr(console, "_LINE_SECONDS", 0)
    with console.progress("pictures") as update:
        update(0, 4_000)
        update(1_000, 4_000)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("0 of 4,000 pictures") and first.endswith("? left")
    assert re.fullmatch(r"1,000 of 4,000 pictures  [0-9,]+ a second  .*s left", second)


def test_progress_is_told_of_every_picture(folder):
    told = []
    run(folder, progress=lambda done, total: told.append((done, total)))
    assert told == [(index + 1, COUNT) for index in range(COUNT)]


def test_ctrl_c_leaves_nothing_half(folder, monkeypatch):
    def interrupt(done: int, total: int) -> None:
        if done == 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, progress=interrupt)
    assert left_in(folder) == []


def test_the_preview_shows_a_hundred_images_as_they_are_trained_on(folder):
    run(folder)
    sheet = np.asarray(Image.open(folder.parent / "data" / "set" / "preview.png"))
    assert sheet.shape == (160, 160, 3)
    train, _ = arrays(folder)
    np.testing.assert_array_equal(sheet[:16, 16:32], train.image[1])


def test_a_clear_preview_is_on_a_checkerboard(tmp_path):
    for index in range(COUNT):
        levels = noise(index, channels=4)
        levels[:8] = 0
        save(tmp_path / "set" / f"{index}.png", levels)
    run(tmp_path / "set", alpha="keep")
    sheet = np.asarray(Image.open(tmp_path / "data" / "set" / "preview.png"))
    assert (sheet[:8, :8] == 255).all() and (sheet[:8, 8:16] == 204).all()


def test_the_record_tells_rules_and_counts(folder):
    found = run(folder, alpha="black")
    kept = record(folder)
    assert kept["rules"]["alpha"] == "black" and kept["rules"]["size"] == "16"
    assert kept["imported"]["train"] == found.train and kept["version"]

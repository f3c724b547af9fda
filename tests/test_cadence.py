"""When a run draws, evaluates and saves, for 300 images and for 3 million."""

import numpy as np
import pytest

from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.data.order import batch_indices
from jaxgan.data.store import Dataset
from jaxgan.training.cadence import cadence
from jaxgan.training.feed import Feed

NIGHT = 29_000_000  # images at 1,000 a second


def test_the_defaults_on_mnist_are_its_epochs():
    due = cadence(TrainConfig(), 60_000)
    assert due.ticks_are_epochs
    assert due.steps_per_epoch == 60_000 // 64
    assert (due.evaluate_ticks, due.checkpoint_ticks, due.epochs) == (5, 10, 30)
    assert all(map(due.has_sheet, range(1, 31)))


@pytest.mark.parametrize("count", [300, 3_000, 60_000, 240_000, 3_000_000])
def test_a_night_leaves_hundreds_of_sheets_and_evaluations_and_not_a_million(count):
    due = cadence(TrainConfig(), count)
    ticks = range(1, NIGHT // (64 * due.steps_per_tick) + 1)
    sheets = sum(map(due.has_sheet, ticks))
    assert 90 <= sheets <= 700
    assert 15 <= sum(map(due.is_evaluated, ticks)) <= 250
    assert 5 <= sum(map(due.is_saved, ticks)) <= 120


@pytest.mark.parametrize("count", [300, 3_000, 60_000, 1_000_000])
def test_a_run_shows_about_1_8_million_images_by_default(count):
    due = cadence(TrainConfig(), count)
    assert 1_700_000 <= due.epochs * due.steps_per_epoch * 64 <= 2_100_000


def test_what_is_said_counts():
    config = TrainConfig(epochs=7, evaluate_every=2, checkpoint_every=3)
    due = cadence(config, 300)
    assert (due.evaluate_ticks, due.checkpoint_ticks, due.epochs) == (2, 3, 7)
    assert cadence(TrainConfig(evaluate_every=0), 300).evaluate_ticks == 0


def test_sheets_of_a_longer_run_are_those_of_a_shorter_one_and_more():
    due = cadence(TrainConfig(), 1_000)
    sheets = [tick for tick in range(1, 1000) if due.has_sheet(tick)]
    assert sheets[:64] == list(range(1, 65))
    gaps = np.diff(sheets)
    assert set(gaps) == {1, 2, 4, 8, 16}
    assert all(np.diff(gaps) >= 0)


def test_the_feed_gives_the_batches_of_the_order_whatever_was_read_ahead():
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((16, 16, 1), np.uint8)
    dataset = Dataset(ImageSpec((16, 16, 1), 0), images, np.arange(40, dtype=np.int32))
    with Feed(dataset, seed=3, batch_size=8) as feed:
        for steps, following in [
            (range(0, 2), range(2, 4)), (range(2, 4), range(4, 5)),
            (range(9, 10), range(10, 11)),  # not what was read ahead
        ]:  # fmt: skip
            batch = feed.take(steps, following)
            expected = np.stack([batch_indices(3, step, 8, 40) for step in steps])
            np.testing.assert_array_equal(batch.label, expected)
            np.testing.assert_array_equal(batch.image[..., 0, 0, 0], expected)


def test_images_that_lie_on_the_device_are_gathered_there(monkeypatch):
    from jaxgan.gan.step import Batch
    from jaxgan.training import feed as module

    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((16, 16, 1), np.uint8)
    dataset = Dataset(ImageSpec((16, 16, 1), 0), images, np.arange(40, dtype=np.int32))
    monkeypatch.setattr(module, "_on_device", lambda one: Batch(one.image, one.label))
    with module.Feed(dataset, seed=3, batch_size=8) as feed:
        batch = feed.take(range(2), range(2, 4))
    expected = np.stack([batch_indices(3, step, 8, 40) for step in range(2)])
    np.testing.assert_array_equal(batch.image[..., 0, 0, 0], expected)
    np.testing.assert_array_equal(batch.label, expected)

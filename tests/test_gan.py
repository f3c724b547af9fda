"""Properties of the training step."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.step import ours, plain_flax
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan import losses
from jaxgan.gan.latents import latents
from jaxgan.gan.step import Batch, make_gan, normalize

CONFIG = TrainConfig(width=4, latent_size=8, learning_rate=1e-3)
PLAIN = dataclasses.replace(CONFIG, r1=0.0, r2=0.0)
SPEC = ImageSpec((28, 28, 1), 10)


def batch(size=6, shape=SPEC.shape, seed=0) -> Batch:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (size, *shape), np.uint8)
    return Batch(image, np.arange(size, dtype=np.int32) % 10)


def equal(one, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, one, other)))


def copy(tree):
    return jax.tree.map(np.array, tree)


@pytest.mark.parametrize("spec", [SPEC, ImageSpec((32, 32, 3), 10), ImageSpec((28, 28, 1), 0)])
def test_a_step_trains_both_networks_and_counts(spec):
    # Not relativistic: there a bias that all logits share has no gradient.
    gan = make_gan(dataclasses.replace(CONFIG, loss="bce"), spec)
    before = gan.init()
    start = copy(before)
    after, metrics = gan.step(before, batch(shape=spec.shape))
    assert after.step == 1
    for player in ("generator", "discriminator"):
        moved = [
            not np.array_equal(a, b)
            for a, b in zip(
                jax.tree.leaves(getattr(after.params, player)),
                jax.tree.leaves(getattr(start.params, player)),
                strict=True,
            )
        ]
        assert all(moved)
    assert all(np.isfinite(value) and value.shape == () for value in metrics)


ZERO = lambda real, fake: 0.0 * jnp.sum(fake)  # noqa: E731
WAYS = {"in turn": PLAIN, "penalised": CONFIG}


@pytest.mark.parametrize("config", WAYS.values(), ids=WAYS)
def test_the_discriminators_update_leaves_the_generator_untouched(monkeypatch, config):
    monkeypatch.setitem(losses.OBJECTIVES, "bce", losses.BCE._replace(generator=ZERO))
    gan = make_gan(config, SPEC)
    start = copy(gan.init())
    after, _ = gan.step(gan.init(), batch())
    assert equal(after.params.generator, start.params.generator)
    assert not equal(after.params.discriminator, start.params.discriminator)


def test_the_generators_update_leaves_the_discriminator_untouched(monkeypatch):
    monkeypatch.setitem(losses.OBJECTIVES, "bce", losses.BCE._replace(discriminator=ZERO))
    gan = make_gan(PLAIN, SPEC)
    start = copy(gan.init())
    after, _ = gan.step(gan.init(), batch())
    assert equal(after.params.discriminator, start.params.discriminator)
    assert not equal(after.params.generator, start.params.generator)


@pytest.mark.parametrize("classes, loss", [(10, "bce"), (0, "rpgan")])
def test_the_objective_follows_the_labels_unless_given(classes, loss):
    spec = dataclasses.replace(SPEC, classes=classes)
    values = {}
    for wanted in (None, "bce", "rpgan"):
        gan = make_gan(dataclasses.replace(CONFIG, loss=wanted), spec, "xla")
        values[wanted] = gan.step(gan.init(), batch())[1].discriminator_loss
    assert values[None] == values[loss]
    assert values["bce"] != values["rpgan"]


@pytest.mark.parametrize("config", WAYS.values(), ids=WAYS)
def test_half_of_what_the_discriminator_sees_is_real(monkeypatch, config):
    seen = []

    def spy(real, fake):
        seen.append((real.shape, fake.shape))
        return losses.BCE.discriminator(real, fake)

    monkeypatch.setitem(losses.OBJECTIVES, "bce", losses.BCE._replace(discriminator=spy))
    gan = make_gan(config, SPEC)
    gan.step(gan.init(), batch(6))
    assert seen == [((6,), (6,))]


def test_a_step_is_a_function_of_state_and_batch():
    gan = make_gan(CONFIG, SPEC)
    one, other = gan.step(gan.init(), batch()), gan.step(gan.init(), batch())
    assert equal(one, other)


def test_randomness_depends_on_seed_and_step():
    gan = make_gan(CONFIG, SPEC)
    first = gan.step(gan.init(), batch())[1]
    later = gan.step(gan.init()._replace(step=jnp.int32(1)), batch())[1]
    assert first.fake_logit != later.fake_logit
    other = make_gan(TrainConfig(width=4, latent_size=8, seed=1), SPEC)
    assert not equal(gan.init().params, other.init().params)


def test_samples_never_repeat_a_latent_of_training(monkeypatch):
    trained = []
    normal = jax.random.normal

    def spy(key, shape):
        latent = normal(key, shape)
        jax.debug.callback(lambda value: trained.append(np.array(value)), latent)
        return latent

    gan = make_gan(CONFIG, SPEC)
    state = gan.init()
    monkeypatch.setattr(jax.random, "normal", spy)
    for _ in range(2):
        state, metrics = gan.step(state, batch())
    jax.block_until_ready(metrics)
    jax.effects_barrier()
    trained = np.concatenate(trained)
    assert trained.shape == (12, 8)
    monkeypatch.undo()
    sampled = latents(CONFIG.seed, range(100), 8)
    assert np.abs(trained[:, None] - sampled[None]).max(-1).min() > 1e-3


def test_the_second_step_does_not_compile_and_the_state_is_donated():
    gan = make_gan(CONFIG, SPEC)
    state = gan.init()
    leaf = state.params.generator["project"]["kernel"]
    for _ in range(3):
        state, _ = gan.step(state, batch())
    assert gan.step._cache_size() == 1
    assert leaf.is_deleted()


def test_one_step_by_the_optimizers_rule():
    # Adam's first step moves a weight by the learning rate times the sign of its gradient.
    gan = make_gan(CONFIG, SPEC)
    start = copy(gan.init())
    after, _ = gan.step(gan.init(), batch())
    move = np.abs(
        after.params.discriminator["hidden"]["kernel"]
        - start.params.discriminator["hidden"]["kernel"]
    )
    assert np.median(move) == pytest.approx(CONFIG.learning_rate, rel=1e-2)
    assert move.max() <= CONFIG.learning_rate * 1.001


def test_the_ema_follows_its_equation():
    gan = make_gan(CONFIG, SPEC)
    start = copy(gan.init())
    after, _ = gan.step(gan.init()._replace(step=jnp.int32(99)), batch(6))
    # 600 images seen, so a half-life of 30 images: decay 0.5 ** (6 / 30) = 0.87.
    decay = 0.5**0.2
    for average, new, old in zip(
        jax.tree.leaves(after.ema),
        jax.tree.leaves(after.params.generator),
        jax.tree.leaves(start.ema),
        strict=True,
    ):
        np.testing.assert_allclose(average, decay * old + (1 - decay) * new, atol=1e-6)


def test_a_step_takes_its_schedules_by_the_images_seen():
    # After 600 of 600 images the penalties are at an eighth; the learning rate is at 1/√(1 + 3).
    late = dict(anneal_images=600.0, penalty_final=0.125, learning_rate_images=200.0)
    gans = [make_gan(dataclasses.replace(CONFIG, **changed), SPEC) for changed in ({}, late)]
    (first, start), (second, end) = (
        gan.step(gan.init()._replace(step=jnp.int32(99)), batch(6)) for gan in gans
    )
    assert end.penalty == pytest.approx(float(start.penalty) / 8, rel=1e-4)
    for gan, state, rate in zip(gans, (first, second), (1.0, 0.5), strict=True):
        before = gan.init().params.generator["project"]["kernel"]
        move = np.abs(state.params.generator["project"]["kernel"] - before)
        assert np.median(move) == pytest.approx(rate * CONFIG.learning_rate, rel=1e-2)


def test_images_are_normalized_to_the_generators_range():
    np.testing.assert_allclose(normalize(np.array([0, 255], np.uint8)), [-1, 1])


def test_samples_do_not_depend_on_the_backend():
    backends = [make_gan(CONFIG, SPEC, backend) for backend in ("xla", "gemm", "auto")]
    params = backends[0].init().ema
    label = np.arange(4, dtype=np.int32)
    one, *others = (gan.sample(params, latents(0, range(4), 8), label) for gan in backends)
    for other in others:
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_several_steps_in_one_call_are_the_steps_one_by_one():
    gan = make_gan(CONFIG, SPEC)
    state, batches = gan.init(), [batch(seed=seed) for seed in range(3)]
    for one in batches:
        state, metrics = gan.step(state, one)
    together, rows = gan.steps(gan.init(), jax.tree.map(lambda *parts: np.stack(parts), *batches))
    assert together.step == 3
    assert all(column.shape == (3,) for column in rows)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, together, state)
    jax.tree.map(lambda column, value: close(column[2], value), rows, metrics)


@pytest.mark.parametrize("backend", ["xla", "gemm", "auto"])
def test_the_gradients_are_those_of_the_plain_flax_step(backend):
    """Of both networks, after a step of ours, against Flax's own layers and one loss each."""
    # Few images: among millions of units one will lie so near the kink of leaky ReLU that rounding
    # alone takes it to the other side, where the gradient is another.
    size = 13
    config = TrainConfig(loss="bce", latent_size=100, batch_size=size, beta1=0.5, r1=0.0, r2=0.0)
    spec, start = ImageSpec((28, 28, 1), 0), batch(size, seed=5)
    gan = make_gan(config, spec, backend, ours.make_networks)
    before = copy(gan.init())
    after, _ = gan.step(gan.init(), start)
    # Adam's first moment after one step is the gradient, scaled.
    got = [moments.mu for moments in after.optimizer]
    got = [jax.tree.map(lambda mu: mu / (1 - config.beta1), one) for one in got]

    key = jax.random.split(jax.random.fold_in(jax.random.key(0), 2**32 - 1))[1]
    latent = jax.random.normal(jax.random.fold_in(key, 0), (size, 100))
    generator, discriminator = plain_flax.Generator(), plain_flax.Discriminator()

    def d_loss(d_params, fake):
        real = discriminator.apply(to_plain(d_params), normalize(start.image))
        fake = discriminator.apply(to_plain(d_params), fake)
        return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))

    def g_loss(g_params):
        image = generator.apply(to_plain(g_params), latent)
        return jnp.mean(
            jax.nn.softplus(-discriminator.apply(to_plain(after.params.discriminator), image))
        )

    fake = generator.apply(to_plain(before.params.generator), latent)
    expected = (
        jax.grad(g_loss)(before.params.generator),
        jax.grad(d_loss)(before.params.discriminator, fake),
    )

    def close(mine, theirs):
        most = float(jnp.abs(theirs).max())
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * most)

    jax.tree.map(close, tuple(got), expected)


def to_plain(params):
    """Return our params as those of Flax's layers: transposed kernels mirrored, [k, k, in, out]."""
    plain = {}
    for name, layer in params.items():
        number = name.split("_")[1]
        if name.startswith("Dense"):
            plain[name] = layer
        elif "Dense_0" in params and params["Dense_0"]["kernel"].shape[0] == 100:
            kernel = jnp.flip(layer["kernel"], (0, 1)).swapaxes(2, 3)
            plain[f"ConvTranspose_{number}"] = {**layer, "kernel": kernel}
        else:
            plain[f"Conv_{number}"] = layer
    return {"params": plain}


def test_training_learns_to_tell_real_digits_from_first_drawings(data_dir):
    from jaxgan.data import dataset
    from jaxgan.data.order import batch_indices

    digits = dataset.load("mnist", str(data_dir))
    gan = make_gan(
        TrainConfig(width=8, batch_size=50, learning_rate=2e-3, r1=0.0, r2=0.0), digits.spec
    )
    state, found = gan.init(), []
    for step in range(20):
        index = batch_indices(0, step, 50, len(digits.image))
        state, metrics = gan.step(state, Batch(digits.image[index], digits.label[index]))
        found.append(float(metrics.discriminator_loss))
    assert found[0] > 1.0  # near 2 log 2
    assert min(found) < 0.5

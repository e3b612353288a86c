"""Tickets put into models: which, and what stays as it is."""

import random
import warnings

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tests.search.models import TRAIN, same, small, state, table, with_state
from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables


def network(classes=10, names=("hidden", "output"), units=10, **layer):
    parts = [
        layers.Dense(units, "relu", name=names[0], **layer),
        layers.Dense(classes, name=names[1], **layer),
    ]
    model = keras.Sequential([keras.Input((64,)), *parts])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class Subclassed(keras.Model):
    def __init__(self, classes=10):
        super().__init__()
        self.hidden, self.out = layers.Dense(10, "relu", name="hidden"), layers.Dense(classes, name="output")

    def call(self, x):
        return self.out(self.hidden(x))


def subclassed(classes=10):
    model = Subclassed(classes)
    model(TRAIN[0][:1])
    return model


@pytest.fixture(scope="module")
def ticket():
    """Half of the weights, with others after training."""
    model = lottery.make_prunable(network(bias_initializer="normal"))
    lottery.prune(model, rate=0.5)
    found = lottery.Ticket.of(model)
    trained = {path: 2 * value for path, value in found.weights.items()}
    return lottery.Ticket(found.masks, found.weights, trained)


def kernels(model):
    return {path: value for path, value in state(model).items() if path.endswith("kernel")}


def refused(ticket, model, received, **how):
    before = state(model)
    kind = type(model)
    with pytest.raises(LotteryError) as caught:
        ticket.apply(model, **how)
    assert "\n" not in str(caught.value)
    assert received in str(caught.value).split("Received: ")[-1], caught.value
    assert type(model) is kind
    assert same(state(model), before)
    return str(caught.value)


@pytest.mark.parametrize("build", [network, subclassed, lambda: lottery.make_prunable(network())])
@pytest.mark.parametrize("weights", ["start", "trained", None])
def test_masks_and_weights_get_into_models_of_each_kind(ticket, build, weights):
    model = build()
    before = state(model)
    applied = ticket.apply(model, weights)
    expected = {"start": ticket.weights, "trained": ticket.trained, None: before}[weights]
    assert (applied is model) == (build is not network)
    for path, value in state(applied).items():
        mask = ticket.masks.get(path, np.True_)
        assert (value == np.where(mask, expected[path], 0)).all(), path
    assert all((mask == ticket.masks[path]).all() for path, mask in lottery.get_masks(applied).items())
    if build is network:
        assert same(state(model), before)
        assert applied.compiled


def test_slots_of_pruned_weights_become_zero(ticket):
    model = lottery.make_prunable(network())
    model.fit(*TRAIN, verbose=0)
    ticket.apply(model)
    slots = [v for v in model.optimizer.variables if "hidden_kernel" in v.path]
    assert len(slots) == 2
    for slot in slots:
        assert not slot.numpy()[~ticket.masks["hidden/kernel"]].any()
        assert slot.numpy()[ticket.masks["hidden/kernel"]].any()


def test_an_applied_ticket_stays_sparse_in_training(ticket):
    model = ticket.apply(network())
    model.fit(*TRAIN, verbose=0)
    for path, kernel in kernels(model).items():
        assert (kernel[~ticket.masks[path]] == 0).all()


def test_an_earlier_mask_is_replaced(ticket):
    model = lottery.make_prunable(network())
    lottery.prune(model, rate=0.9)
    ticket.apply(model)
    assert lottery.sparsity(model) == 0.5
    assert (kernels(model)["hidden/kernel"] == ticket.weights["hidden/kernel"]).all()


@pytest.mark.parametrize("weights", ["start", None])
def test_another_number_of_classes_takes_the_rest_and_names_what_it_leaves(ticket, weights):
    model = network(classes=3)
    refused(ticket, model, "output/kernel has (10, 3), not (10, 10)", weights=weights)
    before = state(model)
    with pytest.warns(
        UserWarning,
        match="stay unchanged: different shapes: output/kernel.*output/bias",
    ) as warned:
        applied = ticket.apply(model, weights, partial=True)
    assert [each.filename for each in warned if each.category is UserWarning] == [__file__]
    after = state(applied)
    assert (after["output/kernel"] == before["output/kernel"]).all()
    assert (after["output/bias"] == before["output/bias"]).all()
    assert np.count_nonzero(after["hidden/kernel"]) == 320
    assert lottery.get_masks(applied).keys() == {"hidden/kernel"}  # the head stays dense
    wide = lottery.make_prunable(network(classes=3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ticket.apply(wide, weights, partial=True)
    assert lottery.get_masks(wide)["output/kernel"].all()


def test_what_does_not_fit_is_refused_and_the_model_not_touched(ticket):
    refused(ticket, table(), "missing: hidden/kernel", partial=False)
    for build in (subclassed, lambda: subclassed(3)):
        without = lottery.Ticket(ticket.masks, ticket.weights)
        refused(
            without, build(), "The ticket has no trained weights", weights="trained"
        ) if build is subclassed else refused(without, build(), "output/kernel has (10, 3), not (10, 10)")
    refused(ticket, network(units=11), "hidden/kernel has (64, 11), not (64, 10)")
    refused(ticket, network(), "'last'", weights="last")
    assert "partial=True" in refused(ticket, network(use_bias=False), "missing: hidden/bias")


def test_nothing_in_common_is_refused_also_in_part(ticket):
    with pytest.warns(UserWarning, match="Parts that don't correspond stay unchanged"):
        refused(ticket, network(names=("first", "last")), "none of its kernels", partial=True)


@pytest.mark.parametrize("model", [None, "model", keras.layers.Dense(3)])
def test_what_is_no_model(ticket, model):
    with pytest.raises(LotteryError, match=f"Received: {type(model).__name__}"):
        ticket.apply(model)


def test_an_unbuilt_model(ticket):
    with pytest.raises(LotteryError, match="not built"):
        ticket.apply(keras.Sequential([layers.Dense(3)]))


@pytest.mark.parametrize("build", [network, subclassed, lambda: lottery.make_prunable(network())])
def test_a_ticket_whose_parts_do_not_fit_each_other(ticket, build):
    turned = {path: mask.T for path, mask in ticket.masks.items()}
    refused(
        lottery.Ticket(turned, ticket.weights),
        build(),
        "hidden/kernel, which has a mask of shape (10, 64) and weights of shape (64, 10)",
    )
    numbers = {path: mask * 3.0 for path, mask in ticket.masks.items()}
    refused(lottery.Ticket(numbers, ticket.weights), build(), "hidden/kernel, which is float64")


@pytest.mark.parametrize("bias", [True, False])
def test_masks_alone_leave_the_weights(ticket, bias):
    alone = lottery.Ticket(ticket.masks, {})
    model = network(use_bias=bias)
    refused(alone, model, "The ticket has masks only")
    before = state(model)
    applied = state(alone.apply(model, weights=None))
    for path, value in before.items():
        assert (applied[path] == np.where(ticket.masks.get(path, np.True_), value, 0)).all()
    assert "hidden/kernel" in refused(alone, network(units=11), "hidden/kernel", weights=None)


def test_a_model_in_which_a_kernel_of_the_ticket_is_not_prunable(ticket):
    model = lottery.make_prunable(network(), exclude="output")
    before = lottery.get_masks(model)
    refused(ticket, model, "output/kernel. Apply the ticket to the plain model.")
    assert all((before[path] == mask).all() for path, mask in lottery.get_masks(model).items())


def test_renumbered_layers_match_in_order():
    def build():
        sizes = (9, 8, 7)
        return keras.Sequential(
            [keras.Input((64,)), *(layers.Dense(n, bias_initializer="normal") for n in sizes)]
        )

    prunable = lottery.make_prunable(build())
    lottery.prune(prunable, rate=0.25)
    ticket = lottery.Ticket.of(prunable)
    for _ in range(7):
        layers.Dense(1)
    applied = ticket.apply(build())
    assert applied.layers[0].name not in [path.split("/")[0] for path in ticket.masks]
    for value, expected in zip(state(applied).values(), ticket.weights.values(), strict=True):
        assert (value == expected).all()
    again = lottery.Ticket.of(applied)
    assert ticket.compare(again).total.distance == 0
    assert ticket.compare(again).same_weights


SEARCHED = {
    "architecture": keras.Sequential(
        [keras.Input((64,)), layers.Dense(10, name="hidden"), layers.Dense(10, name="output")]
    ).to_json()
}


def uncorrelated(first, second):
    return abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(first.size)


@pytest.mark.parametrize("how", ["build", "architecture"])
def test_the_same_seed_draws_the_same_weights_and_another_others(ticket, how):
    known = lottery.Ticket(ticket.masks, ticket.weights, {}, SEARCHED if how == "architecture" else {})
    build = network if how == "build" else None
    states = random.getstate(), np.random.get_state()[1].tobytes()
    first, again, other = (known.reinitialize(seed, build) for seed in (1, 1, 2))
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == states
    assert same(first.weights, again.weights)
    assert first.provenance["reinitialized"] == 1
    assert not first.trained
    for path, mask in ticket.masks.items():
        assert (first.masks[path] == mask).all()
        for fresh in (first, other):
            assert not fresh.weights[path][~mask].any()
            assert uncorrelated(fresh.weights[path][mask], ticket.weights[path][mask])
        assert uncorrelated(first.weights[path][mask], other.weights[path][mask])
    assert not first.weights["hidden/bias"].any()  # drawn as its layer draws it: zeros
    assert ticket.weights["hidden/bias"].any()


def test_a_ticket_of_a_study_knows_its_network():
    known = {"model": {"name": "lenet_300_100"}, "input_shape": [8, 8, 1], "classes": 10}
    from tf_lottery.config import ModelConfig
    from tf_lottery.models.build import build

    model = lottery.make_prunable(build(ModelConfig(name="lenet_300_100"), (8, 8, 1), 10, 5))
    lottery.prune(model, rate=0.5)
    ticket = lottery.Ticket.of(model, known)
    first, again, other = (ticket.reinitialize(seed) for seed in (1, 1, 2))
    assert same(first.weights, again.weights)
    for path, mask in ticket.masks.items():
        assert np.any(first.weights[path][mask] != other.weights[path][mask])
        assert np.any(first.weights[path][mask] != ticket.weights[path][mask])
    assert first.apply(build(ModelConfig(name="lenet_300_100"), (8, 8, 1), 10, 9))


def test_layers_without_names_are_drawn_too():
    def build():
        return keras.Sequential([keras.Input((64,)), layers.Dense(9), layers.Dense(8), layers.Dense(7)])

    model = lottery.make_prunable(build())
    lottery.prune(model, rate=0.25)
    ticket = lottery.Ticket.of(model)
    assert same(ticket.reinitialize(1, build).weights, ticket.reinitialize(1, build).weights)


def test_what_draws_the_same_weights_again_is_refused_also_after_late_rewinding(ticket):
    fixed = keras.initializers.GlorotUniform(seed=3)
    one = network()
    for build in (lambda: network(kernel_initializer=fixed), lambda: one):
        for start in (state(build()), ticket.weights):  # at step 0, and later
            with pytest.raises(LotteryError, match="Received: the same in hidden/kernel") as caught:
                lottery.Ticket(ticket.masks, start).reinitialize(1, build)
            assert "\n" not in str(caught.value)


def test_a_layer_of_which_nothing_remains_is_drawn_like_any_other(ticket):
    masks = {**ticket.masks, "output/kernel": np.zeros((10, 10), bool)}
    found = lottery.Ticket(masks, ticket.weights).reinitialize(1, network)
    assert not found.weights["output/kernel"].any()


@pytest.mark.parametrize(
    ("build", "received"),
    [
        (None, "The ticket doesn't say how to build its network"),
        (lambda: None, "Received: None"),
        (lambda: keras.Sequential([layers.Dense(3)]), "built=False"),
        (
            lambda: network(units=11),
            "another one (different shapes: hidden/kernel has (64, 11), not (64, 10)",
        ),
        (table, "another one (missing: hidden/kernel"),
    ],
)
def test_networks_that_are_not_the_tickets(ticket, build, received):
    with pytest.raises(LotteryError) as caught:
        ticket.reinitialize(1, build)
    assert received in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 1.5, True, None, "1"])
def test_seeds_that_are_none(ticket, seed):
    with pytest.raises(LotteryError, match=f"Received: {seed!r}$"):
        ticket.reinitialize(seed, network)


def test_an_architecture_of_unknown_layers_asks_for_a_function(ticket):
    unknown = SEARCHED["architecture"].replace("Dense", "Denser").replace('"keras.layers"', '"nowhere"')
    with pytest.raises(LotteryError, match="Give build=") as caught:
        lottery.Ticket(ticket.masks, ticket.weights, {}, {"architecture": unknown}).reinitialize(1)
    assert "\n" not in str(caught.value)


def test_state_of_normalization_and_dropout_travels():
    model = lottery.make_prunable(with_state())
    model.fit(*TRAIN, verbose=0)
    lottery.prune(model, rate=0.5)
    ticket = lottery.Ticket.of(model)
    applied = state(ticket.apply(with_state()))
    assert (applied["norm/moving_mean"] == ticket.weights["norm/moving_mean"]).all()
    fresh = ticket.reinitialize(1, with_state)
    assert not fresh.weights["norm/moving_mean"].any()
    assert fresh.weights.keys() == ticket.weights.keys()
    assert set(named_variables(small())) < set(ticket.weights)

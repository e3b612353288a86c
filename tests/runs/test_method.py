"""Every arm, criterion, scope, rewind and control, and their pairs, on a tiny network.

What must hold of each run is computed anew, with plain Python and NumPy, from the files of the runs that it
builds on.
"""

import numpy as np
import pytest

from tests.runs import pairwise
from tests.runs.expected import BIT, SCORES, SIZES, after, assert_equal, by_layer, erk, masked, smart
from tests.runs.pairwise import CONTROLS, CRITERIA, RATE, REDRAWN, REWINDS, ROUNDS, SCOPES, Trained
from tf_lottery.method.arms import ARMS, CHAINS
from tf_lottery.method.plan import expected_runs
from tf_lottery.pruning import criteria, scopes
from tf_lottery.runs.starts import STARTS
from tf_lottery.store.tickets import make_ticket

ELSEWHERE = {
    *("dense_longer", "final"),  # in test_method_arms: one prunes nothing, the other needs a cheaper search
    *("gradual", "static", "set", "rigl"),  # in test_updating
    *("small_dense", "supermask"),  # in test_small and test_strong
}
"""Arms that are proven elsewhere."""


@pytest.fixture(
    scope="module",
    params=[
        "once",
        pytest.param("pairs", marks=pytest.mark.slow),
        pytest.param("all pairs", marks=pytest.mark.exhaustive),
    ],
)
def study(request, tmp_path_factory):
    rows = pairwise.design(apart=()) if request.param == "all pairs" else pairwise.design()
    rows = pairwise.ones(rows) if request.param == "once" else rows
    return Trained(rows, tmp_path_factory.mktemp("method") / "study")


def test_the_design_has_all_that_there_is(study):
    arms = {row.base for row in study.rows.values()} | {row.control for row in study.rows.values()}
    assert arms - {"none"} == (CHAINS | ARMS).keys() - ELSEWHERE
    for field, dictionary in {"criterion": criteria.CRITERIA, "scope": scopes.SCOPES}.items():
        assert {getattr(row, field) for row in study.rows.values()} == dictionary.keys()
    assert {row.rewind for row in study.rows.values()} == REWINDS.keys()
    assert {record.spec.start for record in study.records.values()} == STARTS.keys() - {"pretrained"}
    chains = sum(row.base == "ticket" and row.control == "none" for row in study.rows.values())
    planned = 1 + ROUNDS + len(study.rows) + chains * (ROUNDS - 1)
    assert len(study.records) == planned
    assert len(study.keys) == expected_runs(study.study), "as --dry-run says, shared ones counted once"


@pytest.mark.parametrize("apart", [(), pairwise.APART], ids=["all pairs", "pairs"])
def test_the_pairs_are_all_there(apart):
    from itertools import combinations, product

    rows = pairwise.design(apart)
    lists = (pairwise.BASES, CRITERIA, SCOPES, REWINDS, CONTROLS)
    every = [row for row in map(pairwise.Row._make, product(*lists)) if pairwise.allowed(row)]
    for i, j in combinations(range(5), 2):
        if {i, j} in apart:
            continue
        assert {(row[i], row[j]) for row in rows} == {(row[i], row[j]) for row in every}


# Counts ------------------------------------------------------------------------------------------------


def test_counts_are_exact(study):
    for run in study.runs(control="none"):
        record, row, rounds = run.record, run.row, run.record.spec.round
        left = {path: count.remaining for path, count in record.layers.items()}
        if row.base == "ticket" and row.scope != "layer":
            total = after(sum(SIZES.values()), RATE, rounds)
        else:
            total = sum(by_layer(rounds).values())
        assert record.weights_remaining == sum(left.values()) == total, row
        if row.scope == "layer":
            assert left == by_layer(rounds), row
        elif row.scope != "global":
            exact = {"erk": erk, "smart_ratio": smart}[row.scope](total)
            assert all(abs(left[path] - exact[path]) <= 1 for path in left), (row, left, exact)


def test_masks_are_as_the_record_counts_them_and_shrink_along_chains(study):
    for run in study.runs():
        masks = study.masks(run)
        counted = {path: count.remaining for path, count in run.record.layers.items()}
        assert {path: int(mask.sum()) for path, mask in masks.items()} == counted
    for run in study.runs(base="ticket", control="none"):
        parent = study.store.masks(study.parent(run).key)
        assert all((mask <= parent[path]).all() for path, mask in study.masks(run).items()), run.row


# Scores ------------------------------------------------------------------------------------------------


def magnitudes(study, run):
    """By layer: the weights that were scored, the initial ones, and the mask before the pruning."""
    parent = study.parent(run)
    initial = study.store.rewind_point(study.dense.key, 0)
    weights = initial if run.row.base in ("at_init", "smart_ratio") else study.store.weights(parent.key)
    masks = study.store.masks(parent.key)
    return {p: (weights[f"model/{p}"], initial[f"model/{p}"], masks[p]) for p in masks}


def scored(study, run):
    """Scores by layer of what remains and of what went, by the formulas of the papers."""
    masks, kept, gone = study.masks(run), {}, {}
    for path, (weights, initial, before) in magnitudes(study, run).items():
        scores = SCORES[run.row.criterion](weights, initial)
        kept[path], gone[path] = scores[masks[path]], scores[before & ~masks[path]]
    return kept, gone


def test_the_lowest_scores_go(study):
    checked = set()
    for run in study.runs(control="none"):
        if run.row.criterion in SCORES:
            kept, gone = scored(study, run)
            if run.row.scope == "global":
                kept, gone = ({"all": np.concatenate(list(of.values()))} for of in (kept, gone))
            for path in kept:
                assert kept[path].min() >= gone[path].max(initial=-np.inf) - BIT, (run.row, path)
            checked.add(run.row.criterion)
    assert checked == SCORES.keys()


def test_an_inverted_mask_has_the_lowest_scores_in_each_layer(study):
    runs = study.runs(control="inverted")
    assert runs
    for run in runs:
        base = study.base(run)
        assert same_counts(study, run, base), run.row
        before = study.store.masks(study.parent(run).key)
        for path, mask in study.masks(run).items():
            assert (mask <= before[path]).all()
            if run.row.base != "ticket" and 0 < base.record.layers[path].remaining < SIZES[path]:
                assert (mask != study.masks(base)[path]).any()
        if run.row.criterion in SCORES:
            kept, gone = scored(study, run)
            assert all(kept[path].max() <= gone[path].min(initial=np.inf) + BIT for path in kept), run.row


def same_counts(study, one, other):
    return one.record.layers == other.record.layers


def test_a_shuffled_mask_has_the_same_counts_in_other_places(study):
    runs = study.runs(control="shuffled")
    assert runs
    for run in runs:
        base = study.base(run)
        assert same_counts(study, run, base), run.row
        for path, mask in study.masks(run).items():
            if base.record.layers[path].remaining < SIZES[path]:
                assert (mask != study.masks(base)[path]).any(), (run.row, path)


def test_other_controls_have_the_masks_of_the_run_that_they_are_on(study):
    for run in study.runs():
        if run.row.control in (*REDRAWN, "fork"):
            assert_equal(study.masks(run), study.masks(study.base(run)), run.row)
        if run.row.control == "transfer":
            masks, base = study.masks(run), study.masks(study.base(run))
            assert masks["output/kernel"].shape == (8, 7)
            assert masks["output/kernel"].all()
            assert_equal({p: masks[p] for p in masks if p != "output/kernel"}, base, run.row)


# Starts ------------------------------------------------------------------------------------------------


def source(study, run):
    """The stored state that a run's weights and optimizer come from."""
    if not run.row.trained:
        return study.store.rewind_point(study.dense.key, run.row.first)
    parent = study.parent(run)
    return study.store.weights(parent.key) | study.store.optimizer(parent.key)


def test_pruned_weights_are_exactly_zero_everywhere(study):
    for run in study.runs():
        masks = study.masks(run)
        stored = [study.store.weights(run.record.key, which) for which in ("last", "early_stop")]
        for weights in (*stored, study.began(run)):
            for path, mask in masks.items():
                gone = weights[f"model/{path}"][~mask]
                assert not gone.view(np.uint32).any(), (run.row, path)  # +0.0


def test_a_run_starts_from_the_weights_that_its_rewind_names(study):
    for run in study.runs():
        if run.row.control in ("none", "shuffled", "inverted", "fork"):
            expected = masked(source(study, run), study.masks(run))
            assert expected.keys() == study.began(run).keys()
            assert_equal(study.began(run), expected, run.row)
            ticket = make_ticket(study.study, study.store, run.record).weights
            assert_equal({f"model/{name}": value for name, value in ticket.items()}, expected, run.row)


def test_the_optimizer_is_restored_or_fresh(study):
    fresh = study.starts.optimizers[study.dense.key]
    for run in study.runs():
        began, masks = study.starts.optimizers[run.record.key], study.masks(run)
        if "restored" not in run.row.rewind or run.row.control in (*REDRAWN, "transfer"):
            if run.row.control != "transfer":
                assert_equal(began, fresh, run.row)
            continue
        state = source(study, run)
        momenta = [name for name in began if "momentum" in name or "velocity" in name]
        assert len(momenta) >= 2 * len(masks)
        assert any(began[name].any() for name in momenta)
        for name in began:
            kernel = next((p for p in masks if f"_{p.replace('/', '_')}_" in name), None)
            expected = np.where(masks[kernel], state[name], np.float32(0)) if kernel else state[name]
            assert_equal({name: began[name]}, {name: expected}, run.row)


def test_runs_train_from_step_to_step(study):
    for run in study.runs():
        expected = (run.row.first, run.row.last)
        if run.row.control in (*REDRAWN, "transfer"):  # a training of the whole length
            expected = (0, pairwise.STEPS)
        assert study.starts.spans[run.record.key] == expected, run.row
        assert (run.record.first_step, run.record.last_step) == expected, run.row


def redrawn(study, control):
    """Kernel by kernel: a run, what its weights are where they remain, and what they were at step 0."""
    theta_0 = study.store.rewind_point(study.dense.key, 0)
    for run in study.runs(control=control):
        for path, mask in study.masks(run).items():
            yield run, path, study.began(run)[f"model/{path}"][mask], theta_0[f"model/{path}"][mask]


@pytest.mark.parametrize("control", REDRAWN)
def test_redrawn_controls_begin_a_new_training(study, control):
    theta_0 = study.store.rewind_point(study.dense.key, 0)
    runs = study.runs(control=control)
    assert runs
    for run in runs:
        others = {n: v for n, v in study.began(run).items() if not n.endswith("/kernel")}
        assert others
        assert_equal(others, theta_0, run.row)  # biases 0, normalization as new


def test_random_reinit_draws_every_weight_anew(study):
    for run, path, now, before in redrawn(study, "random_reinit"):
        assert (now != before).all(), run.row
        if len(now) > 200:
            assert abs(np.corrcoef(now, before)[0, 1]) < 0.3, (run.row, path)


def test_keep_signs_draws_the_sizes_and_keeps_the_signs(study):
    for run, _, now, before in redrawn(study, "keep_signs"):
        assert (np.sign(now) == np.sign(before)).all(), run.row
        assert (now != before).all(), run.row


def test_constant_sign_has_one_size_a_layer(study):
    for run, path, now, before in redrawn(study, "constant_sign"):
        assert (np.sign(now) == np.sign(before)).all(), run.row
        (size,) = set(np.abs(now).tolist())
        theta_0 = study.store.rewind_point(study.dense.key, 0)[f"model/{path}"]
        assert size == pytest.approx(theta_0.std(), rel=0.05), "the deviation of the layer's initial weights"


def test_reshuffle_moves_the_initial_weights_among_those_that_remain(study):
    for run, path, now, before in redrawn(study, "reshuffle"):
        assert np.sort(now).tobytes() == np.sort(before).tobytes(), (run.row, path)
        assert len(now) < 10 or (now != before).any(), (run.row, path)


def test_a_fork_sees_another_order(study):
    runs = study.runs(control="fork")
    assert runs
    for run in runs:
        base = study.base(run)
        assert run.record.spec.order_seed != base.record.spec.order_seed
        last, other = (study.store.weights(each.record.key)["model/first/kernel"] for each in (run, base))
        assert (last != other).any(), run.row


def test_a_transfer_starts_from_the_same_weights_where_shapes_are_equal(study):
    runs = study.runs(control="transfer")
    assert runs
    for run in runs:
        began, base = study.began(run), study.began(study.base(run))
        alike = {name: value for name, value in began.items() if "output" not in name}
        assert len(alike) == len(base) - 2
        assert_equal(alike, base, run.row)
        assert began["model/output/kernel"].shape == (8, 7)
        assert began["model/output/kernel"].all()


@pytest.fixture(scope="module")
def again(study, request, tmp_path_factory):
    """The same study in another directory, its runs in another order."""
    return Trained(list(study.rows.values()), tmp_path_factory.mktemp("again") / "study", backwards=True)


@pytest.mark.parametrize("study", ["once"], indirect=True)
def test_the_same_study_gives_the_same_bits(study, again):
    first, second = ({r.key: r for r in each.records.values()} for each in (study, again))
    assert first.keys() == second.keys()
    for key, record in first.items():
        assert record.digests == second[key].digests, record.spec.describe()
        assert record.checks == second[key].checks
        assert len(record.digests) >= 5

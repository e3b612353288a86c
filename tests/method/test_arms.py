from itertools import product

import pytest

from tests.fakes import fake_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import ARMS, CHAINS, random_reinit, ticket
from tf_lottery.method.dense import dense
from tf_lottery.method.place import Place


def chain_of(study, replicate=0, rounds=3):
    chain = [dense(study, replicate)]
    for round in range(1, rounds + 1):
        chain.append(ticket(Place(study, "ticket", replicate, round, 0, chain[0], before=chain[-1])))
    return chain


def control(study, chain, round, trial=0):
    first = chain[0]
    place = Place(study, "random_reinit", first.replicate, round, trial, first, same=chain[round])
    return random_reinit(place)


def fresh():
    return fake_study(data={"name": "digits", "digest": "d" * 64, "order": "fresh"})


def every_run(study):
    """Dense, tickets and reinitializations of two replicates."""
    for replicate in range(2):
        chain = chain_of(study, replicate)
        yield from chain
        yield from (control(study, chain, round, trial) for round, trial in product((1, 2, 3), range(2)))


def test_the_dense_network_is_drawn_and_keeps_its_start_and_the_rewind_point():
    spec = dense(fake_study(rewind={"to": "500it"}), 2)
    assert (spec.arm, spec.round, spec.replicate, spec.start) == ("ticket", 0, 2, "initialize")
    assert spec.snapshots == ("0it", "500it")
    assert (spec.parent, spec.root, spec.pruning, spec.rewind) == (None, None, None, None)
    assert dense(fake_study(), 0).snapshots == ("0it",)


def test_a_ticket_is_pruned_from_the_round_before_and_rewound_to_the_dense_run():
    study = fake_study(
        pruning={"rounds": 3, "rate": 0.3, "layer_rates": {"output": 0.1}}, rewind={"to": "500it"}
    )
    chain = chain_of(study)
    spec = chain[3]
    assert (spec.parent, spec.root) == (chain[2].key, chain[0].key)
    assert (spec.start, spec.rewind, spec.init_seed) == ("rewind", study.rewind, None)
    assert (spec.pruning.rate, spec.pruning.layer_rates) == (0.3, {"output": 0.1})
    assert (spec.arm, spec.round, spec.trial, spec.snapshots) == ("ticket", 3, 0, ())


def test_a_reinitialization_has_the_tickets_masks_and_weights_of_its_own():
    study = fake_study(rewind={"to": "500it"})
    chain = chain_of(study)
    spec = control(study, chain, 2)
    assert (spec.parent, spec.pruning) == (chain[2].parent, chain[2].pruning)
    assert (spec.start, spec.rewind) == ("reinitialize", None)
    assert spec.training == chain[2].training


def test_no_two_draws_of_weights_share_a_seed():
    seeds = [spec.init_seed for spec in every_run(fake_study()) if spec.init_seed is not None]
    assert len(seeds) == 2 * (1 + 3 * 2)
    assert len(set(seeds)) == len(seeds)


def test_all_runs_have_keys_of_their_own():
    keys = [spec.key for spec in every_run(fake_study())]
    assert len(set(keys)) == len(keys) == 2 * (1 + 3 + 3 * 2)


def test_replay_gives_all_runs_of_a_replicate_one_order():
    orders = {(spec.replicate, spec.order_seed) for spec in every_run(fake_study())}
    assert len(orders) == 2
    assert len({order for _, order in orders}) == 2


def test_fresh_gives_every_run_an_order_of_its_own():
    orders = [spec.order_seed for spec in every_run(fresh())]
    assert len(set(orders)) == len(orders)


def test_the_studys_seed_changes_weights_and_order():
    one, other = dense(fake_study(seed=0), 0), dense(fake_study(seed=1), 0)
    assert one.init_seed != other.init_seed
    assert one.order_seed != other.order_seed


def test_a_criterion_that_draws_gets_a_seed_a_round_and_replicate_shared_with_the_control():
    study = fake_study(pruning={"rounds": 3, "criterion": "random"})
    chains = [chain_of(study, replicate) for replicate in range(2)]
    seeds = [spec.pruning.seed for chain in chains for spec in chain[1:]]
    assert len(set(seeds)) == 6
    assert control(study, chains[1], 3, 1).pruning.seed == seeds[-1]


def test_a_criterion_that_does_not_draw_gets_no_seed():
    assert {spec.pruning.seed for spec in every_run(fake_study()) if spec.pruning} == {0}


@pytest.mark.parametrize("arm", CHAINS | ARMS)
def test_every_arm_labels_its_runs_and_is_the_same_when_asked_again(arm):
    study = fake_study()
    chain = chain_of(study, replicate=1)
    before = {"before": chain[1]} if arm in CHAINS else {"same": chain[2], "matched": study.pruning}
    place = Place(study, arm, 1, 2, 0, chain[0], **before)
    spec = (CHAINS | ARMS)[arm](place)
    assert (spec.arm, spec.replicate, spec.round, spec.trial) == (arm, 1, 2, 0)
    assert (CHAINS | ARMS)[arm](place).key == spec.key


def at(arm, study=None, round=2, trial=0, **settings):
    """The run of an arm on the ticket, and the ticket's own."""
    study = study or fake_study()
    chain = chain_of(study, replicate=1)
    own = study.model_copy(update=settings)
    place = Place(own, arm, 1, round, trial, chain[0], same=chain[round], matched=study.pruning)
    return ARMS[arm](place), chain[round]


def differences(spec, other, *, without=("arm", "trial")):
    """The fields in which two specs differ."""
    first, second = (each.model_dump(exclude=set(without)) for each in (spec, other))
    return {name for name in first if first[name] != second[name]}


def test_one_shot_prunes_the_dense_network_to_the_density_of_as_many_rounds():
    spec, ticket_ = at("one_shot")
    assert (spec.root, spec.parent) == (ticket_.root, ticket_.root)
    assert (spec.pruning.rounds, spec.pruning.counted, spec.start) == (2, None, "rewind")
    assert at("one_shot", round=1)[0].key == at("one_shot", round=1)[1].key, "one round is one shot"


def test_a_pruning_at_initialization_looks_at_no_trained_weights():
    spec, ticket_ = at("at_init", fake_study(rewind={"to": "500it"}))
    assert (spec.root, spec.parent, spec.rewind.to) == (ticket_.root, None, "0it")
    assert (spec.start, spec.pruning.rounds, spec.pruning.criterion) == ("rewind", 2, "magnitude")


def test_another_scope_distributes_what_layers_are_counted_to_keep():
    study = fake_study(pruning={"rounds": 3, "layer_rates": {"output": 0.1}})
    pruning = study.pruning.model_copy(update={"scope": "erk", "criterion": "snip", "examples": 300})
    recipe = at("at_init", study, pruning=pruning)[0].pruning
    assert (recipe.scope, recipe.counted, recipe.layer_rates) == ("erk", "layer", {"output": 0.1})
    assert (recipe.criterion, recipe.examples) == ("snip", 300)
    assert recipe.seed, "the examples are drawn"
    both = [
        at("at_init", study, pruning=pruning, round=round, trial=trial)[0]
        for round in (1, 2)
        for trial in (0, 1)
    ]
    assert [spec.pruning.seed == recipe.seed for spec in both] == [True, False, True, False]


def test_smart_ratios_are_random_and_have_a_scope_of_their_own():
    recipe = at("smart_ratio")[0].pruning
    assert (recipe.criterion, recipe.scope, recipe.counted) == ("random", "smart_ratio", "layer")
    assert recipe.seed != at("smart_ratio", trial=1)[0].pruning.seed


@pytest.mark.parametrize(
    ("arm", "changed"),
    [
        ("keep_signs", {"start", "init_seed", "rewind"}),
        ("constant_sign", {"start", "rewind"}),
        ("reshuffle", {"start", "init_seed", "rewind"}),
        ("random_reinit", {"start", "init_seed", "rewind"}),
        ("shuffled", {"edits"}),
        ("inverted", {"edits"}),
        ("fork", {"order_seed"}),
        ("final", set()),
    ],
)
def test_a_control_differs_from_the_ticket_in_what_it_is_named_for(arm, changed):
    assert differences(*at(arm)) == changed


@pytest.mark.parametrize("arm", ["random_reinit", "keep_signs", "reshuffle", "shuffled", "fork"])
def test_trials_and_rounds_of_what_is_drawn_differ(arm):
    keys = {at(arm, round=round, trial=trial)[0].key for round in (1, 2) for trial in range(3)}
    assert len(keys) == 6


def test_kept_signs_are_those_of_the_same_draw_as_the_reinitialization():
    assert at("keep_signs")[0].init_seed == at("random_reinit")[0].init_seed


def test_edits_are_kept_by_further_controls():
    study = fake_study()
    chain = chain_of(study, 1)
    shuffled_ = ARMS["shuffled"](Place(study, "shuffled", 1, 2, 0, chain[0], same=chain[2]))
    again = ARMS["random_reinit"](Place(study, "random_reinit", 1, 2, 0, chain[0], same=shuffled_))
    assert again.edits == shuffled_.edits != ()
    assert (again.parent, again.pruning) == (chain[2].parent, chain[2].pruning)
    with pytest.raises(LotteryError, match="don't come from scores alone"):
        ARMS["inverted"](Place(study, "inverted", 1, 2, 0, chain[0], same=shuffled_))


def test_a_longer_dense_network_goes_on_from_its_own_round_with_the_tickets_steps():
    study = fake_study(rewind={"to": "500it", "optimizer": "restore"})
    chain = chain_of(study)
    before = CHAINS["dense_longer"](Place(study, "dense_longer", 0, 1, 0, chain[0], before=chain[0]))
    spec = CHAINS["dense_longer"](Place(study, "dense_longer", 0, 2, 0, chain[0], before=before))
    assert (before.parent, spec.parent, spec.pruning) == (chain[0].key, before.key, None)
    assert (spec.start, spec.rewind.weights, spec.rewind.to) == ("trained", "trained", "500it")
    assert spec.rewind.optimizer == "reset"


@pytest.mark.parametrize("rewind", [{"to": "0it"}, {"to": "end", "steps": "20ep"}], ids=str)
def test_trained_weights_need_no_rewind_point(rewind):
    study = fake_study(rewind={"weights": "trained", **rewind})
    chain = chain_of(study)
    assert chain[0].snapshots == ("0it",)
    assert {spec.start for spec in chain[1:]} == {"trained"}
    with pytest.raises(LotteryError, match="shuffle masks over trained weights"):
        ARMS["shuffled"](Place(study, "shuffled", 0, 2, 0, chain[0], same=chain[2]))


def test_a_transfer_takes_the_masks_of_the_run_itself_and_begins_at_step_0():
    study = fake_study(rewind={"to": "500it"})
    data = study.data.model_copy(update={"digest": "e" * 64})
    spec, ticket_ = at("transfer", study, data=data)
    assert (spec.masks_of, spec.parent, spec.pruning) == (ticket_.key, None, None)
    assert (spec.data.digest, spec.start, spec.begins) == ("e" * 64, "transfer", None)
    assert spec.rewind.to == "500it"
    assert spec.transfer_seed is not None
    assert at("transfer", study)[0].transfer_seed is None, "nothing has another shape for the same data"
    with pytest.raises(LotteryError, match="transfers weights that were rewound"):
        ARMS["transfer"](Place(study, "transfer", 1, 2, 0, ticket_, same=at("random_reinit", study)[0]))


@pytest.mark.parametrize("criterion", ["snip", "random"])
def test_an_arm_pruned_at_once_draws_other_scores_than_a_chain(criterion):
    study = fake_study(pruning={"rounds": 3, "criterion": criterion})
    seeds = {at(arm, study, round=1)[0].pruning.seed for arm in ("one_shot", "at_init")}
    assert len({*seeds, chain_of(study, 1)[1].pruning.seed}) == 3

"""Arms as TensorBoard's HParams page reads them: its own plugin, on event files."""

from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.get_experiment import Handler as GetExperiment
from tensorboard.plugins.hparams.list_session_groups import Handler as ListSessionGroups

from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery.analysis.tensorboard.hparams import Line, arm_lines, write_columns, write_line
from tf_lottery.method.plan import collect
from tf_lottery.method.results import Results
from tf_lottery.training.events import EventFile

ARMS = {
    "ticket": {},
    "random_reinit": {"rounds": [1, 2]},
    "slower": {"like": "ticket", "pruning": {"rate": 0.1, "layer_rates": {"output": 0.05}}},
}


def lines(place="study", **settings):
    """The lines of a study of two replicates, whose accuracies fall by a point a round: by two, redrawn."""
    study = fake_study(arms=ARMS, replicates=2, tolerance=0.015, **settings)

    def accuracy(spec):
        return 0.9 - 0.01 * spec.round * (1 + (spec.arm == "random_reinit")) + 0.1 * spec.replicate

    records = [
        fake_record(record.spec, accuracy(record.spec), early_stop_test_accuracy=accuracy(record.spec))
        for record in collect(study, run_to_the_end(study))
    ]
    return arm_lines(study, Results(records), place)


def shown(root, found, settings=(), metrics=()):
    """What the page shows of lines: the columns' names, and by line what stands in them."""
    for line in found:
        file = EventFile(root / line.name)
        write_line(file, line)
        file.scalar("accuracy_by_round/mean", 1.0, 1)
        file.close()
    write_columns(root, found, settings, metrics)
    multiplexer = EventMultiplexer(tensor_size_guidance={"scalars": 0})
    multiplexer.AddRunsFromDirectory(str(root)).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(root))
    backend = Context(SimpleNamespace(data_provider=provider))
    context = RequestContext()
    page = GetExperiment(context, backend, "", api_pb2.GetExperimentRequest(include_metrics=True)).run()
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[0, 1, 2, 3],
        slice_size=100,
        include_metrics=True,
        col_params=[
            *(api_pb2.ColParams(hparam=info.name) for info in page.hparam_infos),
            *(api_pb2.ColParams(metric=info.name) for info in page.metric_infos),
        ],
    )
    groups = ListSessionGroups(context, backend, "", request).run()
    rows = {}
    for group in groups.session_groups:
        values = {name: _plain(value) for name, value in group.hparams.items()}
        rows[group.name] = values | {value.name.tag: value.value for value in group.metric_values}
    return [info.name for info in page.hparam_infos], [info.name.tag for info in page.metric_infos], rows


def _plain(value):
    return getattr(value, value.WhichOneof("kind"))


def test_the_columns_are_the_arm_what_differs_between_arms_and_what_they_came_to(tmp_path):
    settings, metrics, rows = shown(tmp_path, list(lines().values()))
    assert settings == ["arm", "like", "pruning.layer_rates", "pruning.rate", "start"]
    assert metrics == [
        "outcome/sparsest_matching_percent",
        "outcome/accuracy_near_50_percent",
        "outcome/dense_accuracy",
        "outcome/steps_to_sparsest_matching",
        "outcome/steps_to_last_round",
    ], "25 and 12.5% are not near 20, 5 and 2%"
    assert set(rows) == {"study/ticket", "study/random_reinit", "study/slower"}
    ticket, redrawn = rows["study/ticket"], rows["study/random_reinit"]
    assert (ticket["pruning.rate"], rows["study/slower"]["pruning.rate"]) == (0.2, 0.1)
    assert (ticket["start"], redrawn["start"]) == ("rewind", "reinitialize")
    assert ticket["outcome/sparsest_matching_percent"] == 50.0, "a point below the dense network, not two"
    assert ticket["outcome/steps_to_sparsest_matching"] == 2000, "the dense network is trained before it"
    assert "outcome/sparsest_matching_percent" not in redrawn
    assert ticket["outcome/dense_accuracy"] == redrawn["outcome/dense_accuracy"] == pytest.approx(95), (
        "of two replicates"
    )
    assert ticket["outcome/accuracy_near_50_percent"] == pytest.approx(94)
    assert redrawn["outcome/accuracy_near_50_percent"] == pytest.approx(93)
    assert (ticket["outcome/steps_to_last_round"], redrawn["outcome/steps_to_last_round"]) == (4000, 3000)


def test_several_studies_are_told_apart_by_what_differs_between_them(tmp_path):
    other = lines("other", name="longer", training={"steps": "200it"})
    settings, _, rows = shown(tmp_path, [*lines().values(), *other.values()])
    assert {"study", "training.steps"} < set(settings)
    assert len(rows) == 6
    assert (rows["study/ticket"]["study"], rows["other/ticket"]["study"]) == ("fake", "longer")
    assert rows["other/ticket"]["training.steps"] == "200it"


def test_a_tuning_beside_studies_has_its_columns_too(tmp_path):
    candidate = Line("candidate 0", {"pruning.scope": "global", "pruning.rate": 0.5}, {"objective": 0.25})
    file = EventFile(tmp_path / "tuned")
    write_line(file, candidate)
    file.close()
    found = list(lines().values())
    settings, metrics, rows = shown(tmp_path, found, ["pruning.rate", "pruning.scope"], ["objective"])
    assert "pruning.scope" in settings, "all arms have the same"
    assert settings.count("pruning.rate") == 1
    assert metrics[-1] == "objective"
    assert (rows["candidate 0"]["objective"], rows["candidate 0"]["pruning.rate"]) == (0.25, 0.5)


def test_an_arm_in_one_study_has_what_differs_alone(tmp_path):
    settings, _, _ = shown(tmp_path, [lines()["ticket"]])
    assert settings == ["arm"]

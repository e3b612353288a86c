"""A tuning as TensorBoard's HParams dashboard reads it."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from tests.tuning.test_tuned import TUNING, tried
from tf_lottery.tuning.hparams import write_hparams
from tf_lottery.tuning.outcome import Front
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import Tuned


def test_each_candidate_is_a_line_with_its_settings_and_what_it_came_to(tmp_path):
    paths = TuningPaths(tmp_path)
    tuned = Tuned(TUNING, paths, tried((0.5, 100), (0.25, 40), None), Front(TUNING.tune))
    for _ in range(2):  # it is written anew, not added to
        write_hparams(tuned, paths)
        lines = [_read(paths.tensorboard / "hparams" / name) for name in ("000", "001", "002")]
    assert [settings["pruning.rate"] for settings, _ in lines] == [TUNING.study.pruning.rate, 0.25, 0.25]
    assert [found.get("density of the ticket") for _, found in lines] == [0.5, 0.25, None]
    assert [found.get("cost") for _, found in lines] == [100, 40, None]


def test_candidates_of_two_tunings_are_told_apart(tmp_path):
    names = set()
    for name in ("first", "second"):
        paths = TuningPaths(tmp_path / name)
        write_hparams(Tuned(TUNING, paths, tried((0.5, 100)), Front(TUNING.tune)), paths)
        names.add(_start(EventAccumulator(str(paths.tensorboard / "hparams/000")).Reload()).group_name)
    assert names == {"first/candidate 0", "second/candidate 0"}


def _start(events):
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    return plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info


def _read(directory):
    events = EventAccumulator(str(directory)).Reload()
    given = _start(events).hparams
    assert len(list(directory.iterdir())) == 1
    tags = [tag for tag in events.Tags()["tensors"] if not tag.startswith("_hparams_")]
    scalars = {tag: float(make_ndarray(events.Tensors(tag)[-1].tensor_proto)) for tag in tags}
    return {name: value.number_value for name, value in given.items()}, scalars

"""tf_lottery: find, prove and ship winning tickets on Keras 3.

The public API, loaded when it is first used:

    LotterySearch                   tickets of a Keras model, around its `fit`
    LotteryTuner                    the model and the search that give the best ones
    make_prunable, strip,
    freeze_zeros, prunable_table    plain Keras model <-> prunable model
    prune, get_masks, set_masks,
    sparsity, PrunableLayer,
    callbacks                       masks by hand
    load_config, run_study,
    Execution                       whole studies, and who trains their runs
    plan, execute, RunSpec, Record,
    StudyConfig, StudyObserver      their parts, and who watches them
    RewindManager, Ticket,
    ticket_from_tfmot               rewind points and tickets on disk
    export, compact                 trained tickets as files that serve, smaller networks
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_PUBLIC = {
    "Execution": "tf_lottery.drivers.execution",
    "LotteryError": "tf_lottery.errors",
    "LotterySearch": "tf_lottery.search.search",
    "LotteryTuner": "tf_lottery.tuning.search_tuner",
    "PrunableLayer": "tf_lottery.layers.prunable",
    "Record": "tf_lottery.method.spec",
    "RewindManager": "tf_lottery.training.rewind",
    "RunSpec": "tf_lottery.method.spec",
    "StudyConfig": "tf_lottery.config",
    "StudyObserver": "tf_lottery.runs.observe",
    "Ticket": "tf_lottery.ticket",
    "callbacks": "tf_lottery.callbacks",
    "compact": "tf_lottery.exports.compact.compact",
    "execute": "tf_lottery.runs.execute",
    "export": "tf_lottery.exports.export",
    "freeze_zeros": "tf_lottery.layers.convert",
    "get_masks": "tf_lottery.layers.access",
    "load_config": "tf_lottery.config_file",
    "make_prunable": "tf_lottery.layers.convert",
    "matching_round": "tf_lottery.method.matching",
    "plan": "tf_lottery.method.plan",
    "prunable_table": "tf_lottery.layers.table",
    "prune": "tf_lottery.layers.access",
    "run_study": "tf_lottery.study_records",
    "set_masks": "tf_lottery.layers.access",
    "sparsity": "tf_lottery.layers.access",
    "strip": "tf_lottery.layers.convert",
    "ticket_from_tfmot": "tf_lottery.tfmot",
}
__all__ = sorted(_PUBLIC)


if TYPE_CHECKING:  # what a type checker and an editor see of the names that are loaded when they are used
    from tf_lottery import callbacks as callbacks
    from tf_lottery.config import StudyConfig as StudyConfig
    from tf_lottery.config_file import load_config as load_config
    from tf_lottery.drivers.execution import Execution as Execution
    from tf_lottery.errors import LotteryError as LotteryError
    from tf_lottery.exports.compact.compact import compact as compact
    from tf_lottery.exports.export import export as export
    from tf_lottery.layers.access import get_masks as get_masks
    from tf_lottery.layers.access import prune as prune
    from tf_lottery.layers.access import set_masks as set_masks
    from tf_lottery.layers.access import sparsity as sparsity
    from tf_lottery.layers.convert import freeze_zeros as freeze_zeros
    from tf_lottery.layers.convert import make_prunable as make_prunable
    from tf_lottery.layers.convert import strip as strip
    from tf_lottery.layers.prunable import PrunableLayer as PrunableLayer
    from tf_lottery.layers.table import prunable_table as prunable_table
    from tf_lottery.method.matching import matching_round as matching_round
    from tf_lottery.method.plan import plan as plan
    from tf_lottery.method.spec import Record as Record
    from tf_lottery.method.spec import RunSpec as RunSpec
    from tf_lottery.runs.execute import execute as execute
    from tf_lottery.runs.observe import StudyObserver as StudyObserver
    from tf_lottery.search.search import LotterySearch as LotterySearch
    from tf_lottery.study_records import run_study as run_study
    from tf_lottery.tfmot import ticket_from_tfmot as ticket_from_tfmot
    from tf_lottery.ticket import Ticket as Ticket
    from tf_lottery.training.rewind import RewindManager as RewindManager
    from tf_lottery.tuning.search_tuner import LotteryTuner as LotteryTuner
else:

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'tf_lottery' has no attribute {name!r}")
        value = importlib.import_module(_PUBLIC[name])
        value = value if name == "callbacks" else getattr(value, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__


if "keras" in sys.modules:
    # Registers our layers, so that keras.models.load_model finds them. Where Keras is
    # imported later, using lottery.PrunableLayer or make_prunable registers the first.
    importlib.import_module("tf_lottery.layers.prunable")
    importlib.import_module("tf_lottery.models.attention")

"""What `tests.fresh` imports once, for all its processes: nothing here may compute or make a device."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import gc
import importlib

for name in (
    *("tensorflow", "keras", "matplotlib.pyplot", "sklearn.datasets"),
    *("tf_lottery.cli", "tf_lottery.cli.study_run", "tf_lottery.cli.export_run", "tf_lottery.search.search"),
    *("tf_lottery.drivers.run_study", "tf_lottery.drivers.worker", "keras_tuner", "tf_lottery.cli.tune_run"),
):
    importlib.import_module(name)
os.fsync = lambda descriptor: None  # as in the tests' own process
gc.freeze()

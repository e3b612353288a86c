"""Models as users have them, all the way: search, control, trained network, file, fresh process, export.

    python benchmarks/whole_way.py [name ...]

Each model gets one pruned round and one control. Then the trained network is compared with what the search
recorded, saved, loaded in a fresh process, and exported as a SavedModel, which is verified in another one.
Outputs must be equal, and pruned weights zero. If a model is refused, that is before the first round.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import ops

sys.path.insert(0, str(Path(__file__).parent))
from models_of_users import MODELS

import tf_lottery as lottery

LOADED = """
import sys, numpy as np, keras
sys.path.insert(0, sys.argv[3])
import models_of_users
model = keras.models.load_model(sys.argv[1])
with np.load(sys.argv[2]) as data:
    x = {name: keras.ops.convert_to_tensor(data[name]) for name in data.files if name != "answers"}
    answers = model(x if len(x) > 1 else x["x"], training=False)
    print((np.asarray(answers) == data["answers"]).all())
"""


def tried(name: str, function: bool, folder: Path) -> list[str]:
    """Try a model, and return the results in words.

    Args:
        name: The model's name.
        function: Whether the search is given the function that builds the model.
        folder: A folder for the files.
    """
    build, data, monitor = MODELS[name]
    search = lottery.LotterySearch(
        build if function else build(), rate=0.5, rounds=1, controls=1, monitor=monitor, verbose=0
    )
    try:
        result = search.fit(**data, epochs=1)
    except lottery.LotteryError as error:
        return [f"refused before round 0: {error}"]
    trained = result.trained(round=1)
    masks, weights = result.ticket(round=1).masks, {v.path: v.numpy() for v in trained.variables}
    pruned = sum(int((~mask).sum()) for mask in masks.values())
    zeros = sum(int((value == 0).sum()) for value in weights.values() if value.ndim > 1)
    said = [f"{len(result.records)} runs", f"zeros {'exact' if zeros >= pruned else 'LOST'}"]
    if "validation_data" in data and name != "VAE":  # the VAE draws again in each evaluation
        record = result.rounds[1]
        scores = trained.evaluate(*data["validation_data"], verbose=0, return_dict=True)
        same = np.isclose(scores[record.monitor.removeprefix("val_")], record.value, rtol=1e-5)
        said.append("evaluates to its record" if same else "EVALUATES OTHERWISE")
    if name in ("VAE", "GAN"):
        return [*said, "no call: nothing to save or export"]
    return said + saved(trained, data["x"], folder) + exported(trained, data, folder)


def saved(model: keras.Model, x: Any, folder: Path) -> list[str]:
    """Save a model, load it in a fresh process, and compare the outputs."""
    model.save(folder / "model.keras")
    given = {name: np.asarray(value) for name, value in (x if isinstance(x, dict) else {"x": x}).items()}
    given = {name: value.astype(str) if value.dtype == object else value for name, value in given.items()}
    inputs = {name: ops.convert_to_tensor(value) for name, value in given.items()}
    answers = model(inputs if len(inputs) > 1 else inputs["x"], training=False)
    np.savez(folder / "data.npz", answers=np.asarray(answers), **given)
    files = folder / "model.keras", folder / "data.npz"
    command = [sys.executable, "-c", LOADED, *files, Path(__file__).parent]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    same = ran.stdout.split()[-1:] == ["True"]
    return ["loaded: equal" if same else f"LOADED: {(ran.stdout + ran.stderr)[-200:]}"]


def exported(model: keras.Model, data: dict[str, Any], folder: Path) -> list[str]:
    """Export a model, and say whether the file's outputs are those of the model."""
    x = data["x"]
    x = {name: np.asarray(value) for name, value in x.items()} if isinstance(x, dict) else np.asarray(x)
    test = (x, data["y"]) if "y" in data and np.ndim(data["y"]) == 1 else x
    try:
        report = lottery.export(model, folder / "served", test_data=test, latency=False)
    except lottery.LotteryError as error:
        return [f"export refused: {error}"]
    row = report.rows[0]
    return [f"exported: {'identical' if row.verified and row.verified.identical else row}"]


def main() -> None:
    """Try each model, given both as it is and as a function, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*MODELS])
    warnings.simplefilter("ignore")
    for name in parser.parse_args().names:
        for function in (False, True):
            began = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                said = tried(name, function, Path(folder))
            kind = "function" if function else "model"
            print(f"{name:18} {kind:9} {time.perf_counter() - began:6.1f} s  {'; '.join(said)}", flush=True)


if __name__ == "__main__":
    main()

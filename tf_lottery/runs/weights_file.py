"""Weights from a file: a Keras model, a ticket, or arrays by the names of variables."""

from pathlib import Path

from tf_lottery import arrays
from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import WeightsFile
from tf_lottery.runs.subject import MODEL
from tf_lottery.ticket import Ticket


def read(file: WeightsFile) -> Arrays:
    """Return the weights that a file holds, by name (`model/<path>`).

    Args:
        file: The file. Of a ticket, the trained weights are taken if it has them.

    Raises:
        LotteryError: If the file has changed since the study was started, or is none of these.
    """
    path = Path(file.path)
    if arrays.file_digest(path) != file.digest:
        raise LotteryError(
            f"{path} has changed since the study was started. Restore it, or use another --output."
        )
    weights = _of_model(path) if path.suffix == ".keras" else _of_npz(path)
    return {name if name.startswith(MODEL) else MODEL + name: value for name, value in weights.items()}


def _of_model(path: Path) -> Arrays:
    import keras

    from tf_lottery.training import state

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras, or a layer's own code, raises
        reason = " ".join(str(error).split())[:200]
        raise LotteryError(f"{path} can't be loaded as a Keras model: {reason}") from error
    return state.capture(state.model_variables(model))


def _of_npz(path: Path) -> Arrays:
    content = arrays.load(path)
    if "header" in content:
        ticket = Ticket.load(path)
        return dict(ticket.trained or ticket.weights)
    return {name: value for name, value in content.items() if not name.startswith("optimizer/")}

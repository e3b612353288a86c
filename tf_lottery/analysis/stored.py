"""What has to be so before a stored network is built and measured again: its weights are there, and no
function is called that isn't trusted."""

from collections.abc import Collection, Iterable

from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import RunSpec
from tf_lottery.store.store import Store

WORDS = {"last": "last", "early_stop": "early-stop"}
"""Which weights of a run -> what they are called."""


def keeps(store: Store, spec: RunSpec, which: str = "last") -> bool:
    """Return whether a finished run's weights are there.

    Args:
        store: The store that holds them.
        spec: The run.
        which: Either `last` or `early_stop`.
    """
    return store.paths.run(spec.key).artefact(f"weights_{which}").exists()


def check_kept(store: Store, specs: Iterable[RunSpec], which: str = "last") -> None:
    """Check that the weights of some finished runs are there.

    Args:
        store: The store that holds them.
        specs: The runs.
        which: Either `last` or `early_stop`.

    Raises:
        LotteryError: If they weren't kept.
    """
    for spec in specs:
        if not keeps(store, spec, which):
            raise LotteryError(
                f"The {WORDS[which]} weights of {spec.describe()} weren't kept. Run the study's config with "
                "--set storage.keep=weights and another --output, which trains again what is missing."
            )


def check_functions(spec: RunSpec, allowed: Collection[str] | None) -> None:
    """Check that no function is called because a file names it: a study may be a stranger's.

    Args:
        spec: The run.
        allowed: The functions that may be called. None allows all.

    Raises:
        LotteryError: If the run's network or data needs another one.
    """
    named = [spec.model.build, spec.data.load, *(name for name in spec.data.augment if ":" in name)]
    for function in named if allowed is not None else []:
        if function and function not in allowed:
            raise LotteryError(
                f"Expected --function {function}, which {spec.describe()} is made with: no function is "
                "called because a file names it. Give it if you trust the study."
            )

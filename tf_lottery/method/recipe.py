"""The recipes in a run's spec: how masks are pruned and edited, and which file weights come from."""

from tf_lottery.config import Strict


class Pruning(Strict):
    """How the parent's last weights are turned into this run's masks."""

    criterion: str
    scope: str
    rate: float
    layer_rates: dict[str, float] = {}
    seed: int = 0
    """The seed of a criterion that draws; 0 for others."""
    min_density: float = 0.0
    """The least fraction of each layer's weights that stays."""
    rounds: int = 1
    """How many rounds are pruned at once; the counting is repeated round by round."""
    counted: str | None = None
    """The scope of the prunings whose count of weights is matched. Default: `scope`."""
    pattern: str = "single"
    """What is pruned together; weights are counted in that."""
    examples: int = 0
    """How many training examples a criterion that needs gradients looks at; 0 for others."""


class Edit(Strict):
    """A change of the masks that a pruning has left."""

    kind: str
    """A key of `tf_lottery.pruning.edits.EDITS`."""
    seed: int = 0
    """The seed of an edit that draws; 0 for others."""


class WeightsFile(Strict):
    """A file of weights that a run starts from."""

    path: str
    """Where the file lies; not part of the key, since the digest stands for it."""
    digest: str
    """The sha256 of its bytes."""

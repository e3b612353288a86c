"""The recipes in a run's spec: how masks are pruned, edited and trained, and which file weights come from."""

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


class Updates(Strict):
    """How the masks change within the training."""

    kind: str
    """A key of `tf_lottery.pruning.updates.UPDATES`."""
    every: str
    """The steps between two updates, such as `100it`."""
    begin: float
    """The share of the training after which the first update comes."""
    end: float
    """The share of the training after which there are no more updates."""
    fraction: float = 0.0
    """The share of a layer's weights that the first update drops; 0 where masks only shrink."""
    seed: int = 0
    """The seed of an update that draws; 0 for others."""
    pruning: Pruning | None = None
    """The pruning that the updates come to in the end; None where as many weights grow as are dropped."""


class EarlyBird(Strict):
    """What ends a training before its last step: the next pruning has settled."""

    pruning: Pruning
    """The next pruning."""
    distance: float
    """The largest distance between the masks that it would give at two successive looks."""
    masks: int
    """How many masks in a row must be that near to the one before."""
    every: str
    """The steps from one look to the next, such as `1ep`."""
    after: str = "0it"
    """The step before which it doesn't end, since tickets return to the state at that step."""


class Supermask(Strict):
    """A mask that is trained, by scores, while all weights stay as they are."""

    kind: str
    """A key of `tf_lottery.layers.supermasks.SUPERMASKS`."""
    seed: int
    """The seed of the scores at first, and of the draws in training."""
    constant: bool = False
    """Whether kernels have one size a layer."""
    rescale: bool = False
    """Whether the weights that are used are scaled by the number of all over that of those."""
    threshold: float = 0.01
    """The size of a score, above which a weight of the kind `signed` is used."""


class WeightsFile(Strict):
    """A file of weights that a run starts from."""

    path: str
    """Where the file lies; not part of the key, since the digest stands for it."""
    digest: str
    """The sha256 of its bytes."""

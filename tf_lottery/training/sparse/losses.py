"""`LOSSES`: the losses that the sparse engine knows, by a study's names. A kernel and a line each."""

from collections.abc import Callable

from tf_lottery.training.sparse.kernels.losses import crossentropy, squared_error

LOSSES: dict[str, Callable] = {
    "sparse_categorical_crossentropy": crossentropy,
    "categorical_crossentropy": crossentropy,
    "mean_squared_error": squared_error,
    "mse": squared_error,
}

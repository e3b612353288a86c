"""Networks of keras.applications, through the benchmark that prints their table."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
SHARES = {
    "MobileNetV2": (53, 0.984),
    "ResNet50": (54, 0.996),
    "EfficientNetB0": (82, 0.987),
    "DenseNet121": (121, 0.987),
    "ConvNeXtTiny": (59, 0.997),
}


TELLING = ("EfficientNetB0",)
"""What has most kinds of layers: depthwise and plain convolutions, two normalizations, products, dropout."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in TELLING else pytest.mark.exhaustive)
        for name in SHARES
    ],
)
def test_pruned_trained_stripped_and_loaded_elsewhere_with_equal_outputs(monkeypatch, name):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from applications import measure

    found = measure(name, size=32, eager=True)
    count, share = SHARES[name]
    assert found["kernels"] == count
    assert found["prunable"] > share
    assert found["sparsity"] == pytest.approx(0.8, abs=1e-6)

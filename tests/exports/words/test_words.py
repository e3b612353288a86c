"""What a report claims, from figures made up for it."""

from dataclasses import replace

from tf_lottery.exports.cost import Cost
from tf_lottery.exports.verify.verify import Verified
from tf_lottery.exports.words.report import Report
from tf_lottery.exports.words.rows import ExportRow

SAME = Verified(0.1, 2, 1, 0.0, 0.0, 0.0, True, 1.0, 0.98, 0.98, True, None)
COST = Cost(1000, 36, 2000, 72, 1010, (), 46)


def row(name, runtime, times, dense, size=100, dense_size=1000, **more):
    batches = ("1", "32", "256")
    return ExportRow(
        name,
        "verified",
        runtime,
        bytes=size,
        compressed_bytes=size // 2,
        dense_bytes=dense_size,
        dense_compressed_bytes=dense_size,
        cost=COST,
        verified=SAME,
        latency=dict(zip(batches, times, strict=True)),
        dense_latency=dict(zip(batches, dense, strict=True)),
        **more,
    )


def report(*rows, provenance=None):
    return Report(list(rows), "net", COST, 10, True, "the network before pruning", {}, provenance or {})


def said(*rows):
    return " ".join(report(*rows).lines())


def test_zeros_claim_no_speed_even_where_the_clock_was_kind():
    text = said(row("savedmodel packed", "tensorflow", [0.8e-4, 2e-4, 3e-4], [1e-4, 2e-4, 3e-4]))
    assert "don't count on it: savedmodel packed (1.25 at batch 1" in text
    text = said(row("savedmodel packed", "tensorflow", [0.95e-4, 2e-4, 3e-4], [1e-4, 2e-4, 3e-4]))
    assert "No faster than the dense original in the same runtime: savedmodel packed." in text
    assert "compact" in text.split("What can be faster")[1]


def test_a_gain_says_where_it_comes_from():
    text = said(row("litert int8", "litert", [1e-5, 2e-5, 3e-5], [5e-5, 6e-5, 3e-5]))
    assert (
        "Speed of litert int8 relative to the dense original in litert: 5.00 at batch 1, 3.00 at batch 32, "
        "1.00 at batch 256. The gain comes from 8-bit arithmetic, not from zeros." in text
    )
    assert "zeros that are" not in text
    assert "No faster" not in text


def test_no_units_no_gain_from_units():
    compact = row("compact", "keras", [0.8e-4, 1e-4, 1e-4], [1e-4, 1e-4, 1e-4])
    assert "units that were removed" not in said(compact)
    smaller = replace(compact, cost=replace(COST, parameters=900))
    assert "The gain comes from units that were removed." in said(smaller)


def test_what_is_slower_is_said_to_be():
    text = said(row("compact", "keras", [2e-4, 1e-4, 1e-4], [1e-4, 1e-4, 1e-4]))
    assert (
        "Slower than the dense original in the same runtime (relative speed): compact (0.50 at batch 1"
        in text
    )


def test_a_runtime_s_gain_is_the_runtime_s():
    text = said(
        row("savedmodel packed", "tensorflow", [4e-4] * 3, [4e-4] * 3),
        row("openvino", "openvino", [1e-4] * 3, [1e-4] * 3),
    )
    assert "Speed of the dense original in openvino relative to tensorflow: 4.0 at batch 1" in text
    assert "That comes from the runtime, not from the zeros." in text


def test_what_to_take_for_what():
    text = said(
        row("savedmodel packed", "tensorflow", [4e-4] * 3, [4e-4] * 3),
        row("openvino", "openvino", [1e-4] * 3, [1e-4] * 3),
        row("litert float", "litert", [1e-4] * 3, [1e-4] * 3, size=1000),
        row("litert int8", "litert", [1e-4] * 3, [1e-4] * 3, size=250),
        row("onnx", "onnxruntime", [2e-4] * 3, [2e-4] * 3),
    )
    assert (
        "For a server, take savedmodel packed for TensorFlow Serving, the smallest; or openvino, the fastest"
        in text
    )
    assert "For a phone, take litert int8." in text
    assert "For a browser, take onnx" in text


def test_what_is_said_to_be_smallest_is():
    text = said(
        row("savedmodel packed", "tensorflow", [1.01e-4] * 3, [1e-4] * 3, size=300),
        row("savedmodel dense", "tensorflow", [1e-4] * 3, [1e-4] * 3, size=400),
        row("onnx", "onnxruntime", [2e-4] * 3, [2e-4] * 3, size=200),
        row("litert int8", "litert", [1e-4] * 3, [1e-4] * 3, size=250),
        row("litert sparse", "litert", [1e-4] * 3, [1e-4] * 3, size=50),
    )
    assert "For a server, take savedmodel packed for TensorFlow Serving." in text
    assert "For a phone, take litert int8; or litert sparse, the smallest." in text


def test_what_isn_t_smaller_is_said_to_be():
    text = said(row("onnx", "onnxruntime", [1] * 3, [1] * 3, size=1000))
    assert "Not smaller on disk" in text
    assert "Times smaller as .tar.gz: onnx 2.0." in text


def test_refusals_and_what_was_not_made_stand_in_the_table():
    refused = ExportRow("litert sparse", "refused", "litert", reason="its outputs contain NaN")
    skipped = ExportRow("onnx", "not made", "onnxruntime", reason="The packages that onnx needs")
    text = "\n".join(report(refused, skipped).lines())
    assert "litert sparse      refused: its outputs contain NaN" in text
    assert "onnx               not made: The packages that onnx needs" in text
    assert "take" not in text
    assert "smaller" not in text


def test_what_wasn_t_measured_isn_t_claimed(tmp_path):
    quiet = row("savedmodel packed", "tensorflow", [1, 1, 1], [1, 1, 1])
    quiet = ExportRow(**{**vars(quiet), "latency": {}, "dense_latency": {}})
    text = said(quiet)
    assert "not measured" in text
    assert "fast" not in text
    report(quiet).save(tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text().startswith("{")


def test_the_header_says_how_dense_all_of_it_is():
    assert next(report().lines()) == (
        "net: 36 of 1,000 prunable weights (3.6%), 46 of all 1,010 (4.6%), 72 of 2,000 FLOPs an example; "
        "checked on 10 test examples."
    )


def test_a_report_leads_with_what_was_verified_and_what_to_take_and_says_it_once():
    made = report(
        row("savedmodel packed", "tensorflow", [1e-4] * 3, [1e-4] * 3, size=90),
        row("onnx", "onnxruntime", [1e-4] * 3, [1e-4] * 3, size=200),
        row("litert int8", "litert", [1e-4] * 3, [1e-4] * 3, size=250),
        ExportRow("litert sparse", "refused", "litert", reason="its outputs contain NaN"),
        ExportRow("openvino", "not made", "openvino", reason="The packages that openvino needs"),
    )
    lines = list(made.lines())
    assert lines[1:3] == [
        "3 of 5 exports verified; refused: litert sparse; not made: openvino. For a server, take savedmodel "
        "packed for TensorFlow Serving, the smallest. For a phone, take litert int8. For a browser, take "
        "onnx in onnxruntime-web (run here in onnxruntime only).",
        "",
    ]
    assert "\n".join(lines).count("For a phone") == 1
    assert "For a phone, take litert int8." in list(made.words())  # in the JSON as before
    assert list(report(ExportRow("onnx", "verified", "onnxruntime")).lead())[1] == "1 of 1 export verified."


def inputs_said(standardized):
    text = str(report(provenance={"standardized": standardized}))
    return text.partition("The network was trained on standardized inputs")[2]


def test_a_report_says_how_inputs_are_standardized_if_they_are():
    said = inputs_said({"mean": [0.25], "deviation": [0.5]})
    assert "no export standardizes them itself" in said
    assert "subtract the mean, divide by the deviation (mean 0.25, deviation 0.5)" in said
    said = inputs_said({"mean": [0.5] * 784, "deviation": [1.0] * 784})
    assert "provenance.standardized" in said
    assert "0.5" not in said
    for unknown in (None, True, {}, {"mean": 3, "deviation": 4}):
        assert not inputs_said(unknown)

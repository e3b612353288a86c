"""Which pixels the first layer still looks at: how many of its weights remain at each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_lottery.analysis.pixels import DENSE_ON_PIXELS, kernel_on_pixels, per_pixel
from tf_lottery.analysis.report.blocks import Section, Text
from tf_lottery.analysis.report.drawing import draw
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import label, listed
from tf_lottery.method.arms import function_name
from tf_lottery.method.spec import Record

MOST = 3
"""The most controls that are shown beside the ticket."""
_FIRST = ("shuffled", "static", "smart_ratio", "at_init", "ticket", "one_shot")
"""Functions of arms whose masks tell most beside the ticket's, in order."""


def first_layer(material: Material) -> Section:
    """Return the section of the first layer, without blocks where it isn't a Dense one on an image.

    Args:
        material: The study.
    """
    section = Section("first_layer", "Which pixels the ticket looks at", [])
    model = material.study.model
    if model.build or model.name not in DENSE_ON_PIXELS:
        return section  # whose masks needn't be read
    at = _round(material)
    if at is None:
        return section
    shown = [
        (arm, found) for arm in (material.main, *_controls(material, at)) if (found := _of(material, arm, at))
    ]
    if not shown or shown[0][0] != material.main:
        return section
    density = label(100 * material.findings.density(at))
    names = [arm for arm, _ in shown[: MOST + 1]]
    maps = [np.mean(found, axis=0) for _, found in shown[: MOST + 1]]
    title = (
        f"Weights of the first layer that remain at each pixel, round {at} ({density}%): {', '.join(names)}."
    )
    beside = f", beside that of {listed(names[1:])}" if len(names) > 1 else ""
    caption = (
        f"How many weights of the first layer remain at each pixel of the input, in the masks of {names[0]}"
        f"{beside}, at round {at} ({density}% of all weights). Bright pixels are looked at by many units."
    )
    if material.study.replicates > 1:
        caption += " Means over replicates."

    def drawn(figure: Any) -> None:
        axes = figure.subplots(1, len(maps), squeeze=False)[0]
        most = max(float(each.max()) for each in maps)
        image = None
        for each, name, pixels in zip(axes, names, maps, strict=True):
            image = each.imshow(pixels, cmap="viridis", vmin=0, vmax=most or 1, interpolation="none")
            each.set_title(name, fontsize=8.5)
            each.set_xticks([])
            each.set_yticks([])
            each.spines[:].set_visible(False)
        figure.colorbar(
            image, ax=list(axes), label="weights that remain", shrink=0.9, location="bottom", aspect=40
        )

    height = 1.9 if len(maps) > 2 else 2.8
    picture = draw("first_layer", title, caption, drawn, height)
    return Section(section.name, section.title, [picture, *_note(len(names))])


def _note(shown: int) -> list[Text]:
    if shown > 1:
        return []
    return [
        Text(
            "No arm with another mask is trained at this round, so there is nothing to compare with.", "note"
        )
    ]


def _round(material: Material) -> int | None:
    """Return the round that is shown: the one at which claims compare the ticket with the first control."""
    findings = material.findings
    rounds = findings.rounds(findings.main)
    if not rounds:
        return None
    others = sorted((arm for arm in findings.arms if _another_mask(material, arm)), key=_order(material))
    return findings.round_to_compare(findings.main, *others[:1])


def _controls(material: Material, at: int) -> list[str]:
    """Return the arms at a round that have other masks than the ticket, those that tell most first."""
    study, findings = material.study, material.findings
    found = [arm for arm in findings.arms if _another_mask(material, arm) and at in findings.rounds(arm)]
    by_function = {}  # one arm of each kind: SNIP, shuffled, tells little beside the ticket, shuffled
    for arm in sorted(found, key=_order(material)):
        by_function.setdefault(function_name(study, arm), arm)
    return list(by_function.values())


def _order(material: Material) -> Callable[[str], int]:
    def order(arm: str) -> int:
        function = function_name(material.study, arm)
        return _FIRST.index(function) if function in _FIRST else len(_FIRST)

    return order


def _another_mask(material: Material, arm: str) -> bool:
    results, main = material.results, material.main
    if arm == main or arm not in material.study.arms:
        return False
    tickets = {(r.spec.replicate, r.spec.round): r for r in results.records if r.spec.arm == main}
    for record in (r for r in results.records if r.spec.arm == arm and r.spec.round > 0):
        ticket = tickets.get((record.spec.replicate, record.spec.round))
        same_mask = ticket is not None and ticket.digests.get("masks") == record.digests.get("masks")
        alike = ticket is not None and ticket.layers.keys() == record.layers.keys()
        if alike and not same_mask and record.weights_remaining < record.weights_total:
            return record.spec.data.digest == material.study.data.digest
    return False


def _of(material: Material, arm: str, at: int) -> list[np.ndarray]:
    """Return the counts of an arm's runs at a round; [] where one can't be read, or isn't on pixels."""
    runs = [r for r in material.records if (r.spec.arm, r.spec.round, r.spec.trial) == (arm, at, 0)]
    found = [_counts(material, record) for record in runs]
    known = [each for each in found if each is not None]
    return known if len({each.shape for each in known}) == 1 else []


def _counts(material: Material, record: Record) -> np.ndarray | None:
    if kernel_on_pixels(record) is None:
        return None  # its masks needn't be read
    masks = material.read("masks", record, material.store.masks)
    return None if masks is None else per_pixel(masks, record)

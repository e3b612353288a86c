"""The digest that names a run: of everything that determines its result."""

import hashlib
import json
from typing import Any

KEY_VERSION = 2
"""Raise this when the same spec would give other results, or when a default in
`tf_lottery.config` changes; a new field with a default needs no change here."""


def digest(settings: dict[str, Any]) -> str:
    """Return the sha256 of a spec's canonical form.

    Args:
        settings: The settings that aren't at their defaults, as JSON holds them, without labels. They are
            changed: the digests of data and weights stand for where these come from, and mappings whose order
            counts become lists.
    """
    for name in ("name", "path", "load", "pipeline"):
        settings["data"].pop(name, None)
    if weights := settings.get("weights"):
        del weights["path"]
    if augment := settings["data"].get("augment"):
        settings["data"]["augment"] = list(augment.items())
    recipes = [settings.get("small", {})]
    recipes += [holder.get("pruning", {}) for holder in (settings, *map(settings.get, _HOLDERS)) if holder]
    for pruning in recipes:
        if rates := pruning.get("layer_rates"):
            pruning["layer_rates"] = list(rates.items())  # the first match counts
    settings["version"] = KEY_VERSION
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


_HOLDERS = ("updates", "until")
"""Fields of a spec that hold a pruning of their own."""

"""Numbers and names as a report writes them."""

from collections.abc import Sequence


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return a fraction in percent, with more digits where it is small: `51.3%`, `0.42%`; `-` if unknown."""
    if fraction is None:
        return "-"
    value = 100 * fraction
    if 0 < value < 1:
        digits = max(digits, 2)
    return f"{value:.{digits}f}%"


def label(density: float) -> str:
    """Return weights remaining, in percent, as axes are labelled: `100`, `51.3`, `0.42`.

    Args:
        density: The weights remaining, in percent.
    """
    if density >= 0.95:
        return f"{density:.1f}".removesuffix(".0")
    return f"{density:.2g}"


def counted(number: int, what: str, plural: str | None = None) -> str:
    """Return a number with a noun: `1 run`, `3 runs`."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def listed(names: Sequence[str]) -> str:
    """Return names in a sentence: `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

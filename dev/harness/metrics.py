"""Parses metrics."""

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return each value by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def growth(before: Samples, after: Samples) -> Callable[..., float]:
    """Return a function that returns by how much the sum of the values with a name and labels has grown."""

    def grown(name: str, **labels: str) -> float:
        def total(scraped: Samples) -> float:
            return sum(value for (found, has), value in scraped.items() if found == name and labels.items() <= has)

        return total(after) - total(before)

    return grown

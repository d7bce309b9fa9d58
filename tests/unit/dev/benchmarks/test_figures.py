import pytest

from dev.benchmarks.figures import median, percentile
from dev.benchmarks.targets import Target


@pytest.mark.parametrize(
    ("values", "percent", "wanted"),
    [([], 50, None), ([7.0], 99, 7.0), ([3.0, 1.0, 2.0], 50, 2.0), ([float(n) for n in range(1, 101)], 99, 99.0)],
)
def test_percentiles(values: list[float], percent: float, wanted: float | None) -> None:
    assert percentile(values, percent) == wanted


@pytest.mark.parametrize(
    ("values", "wanted"), [([], None), ([None], None), ([3.0, None, 1.0], 2.0), ([5.0, 1.0, 2.0], 2.0)]
)
def test_the_median_ignores_values_that_were_not_measured(values: list[float | None], wanted: float | None) -> None:
    assert median(values) == wanted


def test_a_target_shows_its_limit() -> None:
    assert str(Target("memory", 300, 256, "MiB")) == "MISSED  memory: 300 MiB (at most 256 MiB)"
    assert str(Target("speed", 0.7, 0.65, "", at_least=True)) == "met     speed: 0.7 (at least 0.65)"
    assert str(Target("speed", None, 1, "ms")) == "MISSED  speed: not measured (at most 1 ms)"

"""Guards that the picture of checkpoints is drawn for one benchmark and for many, in any order of points."""

import pytest
from matplotlib import image

from rlkit.report.checkpoints import Point, plot_checkpoints


def points(num):
    return [Point(100 * n, n / (num + 1), (0.0, 1.0), 50.0 * n) for n in reversed(range(num))]


@pytest.mark.parametrize(("names", "rows"), [("a", 1), ("abcd", 1), ("abcde", 2)])
def test_a_panel_a_benchmark_in_rows_of_four(tmp_path, names, rows):
    plot_checkpoints({name: points(3) for name in names}, tmp_path / "checkpoints.png", "run")
    height, width, _ = image.imread(tmp_path / "checkpoints.png").shape
    assert height == round((3.8 * rows + 0.4) * 120)
    assert width == round(max(3.4 * (len(names) if rows == 1 else 3), 5) * 120)

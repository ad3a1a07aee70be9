from __future__ import annotations

from tests.promql import grouped_by, selectors


def test_functions_words_and_durations_are_no_metrics():
    expression = (
        'histogram_quantile(0.99, sum by (a, le) (rate(x_bucket{b=~"c, d",e!="f{"}[5m]))) > 0.5'
        " or absent(up) unless on (a) delta(y_total [1h] offset 5m) == 48 * 3600"
    )
    assert selectors(expression) == [("x_bucket", {"b", "e"}), ("up", set()), ("y_total", set())]
    assert grouped_by(expression) == {"a", "le"}


def test_a_grouping_may_stand_behind():
    assert selectors("topk(3, max(x) by (a)) / -z") == [("x", set()), ("z", set())]
    assert grouped_by("topk(3, max(x) by (a)) / -z") == {"a"}

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config import words
from refresher.config.words import BadValueError
from refresher.core.job import Margin


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("24h", 86_400), ("7d", 604_800), ("1h30m", 5400), ("1d2h3m4s", 93_784), ("90m", 5400)],
)
def test_span(text, seconds):
    assert words.span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "10",
        "10 m",
        "m",
        "-1s",
        "1.5h",
        "30m1h",
        "1h1h",
        "0s",
        "36501d",
        "9999999d",
        "10M",
        "10m\n",
        "1٣s",
        10,
        True,
    ],
)
def test_no_span(value):
    with pytest.raises(BadValueError):
        words.span(value)


@given(st.integers(min_value=1, max_value=int(words.LONGEST_SPAN.total_seconds())))
def test_spell_and_span_are_each_other_s_inverse(seconds):
    length = timedelta(seconds=seconds)
    assert words.span(words.spell(length)) == length


def test_margin_is_a_duration_or_a_share():
    assert words.margin("10m") == Margin(duration=timedelta(minutes=10))
    assert words.margin("12.5%") == Margin(share=0.125)


@pytest.mark.parametrize("value", ["0%", "100%", "-5%", "5 %", "%", "nan%", "1e1%", "0.25", 25, 0.25, "ten"])
def test_no_margin(value):
    with pytest.raises(BadValueError):
        words.margin(value)


def test_scopes_are_a_list_or_one_text_and_each_once():
    assert words.scopes(["read", "write", "read"]) == words.scopes("read write") == ("read", "write")
    assert words.scopes([]) == ()


@pytest.mark.parametrize("value", ["", "a  b", ["a b"], ['a"b'], ["a\\b"], ["é"], [1], {"a": 1}, 7])
def test_no_scopes(value):
    with pytest.raises(BadValueError):
        words.scopes(value)


@pytest.mark.parametrize("value", ["relative", "/", "//etc", "/etc/../x", "/etc/./x", "/etc/", "", "/a\0b", "/a\nb", 1])
def test_no_absolute_path(value):
    with pytest.raises(BadValueError):
        words.absolute(value)


def test_one_of():
    read = words.one_of("basic", "post")
    assert read("post") == "post"
    with pytest.raises(BadValueError, match='must be "basic" or "post"; did you mean "basic"'):
        read("basik")
    with pytest.raises(BadValueError, match=r'^must be "basic" or "post"$'):
        read(["basic"])


@pytest.mark.parametrize("value", ["127.0.0.1:9377", "[::1]:80", "localhost:1", ""])
def test_listen(value):
    assert words.listen(value) == value


@pytest.mark.parametrize("value", ["9377", ":9377", "host", "http://host:1", 9377, "host:1\n"])
def test_no_listen(value):
    with pytest.raises(BadValueError):
        words.listen(value)

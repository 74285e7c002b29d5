"""A name of an instance in names of files."""

import pytest

from refresher.core import filenames


@pytest.mark.parametrize("plain", ["default", "blue", "eu.blue-2_x"])
def test_a_plain_name_stays_as_it_is(plain):
    assert filenames.of(plain) == plain


def test_one_of_several_words_is_one_name_and_nobody_elses():
    names = ["eu/blue", "eu-blue", "eu/blue/2", "eu.blue"]
    found = [filenames.of(name) for name in names]
    assert found[0] == "eu+blue"
    assert len(set(found)) == len(names)
    assert not any("/" in name for name in found)

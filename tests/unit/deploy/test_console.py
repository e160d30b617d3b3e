"""What the person at the keyboard reads."""

import pytest

from deploy import console


def test_a_mistake_is_told_in_the_words_of_the_make_target():
    parser = console.Parser()
    parser.add_argument("--warm-start", type=int)

    with pytest.raises(console.Failure, match=r"^WARM_START: invalid int value: 'x'.*make help"):
        parser.parse_args(["--warm-start", "x"])

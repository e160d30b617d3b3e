"""The messages of the console."""

import pytest
from botocore.exceptions import EndpointConnectionError

from deploy import console


def test_an_argument_error_names_the_make_variable():
    parser = console.Parser()
    parser.add_argument("--warm-start", type=int)

    with pytest.raises(console.Failure, match=r"^WARM_START: invalid int value: 'x'.*make help"):
        parser.parse_args(["--warm-start", "x"])


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:4567/", " Start the local AWS: make local-up ENV=aws REHEARSE=1"),
        ("https://sts.us-east-1.amazonaws.com/", ""),
    ],
)
def test_only_a_rehearsal_gets_the_hint_to_start_the_local_aws(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str
):
    monkeypatch.setenv("ENV", "aws")
    monkeypatch.setenv("REHEARSE", "1")

    assert console.explain(EndpointConnectionError(endpoint_url=address)) == f"No server answers at {address}.{said}"

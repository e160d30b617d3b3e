"""The hosting container's handling of one request, held against AWS's inference toolkit."""

import json
import sys
import textwrap
from types import SimpleNamespace

import pytest
from sagemaker_inference.transformer import Transformer

from localaws.services.sagemaker.endpoints.own_container import HandlerModel

PARTS = {
    "model_fn": "def model_fn(folder): return 'model'",
    "input_fn": "def input_fn(body, content_type): return [type(body).__name__, content_type]",
    "predict_fn": "def predict_fn(data, model): return [data, model]",
    "output_fn": "import json\ndef output_fn(prediction, accept): return json.dumps([prediction, accept])",
}
CODES = {
    "plain": {},
    "with context": {
        "input_fn": "def input_fn(b, c, context): return context.request_processor[0].get_request_properties()['X']",
    },
    "a pair": {"output_fn": "def output_fn(prediction, accept): return 'text', 'text/x'"},
    "input raises": {"input_fn": "def input_fn(body, content_type): raise ValueError('odd\\r\\ninput')"},
    "an error without words": {"predict_fn": "def predict_fn(data, model): raise KeyError()"},
    "the toolkit's own error": {
        "predict_fn": """
            from sagemaker_inference.errors import GenericInferenceToolkitError
            def predict_fn(data, model): raise GenericInferenceToolkitError(422, 'not an image')""",
    },
    "no predict_fn": {"predict_fn": ""},
    "too many arguments": {"input_fn": "def input_fn(a, b, c, d): return a"},
    "transform": {
        "input_fn": "",
        "predict_fn": "",
        "output_fn": "def transform_fn(model, body, kind, accept): return f'{model} {body} {kind} {accept}', accept",
    },
}
REQUESTS = {
    "image": (b"\x89PNG", {"Content-Type": "image/png", "Accept": "text/csv", "X": "y"}),
    "json": (b'{"a": [1]}', {"Content-Type": "application/json", "Accept": "*/*", "X": "y"}),
    "no accept": (b'{"a": [1]}', {"Content-Type": "application/json", "X": "y"}),
    "charset": (b"{}", {"Content-Type": "application/json; charset=utf-8", "X": "y"}),
}


class ToolkitContext:
    """What the model server gives the toolkit."""

    def __init__(self, folder: str, headers: dict[str, str]):
        self.system_properties = {"model_dir": folder}
        self.request_processor = [SimpleNamespace(get_request_properties=lambda: headers)]
        self.status, self.content_type = 200, None

    def set_response_status(self, code: int, phrase: str) -> None:
        self.status = code

    def set_response_content_type(self, _index: int, value: str) -> None:
        self.content_type = value


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write `inference.py` and make it the one that is imported."""

    def write(parts: dict[str, str]) -> str:
        code = "\n".join(textwrap.dedent(part) for part in {**PARTS, **parts}.values())
        (tmp_path / "inference.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "inference", raising=False)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return str(tmp_path)

    yield write
    sys.modules.pop("inference", None)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("code", CODES)
def test_an_answer_is_the_toolkits(load, code, request_name):
    body, headers = REQUESTS[request_name]
    folder = load(CODES[code])
    context = ToolkitContext(folder, headers)
    (theirs,) = Transformer().transform([{"body": body}], context)
    ours = HandlerModel(folder).answer(body, headers)
    assert ours.status_code == context.status
    if ours.status_code == 200:
        assert ours.body.decode() == theirs
        assert ours.headers["Content-Type"].removesuffix("; charset=utf-8") == context.content_type
    else:
        assert ours.body.decode().split()[:5] == theirs.split()[:5], "the same words first"
        assert "Traceback" in ours.body.decode()


def test_without_input_fn_json_is_read_and_nothing_else_is(load):
    """The toolkit also reads CSV, NPY and NPZ, as arrays and with pickle allowed: not offered here."""
    model = HandlerModel(load({"input_fn": ""}))
    read = model.answer(b'{"a": [1]}', {"Content-Type": "application/json"})
    assert json.loads(read.body)[0] == [{"a": [1]}, "model"]
    refused = model.answer(b"\x93NUMPY", {"Content-Type": "application/x-npy"})
    assert refused.status_code == 500
    assert b"Content type application/x-npy is not supported" in refused.body


def test_an_error_with_a_status_and_a_code_is_told_as_json(load):
    folder = load(
        {
            "input_fn": """
                class ApiError(Exception):
                    status, code, message = 413, "image_too_large", "at most 4 MiB"
                def input_fn(body, content_type): raise ApiError()"""
        }
    )
    answer = HandlerModel(folder).answer(b"", {"Content-Type": "image/png"})
    assert answer.status_code == 413
    assert json.loads(answer.body) == {"error": {"code": "image_too_large", "message": "at most 4 MiB"}}


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ({"model_fn": ""}, NotImplementedError),
        ({"output_fn": "def transform_fn(a, b, c, d): return a"}, ValueError),
        ({"model_fn": "import nothing_of_that_name"}, ModuleNotFoundError),
    ],
)
def test_a_model_that_cannot_serve_is_no_model(load, parts, error):
    with pytest.raises(error):
        HandlerModel(load(parts))

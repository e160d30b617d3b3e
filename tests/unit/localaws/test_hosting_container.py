"""The hosting container's handling of one request, held against AWS's inference toolkit."""

import io
import json
import sys
import textwrap
from types import SimpleNamespace

import numpy
import pytest
from sagemaker_inference.transformer import Transformer

from localaws.services.sagemaker.endpoints.own_container import HandlerModel


def npy(rows: list, pickled: bool = False) -> bytes:
    content = io.BytesIO()
    numpy.save(content, numpy.array(rows, dtype=object if pickled else "float32"), allow_pickle=pickled)
    return content.getvalue()


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


ARRAYS = {
    "json": ("application/json", b"[[1, 2], [3, 4]]"),
    "csv": ("text/csv", b"1,2\n3,4"),
    "npy": ("application/x-npy", npy([[1.0, 2.0], [3.0, 4.0]])),
    "an image": ("image/png", b"\x89PNG"),
}
WRITTEN = ("application/json", "text/csv", "application/x-npy", "image/png, text/csv", "image/png")


@pytest.mark.parametrize("accept", WRITTEN)
@pytest.mark.parametrize("sent", ARRAYS)
def test_handlers_that_a_model_leaves_out_are_the_toolkits(load, sent, accept):
    content_type, body = ARRAYS[sent]
    headers = {"Content-Type": content_type, "Accept": accept}
    folder = load({"input_fn": "", "output_fn": "", "predict_fn": "def predict_fn(data, model): return data * 2"})
    context = ToolkitContext(folder, headers)
    (theirs,) = Transformer().transform([{"body": body}], context)
    ours = HandlerModel(folder).answer(body, headers)
    assert ours.status_code == context.status
    if ours.status_code == 200:
        assert ours.body == (theirs.encode() if isinstance(theirs, str) else theirs)
        assert ours.headers["Content-Type"].partition(";")[0] == context.content_type
    else:
        assert ours.body.decode().split()[:5] == theirs.split()[:5]


def test_an_array_of_objects_is_not_unpickled(load):
    """The toolkit reads it, which runs the sender's code."""
    model = HandlerModel(load({"input_fn": ""}))
    refused = model.answer(npy([{}], pickled=True), {"Content-Type": "application/x-npy"})
    assert refused.status_code == 500
    assert b"allow_pickle=False" in refused.body


@pytest.mark.parametrize(
    ("parts", "content_type", "body"),
    [
        ({"input_fn": "", "predict_fn": "", "output_fn": ""}, "application/json", b"[[1, 2]]"),
        ({"input_fn": "", "predict_fn": "", "output_fn": ""}, "text/csv", b"1,2\n3,4"),
        ({"input_fn": "", "predict_fn": "", "output_fn": ""}, "application/x-npy", npy([[1.0, 2.0]])),
        (
            {
                "input_fn": "import json\ndef input_fn(body, kind): return torch.tensor(json.loads(body))",
                "predict_fn": "def predict_fn(data, model): return model(data).detach()",
                "output_fn": "",
            },
            "application/json",
            b"[[1.0, 2.0]]",
        ),
    ],
)
def test_the_pytorch_image_completes_a_model_with_tensors(load, parts, content_type, body):
    code = "import torch\ndef model_fn(folder): return torch.nn.Linear(2, 3)"
    model = HandlerModel(load({"model_fn": code, **parts}), "pytorch")
    answer = model.answer(body, {"Content-Type": content_type})
    assert answer.status_code == 200, answer.body
    rows = json.loads(answer.body)
    assert [len(row) for row in rows] == [3] * len(rows)


def test_the_program_may_have_another_name(load, monkeypatch, tmp_path):
    load({})
    (tmp_path / "inference2.py").write_text(PARTS["model_fn"].replace("'model'", "'the second'"))
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "inference2.py")
    assert HandlerModel(str(tmp_path))._model == "the second"


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

"""Which environment stands in for an image, and what a container finds in it."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from localaws import images, machines
from localaws.images import prepare
from localaws.services.sagemaker.endpoints import sandbox

RAY = images.find("ray:serve-ml-sagemaker-cpu-v1.4")
REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
ROOT = Path(images.__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for prepared images, none of them there."""
    monkeypatch.setenv("LOCALAWS_IMAGES_HOME", str(tmp_path))
    monkeypatch.delenv(images.SETTING, raising=False)
    return tmp_path


def pretend_prepared(digest: str) -> None:
    """A prepared environment as `prepare` leaves it."""
    RAY.interpreter.parent.mkdir(parents=True)
    RAY.interpreter.symlink_to(sys.executable)
    RAY.stamp.write_text(json.dumps({"lock": digest, "python": "3.13.1"}))


def test_the_images_of_the_stack_have_a_lock_and_the_python_that_aws_lists():
    listed = json.loads((ROOT / "terraform" / "images.json").read_text())
    for use in ("training", "endpoint"):
        found = images.find(f"{REGISTRY}/{listed[use]['cpu']['image']}")
        assert found is not None, use
        assert found.python == listed[use]["cpu"]["python"]


@pytest.mark.parametrize("image", images.IMAGES, ids=lambda image: image.name)
def test_a_lock_has_a_hash_for_each_package_and_names_its_source_and_what_it_leaves_out(image):
    text = image.lock.read_text()
    pinned = re.findall(r"^[a-z0-9-]+==.*(?:\\\n.*)+", text, flags=re.MULTILINE)
    assert len(pinned) == len(image.versions()) > 40
    assert all("--hash=sha256:" in each for each in pinned)
    if image.contract == images.INSTANCE:
        assert re.search(r"Source: payloads/ec2/requirements\.txt, resolved against PyPI on 20\d\d-\d\d-\d\d", text)
    else:
        assert re.search(r"aws/deep-learning-containers, \S+uv\.lock at [0-9a-f]{40}\s+of\s+20\d\d-\d\d-\d\d", text)
        assert "Left out, because" in text
    assert not re.search(r"https?://", text)


@pytest.mark.parametrize(
    ("image", "payload"), [("pytorch:2.13.0-cpu-amzn2023-sagemaker", "train"), (images.AMAZON_LINUX, "ec2")]
)
def test_an_environment_holds_what_its_payload_requires(image, payload):
    """On AWS a job and an instance install these from requirements.txt; without a network they must be there."""
    held = images.find(image).versions()
    wanted = (ROOT / "payloads" / payload / "requirements.txt").read_text()
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", wanted, flags=re.MULTILINE):
        assert held[name] == version


def test_a_prepared_image_is_used_and_the_words_name_it(home):
    pretend_prepared(RAY.digest())
    chosen = images.environment(f"{REGISTRY}/{RAY.name}")
    assert (chosen.python, chosen.image) == (str(RAY.interpreter), RAY)
    assert RAY.name in chosen.description and "3.13.1" in chosen.description


def test_own_is_the_local_aws_python_and_says_that_it_is_not_the_images(home, monkeypatch):
    pretend_prepared(RAY.digest())
    monkeypatch.setenv(images.SETTING, "own")
    chosen = images.environment(f"{REGISTRY}/{RAY.name}")
    assert (chosen.python, chosen.image) == (sys.executable, None)
    assert "not the packages of" in chosen.description


def test_an_image_made_from_another_lock_does_not_count(home):
    pretend_prepared("older")
    assert images.environment(RAY.name).image is None


@pytest.mark.parametrize(
    ("uri", "words"), [(RAY.name, "make images"), ("somebody/else:1", "not one of the images that can be prepared")]
)
def test_exact_without_the_image_is_refused_with_the_way_out(home, monkeypatch, uri, words):
    monkeypatch.setenv(images.SETTING, "exact")
    with pytest.raises(images.ImageError, match=words):
        images.environment(uri)


def test_a_setting_that_there_is_not_is_named(home, monkeypatch):
    monkeypatch.setenv(images.SETTING, "docker")
    with pytest.raises(images.ImageError, match=r"LOCALAWS_IMAGES is 'docker'; it must be exact or own"):
        images.environment(RAY.name)


def test_a_python_among_pyenvs_versions_is_found_though_the_one_on_path_does_not_run(tmp_path, monkeypatch):
    """pyenv puts a stand-in on PATH for each version that it has, and it fails unless that version was chosen."""
    version = ".".join(map(str, sys.version_info[:2]))
    stand_in = tmp_path / "shims" / "python9.9"
    real = tmp_path / "pyenv" / "versions" / "9.9.1" / "bin" / "python9.9"
    for path, script in ((stand_in, "exit 127"), (real, "echo 9.9.1")):
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert prepare.interpreter("9.9") == real
    assert prepare.interpreter(version) is not None


def test_an_image_without_its_python_is_refused_with_the_way_out(home, monkeypatch):
    monkeypatch.setattr(prepare, "interpreter", lambda version: None)
    with pytest.raises(images.ImageError, match=r"needs Python 3\.13.*make images"):
        prepare.prepare(RAY)
    assert list(home.iterdir()) == []


# ---- what an instance has --------------------------------------------------------------------------------------


def in_sandbox(code: str, *options: str) -> dict:
    command = [sys.executable, "-I", sandbox.__file__, *options, "--", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_an_isolated_container_reaches_nothing_and_is_reached_on_its_socket():
    """The socket was opened outside, so it is asked from there; what the container itself opens is its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    code = f"""
import json, os, socket
def reaches(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False
own = socket.create_server(("127.0.0.1", 6379))
given = socket.socket(fileno=int(os.environ["LOCALAWS_LISTENER_FD"]))
print(json.dumps({{
    "network": os.environ["LOCALAWS_NETWORK"],
    "outside": reaches({listener.getsockname()[1]}),
    "own": reaches(6379),
    "port": given.getsockname()[1],
}}))
"""
    with listener:
        found = in_sandbox(code, "--isolated")
    if found["network"] == sandbox.CHECK:
        pytest.skip("this user may not create a network namespace")
    assert (found["network"], found["outside"], found["own"]) == (sandbox.NAMESPACE, False, True)
    assert found["port"] > 0


def test_a_container_has_the_processors_of_its_instance_type():
    code = "import json, os; print(json.dumps({'processors': len(os.sched_getaffinity(0))}))"
    assert in_sandbox(code, "--processors", "1") == {"processors": 1}
    assert in_sandbox(code) == {"processors": len(os.sched_getaffinity(0))}


def test_an_instance_type_has_the_processors_and_memory_that_aws_lists():
    assert (machines.processors("ml.m5.large"), machines.memory_bytes("ml.m5.large")) == (2, 8 * 1024**3)
    assert (machines.processors("ml.nothing"), machines.memory_bytes("ml.nothing")) == (0, None)

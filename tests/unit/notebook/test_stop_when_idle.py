"""The watch that stops the idle notebook instance, against Jupyter answers over TLS and with an `aws` of its own."""

import datetime
import http.server
import importlib.util
import json
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SCRIPT = Path(__file__).parents[3] / "terraform" / "modules" / "notebook" / "stop_when_idle.py"
MINUTES_NOBODY_HAS_BEEN_UP = str(10**6)


@pytest.fixture
def certificate(tmp_path):
    """A certificate that no one else trusts, as a notebook instance has."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "notebook")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "notebook.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


@pytest.fixture
def watch(monkeypatch, tmp_path):
    """The script as a module, with an `aws` on PATH that writes down what it is told."""
    told = tmp_path / "told"
    aws = tmp_path / "bin" / "aws"
    aws.parent.mkdir()
    aws.write_text(f'#!/bin/sh\necho "$@" > {told}\n')
    aws.chmod(0o755)
    monkeypatch.setenv("PATH", f"{aws.parent}:/usr/bin:/bin")
    spec = importlib.util.spec_from_file_location("stop_when_idle", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.told = lambda: told.read_text().strip() if told.exists() else None
    return module


@pytest.fixture
def jupyter(certificate, watch):
    """A Jupyter server's answers by path: (status, value)."""
    answers = {"/api/kernels": (200, []), "/api/terminals": (200, [])}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, value = answers[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    watch.SERVER = ("127.0.0.1", server.server_port)
    yield answers
    server.shutdown()
    server.server_close()


def active(seconds_ago, **more):
    moment = time.gmtime(time.time() - seconds_ago)
    return {"last_activity": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", moment), **more}


def test_an_idle_kernel_stops_the_instance(watch, jupyter):
    jupyter["/api/kernels"] = (200, [active(1, execution_state="idle")])

    watch.main("pawprint-notebook", "eu-west-1", "0.001")

    assert watch.told() == (
        "sagemaker stop-notebook-instance --region eu-west-1 --notebook-instance-name pawprint-notebook"
    )


def test_the_latest_activity_counts(watch):
    now = 1_700_000_000
    moments = ["2023-11-14T22:03:20.000000Z", "2023-11-14T22:08:20.000000Z"]  # 600 and 300 seconds before
    kernels = [{"execution_state": "idle", "last_activity": moment} for moment in moments]

    assert watch.idle_seconds(kernels, [], uptime=10**6, now=now) == 300
    assert watch.idle_seconds(kernels, [], uptime=60, now=now) == 60


def test_a_busy_kernel_keeps_the_instance_however_old_its_last_message_is(watch, jupyter):
    jupyter["/api/kernels"] = (200, [active(10**6, execution_state="busy")])

    watch.main("pawprint-notebook", "eu-west-1", "0.001")

    assert watch.told() is None


def test_a_terminal_in_use_keeps_the_instance(watch, jupyter):
    jupyter["/api/kernels"] = (200, [active(10**6, execution_state="idle")])
    jupyter["/api/terminals"] = (200, [active(0)])

    watch.main("pawprint-notebook", "eu-west-1", "15")

    assert watch.told() is None


def test_with_nothing_open_the_time_since_the_start_counts(watch, jupyter):
    watch.main("pawprint-notebook", "eu-west-1", MINUTES_NOBODY_HAS_BEEN_UP)
    assert watch.told() is None

    watch.main("pawprint-notebook", "eu-west-1", "0.001")
    assert watch.told() is not None


def test_an_error_of_jupyter_stops_nothing(watch, jupyter):
    jupyter["/api/kernels"] = (403, {"message": "Forbidden"})

    with pytest.raises(SystemExit, match="403"):
        watch.main("pawprint-notebook", "eu-west-1", "0.001")

    assert watch.told() is None


def test_without_a_jupyter_server_nothing_runs(watch, unused_port):
    watch.SERVER = ("127.0.0.1", unused_port)

    watch.main("pawprint-notebook", "eu-west-1", "0.001")

    assert watch.told() is not None


@pytest.fixture
def unused_port():
    with socket.socket() as bound:  # bound but not listening: a connection is refused
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]

"""Downloads over https: the certificate is checked against the name, although the connection goes to an address."""

import datetime
import ipaddress
import socket
import ssl

import pytest
from classifier.contract import ApiError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from predictor import fetch
from predictor.deadline import Deadline
from predictor.urls import Policy
from predictor_support import JPEG, respond

POLICY = Policy(allow_networks=(ipaddress.ip_network("127.0.0.0/8"),))


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A self-signed certificate for dogs.example, which this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dogs.example")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("dogs.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "dogs.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    fetch.tls.cache_clear()
    yield path
    fetch.tls.cache_clear()


@pytest.fixture
def server(serve, certificate, monkeypatch):
    """An https server whose names all resolve to this machine. It records the requested names."""
    asked = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.sni_callback = lambda _, name, __: asked.append(name)
    server = serve(lambda handler: respond(handler, 200, {"content-type": "image/jpeg"}, JPEG), tls)
    server.asked = asked
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *args, **kwargs: real("127.0.0.1", *args, **kwargs))
    return server


def test_the_server_gets_the_name_and_is_checked_against_it(server):
    fetched = fetch.fetch_image(f"https://dogs.example:{server.port}/", POLICY, Deadline(10))
    assert fetched.body == JPEG
    assert server.asked == ["dogs.example"]


def test_a_certificate_for_another_name_is_refused_and_named_as_the_reason(server):
    with pytest.raises(ApiError, match="its certificate is not valid") as caught:
        fetch.fetch_image(f"https://cats.example:{server.port}/", POLICY, Deadline(10))
    assert caught.value.code == "url_unreachable"


def test_a_handshake_that_never_comes_ends_at_the_deadline(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(ApiError) as caught:
            fetch.fetch_image(f"https://127.0.0.1:{silent.getsockname()[1]}/", POLICY, Deadline(0.2))
        assert caught.value.code == "url_timeout"


def test_a_redirect_from_https_to_http_is_refused(serve, certificate, server, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    leading = serve(lambda handler: respond(handler, 302, {"location": "http://dogs.example/"}, b""), tls)
    with pytest.raises(ApiError, match=r"The scheme is not allowed\. Use https\."):
        fetch.fetch_image(f"https://dogs.example:{leading.port}/", POLICY, Deadline(10))

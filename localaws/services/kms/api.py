"""KMS: moto's, with keys that survive a restart. EBS encrypts with one, so every encrypted disk brings one along."""

from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from moto.kms.utils import ECDSAPrivateKey, RSAPrivateKey


def _getstate(key: Any) -> dict[str, Any]:
    """The library's own key objects cannot be pickled, their text form can."""
    pem = key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {**vars(key), "private_key": pem}


def _setstate(key: Any, saved: dict[str, Any]) -> None:
    vars(key).update(saved, private_key=load_pem_private_key(saved["private_key"], password=None))


def install() -> None:
    for kind in (RSAPrivateKey, ECDSAPrivateKey):
        kind.__getstate__ = _getstate
        kind.__setstate__ = _setstate

"""The page: one file that needs no other, with a policy that allows no other source."""

import base64
import hashlib
import re

from classifier.contract import MAX_IMAGE_BYTES, MEDIA_TYPES
from predictor_support import Context, http_event


def page(predictor) -> tuple[str, dict[str, str]]:
    response = predictor.answer(http_event("GET"), Context())
    assert response["statusCode"] == 200
    return response["body"], response["headers"]


def test_a_browser_gets_a_page(predictor):
    html, headers = page(predictor)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert html.startswith("<!doctype html>")


def test_the_policy_allows_the_pages_own_script_and_style_and_no_other(predictor):
    html, headers = page(predictor)
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    for tag in ("script", "style"):
        [content] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


def test_the_page_needs_no_other_source_and_nothing_that_the_policy_forbids(predictor):
    html, _ = page(predictor)
    links = re.findall(r"""(?:src|href|action)=["']([^"']+)""", html)
    assert all(link.startswith("data:") for link in links)
    assert not re.search(r"@import|url\(", html)
    assert not re.search(r"""\s(?:style|on\w+)=["']""", html)


def test_the_page_has_the_limits_of_the_contract(predictor):
    html, _ = page(predictor)
    assert f"MAX_BYTES = {MAX_IMAGE_BYTES};" in html
    assert f"at most {MAX_IMAGE_BYTES // 2**20} MiB" in html
    assert 'ACCEPTED = ["' + '", "'.join(MEDIA_TYPES) + '"];' in html


def test_answers_and_failures_are_announced(predictor):
    html, _ = page(predictor)
    assert re.search(r'role="status"', html)
    assert re.search(r'role="alert"', html)

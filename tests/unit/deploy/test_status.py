"""`make status` after an apply that failed in the middle."""

from __future__ import annotations

from deploy.commands import status


def test_what_an_apply_did_not_make_is_missing_and_the_rest_is_shown(account):
    deployment = account.deployed(ec2_instance_id=None, endpoint_name=None)

    found = {what: (state, details) for what, state, details in status.rows(deployment) if what != "image"}

    for part in ("endpoint", "function", "instance"):
        assert found[part] == ("missing", "the last apply did not finish; repeat it: make apply")

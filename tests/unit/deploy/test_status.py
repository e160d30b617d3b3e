"""`make status` after an apply that failed in the middle."""

from __future__ import annotations

from deploy.commands import status


def test_resources_that_an_apply_did_not_make_are_missing_and_the_others_are_shown(account):
    deployment = account.deployed(ec2_instance_id=None, endpoint_name=None)

    found = {what: (state, details) for what, state, details in status.rows(deployment) if what != "image"}

    for part in ("endpoint", "function", "instance"):
        assert found[part] == ("missing", "the last apply did not finish; run it again: make apply")

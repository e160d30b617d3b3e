"""The line of a request in the endpoint's log: the same `request_id` as in the function's log and in its answer."""

import json

from classifier.contract import request_id_of


def request_line(attributes: str | None, status: int, code: str | None, seconds: float) -> str | None:
    """One line of JSON; None for a request without an identifier, which did not come through the function.

    `attributes` is the value of CUSTOM_ATTRIBUTES_HEADER, `code` that of the error, if the answer is one.
    """
    request_id = request_id_of(attributes)
    if request_id is None:
        return None
    line = {"request_id": request_id, "status": status, "ms": round(seconds * 1000, 1)}
    return json.dumps(line if code is None else {**line, "code": code})

"""OpenVINO, for every module that runs a graph.

`import openvino` and its converter report to Google Analytics without asking. They do not if their telemetry package
cannot be imported. So no other module of this project imports openvino directly.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # ty: ignore[no-matching-overload] Python documents the None

import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

__all__ = ["ops", "ov"]

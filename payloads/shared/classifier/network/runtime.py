"""OpenVINO, for every module that runs a graph.

`import openvino` by itself reports to Google Analytics, and so does its converter, without having asked; where its
package for that cannot be imported, it does not. So nothing else in this project imports openvino directly.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # ty: ignore[no-matching-overload] Python documents the None

import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

__all__ = ["ops", "ov"]

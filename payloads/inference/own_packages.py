"""The packages that the serving code brings for the images that lack them.

They are in `packages/<interpreter>-<platform>/` of this folder, built for one interpreter each. Another interpreter
brings its own, as this project's environment does.
"""

import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent


def use() -> None:
    """Have this interpreter import the packages that were built for it, if there are any."""
    own = HERE / "packages" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    if own.is_dir() and str(own) not in sys.path:
        sys.path.insert(0, str(own))

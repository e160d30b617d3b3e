"""The packages in the serving archive that the images lack.

They are in `packages/<interpreter>-<platform>/` of this folder. Each is built for one interpreter. Other interpreters,
such as that of this project's environment, have their own packages.
"""

import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent


def use() -> None:
    """Let this interpreter import the packages that were built for it, if there are any."""
    own = HERE / "packages" / f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    if own.is_dir() and str(own) not in sys.path:
        sys.path.insert(0, str(own))

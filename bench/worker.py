"""The process in which one candidate is measured.

    python -m bench.worker <module>:<function> <arguments as JSON>

The function prepares and returns the measurement. For each line on stdin it is done once, and answered by one line of
JSON on stdout. Whatever the candidate itself prints goes to stderr. Where the measurement has a `close`, it is called
at the end.
"""

import importlib
import json
import os
import sys


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # of child processes too
    module, function = sys.argv[1].split(":")
    measure = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    try:
        print("{}", file=answers, flush=True)
        for _ in sys.stdin:
            value = measure()
            answer = value if isinstance(value, dict) else {"value": value}
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        getattr(measure, "close", lambda: None)()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The process that measures one candidate.

    python -m bench.worker <module>:<function> <arguments as JSON>

The function prepares and returns the measurement. Each line on stdin runs it once, and one line of JSON on stdout is
the answer. The candidate's own output goes to stderr. If the measurement has a `close`, it is called at the end.
"""

import importlib
import json
import os
import sys


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # for child processes too
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

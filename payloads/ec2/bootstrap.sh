#!/bin/bash
# Prepares an instance for train_ec2.py: an interpreter that has what requirements.txt names. Its path is written to
# opt/pawprint/python last, so that whoever sees the file can start. Run again, it does only what is missing.
#
# Paths are relative on purpose: to / on an instance, to the instance's own root in a rehearsal. PYTHON names the
# interpreter to begin with.
set -euo pipefail

python=${PYTHON:-python3}
requirements=$(dirname "$0")/requirements.txt
home=opt/pawprint

# Whether an interpreter has every `name==version` of the requirements; says what it lacks. Builds count as the
# version they are of: 2.14.1+cpu is 2.14.1.
satisfied() {
  "$1" - "$requirements" << 'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

lacking = []
for line in Path(sys.argv[1]).read_text().splitlines():
    if not line or line[0] in "#-":
        continue
    name, _, wanted = line.partition("==")
    try:
        found = version(name).partition("+")[0]
    except PackageNotFoundError:
        found = None
    if found != wanted:
        lacking.append(f"{line} ({found or 'not installed'})")
if lacking:
    sys.exit(f"{sys.executable} lacks {', '.join(lacking)}")
PYTHON
}

mkdir -p "$home"
if ! satisfied "$python"; then
  if [ ! -x "$home/venv/bin/python" ]; then
    "$python" -m venv "$home/venv"
  fi
  python=${PWD%/}/$home/venv/bin/python
  if ! satisfied "$python"; then
    "$python" -m pip install --quiet --requirement "$requirements"
  fi
fi

interpreter=$("$python" -c 'import sys; print(sys.executable)')
printf '%s\n' "$interpreter" > "$home/python.partial"
mv "$home/python.partial" "$home/python"
echo "prepared: training runs under $interpreter"

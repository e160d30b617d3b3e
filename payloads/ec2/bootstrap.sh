#!/bin/bash
# Prepares an instance for train_ec2.py: an interpreter with the packages of requirements.txt, from the locks. Its path is written to
# opt/pawprint/python last: a program that sees the file can start. Run again, it does only what is missing.
#
# Paths are relative on purpose: to / on an instance, to the instance's own root in a rehearsal. PYTHON names the
# interpreter to begin with; PYTORCH names the build of PyTorch to install (cpu or cuda; default: cuda if the machine has
# an NVIDIA GPU).
set -euo pipefail

python=${PYTHON:-python3}
payload=$(dirname "$0")
requirements=$payload/requirements.txt
home=opt/pawprint
. "$payload/retry.sh"

# Whether an interpreter has every `name==version` of the requirements. Prints what it lacks. Builds count as the
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

# 10de is NVIDIA's vendor number on the PCI bus.
build() {
  if grep -qs '^0x10de' /sys/bus/pci/devices/*/vendor; then echo cuda; else echo cpu; fi
}

# Every package from the locks, whose hashes pip compares. PyPI's torch for x86 needs CUDA, 4 GB more (ours: 5.0 against
# 1.1 GB installed). PyTorch's own index has builds for processors. Their version is 2.14.1+cpu, which `torch==2.14.1`
# matches too. If pip could use both indexes, it would install CUDA whenever the second one does not answer. So pip uses
# one index only, and its failure is a failure. A payload without pytorch-cpu.lock has versions for that index, and no
# hashes (tools/instance_locks.py).
install() {
  local locked=(--require-hashes --no-deps) pins
  if [ "${PYTORCH:-$(build)}" = cpu ]; then
    local index=(--index-url "${PYTORCH_INDEX:-https://download.pytorch.org/whl/cpu}")
    if [ -s "$payload/pytorch-cpu.lock" ]; then
      retry "installing PyTorch for processors" "$python" -m pip install --quiet "${locked[@]}" "${index[@]}" \
        --requirement "$payload/pytorch-cpu.lock"
    elif pins=$(grep -E '^torch(vision)?==' "$requirements"); then
      # shellcheck disable=SC2086 # one argument per line
      retry "installing PyTorch for processors" "$python" -m pip install --quiet --no-deps "${index[@]}" $pins
    fi
  elif [ -s "$payload/pytorch-cuda.lock" ]; then
    retry "installing PyTorch with CUDA" "$python" -m pip install --quiet "${locked[@]}" \
      --requirement "$payload/pytorch-cuda.lock"
  fi
  retry "installing the training packages" "$python" -m pip install --quiet "${locked[@]}" \
    --requirement "$payload/requirements.lock"
}

mkdir -p "$home"
if ! satisfied "$python"; then
  if [ ! -x "$home/venv/bin/python" ]; then
    "$python" -m venv "$home/venv"
  fi
  python=${PWD%/}/$home/venv/bin/python
  if ! satisfied "$python"; then
    # Amazon Linux 2023 keeps /tmp in memory, at most half of it (its user guide, "/tmp (small temporary files)"): pip
    # unpacks on the disk.
    mkdir -p "$home/tmp"
    export TMPDIR=${PWD%/}/$home/tmp
    install
    rm -rf "$home/tmp"
  fi
fi

interpreter=$("$python" -c 'import sys; print(sys.executable)')
printf '%s\n' "$interpreter" > "$home/python.partial"
mv "$home/python.partial" "$home/python"
echo "prepared: training runs under $interpreter"

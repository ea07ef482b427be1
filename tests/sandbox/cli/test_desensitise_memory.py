"""A file much larger than what may be held of it passes through `sandbox desensitise`: the peak does not follow its size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MIB = 1 << 20
COMMAND = """
import resource, sys
from sandbox.cli.main import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
sys.exit(code)
"""


def peak_mib(folder: Path, name: str, size: int) -> int:
    """Return the peak of a whole command over a CSV of about `size` bytes."""
    row = f"1234567,{'z' * 8000}\n"
    with (folder / f"{name}.csv").open("w") as file:
        file.write("value,note\n")
        for _ in range(size // len(row)):
            file.write(row)
    (folder / "rules.toml").write_text(
        'purpose = "p"\nrecipient = "r"\n[columns]\n'
        'value = { rule = "round", to = 10 }\nnote = { rule = "mask", keep_start = 4 }\n'
    )
    arguments = ["desensitise", f"{name}.csv", "--rules", "rules.toml", "--out", f"{name}-out.csv"]
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], cwd=folder, capture_output=True, text=True, env=os.environ, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert (folder / f"{name}-out.csv").stat().st_size > size // 10_000
    return int(ran.stderr.splitlines()[-1])


def test_the_peak_of_a_command_does_not_follow_the_size_of_its_file(tmp_path: Path) -> None:
    small, large = peak_mib(tmp_path, "small", 80 * MIB), peak_mib(tmp_path, "large", 280 * MIB)
    assert large - small < 80

"""Run every benchmark of this folder, one process after the other, and print one JSON document of their figures.

python benchmarks/run.py [NAME…]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ARGUMENTS = {
    "path_rules_against_minutes": ["--json"],
    "classics_record": ["--json"],
    "sessions": ["--events", "200000"],
    "many_sessions": ["--sessions", "20", "--minutes", "10"],
}


def main(wanted: list[str]) -> int:
    """Run the named benchmarks, or all; returns the number that failed."""
    figures, failed = {}, 0
    for path in sorted(HERE.glob("*.py")):
        if path.name == "run.py" or (wanted and path.stem not in wanted):
            continue
        print(f"{path.stem} …", file=sys.stderr)
        done = subprocess.run([sys.executable, path, *ARGUMENTS.get(path.stem, [])], capture_output=True, text=True)
        if done.returncode:
            failed += 1
            figures[path.stem] = {"error": done.stderr.strip().splitlines()[-1:]}
        else:
            figures[path.stem] = json.loads(done.stdout)
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "figures": figures}, indent=2))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Makes the fixtures of the format that this version writes."""

import sys
from pathlib import Path

from testing.former_stores.scenarios import SCENARIOS, keep

if __name__ == "__main__":
    [folder] = sys.argv[1:]
    for name, scenario in SCENARIOS.items():
        keep(Path(folder), name, scenario)
        print(name)

"""Write a random dataset with one defect.

Usage: `python tests/defects.py SEED FORMAT FOLDER [NAME]`
"""

from __future__ import annotations

import sys
from pathlib import Path

from defective import boxes, columns, files, names  # noqa: F401 - they fill the table
from defective.table import make


def main() -> None:
    """Write a dataset; print its defect, the right outcomes and the regions to be sent."""
    seed, format, folder, *name = sys.argv[1:]  # noqa: A001 - the option's name
    draft, chosen = make(int(seed), format, *name)
    for path, content in draft.files().items():
        file = Path(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    print(f"{chosen.name}: {chosen.change.__doc__}\nright: {', '.join(sorted(chosen.right))}")
    for region in draft.scene.truth():
        print(*region)


if __name__ == "__main__":
    main()

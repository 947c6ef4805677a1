"""Where results are written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


def write(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write rows into a new file of bench/results/, and say which."""
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    file = results / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    file.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"written: {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")
    return file

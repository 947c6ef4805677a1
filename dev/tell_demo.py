"""The process in which the demo's story is told: `python -m dev.tell_demo`, started by the demo."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django

from dev.narration import Narrator


def main(began: str, deadline: str, fleet: str, *customers: str) -> int:
    """Exit code 0, or 1 with one sentence. `began` in epoch seconds, `deadline` in seconds from now."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
    django.setup()
    from dev.demo_story import Story, StoryFailed
    from instances.errors import DockmgrError

    try:
        Story(Narrator(float(began)), float(deadline), customers).tell(Path(fleet))
    except (StoryFailed, DockmgrError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

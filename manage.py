#!/usr/bin/env python
"""The operator's command line: `manage.py COMMAND`."""

import sys

from instances.management import streams
from instances.management.codes import INTERRUPTED


def main() -> None:
    streams.prepare()
    try:
        from dockmgr.program import carry_out  # takes time, in which somebody may lose patience

        carry_out(sys.argv)
    except KeyboardInterrupt:
        streams.refuse("Interrupted.", sys.argv)
        sys.exit(INTERRUPTED)
    finally:
        streams.tell()


if __name__ == "__main__":
    main()

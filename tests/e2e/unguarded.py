"""`python unguarded.py run ...`: refresher, but whoever has a job's row walks it, whoever else holds its lock."""

import sys

from refresher.cli import main
from refresher.scheduler.guard import Guard


async def take(*_: object) -> bool:
    return True


if __name__ == "__main__":
    Guard.take = take
    sys.exit(main())

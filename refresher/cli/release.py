"""`refresher release`: hand a job's paths back; the running daemon leaves them alone from then on."""

from typing import Annotated

import typer

from refresher.cli._config import ConfigOption, find_config, load_or_exit
from refresher.cli._daemon import line
from refresher.cli._process import known_jobs

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job whose paths somebody else keeps from now on.")]


def release(job: JobArgument, config: ConfigOption = None) -> int:
    settings = load_or_exit(find_config(config))
    names = known_jobs(settings, [job])
    from refresher.control import client  # noqa: PLC0415  # --help needs none of it

    code = 1
    for ended in client.ask(settings, "release", {"jobs": names}):
        if ended["outcome"] == "halted" and ended["reason"] == "released":
            code = 0
            places = ", ".join(f"{one['path']} v{one['version']}" for one in ended["destinations"])
            print(f"{job}: released {places}: what readers find stands there still, without refresher's mark")
            print(f"take the job out of jobs.toml now; refresher resume {job} takes the path again")
        else:
            print(line(ended, "release"))
            print(f"it is left alone, and its mark stands there still: refresher release {job} tries again")
    return code

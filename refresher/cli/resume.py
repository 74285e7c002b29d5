"""`refresher resume`: the running daemon goes on with a job that was paused, or handed back."""

from typing import Annotated

import typer

from refresher.cli._config import ConfigOption, find_config, load_or_exit
from refresher.cli._daemon import alone
from refresher.cli._process import known_jobs

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job to go on with.")]


def resume(job: JobArgument, config: ConfigOption = None) -> int:
    settings = load_or_exit(find_config(config))
    names = known_jobs(settings, [job])
    from refresher.control import client  # noqa: PLC0415  # --help needs none of it

    for row in client.ask(settings, "resume", {"jobs": names}):
        state = row["status"]["state"]
        print(f"{job}: resumed; it is {state}")
        alone(row)
        if state == "unmanaged":
            print("what stands at its path bears no mark of refresher: set adopt = true once, and reload")
    return 0

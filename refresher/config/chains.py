"""Jobs that exchange the token of another job (`subject_token = "job:NAME"`): it is read where that job writes it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from refresher.config import words
from refresher.config.jobs import Built
from refresher.config.references import OtherJob
from refresher.core import fields
from refresher.core.job import Job
from refresher.core.model import Reference


def link(outcomes: Iterable[Built]) -> dict[str, Job]:
    """Return the jobs by name, each with the place of the token that it exchanges; tell unknown jobs and circles."""
    built = {each.draft.name: each for each in outcomes}
    names = {name: subject.name for name, each in built.items() if (subject := _subject(each)) is not None}
    for name, other in names.items():
        if other not in built:
            built[name].draft.wrong("subject_token", f"names a job that is not there{words.hint(other, built)}")
    for circle in _circles(names):
        built[circle[0]].draft.wrong("subject_token", f"goes round in a circle: {' -> '.join((*circle, circle[0]))}")
    jobs = {name: each.job for name, each in built.items() if each.job is not None}
    for name, other in names.items():
        if name in jobs and other in jobs:
            if (token := _token_of(jobs[other])) is None:
                why = f"names a job whose fields show its access token under no name of its own: {other}"
                built[name].draft.wrong("subject_token", why)
            else:
                jobs[name] = replace(jobs[name], shape=replace(jobs[name].shape, subject_token=token))
    return jobs


def _subject(outcome: Built) -> OtherJob | None:
    subject = outcome.draft.get("subject_token") if outcome.chained else None
    return subject if isinstance(subject, OtherJob) else None


def _circles(names: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return each circle once, from the first of its jobs in the file."""
    seen: set[str] = set()
    circles = []
    for name in names:
        path: list[str] = []
        while name in names and name not in seen:
            seen.add(name)
            path.append(name)
            name = names[name]  # noqa: PLW2901  # walks along
        if name in path:
            circles.append(tuple(path[path.index(name) :]))
    return circles


def _token_of(job: Job) -> Reference | None:
    """Return where the job's access token stands by itself, at the first of its destinations that has it so."""
    for place in job.destinations:
        if field := fields.token_field(job.fields_at(place)):
            return Reference(kind="vault", cluster=place.cluster, target=f"{place.mount}/{place.path}", field=field)
    return None

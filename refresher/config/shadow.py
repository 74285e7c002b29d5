"""`shadow = true`: the job writes beside its paths, which are still somebody else's, and only reads those."""

from dataclasses import replace

from refresher.config.draft import Draft
from refresher.core import shadow
from refresher.core.job import Job


def beside(draft: Draft, job: Job) -> Job:
    """Return the job as it is in shadow mode where that is asked for, telling where it would do the owner harm."""
    if not draft.stated("shadow", otherwise=False):
        return job
    if job.grant == "refresh_token":
        draft.wrong(
            "shadow",
            "would spend the refresh token that the paths' owner lives by: hand over without it (adopt = true)",
        )
    elif job.revokes_previous:
        draft.wrong(
            "shadow",
            "would kill the token that readers have, as each new one does here (revokes_previous): hand over without "
            "it (adopt = true)",
        )
    return replace(
        job,
        adopt=False,  # it counts for the paths themselves, once they are written
        observed=job.destinations,
        destinations=tuple(shadow.of(place) for place in job.destinations),
        fields=tuple((shadow.of(place), fields) for place, fields in job.fields),
    )

"""The name of an instance as a part of the names of its files."""


def of(instance: str) -> str:
    """Return what stands for `instance` there: a name of several words (`eu/blue`) leads into no folder.

    No name has a plus sign of its own, so that two instances never share a file.
    """
    return instance.replace("/", "+")

"""What the running daemon is asked by other verbs, on two Unix sockets: a view of its jobs, and control over them.

Rules of this package:
- The view is for the service's group, and changes nothing. Control is for root and the service's own user; who asked
  is in the log, as the kernel names them.
- It is in nobody's way: what fails here is told of, and touches no rotation.
- Nothing secret goes out. A token that comes in goes to Vault, and nowhere else.
- A daemon answers for one jobs.toml: whoever means another one is told so.
"""

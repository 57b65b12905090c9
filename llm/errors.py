"""The failures that a worker explains in one message instead of a traceback."""


class WorkerError(Exception):
    """The job cannot be done as it is written: the message names what to change, and no other attempt would help."""


class LoadError(WorkerError):
    """A model cannot be read, from the hub or the disk, which another attempt may bring."""

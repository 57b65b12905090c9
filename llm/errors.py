"""The failure that a worker explains in one message instead of a traceback."""


class WorkerError(Exception):
    """The job cannot be done as it is written: the message names what to change."""

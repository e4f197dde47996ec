"""What stops a step."""


class WorkflowError(Exception):
    """A notebook or the book failed; the message names the notebook and cell, or the page."""

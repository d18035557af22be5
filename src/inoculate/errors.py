"""Every error the package raises on purpose.

* InoculateError           status 500, exit 3   something here went wrong
  - InputError             status 422, exit 2   the caller's data or arguments are wrong
    + TaskError            arrays of a task disagree
    + RecordError          one input line, packet or file cannot be parsed
      - TruncatedError     the source ends early; every whole record before that was used
    + ArtifactError        a prior or detector on disk is damaged, foreign or of an unknown version
  - NotFoundError          status 404, exit 4   no learner, domain, prior or format of that name
  - MissingExtraError      status 501, exit 5   an optional dependency is not installed
  - PrivilegeError         status 403, exit 6   the system refuses, say to open an interface
  - LabelError             status 409, exit 7   a label contradicts others or would lose examples

``status`` is the HTTP status and ``exit_code`` the process status; each face has one
handler that reads them. Exit 0 means no findings, 1 findings, 130 stopped by Ctrl-C.
"""

from typing import ClassVar


class InoculateError(Exception):
    """Base of all errors in this module; catch it at a boundary, nowhere else."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 3


class InputError(InoculateError):
    """The caller's data or arguments are wrong."""

    status = 422
    exit_code = 2


class TaskError(InputError):
    """The arrays of a task do not fit together."""


class RecordError(InputError):
    """One input item cannot be parsed.

    Args:
        problem: What is wrong, in the reader's terms.
        origin: Where, as ``path:line``, ``path@offset`` or a flow uid.
    """

    def __init__(self, problem: str, *, origin: str) -> None:
        super().__init__(f"{origin}: {problem}")
        self.problem = problem
        self.origin = origin


class TruncatedError(RecordError):
    """The source stops in the middle of a record; the whole records before it were used."""


class ArtifactError(InputError):
    """A prior or a detector on disk is damaged, foreign or of an unknown version."""


class NotFoundError(InoculateError):
    """No learner, domain, prior or format has the name that was asked for."""

    status = 404
    exit_code = 4


class MissingExtraError(InoculateError):
    """An optional dependency is not installed."""

    status = 501
    exit_code = 5


class PrivilegeError(InoculateError):
    """The operating system refuses what was asked, say to open an interface."""

    status = 403
    exit_code = 6


class LabelError(InoculateError):
    """A label contradicts others or would do harm; the detector stays as it was."""

    status = 409
    exit_code = 7

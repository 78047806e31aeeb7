"""ADAN's errors, sorted by the reaction they ask of the caller.

    AdanError
    |-- UsageError        the operator's words are off: say so, exit 2
    |-- ConfigurationError  a setting is wrong: keep the last good ones, exit 2
    |-- DataError         the datum is unusable: skip it, or refuse the file
    |-- ModelError        the model is unusable: no decision is made with it
    |-- TradingError      an order or a limit: no order leaves, the engine counts it
    |   |-- RetryableError  a read that may succeed when asked again
    |   `-- OrderRejected   the exchange said no, definitely, by a listed code
    |-- SecurityError     a secret, a seal or an identity: refuse
    `-- SystemFailure     disk, memory, database: stop, stay halted

A message says what was found, what was expected and what to do.
"""


class AdanError(Exception):
    """An error ADAN foresees; ``exit_code`` is what a command ends with when nothing handles it."""

    exit_code = 1

    def __init__(self, found: str, expected: str = "", remedy: str = "") -> None:
        self.found = found
        self.expected = expected
        self.remedy = remedy
        parts = [found]
        if expected:
            parts.append(f"expected: {expected}")
        if remedy:
            parts.append(f"to mend it: {remedy}")
        super().__init__("; ".join(parts))


class UsageError(AdanError):
    """The words of a command cannot be carried out as given."""

    exit_code = 2


class ConfigurationError(AdanError):
    """A setting is unknown, out of range or contradicts another."""

    exit_code = 2


class InvalidSettings(ConfigurationError):
    """Settings or a theme with one or more problems, each a sentence that names its key."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n  ".join(problems))


class DataError(AdanError):
    """A file, candle or column is not what it must be."""

    exit_code = 3


class ModelError(AdanError):
    """A model is missing, unsealed, altered or made for other data."""

    exit_code = 4


class TradingError(AdanError):
    """An order could not be placed, or its outcome is not known."""

    exit_code = 5


class RetryableError(TradingError):
    """A read from an exchange failed in a way that may pass."""


class OrderRejected(TradingError):
    """The exchange refused an order for good: nothing of it exists there.

    ``code`` is the exchange's own reason. Any other failure of a submission leaves the outcome unknown.
    """

    def __init__(self, code: str, found: str, expected: str = "", remedy: str = "") -> None:
        super().__init__(found, expected, remedy)
        self.code = code


class SecurityError(AdanError):
    """A secret is missing or exposed, a seal is broken, or somebody is not who they must be."""

    exit_code = 6


class SystemFailure(AdanError):
    """The disk, the memory, the database or another service of the machine failed."""

    exit_code = 7


class AlreadyRunning(AdanError):
    """Another core owns this home folder."""

    exit_code = 8


class NotRunning(AdanError):
    """No core answers, and the command needs one."""

    exit_code = 9

"""``adan-core doctor``: look at this machine and say what is in ADAN's way, and how to mend it."""

import argparse

from adan_core.cli.context import Context

_SCHEMA_VERSION = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``doctor``."""
    parser.epilog = (
        "example:\n"
        "  adan-core doctor --json\n\n"
        "exit codes: 0 nothing is in the way (warnings may stand), 1 something is"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print every finding with its remedy; 1 if any failed."""
    from adan_core.cli.environment import EnvironmentValidator, Verdict

    findings = EnvironmentValidator(
        context.home, context.environment, context.overrides, context.clock, context.stdout
    ).findings()
    healthy = all(finding.verdict is not Verdict.FAILED for finding in findings)
    if arguments.json:
        context.emit({"schema_version": _SCHEMA_VERSION, "healthy": healthy, "findings": findings})
        return 0 if healthy else 1
    for finding in findings:
        context.say(f"{finding.verdict:<8} {finding.check:<20} {finding.found}")
        if finding.remedy:
            context.say(f"{'':<29} mend it: {finding.remedy}")
    failed = sum(finding.verdict is Verdict.FAILED for finding in findings)
    context.say("\nnothing is in the way" if healthy else f"\n{failed} in the way")
    return 0 if healthy else 1

"""``python -m adan_core`` is ``adan-core``."""

from adan_core.cli.main import main

main()
